import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import kinds, refusals

LETTER = "019a0000-0000-8000-8000-000000000001"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({name for kind in kinds.KINDS.values() for name in kind.fields})


def refused(path: str, **fields: object) -> refusals.Refused:
    with pytest.raises(refusals.Refused) as caught:
        kinds.check(path, fields)
    return caught.value


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param("/progress", {"done": 0}, id="progress by a number"),
        pytest.param("/progress", {"done": 1.5, "total": 2**53 - 1}, id="progress in fractions"),
        pytest.param("/progress", {"counters": {"rows": -5}}, id="a counter below zero"),
        pytest.param("/checkpoint", {"value": {"page": 7}}, id="a checkpoint"),
        pytest.param("/checkpoint", {"value": 0}, id="a checkpoint that is zero"),
        pytest.param("/checkpoint", {"value": "x" * 65_534}, id="a checkpoint of 64 KiB"),
        pytest.param(
            "/error",
            {"type": "timeout", "message": "m" * 4000, "class": "transient", "retryAfter": 86400},
            id="an error",
        ),
        pytest.param(
            "/dead-letter",
            {"item": "i" * 500, "payload": [1], "error": "e", "requeueOf": LETTER},
            id="a dead letter",
        ),
        pytest.param("/result", {"result": "partial", "metadata": {"a": None}}, id="a result"),
        pytest.param("/handled", {"id": LETTER.upper()}, id="a dead letter that is done"),
    ],
)
def test_what_is_within_the_limits_is_taken_as_it_is(path: str, fields: dict[str, Any]) -> None:
    assert kinds.check(path, fields) == fields


@pytest.mark.parametrize(
    ("path", "fields", "status", "names"),
    [
        pytest.param("/progress", {}, 422, "done, total, stage", id="nothing"),
        pytest.param("/progress", {"done": None}, 422, "nothing was said", id="null alone"),
        pytest.param("/progress", {"percent": 5}, 422, "'percent'", id="a field of nobody"),
        pytest.param("/progress", {"x" * 999: 5}, 422, "done", id="a long field of nobody"),
        pytest.param("/progress", {"done": -1}, 422, "done is a number from 0", id="below zero"),
        pytest.param("/progress", {"done": True}, 422, "done is a number", id="yes for a number"),
        pytest.param("/progress", {"done": "5"}, 422, "done is a number", id="a quoted number"),
        pytest.param("/progress", {"total": 2**53}, 422, "9007199254740991", id="too high"),
        pytest.param("/progress", {"total": 10**4000}, 422, "total", id="absurdly high"),
        pytest.param("/progress", {"done": math.nan}, 422, "done", id="no number"),
        pytest.param("/progress", {"stage": "s" * 101}, 413, "100 characters", id="a long stage"),
        pytest.param("/progress", {"message": 5}, 422, "message is a text", id="no text"),
        pytest.param("/progress", {"counters": [5]}, 422, "counters", id="a list of counters"),
        pytest.param("/progress", {"counters": {"1st": 5}}, 422, "'1st'", id="a digit first"),
        pytest.param("/progress", {"counters": {"n" * 65: 5}}, 422, "64", id="a long counter"),
        pytest.param("/progress", {"counters": {"rows": "5"}}, 422, "counters.rows", id="a word"),
        pytest.param("/progress", {"counters": {"rows": math.inf}}, 422, "rows", id="infinity"),
        pytest.param(
            "/progress",
            {"counters": dict.fromkeys(map("n{}".format, range(65)), 1)},
            413,
            "64 names, not 65",
            id="65 counters",
        ),
        pytest.param("/checkpoint", {}, 422, "value is missing", id="no value"),
        pytest.param("/checkpoint", {"page": 7}, 422, "value (required)", id="a bare value"),
        pytest.param("/checkpoint", {"value": "x" * 65_535}, 413, "64 KiB", id="a large value"),
        pytest.param("/checkpoint", {"value": "é" * 33_000}, 413, "64 KiB", id="bytes count"),
        pytest.param("/checkpoint", {"value": [math.inf]}, 422, "value", id="infinity within"),
        pytest.param("/error", {"type": "timeout"}, 422, "message is missing", id="no message"),
        pytest.param("/error", {"message": "m" * 4001}, 413, "4,000", id="a long message"),
        pytest.param("/error", {"message": "m", "class": "odd"}, 422, "transient", id="a class"),
        pytest.param("/error", {"message": "m", "retryAfter": 86401}, 422, "86400", id="too late"),
        pytest.param("/dead-letter", {"item": ""}, 422, "item is missing", id="no item"),
        pytest.param("/dead-letter", {"item": "i" * 501}, 413, "500", id="a long item"),
        pytest.param(
            "/dead-letter", {"item": "i", "requeueOf": "17"}, 422, "requeued", id="of nothing"
        ),
        pytest.param("/result", {"result": "ok"}, 422, "partial", id="a word of one's own"),
        pytest.param("/result", {"result": ["partial"]}, 422, "partial", id="a list of words"),
        pytest.param("/result", {"result": "failed", "metadata": 5}, 422, "metadata", id="five"),
        pytest.param(
            "/result", {"result": "failed", "metadata": {"a": "x" * 8192}}, 413, "8 KiB", id="much"
        ),
        pytest.param("/handled", {"id": "17"}, 422, "GET /run", id="no id"),
    ],
)
def test_what_is_not_says_which_field_and_what_is_allowed(
    path: str, fields: dict[str, Any], status: int, names: str
) -> None:
    refusal = refused(path, **fields)
    assert refusal.status == status
    assert names in refusal.detail
    assert len(refusal.detail) < 300


def test_what_may_be_left_out_is_written_for_the_api() -> None:
    assert kinds.check("/error", {"message": "m"})["type"] == "error"
    letter = kinds.check("/dead-letter", {"item": "i", "payload": None})
    assert letter == {"item": "i", "payload": None, "error": ""}


def test_nul_and_half_characters_become_marks_and_nothing_else_changes() -> None:
    value = {"a\0": "\\u0000 \\\0 \ud800 \U0001f600 \x01\n"}
    assert json.loads(kinds.encode(value)) == {
        "a\ufffd": "\\u0000 \\\ufffd \ufffd \U0001f600 \x01\n"
    }


@given(
    st.sampled_from(sorted(kinds.KINDS)), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4)
)
def test_everything_is_taken_or_refused_in_words(path: str, fields: dict[str, Any]) -> None:
    try:
        content = kinds.encode(kinds.check(path, fields))
    except refusals.Refused as refusal:
        assert refusal.status in {413, 422}  # noqa: PT017 - anything may be refused, in words
        assert refusal.detail  # noqa: PT017
    else:
        text = content.decode()
        assert "\0" not in text
        assert isinstance(json.loads(text), dict)


@given(JSON.filter(lambda value: not isinstance(value, float) or math.isfinite(value)))
def test_a_value_that_was_taken_comes_back_the_same(value: Any) -> None:  # noqa: ANN401
    try:
        taken = kinds.check("/checkpoint", {"value": value})
    except refusals.Refused:
        return
    back = json.loads(kinds.encode(taken))["value"]
    assert json.dumps(back) == json.dumps(_marked(value))


def _marked(value: Any) -> Any:  # noqa: ANN401
    """Replace what PostgreSQL does not keep."""
    if isinstance(value, str):
        return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [_marked(part) for part in value]
    if isinstance(value, dict):
        return {_marked(name): _marked(part) for name, part in value.items()}
    return value
