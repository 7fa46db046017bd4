"""What sidecars said, gathered by pod until it is kept."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from rollcall.core import reporting
from rollcall.services import ports

logger = logging.getLogger(__name__)

# Is told what became of a report.
Hear = Callable[[reporting.Kept | Exception], object]


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
    waiting: list[Hear] = []

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
        """Tell everybody who waits; one who cannot hear it costs nobody else."""
        if isinstance(outcome, reporting.Kept) and outcome.failure:
            outcome = outcome.failure
        for hear in self.waiting:
            try:
                hear(outcome)
            except Exception:
                logger.exception("report not answered", extra={"pod": self.identity.pod_uid})


class Waiter:
    """Waits for what becomes of a report: `await waiter.kept`, which raises what kept it from."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.kept: asyncio.Future[reporting.Kept] = loop.create_future()

    def hear(self, outcome: reporting.Kept | Exception) -> None:
        """Wake up who waits, unless it gave up."""
        if self.kept.done():
            return
        if isinstance(outcome, Exception):
            self.kept.set_exception(outcome)
        else:
            self.kept.set_result(outcome)
