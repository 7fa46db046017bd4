"""When the word that we are alive may be given."""

from datetime import timedelta

from rollcall.core import deadman
from support import builders

NOW = builders.SLOT_AT
FRESH = NOW - deadman.FRESH_FOR + timedelta(seconds=1)


def test_while_every_part_is_fresh_nothing_is_stale() -> None:
    assert deadman.stale({"sweep": FRESH, "outbox": NOW}, NOW) == []


def test_each_part_that_stands_still_or_never_went_is_named() -> None:
    signs = {"sweep": NOW - deadman.FRESH_FOR, "outbox": NOW, "ingest": None}
    assert deadman.stale(signs, NOW) == ["sweep", "ingest"]
