"""What containers leave in their termination messages."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import reporting, termination, unsent

BOOT = "0123456789abcdef"
AT = "2026-03-02T12:00:05+00:00"
NOTHING_READ = termination.LastWords(boot=BOOT, lost={"lastWords": 1})
RESULT: dict[str, Any] = {"seq": 8, "at": AT, "result": "partial", "message": "3 of 5"}
CHECKPOINT: dict[str, Any] = {"seq": 7, "at": AT, "value": {"offset": 17}}


def text(**fields: object) -> str:
    return json.dumps({"rollcall": fields})


def written(**fields: object) -> str:
    """Return it as a sidecar writes it."""
    whole = {"rollcall": {"v": 1, "boot": BOOT, **fields}}
    return json.dumps(whole, separators=(",", ":"))


def left(**fields: object) -> termination.LastWords | None:
    return termination.last_words(text(**{"v": 1, "boot": BOOT, **fields}))


def test_a_program_leaves_its_result() -> None:
    said = text(result="partial", message="3 of 5", counters={"files": 3}, metadata={"a": [1]})
    assert termination.own(said) == termination.Own(
        result=reporting.Verdict.PARTIAL,
        message="3 of 5",
        counters={"files": 3},
        metadata={"a": [1]},
    )


def test_a_secret_where_a_message_is_cut_is_hidden() -> None:
    before = "x" * (reporting.LONGEST_MESSAGE - 20)
    said = termination.own(text(result="failed", message=f"{before} postgres://app:c4nary@db"))
    assert said is not None
    assert said.message == f"{before} postgres://app:***@"


def test_the_result_alone_is_enough() -> None:
    said = termination.own(' {"rollcall": {"result": "failed", "note": "ignored"}}\n')
    assert said is not None
    assert (said.result, said.message, said.counters) == (reporting.Verdict.FAILED, None, None)


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "done",
        "{",
        "[]",
        '{"result": "partial"}',
        '{"rollcall": "partial"}',
        '{"rollcall": {}}',
        '{"rollcall": {"result": "partial"}, "more": 1}',
        text(result="half"),
        text(result=["partial"]),
        text(result="partial", message=5),
        text(result="partial", counters=[]),
        text(result="partial", counters={"a b": 1}),
        text(result="partial", counters={"a": "1"}),
        text(result="partial", counters={"a": True}),
        text(result="partial", counters={"a": 2**53}),
        text(result="partial", counters={f"c{number}": 1 for number in range(65)}),
        '{"rollcall": {"result": "partial", "counters": {"a": NaN}}}',
        '{"rollcall": {"result": "partial", "counters": {"a": 1e999}}}',
        '{"rollcall": {"result": "partial", "metadata": ' + '{"a": ' * 80 + "1" + "}" * 82,
        "[" * 4000,
        text(result="partial", message="x" * 5000),
    ],
    ids=[
        "nothing", "empty", "words", "half of JSON", "a list", "without the key", "a word",
        "without a result", "more keys", "an unknown result", "a list of results",
        "a number as message", "a list of counters", "a wrong name", "a text", "a boolean",
        "a large number", "many counters", "no number", "an infinite number", "too deep",
        "deep and broken", "longer than Kubernetes keeps",
    ],
)  # fmt: skip
def test_any_other_text_is_words_for_people(said: str | None) -> None:
    assert termination.own(said) is None
    assert termination.last_words(said) is None


def test_a_long_message_is_cut() -> None:
    said = termination.own(text(result="partial", message="x" * 4040))
    assert said is not None
    assert len(said.message or "") == reporting.LONGEST_MESSAGE


def test_a_sidecar_leaves_what_it_could_not_send_in_order() -> None:
    progress = {"seq": 12, "at": AT, "done": 40, "total": 100, "counters": {"rows": 400}}
    at = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
    assert left(result=RESULT, checkpoint=CHECKPOINT, progress=progress) == termination.LastWords(
        boot=BOOT,
        progress=reporting.Progress(seq=12, done=40, total=100, counters={"rows": 400}),
        items=(
            reporting.Checkpoint(seq=7, at=at, value={"offset": 17}),
            reporting.Result(seq=8, at=at, result=reporting.Verdict.PARTIAL, message="3 of 5"),
        ),
    )


def test_a_value_has_as_many_levels_as_in_a_report() -> None:
    def nested(levels: int) -> Any:  # noqa: ANN401 - JSON of any depth
        return json.loads('{"a":' * levels + "1" + "}" * levels)

    assert termination.own(text(result="partial", metadata=nested(64))) is not None
    assert termination.own(text(result="partial", metadata=nested(65))) is None
    assert left(checkpoint=CHECKPOINT | {"value": nested(64)}) is not None
    assert left(checkpoint=CHECKPOINT | {"value": nested(65)}) is None


def test_what_stayed_behind_counts_as_lost() -> None:
    words = left(
        result=None,
        unsent={"error": 2, "handled": 0, "deadLetter": 1},
        lost={"error": 3, "progress": 1},
    )
    assert words == termination.LastWords(
        boot=BOOT, lost={"deadLetter": 1, "error": 5, "progress": 1}
    )


def test_of_the_items_that_stayed_behind_it_is_told_up_to_where_they_go() -> None:
    words = left(unsent={"error": 2, "progress": 1}, unsentThrough=7, lost={"error": 3})
    assert words == termination.LastWords(
        boot=BOOT,
        lost={"error": 5, "progress": 1},
        unsent=unsent.Unsent(counts={"error": 2}, through=7),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2},
        {"result": "partial"},
        {"result": {**RESULT, "seq": 0}},
        {"result": {**RESULT, "seq": True}},
        {"result": {**RESULT, "at": "2026-03-02T12:00:05"}},
        {"result": {**RESULT, "at": "0001-01-01T00:00:00+14:00"}},
        {"result": {**RESULT, "at": "yesterday"}},
        {"checkpoint": {"seq": 1, "at": AT}},
        {"progress": {"seq": 1, "done": -1}},
        {"progress": {"seq": 1, "done": "all"}},
        {"unsent": {"error": -1}},
        {"unsent": {"error": "many"}},
        {"unsent": {"secrets": 1}},
        {"unsent": {"error": 1}, "unsentThrough": 0},
        {"unsent": {"error": 1}, "unsentThrough": "7"},
        {"lost": [1]},
    ],
    ids=[
        "another version", "a word as result", "seq below 1",
        "seq a boolean", "no zone", "another age", "no time", "no value", "below zero",
        "no amount", "a negative count", "no count", "an unknown kind", "up to nothing",
        "up to a text", "a list of counts",
    ],
)  # fmt: skip
def test_of_a_sidecar_that_says_one_thing_wrong_all_is_lost(fields: dict[str, Any]) -> None:
    assert termination.last_words(written(**fields)) == NOTHING_READ


def test_of_a_text_that_was_cut_it_is_known_that_something_is_lost() -> None:
    whole = written(result=RESULT, checkpoint=CHECKPOINT)
    begun = len('{"rollcall":{"v":1,"boot":""') + len(BOOT)
    for end in range(begun, len(whole)):
        assert termination.last_words(whole[:end]) == NOTHING_READ
    assert termination.last_words(whole[: begun - 1]) is None


@pytest.mark.parametrize("boot", ["NOT-HEX", 5, "a" * 33])
def test_who_names_no_start_of_a_sidecar_is_none(boot: object) -> None:
    assert termination.last_words(written(boot=boot, result="partial")) is None
    assert termination.last_words(written(boot=boot)) is None


@pytest.mark.parametrize(
    ("containers", "kept"), [(1, 4096), (3, 4096), (4, 3072), (13, 945), (100, 122)]
)
def test_the_more_containers_the_less_is_kept_of_each(containers: int, kept: int) -> None:
    assert termination.room(containers) == kept


FIELDS = st.sampled_from(
    ["rollcall", "v", "boot", "result", "message", "counters", "seq", "at", "value", "lost"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=20,
)


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda value: text(v=1, boot=BOOT, lost=value)))
def test_no_text_whatever_it_is_raises(said: str) -> None:
    termination.own(said)
    termination.last_words(said)
