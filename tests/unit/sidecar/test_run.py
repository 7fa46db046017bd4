import tracemalloc
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rollcall_sidecar import ingest, run, settings

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


def fresh() -> run.Run:
    values, _ = settings.read({"ROLLCALL_NAMESPACE": "billing", "ROLLCALL_POD_NAME": "nightly-1"})
    known = run.Run(values)
    known.can_be_asked = True
    return known


def acknowledged(
    execution: dict[str, object] | None, told: dict[str, object] | None = None
) -> ingest.Outcome:
    return ingest.Outcome(reason="acknowledged", acknowledged=True, execution=execution, run=told)


COMPLETE: dict[str, object] = {"complete": True}


def test_before_anything_was_sent_only_the_pod_is_known() -> None:
    assert fresh().view() == {
        "complete": False,
        "executionId": None,
        "idempotencyKey": None,
        "date": None,
        "deadline": None,
        "window": None,
        "windowHeldBy": None,
        "expectedEnd": None,
        "checkpoint": None,
        "requeued": [],
        "namespace": "billing",
        "podName": "nightly-1",
        "podUid": None,
        "execution": None,
        "heartbeat": {
            "intervalSeconds": 15,
            "sent": 0,
            "acknowledged": 0,
            "lastAcknowledgedAt": None,
            "lastError": None,
        },
    }


def test_an_acknowledgement_completes_and_clears_the_error() -> None:
    known = fresh()
    known.record(ingest.Outcome(reason="answered 503", transient=True), now=NOW)
    assert known.view()["heartbeat"]["lastError"] == "answered 503"
    known.record(acknowledged({"id": "019a"}, COMPLETE), now=NOW)
    view = known.view()
    assert view["complete"] is True
    assert view["execution"] == {"id": "019a"}
    assert view["heartbeat"]["acknowledged"] == 1
    assert view["heartbeat"]["lastAcknowledgedAt"] == "2026-11-22T10:00:00.123Z"
    assert view["heartbeat"]["lastError"] is None


def test_an_execution_once_known_stays_known() -> None:
    known = fresh()
    known.record(acknowledged({"id": "019a", "attempt": 1}), now=NOW)
    known.record(acknowledged(None), now=NOW)
    known.record(ingest.Outcome(reason="answered 401"), now=NOW)
    assert known.view()["execution"] == {"id": "019a", "attempt": 1}
    known.record(acknowledged({"id": "019a", "attempt": 2}), now=NOW)
    assert known.view()["execution"] == {"id": "019a", "attempt": 2}


def test_waiting_for_what_is_known_returns_at_once() -> None:
    known = fresh()
    assert known.wait(0) is False
    known.record(acknowledged({"id": "019a"}, COMPLETE), now=NOW)
    assert known.wait(60) is True


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    at = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert run.rfc3339(at) == "2026-11-22T10:00:00.000Z"


TOLD = {
    "idempotencyKey": "k-1",
    "date": "2026-11-22",
    "deadline": None,
    "window": None,
    "windowHeldBy": {"execution": "019b", "jobName": "nightly-1"},
    "checkpoint": {"value": 7, "at": "then", "execution": "019c", "attempt": 2, "slotTime": "s"},
    "requeued": [{"id": "l-1", "item": "order-1"}, {"id": "l-2", "item": "order-2"}],
    "complete": False,
}


def test_what_the_api_tells_of_the_run_stands_on_top() -> None:
    known = fresh()
    known.record(acknowledged({"id": "019a"}, TOLD), now=NOW)
    view = known.view()
    assert {name: view[name] for name in TOLD} == TOLD
    assert view["executionId"] == "019a"


def test_a_run_whose_window_another_holds_is_asked_for_again_until_it_is_free() -> None:
    known = fresh()
    assert known.wants
    known.record(acknowledged({"id": "019a"}, TOLD), now=NOW)
    assert known.wants
    assert known.wait(0) is False
    known.record(acknowledged({"id": "019a"}), now=NOW)
    assert known.view()["complete"] is False
    known.record(acknowledged({"id": "019a"}, TOLD | {"complete": True}), now=NOW)
    assert not known.wants
    assert known.wait(60) is True


def test_where_no_program_can_ask_nobody_is_told_of_windows_and_dead_letters() -> None:
    values, _ = settings.read({})
    assert not run.Run(values).wants
    assert run.Run(values).asking() == []


def test_when_the_run_may_end_is_asked_for_a_program_and_anew_after_a_minute() -> None:
    now = [100.0]
    known = run.Run(settings.read({})[0], clock=lambda: now[0])
    known.can_be_asked = True
    assert known.view()["expectedEnd"] is None
    assert known.asking() == ["run"]
    known.record(acknowledged({"id": "019a"}, COMPLETE), now=NOW)
    assert known.asking() == ["expectedEnd"]
    end = {"at": "2026-11-22T11:00:00Z", "runs": 5}
    known.record(acknowledged(None)._replace(expected_end=end), now=NOW)
    assert known.view()["expectedEnd"] == end
    assert known.asking() == []
    now[0] += run.END_HOLDS
    assert known.asking() == []  # nobody asks
    assert known.view()["expectedEnd"] == end
    assert known.asking() == ["expectedEnd"]
    known.record(acknowledged(None)._replace(expected_end={}), now=NOW)
    assert known.view()["expectedEnd"] is None
    assert known.asking() == []


def test_an_api_that_cannot_tell_when_the_run_may_end_is_left_alone_for_a_minute() -> None:
    now = [100.0]
    known = run.Run(settings.read({})[0], clock=lambda: now[0])
    known.can_be_asked = True
    known.record(acknowledged({"id": "019a"}, COMPLETE), now=NOW)
    known.asking()  # of a report that is under way when the program asks
    known.view()
    known.record(acknowledged(None), now=NOW)
    assert known.asking() == ["expectedEnd"]
    known.record(acknowledged(None), now=NOW)
    known.view()
    assert known.asking() == []
    now[0] += run.END_HOLDS
    known.view()
    assert known.asking() == ["expectedEnd"]


def test_a_run_that_the_api_could_not_tell_of_is_not_complete_and_asked_for_again() -> None:
    known = fresh()
    known.record(acknowledged({"id": "019a"}), now=NOW)
    assert known.wait(0) is False
    assert known.wants
    known.record(acknowledged({"id": "019a"}, COMPLETE), now=NOW)
    assert known.wait(60) is True


def test_a_container_that_is_started_again_resumes_from_its_own_checkpoint() -> None:
    known = fresh()
    execution: dict[str, object] = {"id": "019a", "attempt": 1, "slotTime": "s"}
    known.record(acknowledged(execution, TOLD), now=NOW)
    known.passed({"page": 8}, "now")
    assert known.view()["checkpoint"] == {
        "value": {"page": 8},
        "at": "now",
        "execution": "019a",
        "attempt": 1,
        "slotTime": "s",
    }


def test_a_requeued_dead_letter_that_is_handled_is_not_shown_again() -> None:
    known = fresh()
    known.record(acknowledged({"id": "019a"}, TOLD), now=NOW)
    known.handled("l-1")
    assert [letter["id"] for letter in known.view()["requeued"]] == ["l-2"]


def test_an_id_in_capitals_is_the_same_letter() -> None:
    known = fresh()
    known.record(acknowledged({"id": "019a"}, TOLD), now=NOW)
    known.handled("L-1")
    assert [letter["id"] for letter in known.view()["requeued"]] == ["l-2"]


def test_a_program_that_handles_letters_of_nobody_fills_no_memory() -> None:
    known = fresh()
    tracemalloc.start()
    try:
        for number in range(20_000):
            known.handled(f"{number:036}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000


def test_all_letters_that_a_run_is_handed_can_be_handled() -> None:
    known = fresh()
    letters = [{"id": f"l-{number}"} for number in range(100)]
    known.record(acknowledged({"id": "019a"}, {"requeued": letters}), now=NOW)
    for letter in letters:
        known.handled(letter["id"])
    assert known.view()["requeued"] == []


@pytest.mark.parametrize(
    "odd", [{"requeued": 5}, {"requeued": [5, {"id": []}]}, {"checkpoint": []}, {}]
)
def test_odd_things_of_an_api_are_shown_or_left_out(odd: dict[str, object]) -> None:
    known = fresh()
    known.record(acknowledged({"id": "019a"}, odd), now=NOW)
    assert isinstance(known.view()["requeued"], list)
