"""Who set which field of an object."""

from typing import Any

from rollcall.cluster import managedfields

Object = dict[str, Any]


def entry(manager: str, tree: Object, *, at: str = "2026-03-02T12:00:00Z", **more: str) -> Object:
    return {"manager": manager, "operation": "Update", "time": at, "fieldsV1": tree, **more}


def body(*entries: Object) -> Object:
    return {"apiVersion": "batch/v1", "metadata": {"managedFields": list(entries)}}


OURS = entry(
    "rollcall",
    {
        "f:metadata": {"f:labels": {"f:rollcall.dev/uid": {}}},
        "f:spec": {"f:schedule": {}, "f:jobTemplate": {"f:spec": {"f:backoffLimit": {}}}},
    },
    operation="Apply",
)
ALICE = entry("alice", {"f:spec": {"f:suspend": {}}}, at="2026-03-02T12:00:05Z")
BOB = entry(
    "bob",
    {
        "f:metadata": {"f:annotations": {"f:note": {}}},
        "f:spec": {
            "f:jobTemplate": {
                "f:spec": {
                    "f:backoffLimit": {},
                    "f:template": {
                        "f:spec": {"f:containers": {'k:{"name":"x"}': {".": {}, "f:image": {}}}}
                    },
                }
            }
        },
    },
)
CONTROLLER = entry("kube-controller-manager", {"f:status": {"f:active": {}}}, subresource="status")


def test_fields_that_only_others_set_are_named_with_who_did() -> None:
    found = managedfields.foreign(
        body(OURS, ALICE, BOB, CONTROLLER), "rollcall", root="spec", but=("spec", "suspend")
    )
    assert found == ['spec.jobTemplate.spec.template.spec.containers.[{"name":"x"}].image (bob)']


def test_the_last_one_to_set_a_field_is_found() -> None:
    later = entry("carol", {"f:spec": {"f:suspend": {}}}, at="2026-03-02T12:00:09Z")
    owner = managedfields.last_change(body(OURS, later, ALICE), ("spec", "suspend"))
    assert owner
    assert owner.manager == "carol"
    assert managedfields.last_change(body(OURS), ("spec", "suspend")) is None


def test_handing_over_moves_the_spec_but_not_the_excepted_field() -> None:
    mixed = entry(
        "kubectl",
        {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:suspend": {}, "f:timeZone": {}}},
    )
    entries = managedfields.handed_over(
        body(mixed, BOB, CONTROLLER), "rollcall", root="spec", but="suspend"
    )
    by_manager = {one["manager"]: one for one in entries}
    assert by_manager["kubectl"]["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:suspend": {}},
    }
    assert by_manager["bob"]["fieldsV1"] == {"f:metadata": {"f:annotations": {"f:note": {}}}}
    assert by_manager["kube-controller-manager"] == CONTROLLER
    taken = by_manager["rollcall"]
    assert taken["operation"] == "Apply"
    assert taken["fieldsV1"]["f:spec"]["f:timeZone"] == {}
    assert "f:backoffLimit" in taken["fieldsV1"]["f:spec"]["f:jobTemplate"]["f:spec"]
    assert "f:suspend" not in taken["fieldsV1"]["f:spec"]


def test_handing_over_merges_what_several_had() -> None:
    one = entry("a", {"f:spec": {"f:jobTemplate": {"f:spec": {"f:parallelism": {}}}}})
    two = entry("b", {"f:spec": {"f:jobTemplate": {"f:metadata": {"f:labels": {}}}}})
    (ours,) = managedfields.handed_over(body(one, two), "rollcall", root="spec", but="suspend")
    assert ours["fieldsV1"]["f:spec"]["f:jobTemplate"] == {
        "f:spec": {"f:parallelism": {}},
        "f:metadata": {"f:labels": {}},
    }


def test_an_object_without_managed_fields_has_no_owners() -> None:
    for raw in ({}, {"metadata": {"managedFields": None}}, body({"fieldsV1": "x"})):
        assert managedfields.foreign(raw, "rollcall", root="spec", but=("spec", "suspend")) == []
