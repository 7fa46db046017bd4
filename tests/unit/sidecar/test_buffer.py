import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import buffer, kinds, refusals

EVERYTHING = 10**9
KINDS = ["checkpoint", "error", "deadLetter", "result", "handled"]


def content(text: str = "") -> bytes:
    return json.dumps({"at": "now", "text": text}).encode()


def batch(kept: buffer.Buffer, most: int = 200, room: int = EVERYTHING) -> buffer.Batch:
    return kept.batch(most=most, room=room)


def numbers(kept: buffer.Buffer) -> list[int]:
    return [item.seq for item in kept.remains().items]


def fill(kept: buffer.Buffer, kind: str, size: int = 60_000) -> list[int]:
    """Put items of a kind until there is no room; return their numbers."""
    taken: list[int] = []
    try:
        while True:
            taken.append(kept.put(kind, content("x" * size)))
    except refusals.Refused:
        return taken


def test_items_are_numbered_over_all_kinds_and_progress_by_itself() -> None:
    kept = buffer.Buffer()
    assert [kept.put(kind, content()) for kind in KINDS] == [1, 2, 3, 4, 5]
    assert [kept.put_progress(content()) for _ in range(3)] == [1, 2, 3]
    taken = batch(kept)
    assert [json.loads(item.content)["seq"] for item in taken.items] == [1, 2, 3, 4, 5]
    assert taken.progress is not None
    assert json.loads(taken.progress.content) == {"seq": 3, "at": "now", "text": ""}


def test_a_batch_has_the_oldest_items_within_number_and_size() -> None:
    kept = buffer.Buffer()
    for _ in range(9):
        kept.put("error", content("x" * 100))
    assert [item.seq for item in batch(kept, most=4).items] == [1, 2, 3, 4]
    assert [item.seq for item in batch(kept, room=300).items] == [1, 2]
    assert [item.seq for item in batch(kept, room=0).items] == [1]
    assert batch(kept, most=0).items == []


def test_what_is_acknowledged_is_forgotten_and_the_rest_is_sent_again() -> None:
    kept = buffer.Buffer()
    for _ in range(5):
        kept.put("error", content())
    assert kept.settle(batch(kept), through=3) == 3
    assert numbers(kept) == [4, 5]
    assert [item.seq for item in batch(kept).items] == [4, 5]


def test_an_api_that_acknowledges_what_it_never_saw_is_not_believed() -> None:
    kept = buffer.Buffer()
    for _ in range(5):
        kept.put("error", content())
    assert kept.settle(batch(kept, most=2), through=5) == 2
    assert numbers(kept) == [3, 4, 5]


def test_an_api_that_refuses_what_it_never_saw_is_not_believed() -> None:
    kept = buffer.Buffer()
    greeting = batch(kept)
    seq = kept.put("deadLetter", content(), awaited=True)
    refusal = buffer.Verdict(seq, 429, "full")
    kept.settle(greeting, through=seq, refused=[refusal])
    assert kept.verdict(seq, 0) is None
    kept.settle(batch(kept), through=seq, refused=[refusal])
    assert kept.verdict(seq, 0) == refusal
    assert batch(kept).lost == {}


def test_a_newer_progress_is_kept_while_the_older_is_acknowledged() -> None:
    kept = buffer.Buffer()
    kept.put_progress(content("first"))
    under_way = batch(kept)
    kept.put_progress(content("second"))
    kept.settle(under_way, through=0)
    assert kept.moved
    kept.settle(batch(kept), through=0)
    assert not kept.moved
    assert batch(kept).progress is None
    assert batch(kept).lost == {}  # that one progress replaced another is no loss


@pytest.mark.parametrize("kind", ["error", "deadLetter", "handled"])
def test_without_room_the_program_is_told_and_nothing_is_dropped(kind: str) -> None:
    kept = buffer.Buffer()
    taken = fill(kept, kind)
    with pytest.raises(refusals.Refused, match="1 MiB") as caught:
        kept.put(kind, content("x" * 60_000))
    assert (caught.value.status, caught.value.retry_after) == (429, 5)
    assert numbers(kept) == taken
    assert kept.put_progress(content()) == 1
    assert batch(kept).lost == {}


def test_a_full_buffer_has_room_for_the_result_and_takes_more_when_some_is_sent() -> None:
    kept = buffer.Buffer()
    fill(kept, "error")
    assert kept.put("result", content("x" * 40_000))
    kept.settle(batch(kept, most=2), through=2)
    assert kept.put("error", content("x" * 60_000))


@pytest.mark.parametrize("kind", ["checkpoint", "result"])
def test_a_newer_one_takes_the_place_of_the_oldest_of_its_kind_when_memory_is_short(
    kind: str,
) -> None:
    kept = buffer.Buffer()
    kept.put(kind, content("x" * 60_000))
    kept.put(kind, content("x" * 60_000))
    errors = fill(kept, "error")
    newest = [kept.put(kind, content("y" * 60_000)) for _ in range(3)]
    left = [item.seq for item in kept.remains().items if item.kind == kind]
    assert left == sorted(left)
    assert left[-1] == newest[-1]
    assert [item.seq for item in kept.remains().items if item.kind == "error"] == errors
    lost = batch(kept).lost
    assert lost[kind] == 5 - len(left)
    assert sum(lost.values()) == lost[kind]


def test_a_checkpoint_under_way_is_not_taken_back() -> None:
    kept = buffer.Buffer()
    kept.put("checkpoint", content("x" * 60_000))
    batch(kept)
    fill(kept, "error")
    with pytest.raises(refusals.Refused):
        kept.put("checkpoint", content("y" * 60_000))
    kept.landed()
    assert kept.put("checkpoint", content("y" * 60_000))
    assert kept.remains().lost["checkpoint"] == 1


def test_room_that_cannot_be_made_drops_nothing() -> None:
    kept = buffer.Buffer()
    kept.put("checkpoint", content("small"))
    fill(kept, "error", size=1000)
    before = numbers(kept)
    with pytest.raises(refusals.Refused):
        kept.put("checkpoint", content("y" * 60_000))
    assert numbers(kept) == before


def test_the_verdict_is_told_to_who_waits_for_it() -> None:
    kept = buffer.Buffer()
    first, second = (kept.put("error", content(), awaited=True) for _ in range(2))
    assert kept.urgent
    assert kept.verdict(first, 0) is None
    refusal = buffer.Verdict(second, 413, "message is too long")
    kept.settle(batch(kept), through=2, refused=[refusal])
    assert kept.verdict(first, 60) == buffer.Verdict(first, 200, "")
    assert kept.verdict(second, 60) == refusal
    assert not kept.urgent


def test_a_wait_ends_when_the_verdict_comes() -> None:
    kept = buffer.Buffer()
    seq = kept.put("error", content(), awaited=True)
    threading.Timer(0.05, lambda: kept.settle(batch(kept), through=1)).start()
    verdict = kept.verdict(seq, 60)
    assert verdict is not None
    assert verdict.status == 200


def test_who_waits_for_a_progress_is_content_with_a_newer_one() -> None:
    kept = buffer.Buffer()
    seq = kept.put_progress(content(), awaited=True)
    kept.put_progress(content())
    assert kept.verdict(seq, 0, progress=True) is None
    kept.settle(batch(kept), through=0)
    assert kept.verdict(seq, 60, progress=True) == buffer.Verdict(seq, 200, "")


def test_nobody_waits_any_more_once_forgotten() -> None:
    kept = buffer.Buffer()
    seq = kept.put("error", content(), awaited=True)
    kept.forget(seq)
    assert not kept.urgent


def test_a_superseded_checkpoint_is_told_to_who_waits_for_it() -> None:
    kept = buffer.Buffer()
    seq = kept.put("checkpoint", content("x" * 60_000), awaited=True)
    fill(kept, "error")
    kept.put("checkpoint", content("y" * 60_000))
    verdict = kept.verdict(seq, 60)
    assert verdict is not None
    assert (verdict.status, "memory" in verdict.detail) == (429, True)


def test_what_the_api_never_takes_is_given_up_counted_and_told() -> None:
    kept = buffer.Buffer()
    seq = kept.put("error", content(), awaited=True)
    progress = kept.put_progress(content(), awaited=True)
    taken = batch(kept)
    assert taken.progress is not None
    kept.give_up(taken.items[0], 422, "odd")
    kept.give_up(taken.progress, 413, "large")
    assert kept.verdict(seq, 60) == buffer.Verdict(seq, 422, "odd")
    assert kept.verdict(progress, 60, progress=True) == buffer.Verdict(progress, 413, "large")
    assert batch(kept) == buffer.Batch(
        [], None, dict.fromkeys(KINDS, 0) | {"error": 1, "progress": 1}
    )


def test_losses_are_told_until_the_api_knows_them() -> None:
    kept = buffer.Buffer()
    kept.put("error", content())
    kept.give_up(batch(kept).items[0], 422, "odd")
    assert not kept.remains().told
    kept.settle(batch(kept), through=0)
    assert kept.remains().told
    assert batch(kept).lost["error"] == 1  # cumulative: an api that forgot hears it again


def test_an_item_that_the_api_refuses_counts_as_lost_unless_its_program_hears_of_it() -> None:
    kept = buffer.Buffer()
    unheard = kept.put("deadLetter", content())
    heard = kept.put("deadLetter", content(), awaited=True)
    too_late = kept.put("handled", content(), awaited=True)
    kept.forget(too_late)
    refused = [buffer.Verdict(seq, 429, "full") for seq in (unheard, heard, too_late)]
    kept.settle(batch(kept), through=3, refused=refused)
    assert kept.remains().lost == dict.fromkeys(kinds.COUNTED, 0) | {"deadLetter": 1, "handled": 1}
    assert not kept.told
    kept.settle(batch(kept), through=3)
    assert kept.told


def test_a_refusal_that_is_told_twice_counts_once() -> None:
    kept = buffer.Buffer()
    kept.put("error", content())
    for _ in range(2):
        kept.settle(batch(kept), through=1, refused=[buffer.Verdict(1, 429, "full")])
    assert batch(kept).lost["error"] == 1


def test_every_process_has_a_boot_of_its_own() -> None:
    boots = {buffer.Buffer().boot for _ in range(9)}
    assert len(boots) == 9
    assert all(len(boot) == 16 and set(boot) <= set("0123456789abcdef") for boot in boots)


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 70_000))
        | st.tuples(st.sampled_from(["send", "refuse"]), st.integers(0, 30)),
        max_size=60,
    )
)
def test_nothing_is_lost_silently_and_memory_is_bounded(steps: list[tuple[str, int]]) -> None:
    kept = buffer.Buffer()
    accepted = acknowledged = 0
    for what, size in steps:
        if what in {"send", "refuse"}:
            lost = kept.remains().lost
            refused = [buffer.Verdict(size, 429, "full")] if what == "refuse" else []
            acknowledged += kept.settle(batch(kept), through=size, refused=refused)
            acknowledged -= sum(kept.remains().lost.values()) - sum(lost.values())
            kept.landed()
            continue
        try:
            kept.put(what, content("x" * size))
            accepted += 1
        except refusals.Refused:
            continue
        assert sum(item.size for item in kept.remains().items) <= buffer.ROOM
    left = kept.remains()
    assert accepted == acknowledged + len(left.items) + sum(left.lost.values())
    assert numbers(kept) == sorted(numbers(kept))
    assert kept.view()["bytes"] == sum(item.size for item in left.items)
