import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import buffer, ingest

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
EXECUTION = {"id": "019a", "cronjob": "nightly"}


def judge(status: int, body: bytes = b"", retry_after: str | None = None) -> ingest.Outcome:
    answer = ingest.Answer(status=status, retry_after=retry_after, body=body)
    return ingest.judge(answer, sequence=7, now=NOW)


def acknowledgement(**more: object) -> bytes:
    return json.dumps({"v": 1, "acknowledged": 7, "execution": EXECUTION} | more).encode()


def test_an_acknowledgement_brings_the_execution() -> None:
    assert judge(200, acknowledgement()) == ingest.Outcome(
        reason="acknowledged", acknowledged=True, status=200, execution=EXECUTION
    )


def test_an_acknowledgement_may_settle_items_and_tell_what_the_run_is_about() -> None:
    refusal = {"seq": 6, "status": 413, "detail": "message " + "x" * 500}
    items = {"through": 9, "refused": [refusal]}
    outcome = judge(200, acknowledgement(items=items, run={"complete": True}))
    verdict = buffer.Verdict(6, 413, ("message " + "x" * 500)[:200])
    assert outcome.items == ingest.Settled(9, [verdict])
    assert outcome.run == {"complete": True}


@pytest.mark.parametrize(
    ("told", "read"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"expectedEnd": None}, {}, id="that nobody knows"),
        pytest.param({"expectedEnd": {"at": "then"}}, {"at": "then"}, id="it"),
        pytest.param({"expectedEnd": "soon"}, {}, id="what makes no sense"),
    ],
)
def test_an_acknowledgement_may_tell_when_the_run_may_end(
    told: dict[str, object], read: object
) -> None:
    assert judge(200, acknowledgement(**told)).expected_end == read


@pytest.mark.parametrize(
    ("items", "settled"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param([9], None, id="a list"),
        pytest.param({}, (0, []), id="an empty one"),
        pytest.param({"through": "9"}, (0, []), id="a number in quotes"),
        pytest.param({"through": True}, (0, []), id="yes"),
        pytest.param({"through": -9}, (0, []), id="below zero"),
        pytest.param({"through": 9, "refused": {"seq": 1}}, (9, []), id="no list of refusals"),
        pytest.param({"through": 9, "refused": [1, {}, {"seq": 0}]}, (9, []), id="no refusals"),
        pytest.param(
            {"through": 9, "refused": [{"seq": 1, "status": 999, "detail": 5}]},
            (9, [(1, 422, "")]),
            id="a status of nobody",
        ),
    ],
)
def test_what_makes_no_sense_settles_nothing(items: object, settled: object) -> None:
    assert judge(200, acknowledgement(items=items, run=[])).items == settled
    assert judge(200, acknowledgement(items=items, run=[])).run is None


@pytest.mark.parametrize(
    "execution",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param("019a", id="a word"),
        pytest.param({}, id="an empty one"),
        pytest.param({"id": ""}, id="an empty id"),
    ],
)
def test_an_acknowledgement_may_come_without_an_execution(execution: object) -> None:
    outcome = judge(200, acknowledgement(execution=execution))
    assert outcome.acknowledged
    assert outcome.execution is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="a web page"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"acknowledged"', id="a word"),
        pytest.param(b'{"acknowledged": 6}', id="another report's"),
        pytest.param(b'{"acknowledged": "7"}', id="a number in quotes"),
        pytest.param(b'{"acknowledged": 7, "x": NaN}', id="no number"),
        pytest.param(b'{"acknowledged": 7, "x": 1e999}', id="a number without end"),
        pytest.param(b'{"x": ' + b"[" * 60_000, id="deep nesting"),
        pytest.param(b'{"acknowledged": ' + b"7" * 10_000 + b"}", id="a number too long"),
        pytest.param(b'{"acknowledged": 7}\xff', id="no text"),
    ],
)
def test_an_answer_that_does_not_acknowledge_is_no_acknowledgement(body: bytes) -> None:
    outcome = judge(200, body)
    assert outcome == ingest.Outcome(reason="the answer was not an acknowledgement", status=200)


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        *((status, False) for status in (202, 302, 401, 403, 404, 413)),
        *((status, True) for status in (429, 500, 502, 503, 504)),
    ],
)
def test_only_what_time_heals_is_tried_again_soon(status: int, *, transient: bool) -> None:
    outcome = judge(status, acknowledgement())
    assert outcome.reason == f"answered {status}"
    assert outcome.status == status
    assert outcome.transient is transient
    assert not outcome.acknowledged


def test_the_words_of_a_problem_are_kept_and_cut() -> None:
    outcome = judge(403, json.dumps({"detail": "unknown Job " + "x" * 5000}).encode())
    assert outcome.reason == "answered 403"
    assert outcome.text().startswith("answered 403: unknown Job x")
    assert len(outcome.text()) < 250


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        pytest.param(None, 0, id="absent"),
        pytest.param("7", 7, id="seconds"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("-7", 0, id="the past"),
        pytest.param("nan", 0, id="no number"),
        pytest.param("inf", 0, id="for ever"),
        pytest.param("soon", 0, id="a word"),
        pytest.param("Sun, 22 Nov 2026 10:00:09 GMT", 9, id="a date"),
        pytest.param("Sun, 22 Nov 2026 09:00:00 GMT", 0, id="a date gone by"),
        pytest.param("Sun, 22 Nov 2026 10:00:09 -0000", 0, id="a date without a zone"),
        pytest.param("Sun, 99 Nov 99999 10:00:09 GMT", 0, id="no date"),
    ],
)
def test_retry_after_is_read_in_both_of_its_forms(retry_after: str | None, seconds: float) -> None:
    assert judge(503, retry_after=retry_after).retry_after == seconds


@given(st.integers(100, 599), st.binary(), st.none() | st.text())
def test_no_answer_is_too_odd(status: int, body: bytes, retry_after: str | None) -> None:
    outcome = judge(status, body, retry_after)
    assert not outcome.acknowledged
    assert outcome.retry_after >= 0
    assert outcome.reason
