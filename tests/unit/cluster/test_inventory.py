"""What is remembered of the cluster's objects."""

import copy

from rollcall.cluster import inventory
from rollcall.core import ids
from support.fakekube import edited
from support.trackedcronjobs import UID, Object, tracked

KEY = inventory.Key("team", "nightly")


def versioned(body: Object, version: int) -> Object:
    changed = copy.deepcopy(body)
    changed["metadata"]["resourceVersion"] = str(version)
    return changed


def cronjob(version: int = 10, generation: int = 1, uid: str = "c") -> Object:
    return {
        "metadata": {
            "namespace": "team",
            "name": "nightly",
            "uid": uid,
            "generation": generation,
            "resourceVersion": str(version),
            "labels": {"rollcall.dev/uid": UID},
            "ownerReferences": [{"controller": True, "uid": UID}],
        },
        "spec": {},
    }


def test_a_status_write_is_no_change_of_wishes() -> None:
    known = inventory.Inventory(cluster="test")
    assert known.put(tracked())
    assert not known.put(versioned(tracked(status={"health": "New"}), 11))
    found = known.tracked(KEY)
    assert found
    assert found["status"] == {"health": "New"}
    assert known.put(versioned(tracked(generation=2), 12))
    assert known.put(versioned(tracked(generation=2, labels={"a": "b"}), 13))


def test_an_older_reading_never_replaces_a_newer_one() -> None:
    known = inventory.Inventory(cluster="test")
    known.put(versioned(tracked(generation=2), 20))
    assert not known.put(versioned(tracked(generation=1), 19))
    found = known.tracked(KEY)
    assert found
    assert found["metadata"]["generation"] == 2


def test_a_new_object_of_the_same_name_replaces_the_old_one_whatever_its_version() -> None:
    known = inventory.Inventory(cluster="test")
    known.put(versioned(tracked(), 20))
    assert known.put(versioned(tracked(uid="other"), 5))
    assert known.key_of(ids.cronjob_id(cluster="test", uid="other")) == KEY
    assert known.key_of(ids.cronjob_id(cluster="test", uid=UID)) is None


def test_what_is_not_needed_is_not_kept() -> None:
    body = tracked()
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    body["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "…",
        "a": "b",
    }
    known = inventory.Inventory(cluster="test")
    known.put(body)
    kept = known.tracked(KEY)
    assert kept
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["annotations"] == {"a": "b"}


def test_a_dropped_job_is_unknown() -> None:
    known = inventory.Inventory(cluster="test")
    known.put(tracked())
    known.drop(KEY)
    known.drop(KEY)
    assert known.tracked(KEY) is None
    assert known.tracked_keys() == []
    assert known.key_of(ids.cronjob_id(cluster="test", uid=UID)) is None


def test_a_cronjob_changes_with_its_generation_and_not_with_its_status() -> None:
    known = inventory.Inventory(cluster="test")
    assert known.put_child(cronjob())
    assert not known.put_child(cronjob(version=11))
    assert known.put_child(cronjob(version=12, generation=2))
    assert not known.put_child(cronjob(version=11))
    child = known.child(KEY)
    assert child
    assert (child.generation, child.belongs_to(UID), child.belongs_to("x")) == (2, True, False)


def test_a_cronjob_without_our_label_or_owner_does_not_belong_to_us() -> None:
    unlabelled, unowned = cronjob(), cronjob()
    unlabelled["metadata"]["labels"] = {}
    unowned["metadata"]["ownerReferences"] = [{"controller": False, "uid": UID}]
    assert not inventory.child_of(unlabelled).belongs_to(UID)
    assert not inventory.child_of(unowned).belongs_to(UID)


def test_who_suspended_a_cronjob_by_hand_is_remembered() -> None:
    child = inventory.child_of(edited(cronjob(), manager="alice", suspend=True))
    assert (child.suspended, child.suspended_by) == (True, "alice, 2026-03-02T12:00:00Z")
    assert (
        inventory.child_of(edited(cronjob(), manager="rollcall", suspend=True)).suspended_by is None
    )


def test_only_the_cronjob_that_is_meant_is_dropped() -> None:
    known = inventory.Inventory(cluster="test")
    known.put_child(cronjob(uid="new"))
    assert not known.drop_child(KEY, "old")
    assert known.drop_child(KEY, "new")
    assert not known.drop_child(KEY)


def test_the_container_that_a_job_tracks_is_known_without_reading_the_job() -> None:
    known = inventory.Inventory(cluster="test")
    assert KEY not in known
    assert known.container(KEY) is None
    known.put(tracked(tracking={"container": "worker"}))
    assert KEY in known
    assert known.container(KEY) == "worker"


def test_the_channels_of_a_job_are_those_of_its_alerts_and_of_their_escalation() -> None:
    known = inventory.Inventory(cluster="test")
    steps = [{"after": "1h", "channels": ["pager", "team"]}, {"after": "2h", "severity": "info"}]
    known.put(tracked(alerts={"channels": ["team"], "escalation": steps}))
    assert known.channels(KEY) == ("team", "pager")
    known.put(versioned(tracked(alerts={"escalation": "often"}), 12))
    assert known.channels(KEY) == ()
