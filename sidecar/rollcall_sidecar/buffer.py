"""What the program reported and the api has not acknowledged yet: kept in memory, bounded.

Rules:

1. Nothing that was accepted is dropped while there is room. Without room the program is told so,
   except that a newer checkpoint (or result) takes the place of older ones of its kind.
2. Of the progress only the latest is kept: that a newer one replaced it is no loss.
3. What is dropped without an acknowledgement is counted by kind, for as long as the process lives;
   so is what the api refuses, unless its program waits and is told.
4. Items are numbered from 1 over all kinds; progress has numbers of its own. Both begin anew with
   the process, whose `boot` tells one numbering from another.
"""

from __future__ import annotations

import collections
import os
import threading

from rollcall_sidecar import kinds, refusals
from rollcall_sidecar.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOM = 1024 * 1024  # bytes, accounted
# Kept free for results: how a run ended must not be crowded out by its errors.
RESERVE = 64 * 1024
OVERHEAD = 200  # bytes of objects around an item's text
SUPERSEDING = frozenset({"checkpoint", "result"})  # of these the latest counts
PROGRESS = "progress"


class Item(NamedTuple):
    """One report as it goes over the wire."""

    seq: int
    kind: str
    content: bytes  # JSON, with seq

    @property
    def size(self) -> int:
        """The bytes it accounts for."""
        return len(self.content) + OVERHEAD


class Verdict(NamedTuple):
    """How the api, or we, settled one item."""

    seq: int
    status: int
    detail: str


class Batch(NamedTuple):
    """What one report to the api carries besides the heartbeat."""

    items: list[Item]
    progress: Item | None
    lost: dict[str, int]  # empty if nothing was


class Remains(NamedTuple):
    """What the api has not acknowledged when the pod ends."""

    items: list[Item]
    progress: Item | None
    lost: dict[str, int]
    told: bool  # whether the api knows of everything in `lost`


SUPERSEDED = "the sidecar was short of memory, and a newer one took its place"


class Buffer:
    """Everything unacknowledged, safe to use from several threads."""

    def __init__(self) -> None:
        self.boot = os.urandom(8).hex()
        self._changed = threading.Condition()
        self._items: collections.deque[Item] = collections.deque()
        self._size = 0
        self._numbers = 0
        self._sent = 0  # the highest number ever sent
        self._travelling = 0  # the highest number in a report that is under way
        self._through = 0  # every item up to here is settled
        self._progress: Item | None = None
        self._progress_numbers = 0
        self._progress_through = 0
        self._lost = dict.fromkeys(kinds.COUNTED, 0)
        self._lost_told = dict(self._lost)
        self._awaited: dict[tuple[bool, int], Verdict | None] = {}

    def put(self, kind: str, content: bytes, *, awaited: bool = False) -> int:
        """Keep one item and return its number; raises Refused when there is no room."""
        with self._changed:
            item = _numbered(self._numbers + 1, kind, content)
            self._make_room(item)
            self._numbers += 1
            self._items.append(item)
            self._size += item.size
            if awaited:
                self._awaited[False, item.seq] = None
            return item.seq

    def put_progress(self, content: bytes, *, awaited: bool = False) -> int:
        """Keep the latest progress in place of the one before; there is always room for it."""
        with self._changed:
            self._progress_numbers += 1
            self._progress = _numbered(self._progress_numbers, PROGRESS, content)
            if awaited:
                self._awaited[True, self._progress_numbers] = None
            return self._progress_numbers

    def batch(self, *, most: int, room: int, progress: bool = True) -> Batch:
        """Take the oldest items for a report: so many, in so many bytes, but one at least."""
        with self._changed:
            latest = self._progress if progress else None
            room -= len(latest.content) if latest else 0
            items: list[Item] = []
            for item in self._items:
                room -= len(item.content) + 1
                if len(items) == most or (items and room < 0):
                    break
                items.append(item)
            if items:
                self._travelling = items[-1].seq
                self._sent = max(self._sent, self._travelling)
            return Batch(items, latest, self._losses())

    def landed(self) -> None:
        """Note that no report is under way any more."""
        with self._changed:
            self._travelling = 0

    def settle(self, batch: Batch, through: int, refused: Iterable[Verdict] = ()) -> int:
        """Forget what the api kept or refused; return how many items that were.

        An api that claims more than it was sent is believed no further than that.
        """
        with self._changed:
            self._through = max(self._through, min(through, self._sent))
            judged = [verdict for verdict in refused if verdict.seq <= self._sent]
            unheard = {verdict.seq for verdict in judged if not self._judge(verdict)}
            before = len(self._items)
            while self._items and self._items[0].seq <= self._through:
                item = self._items.popleft()
                self._size -= item.size
                self._lost[item.kind] += item.seq in unheard
            if batch.progress is not None:
                self._settle_progress(batch.progress.seq)
            self._lost_told = batch.lost or self._lost_told
            self._changed.notify_all()
            return before - len(self._items)

    def give_up(self, item: Item, status: int, detail: str) -> None:
        """Drop an item (or a progress) because of which the api refuses whole reports."""
        with self._changed:
            if item.kind == PROGRESS:
                for progress, seq in self._awaited:
                    if progress and self._progress_through < seq <= item.seq:
                        self._awaited[progress, seq] = Verdict(seq, status, detail)
                self._settle_progress(item.seq)
                self._lost[PROGRESS] += 1
            elif item in self._items:
                self._judge(Verdict(item.seq, status, detail))
                self._remove(item)
            self._changed.notify_all()

    def verdict(self, seq: int, seconds: float, *, progress: bool = False) -> Verdict | None:
        """Wait for how an awaited item was settled, at most so long; status 200 means kept."""
        with self._changed:
            self._changed.wait_for(lambda: self._settled(seq, progress=progress), seconds)
            if not self._settled(seq, progress=progress):
                return None
            return self._awaited.get((progress, seq)) or Verdict(seq, 200, "")

    def forget(self, seq: int, *, progress: bool = False) -> None:
        """Nobody waits for this item any more."""
        with self._changed:
            self._awaited.pop((progress, seq), None)

    @property
    def urgent(self) -> bool:
        """Whether a program waits for something that is not settled."""
        with self._changed:
            return any(not self._settled(seq, progress=kind) for kind, seq in self._awaited)

    @property
    def count(self) -> int:
        """How many items are not settled."""
        with self._changed:
            return len(self._items)

    @property
    def moved(self) -> bool:
        """Whether there is a progress that the api does not have."""
        return self._progress is not None

    @property
    def told(self) -> bool:
        """Whether the api knows of everything that was lost."""
        with self._changed:
            return self._lost == self._lost_told

    def remains(self) -> Remains:
        """Return what would be lost if the process ended now."""
        with self._changed:
            return Remains(list(self._items), self._progress, dict(self._lost), self.told)

    def view(self) -> dict[str, object]:
        """Show how full it is, as `GET /run` answers it."""
        with self._changed:
            return {"items": len(self._items), "bytes": self._size, "lost": dict(self._lost)}

    def _make_room(self, item: Item) -> None:
        needed = self._size + item.size - (ROOM if item.kind == "result" else ROOM - RESERVE)
        older = (
            [old for old in self._items if old.kind == item.kind and old.seq > self._travelling]
            if needed > 0 and item.kind in SUPERSEDING
            else []
        )
        if needed > sum(old.size for old in older):
            raise refusals.too_much(
                "The sidecar keeps at most 1 MiB that the api has not acknowledged, and that is "
                "full: send this again later.",
                retry_after=5,
            )
        while needed > 0:
            superseded = older.pop(0)
            needed -= superseded.size
            self._judge(Verdict(superseded.seq, 429, SUPERSEDED))
            self._remove(superseded)

    def _remove(self, item: Item) -> None:
        self._items.remove(item)
        self._size -= item.size
        self._lost[item.kind] += 1

    def _settle_progress(self, seq: int) -> None:
        self._progress_through = max(self._progress_through, seq)
        if self._progress is not None and self._progress.seq <= seq:
            self._progress = None

    def _judge(self, verdict: Verdict) -> bool:
        """Tell who waits for it; say whether anybody does."""
        awaited = (False, verdict.seq) in self._awaited
        if awaited:
            self._awaited[False, verdict.seq] = verdict
        return awaited

    def _settled(self, seq: int, *, progress: bool) -> bool:
        through = self._progress_through if progress else self._through
        return seq <= through or self._awaited.get((progress, seq)) is not None

    def _losses(self) -> dict[str, int]:
        return dict(self._lost) if any(self._lost.values()) else {}


def _numbered(seq: int, kind: str, content: bytes) -> Item:
    return Item(seq, kind, b'{"seq":%d,%s' % (seq, content[1:]))
