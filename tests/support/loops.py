"""An event loop whose time jumps to the next timer, so that hours pass at once."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable

from typing_extensions import override  # typing has it from 3.12 on


class TimedLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer whenever nothing else is to be done, so that nothing sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped = 0.0

    @override
    def time(self) -> float:
        return super().time() + self._skipped

    def _run_once(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        ready = self._ready  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        if not ready and timers:
            self._skipped += max(0.0, timers[0].when() - self.time())
        super()._run_once()  # type: ignore[misc]


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on the loop whose time jumps."""
    with asyncio.Runner(loop_factory=TimedLoop) as runner:
        runner.run(_awaited(scenario))


async def _awaited(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()
