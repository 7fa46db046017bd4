"""What is remembered of sidecars that cannot start."""

from datetime import UTC, datetime, timedelta

from rollcall.cluster import inventory, troubles
from support.clocks import Clock

KEY = inventory.Key("team", "report")
AT = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def tracked(
    reason: object = "ImageUnavailable", message: str = "x", uid: str = "u"
) -> dict[str, object]:
    condition = {
        "type": "Reporting",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-03-02T11:00:00Z",
    }
    return {"metadata": {"uid": uid}, "status": {"conditions": [condition]}}


def made(clock: Clock | None = None) -> troubles.Troubles:
    return troubles.Troubles(changed=lambda _key: None, clock=clock or Clock())


def trouble(minutes: int, message: str = "new") -> troubles.Trouble:
    return troubles.Trouble(at=AT + minutes * MINUTE, reason="ImageUnavailable", message=message)


def stopped_for_others() -> troubles.Troubles:
    known = made()
    keys = [inventory.Key("team", job) for job in "abc"]
    assert [known.failed(key, key.name, "SidecarCannotStart") for key in keys] == [
        False,
        False,
        True,
    ]
    return known


def test_after_a_restart_the_status_says_what_is_wrong() -> None:
    known = made()
    known.recall(
        KEY,
        tracked(
            message="p is untracked; why; new pods get none until then; without reports these "
            "rules find nothing: silent"
        ),
    )
    assert known.told(KEY) == trouble(0, "p is untracked; why")


def test_other_conditions_are_none_of_ours() -> None:
    known = made()
    for number, reason in enumerate(("NeverHeard", ["list"], None)):
        known.recall(KEY, tracked(reason, uid=str(number)))
    known.recall(KEY, {"metadata": {}, "status": "nonsense"})
    assert known.told(KEY) is None


def test_a_status_that_comes_again_says_nothing_new() -> None:
    known = made()
    known.recall(KEY, tracked())
    known.ran(KEY, AT + MINUTE)
    known.recall(KEY, tracked())
    assert known.told(KEY) is None


def test_a_job_made_anew_under_the_same_name_has_a_clean_record() -> None:
    known = made()
    known.recall(KEY, tracked())
    known.recall(KEY, {"metadata": {"uid": "another"}})
    assert known.told(KEY) is None


def test_the_latest_pod_counts() -> None:
    known = made()
    known.tell(KEY, trouble(2))
    known.tell(KEY, trouble(1, "old"))
    assert known.told(KEY) == trouble(2)


def test_each_failed_trial_waits_longer() -> None:
    clock = Clock()
    known = made(clock)
    for number in range(3):
        known.failed(KEY, f"pod-{number}", "ImageUnavailable")
    for trip in range(8):
        clock.advance(min(timedelta(minutes=10) * 2**trip, timedelta(hours=6)) - MINUTE)
        assert known.withheld(KEY)
        clock.advance(MINUTE)
        assert known.withheld(KEY) is None
        known.failed(KEY, f"trial-{trip}", "ImageUnavailable")


def test_a_job_that_is_stopped_for_others_says_so_without_a_trouble_of_its_own() -> None:
    obstacle = stopped_for_others().withheld(KEY)
    assert obstacle
    assert obstacle.reason == "SidecarCannotStart"
    assert obstacle.message.startswith("the sidecar could not start elsewhere; new pods get none")


def test_what_others_were_stopped_for_is_not_remembered_as_a_trouble_of_the_job() -> None:
    obstacle = stopped_for_others().withheld(KEY)
    assert obstacle
    known = made()
    rules = "; without reports these rules find nothing: silent"
    for number, message in enumerate((obstacle.message, obstacle.message + rules)):
        known.recall(KEY, tracked(obstacle.reason, message, uid=str(number)))
        assert known.told(KEY) is None


def test_until_when_new_pods_get_no_sidecar_is_told_whatever_the_kubelet_had_to_say() -> None:
    known = made()
    known.tell(KEY, trouble(0, "x" * 5000))
    for number in range(3):
        known.failed(KEY, str(number), "ImageUnavailable")
    obstacle = known.withheld(KEY)
    assert obstacle
    assert obstacle.message.startswith("x" * 1000)
    assert obstacle.message.endswith(
        "x…; new pods get none until 2026-03-02T12:10:00Z, after 3 pods of this job in a row"
    )


def test_after_a_restart_a_pod_that_ran_before_the_status_was_written_ends_no_trouble() -> None:
    known, body = made(), tracked()
    body["metadata"] = {
        "uid": "u",
        "managedFields": [
            {"manager": "rollcall", "subresource": "status", "time": "2026-03-02T11:30:00Z"},
            {"manager": "rollcall", "time": "2026-03-02T11:50:00Z"},
            {"manager": "kubectl", "subresource": "status", "time": "2026-03-02T11:50:00Z"},
            {"manager": "rollcall", "subresource": "status", "time": 7},
        ],
    }
    known.recall(KEY, body)
    known.ran(KEY, AT + 29 * MINUTE)
    assert known.told(KEY)
    known.ran(KEY, AT + 31 * MINUTE)
    assert known.told(KEY) is None


def test_only_a_job_that_is_there_is_known() -> None:
    known = made()
    known.recall(KEY, tracked(uid="u"))
    assert known.knows(KEY, "u")
    assert not known.knows(KEY, "another")
    known.forget(KEY)
    assert not known.knows(KEY, "u")
