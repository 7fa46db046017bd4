"""One channel's messages, its rests, and what a try comes to.

A channel that fails rests, and its waiting messages with it, without using up their tries. Times of
rest are on the process' monotonic clock.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Any

from rollcall.services import ports

LONGEST_BACKOFF = timedelta(seconds=300)
GIVE_UP_AFTER = timedelta(hours=24)  # since the message could be sent
LONGEST_ERROR = 1000  # characters


class State(Enum):
    """How a channel is, as far as this process knows."""

    WELL = auto()
    FAILING = auto()  # it rested after a failure, and nothing was taken since
    RESTING = auto()


class Result(StrEnum):
    """What became of one try, as counted."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    POSTPONED = "postponed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A try's result, to be recorded; `delay` counts from the moment of recording."""

    notification: ports.Notification
    result: Result
    delay: timedelta = timedelta()
    error: str | None = None
    is_loss: bool = True  # if it is given up
    thread: Mapping[str, Any] | None = None

    def outcome(self, now: datetime) -> ports.Outcome:
        """Turn it into the row's next state."""
        again = self.result in {Result.RETRIED, Result.POSTPONED}
        return ports.Outcome(
            notification=self.notification,
            delivered=self.result is Result.DELIVERED,
            retry_at=now + self.delay if again else None,
            counts=self.result is not Result.POSTPONED,
            error=self.error and self.error.replace("\0", "")[:LONGEST_ERROR],
            is_loss=self.is_loss,
            thread=self.thread,
        )


class Lane:
    """One channel's messages and its rest."""

    task: asyncio.Task[None] | None = None

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._rests_until = 0.0
        self._failures = 0  # in a row
        self.waiting: deque[tuple[float, ports.Notification]] = deque()  # begin by

    @property
    def resting(self) -> float:
        """For how many seconds it rests still; nothing or less if it does not."""
        return self._rests_until - self._monotonic()

    @property
    def state(self) -> State:
        """Say how the channel is."""
        if self.resting > 0:
            return State.RESTING
        return State.FAILING if self._failures else State.WELL

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be remembered of it."""
        return self.state is State.WELL

    def judge(self, notification: ports.Notification, delivery: ports.Delivery) -> Verdict:
        """Say what a try comes to, and whether the channel rests now."""
        if delivery.delivered:
            self._failures = 0
            return Verdict(
                notification=notification, result=Result.DELIVERED, thread=delivery.thread
            )
        if delivery.permanent:
            return dead(notification, delivery.error or "refused")
        if delivery.retry_after is not None:
            return self.rest(notification, delivery.retry_after, delivery.error)
        if self._is_too_old(notification):
            return dead(notification, f"given up after 24h: {delivery.error}")
        self._failures += 1
        rest = backoff(self._failures, self._jitter())
        self._rests_until = self._monotonic() + rest.total_seconds()
        return Verdict(
            notification=notification,
            result=Result.RETRIED,
            delay=backoff(notification.attempts + 1, self._jitter()),
            error=delivery.error,
        )

    def rest(self, notification: ports.Notification, rest: timedelta, error: str | None) -> Verdict:
        """Let the whole channel rest; the message keeps its tries, but not for ever."""
        if self._is_too_old(notification):
            return dead(notification, f"given up after 24h: {error}")
        self._rests_until = self._monotonic() + rest.total_seconds()
        return Verdict(notification=notification, result=Result.POSTPONED, delay=rest, error=error)

    def _is_too_old(self, notification: ports.Notification) -> bool:
        return self._clock() - notification.since >= GIVE_UP_AFTER


def backoff(failures: int, jitter: float) -> timedelta:
    """Return how long to wait after that many failures: 1, 2, 4 … 300 s, times the jitter [0, 1).

    Full jitter spreads what failed together over the whole time.
    """
    return min(timedelta(seconds=2 ** min(failures - 1, 16)), LONGEST_BACKOFF) * jitter


def dead(notification: ports.Notification, error: str, *, is_loss: bool = True) -> Verdict:
    """Give the message up; `is_loss` says whether somebody was to hear it."""
    return Verdict(notification=notification, result=Result.DEAD, error=error, is_loss=is_loss)
