"""What sidecars said, gathered by pod until it is kept."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from rollcall.core import reporting
from rollcall.services import ports


# No dataclasses: they are made of every request, and these take a tenth of the time.
class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one request said. `size` is that of its body, in bytes."""

    boot: str | None = None
    progress: reporting.Progress | None = None
    items: Sequence[reporting.Item] = ()
    lost: Mapping[str, int] = {}  # by kind, since the sidecar's start; each gets its own
    is_final: bool = False
    size: int = 0


class Entry(msgspec.Struct, kw_only=True):
    """All that came from one start of a pod's sidecar, and who waits for it to be kept."""

    identity: ports.Identity
    boot: str | None
    at: float = 0.0  # monotonic, when it was heard last
    beats: int = 0
    progress: reporting.Progress | None = None
    items: dict[int, reporting.Item] = {}  # each gets its own
    lost: dict[str, int] = {}
    is_final: bool = False
    size: int = 0
    waiting: list[asyncio.Future[reporting.Kept]] = []

    def add(self, told: Told) -> None:
        """Take in a request: the latest progress, every item once, the highest counts."""
        self.at = time.monotonic()
        self.beats += 1
        self.size += told.size
        self.is_final = self.is_final or told.is_final
        for item in told.items:
            self.items[item.seq] = item
        for kind, count in told.lost.items():
            self.lost[kind] = max(count, self.lost.get(kind, 0))
        if told.progress and not (self.progress and self.progress.seq > told.progress.seq):
            self.progress = told.progress

    def is_short(self) -> bool:
        """Whether there are no losses in it, and no items but results."""
        return not self.lost and all(
            isinstance(item, reporting.Result) for item in self.items.values()
        )

    def report(self, now: datetime, clock: float) -> reporting.Report:
        """Return what is to be kept; `now` is the database's, `clock` the monotonic one's."""
        return reporting.Report(
            pod_uid=self.identity.pod_uid,
            at=now - timedelta(seconds=clock - self.at),
            beats=self.beats,
            boot=self.boot,
            attempt=self.identity.attempt,
            job_name=self.identity.job_name,
            progress=self.progress,
            items=[self.items[seq] for seq in sorted(self.items)],
            lost=self.lost,
            is_final=self.is_final,
        )

    def parts(self) -> Iterator["Entry"]:
        """Yield all but the items, then each item by itself, in order of seq."""
        yield msgspec.structs.replace(self, items={}, waiting=[])
        for seq in sorted(self.items):
            yield Entry(
                identity=self.identity, boot=self.boot, at=self.at, items={seq: self.items[seq]}
            )

    def settle(self, outcome: reporting.Kept | Exception) -> None:
        """Answer everybody who still waits."""
        for kept in self.waiting:
            if kept.done():  # its request was given up
                continue
            if isinstance(outcome, Exception):
                kept.set_exception(outcome)
            else:
                kept.set_result(outcome)
