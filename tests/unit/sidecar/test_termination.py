import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import buffer, kinds, termination

ORDER = ("result", "message", "metadata", "checkpoint", "progress")
AT = {"at": "2026-11-29T10:00:00.000Z"}


def holding(*reports: tuple[str, dict[str, Any]]) -> buffer.Buffer:
    kept = buffer.Buffer()
    for kind, fields in reports:
        if kind == "progress":
            kept.put_progress(kinds.encode(AT | fields))
        else:
            kept.put(kind, kinds.encode({"kind": kind} | AT | fields))
    return kept


def words(kept: buffer.Buffer) -> dict[str, Any]:
    content = termination.message(kept.boot, kept.remains(), 4096)
    assert len(content) <= 4096
    read: dict[str, Any] = json.loads(content)["rollcall"]
    return read


def test_when_the_api_knows_everything_nothing_is_left() -> None:
    kept = buffer.Buffer()
    assert termination.message(kept.boot, kept.remains(), 4096) == b""


def test_what_remains_is_the_latest_of_each_and_the_number_of_the_rest() -> None:
    kept = holding(
        ("checkpoint", {"value": 1}),
        ("result", {"result": "failed"}),
        ("error", {"type": "t", "message": "m"}),
        ("error", {"type": "t", "message": "m"}),
        ("checkpoint", {"value": {"page": 2}}),
        ("result", {"result": "partial", "message": "2 failed", "counters": {"rows": 5}}),
        ("progress", {"done": 4}),
    )
    assert words(kept) == {
        "v": 1,
        "boot": kept.boot,
        "result": {"seq": 6, "result": "partial", "message": "2 failed", "counters": {"rows": 5}}
        | AT,
        "checkpoint": {"seq": 5, "value": {"page": 2}} | AT,
        "progress": {"seq": 1, "done": 4} | AT,
        "unsent": {"checkpoint": 1, "result": 1, "error": 2},
        "unsentThrough": 4,  # the highest number among those that are counted only
        "lost": dict.fromkeys(kinds.COUNTED, 0),
    }


def test_where_no_item_is_only_counted_no_number_is_left() -> None:
    said = words(holding(("result", {"result": "partial"}), ("progress", {"done": 4})))
    assert "unsentThrough" not in said


def test_a_large_checkpoint_is_counted_instead() -> None:
    said = words(holding(("checkpoint", {"value": "x" * 2047})))
    assert (said["checkpoint"], said["unsent"]) == (None, {"checkpoint": 1})
    assert words(holding(("checkpoint", {"value": "x" * 2046})))["unsent"] == {}


def test_a_checkpoint_is_measured_as_it_is_written() -> None:
    for value in ("\u5c71" * 680, [1] * 1000):  # two KiB as they are written, and more in ASCII
        assert words(holding(("checkpoint", {"value": value})))["checkpoint"]["value"] == value


def test_the_least_important_goes_first() -> None:
    progress = ("progress", {"message": "p" * 1000})
    checkpoint = ("checkpoint", {"value": "c" * 1900})
    result = {"result": "partial", "message": "m" * 4000, "metadata": {"a": "x" * 3000}}
    said = words(holding(progress, checkpoint, ("result", result)))
    assert said["progress"] is None
    assert said["unsent"] == {"progress": 1}
    assert said["result"]["message"] == "m" * 300
    assert "metadata" not in said["result"]
    assert said["checkpoint"]["value"] == "c" * 1900
    short = {"result": "partial", "metadata": {"a": "x" * 500}}
    said = words(holding(progress, checkpoint, ("result", short)))
    assert said["result"]["metadata"] == {"a": "x" * 500}


@pytest.mark.parametrize(
    ("largest", "left"),
    [
        (4096, ["result", "message", "metadata", "checkpoint", "progress"]),
        (3072, ["result", "message", "metadata", "checkpoint"]),
        (2048, ["result", "message", "checkpoint"]),
        (1024, ["result", "message"]),
        (500, ["result"]),
        (270, []),
    ],
)
def test_where_less_is_kept_less_is_written(largest: int, left: list[str]) -> None:
    kept = holding(
        ("checkpoint", {"value": "c" * 1000}),
        ("result", {"result": "partial", "message": "m" * 290, "metadata": {"a": "x" * 800}}),
        ("progress", {"message": "p" * 900}),
    )
    content = termination.message(kept.boot, kept.remains(), largest)
    assert len(content) <= largest
    said = json.loads(content)["rollcall"]
    result = said["result"] or {}
    parts = {**result, "checkpoint": said["checkpoint"], "progress": said["progress"]}
    assert [name for name in ORDER if parts.get(name)] == left
    counted = {"checkpoint", "result", "progress"} - set(left)
    assert said["unsent"] == dict.fromkeys(sorted(counted), 1)


def test_losses_that_the_api_was_not_told_are_left_too() -> None:
    kept = holding(("error", {"type": "t", "message": "m"}))
    kept.give_up(kept.remains().items[0], 422, "odd")
    said = words(kept)
    assert (said["lost"]["error"], said["unsent"], said["result"]) == (1, {}, None)


@given(
    st.lists(
        st.tuples(st.just("checkpoint"), st.fixed_dictionaries({"value": st.text(max_size=3000)}))
        | st.tuples(
            st.just("result"),
            st.fixed_dictionaries(
                {
                    "result": st.just("partial"),
                    "message": st.text('\x01"\\é\U0001f600', max_size=4000),
                }
            ),
        )
        | st.tuples(
            st.just("progress"), st.fixed_dictionaries({"message": st.text(max_size=1000)})
        ),
        max_size=6,
    )
)
def test_it_always_fits_and_counts_everything(reports: list[tuple[str, dict[str, Any]]]) -> None:
    kept = holding(*reports)
    if reports:
        said = words(kept)
        shown = sum(said[kind] is not None for kind in ("result", "checkpoint"))
        left = len(kept.remains().items)
        unsent = {kind: n for kind, n in said["unsent"].items() if kind != "progress"}
        assert sum(unsent.values()) + shown == left


def test_the_file_is_written_again_and_emptied_when_all_is_known(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    will = termination.Testament(str(path), 4096)
    kept = holding(("result", {"result": "partial"}))
    will.leave(kept.boot, kept.remains())
    assert json.loads(path.read_text())["rollcall"]["result"]["result"] == "partial"
    kept.settle(kept.batch(most=9, room=10**6), through=1)
    will.leave(kept.boot, kept.remains())
    assert path.read_text() == ""


def test_a_file_that_nothing_is_left_in_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    kept = buffer.Buffer()
    termination.Testament(str(path), 4096).leave(kept.boot, kept.remains())
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = holding(("result", {"result": "partial"}))
    termination.Testament(str(tmp_path / "none" / "log"), 4096).leave(kept.boot, kept.remains())
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "No such file" in said


def test_a_message_of_a_full_buffer_is_small_too() -> None:
    kept = buffer.Buffer()
    for _ in range(16):
        kept.put("deadLetter", kinds.encode({"kind": "deadLetter", "payload": "x" * 60_000}))
    kept.put("result", kinds.encode({"kind": "result", "result": "failed"} | AT))
    said = words(kept)
    assert said["result"]["result"] == "failed"
    assert said["unsent"] == {"deadLetter": 16}
