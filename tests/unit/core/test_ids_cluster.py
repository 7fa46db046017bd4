"""The id of a cluster, under which stands what is true of all its jobs."""

from rollcall.core import ids


def test_a_cluster_has_an_id_of_its_own() -> None:
    east = ids.cluster_id(cluster="east")
    assert east == ids.cluster_id(cluster="east")
    assert east != ids.cluster_id(cluster="west")
    assert east != ids.cronjob_id(cluster="east", uid="")
    assert east.version == 8
