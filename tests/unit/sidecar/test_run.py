from datetime import UTC, datetime, timedelta, timezone

from rollcall_sidecar import ingest, run, settings

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


def fresh() -> run.Run:
    values, _ = settings.read({"ROLLCALL_NAMESPACE": "billing", "ROLLCALL_POD_NAME": "nightly-1"})
    return run.Run(values)


def acknowledged(execution: dict[str, object] | None) -> ingest.Outcome:
    return ingest.Outcome(reason="acknowledged", acknowledged=True, execution=execution)


def test_before_anything_was_sent_only_the_pod_is_known() -> None:
    assert fresh().view() == {
        "complete": False,
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
    known.record(acknowledged({"id": "019a"}), now=NOW)
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
    known.record(acknowledged({"id": "019a"}), now=NOW)
    assert known.wait(60) is True


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    at = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert run.rfc3339(at) == "2026-11-22T10:00:00.000Z"
