"""Time-outs of one length for many tasks, with one timer for all of them.

`asyncio.timeout` sets a timer for each, which takes longer than reading a heartbeat does.
"""

import asyncio
from types import TracebackType


class Deadlines:
    """Gives each block of code so many seconds. Use it from one loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Deadline, None] = {}  # the oldest first: all have the same length
        self._timer: asyncio.TimerHandle | None = None

    def one(self) -> "Deadline":
        """Return what limits one block: `with deadlines.one():`; it raises TimeoutError."""
        return Deadline(self)

    def began(self, deadline: "Deadline") -> float:
        """Watch it, and return until when."""
        loop = asyncio.get_running_loop()
        self._open[deadline] = None
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)
        return loop.time() + self._seconds

    def ended(self, deadline: "Deadline") -> None:
        """Watch it no longer."""
        self._open.pop(deadline, None)

    def _look(self) -> None:
        """End what is over; look again when the oldest of the others may be."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._open:
            oldest = next(iter(self._open))
            if oldest.at > loop.time():
                self._timer = loop.call_at(oldest.at, self._look)
                return
            del self._open[oldest]
            oldest.expire()


class Deadline:
    """One block that must end in time; else its task is cancelled there, as by asyncio.timeout."""

    __slots__ = ("_all", "_cancelling", "_is_over", "_task", "at")

    def __init__(self, deadlines: Deadlines) -> None:
        self._all = deadlines
        self._is_over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be ended")
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self.at = self._all.began(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._all.ended(self)
        if not self._is_over:
            return
        is_ours = self._task.uncancel() <= self._cancelling
        if is_ours and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End the block."""
        self._is_over = True
        self._task.cancel()
