import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import buffer, width

PROGRESS = buffer.Item(1, "progress", b"{}")


def items(count: int) -> list[buffer.Item]:
    return [buffer.Item(seq, "error", b"{}") for seq in range(1, count + 1)]


def culprits(count: int, *, bad: set[int], progress_is_bad: bool = False) -> list[buffer.Item]:
    """Play an api that refuses every report with a bad part, until all is sent or given up."""
    found = width.Width()
    waiting, progress, blamed = items(count), [PROGRESS], []
    for _ in range(2000):
        batch = buffer.Batch(
            waiting[: found.items], progress[0] if progress and found.progress else None, {}
        )
        if any(item.seq in bad for item in batch.items) or (batch.progress and progress_is_bad):
            found.refused(batch)
            continue
        waiting = waiting[len(batch.items) :]
        progress = [] if batch.progress else progress
        if (culprit := found.passed()) is not None:
            blamed.append(culprit)
            waiting = [item for item in waiting if item != culprit]
            progress = [item for item in progress if item != culprit]
        if not waiting and not progress:
            return blamed
    pytest.fail("something is held up for ever")


def test_a_report_that_passes_blames_nothing() -> None:
    assert culprits(500, bad=set()) == []


@pytest.mark.parametrize("seq", [1, 2, 100, 199, 200, 201, 500])
def test_one_bad_item_is_found_and_the_rest_gets_through(seq: int) -> None:
    assert [item.seq for item in culprits(500, bad={seq})] == [seq]


def test_a_bad_progress_is_found_and_the_items_get_through() -> None:
    assert culprits(300, bad=set(), progress_is_bad=True) == [PROGRESS]


@given(bad=st.sets(st.integers(1, 60)), progress_is_bad=st.booleans())
def test_exactly_what_is_bad_is_blamed(bad: set[int], *, progress_is_bad: bool) -> None:
    blamed = culprits(60, bad=bad, progress_is_bad=progress_is_bad)
    assert sorted(item.seq for item in blamed if item.kind == "error") == sorted(bad)
    assert (PROGRESS in blamed) is progress_is_bad


def test_an_api_that_refuses_even_bare_heartbeats_costs_nothing() -> None:
    found = width.Width()
    everything = items(4)
    for _ in range(50):
        found.refused(buffer.Batch(everything[: found.items], None, {}))
    assert found.passed() is None
    assert found.items > 0
