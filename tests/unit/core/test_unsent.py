"""What a sidecar held when it ended is lost, unless it had arrived."""

import pytest

from rollcall.core.unsent import Unsent, lost_after_all

LOST = {"error": 5, "deadLetter": 1, "progress": 1}
UNSENT = Unsent(counts={"error": 2, "deadLetter": 1}, through=7)


@pytest.mark.parametrize(
    ("settled_seq", "lost"),
    [(6, LOST), (7, {"error": 3, "progress": 1}), (9, {"error": 3, "progress": 1})],
    ids=["not all arrived", "all arrived", "more arrived"],
)
def test_what_is_settled_is_not_lost(settled_seq: int, lost: dict[str, int]) -> None:
    assert lost_after_all(LOST, UNSENT, settled_seq=settled_seq, counted={}) == lost


def test_of_an_older_sidecar_everything_counts() -> None:
    assert lost_after_all(LOST, None, settled_seq=9, counted={}) == LOST


def test_what_was_counted_once_is_told_again_as_it_was() -> None:
    assert lost_after_all(LOST, UNSENT, settled_seq=9, counted={**LOST, "error": 6}) == LOST
