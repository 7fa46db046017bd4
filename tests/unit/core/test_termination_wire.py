"""What a sidecar leaves is what the operator reads, whatever the program reported."""

import json
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import reporting, termination, unsent
from rollcall_sidecar import buffer, kinds
from rollcall_sidecar import termination as leaving

AT = "2026-11-29T10:00:00.000Z"
HEARD = datetime(2026, 11, 29, 10, tzinfo=UTC)


def left(*reports: tuple[str, dict[str, object]]) -> termination.LastWords | None:
    """Let a sidecar hold these reports at its end, and read its message as the operator does."""
    kept = buffer.Buffer()
    for path, fields in reports:
        kind, checked = kinds.KINDS[path].name, kinds.check(path, fields)
        if path == kinds.PROGRESS:
            kept.put_progress(kinds.encode({"at": AT} | checked))
        else:
            kept.put(kind, kinds.encode({"kind": kind, "at": AT} | checked))
    return termination.last_words(leaving.message(kept.boot, kept.remains(), 4096).decode())


def test_result_checkpoint_and_progress_arrive_and_the_rest_is_counted() -> None:
    words = left(
        ("/checkpoint", {"value": {"offset": 17}}),
        ("/error", {"message": "no answer", "type": "timeout"}),
        ("/dead-letter", {"item": "order-17", "payload": {"n": 1}}),
        ("/result", {"result": "partial", "message": "half", "counters": {"files": 3}}),
        ("/progress", {"done": 3, "total": 5, "stage": "load"}),
    )
    assert words is not None
    assert words.items == (
        reporting.Checkpoint(seq=1, at=HEARD, value={"offset": 17}),
        reporting.Result(
            seq=4,
            at=HEARD,
            result=reporting.Verdict.PARTIAL,
            message="half",
            counters={"files": 3},
        ),
    )
    assert words.progress == reporting.Progress(seq=1, done=3, total=5, stage="load")
    assert words.lost == {"deadLetter": 1, "error": 1}
    assert words.unsent == unsent.Unsent(counts={"deadLetter": 1, "error": 1}, through=3)


def test_both_sides_count_the_same_kinds() -> None:
    assert set(kinds.COUNTED) == set(termination.KINDS)


@pytest.mark.parametrize("levels", [61, 64])
def test_whatever_nests_as_deep_as_a_sidecar_takes_it_arrives(levels: int) -> None:
    value = json.loads('{"a":' * levels + "1" + "}" * levels)
    words = left(
        ("/checkpoint", {"value": value}), ("/result", {"result": "partial", "metadata": value})
    )
    assert words is not None
    checkpoint, result = words.items
    assert isinstance(checkpoint, reporting.Checkpoint)
    assert isinstance(result, reporting.Result)
    assert (checkpoint.value, result.metadata) == (value, value)


TEXTS = st.text(max_size=400)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
ANY_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | ANY_NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
COUNTERS = st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=64), NUMBERS)


@given(VALUES, st.none() | TEXTS, COUNTERS, st.dictionaries(TEXTS, VALUES, max_size=3))
def test_the_result_arrives_whatever_else_was_reported(
    value: object, message: str | None, counters: dict[str, float], metadata: dict[str, object]
) -> None:
    words = left(
        ("/checkpoint", {"value": {"at": value}}),
        (
            "/result",
            {
                "result": "partial",
                "message": message,
                "counters": dict(list(counters.items())[:64]),
                "metadata": metadata,
            },
        ),
        ("/progress", {"message": message or "-", "counters": {}}),
    )
    assert words is not None
    result = words.items[-1]
    assert isinstance(result, reporting.Result)
    assert result.result is reporting.Verdict.PARTIAL
