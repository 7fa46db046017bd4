"""Pods of whose Job nothing has come: they are tried without it, one after the other, for a while.

Most have outlived it: it is replaced or deleted at once, and they have their grace period. Of a few
the Job only comes late.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from rollcall.core import executions

STEP = timedelta(seconds=5)  # the Job of a pod comes within a moment, if it does
TRIED_FOR = timedelta(minutes=5)

Pods = Sequence[executions.Attempt]


@dataclass(slots=True)
class _Waiting:
    pod: executions.Attempt  # the latest reading
    try_at: datetime
    tried_since: datetime | None = None


class Jobless:
    """The latest readings, by pod UID, in the order in which they are to be tried."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def put(self, pod: executions.Attempt) -> None:
        """Let a pod be tried after STEP; a newer reading takes the place of the one before."""
        waiting = self._waiting.setdefault(pod.pod_uid, _Waiting(pod, self._clock() + STEP))
        waiting.pod = pod

    def due(self, limit: int) -> Pods:
        """Return those whose time has come, which waits longest first."""
        now = self._clock()
        due = takewhile(lambda one: one.try_at <= now, self._waiting.values())
        return [one.pod for _, one in zip(range(limit), due, strict=False)]

    def tried(self, pods: Pods, kept: Collection[str]) -> Pods:
        """Return those that are over with: kept, or tried for TRIED_FOR in vain.

        The others are tried again after STEP, at the end of the line; so is what came in meanwhile.
        """
        over = []
        for pod in pods:
            waiting = self._waiting.pop(pod.pod_uid, None)
            if waiting is None:
                continue  # its Job has come
            if waiting.pod == pod and (pod.pod_uid in kept or self._has_expired(waiting)):
                over.append(pod)
                continue
            waiting.try_at = self._clock() + STEP
            self._waiting[pod.pod_uid] = waiting
        return over

    def drop(self, pod_uids: Iterable[str]) -> None:
        """Forget pods."""
        for pod_uid in pod_uids:
            self._waiting.pop(pod_uid, None)

    def _has_expired(self, waiting: _Waiting) -> bool:
        now = self._clock()
        waiting.tried_since = waiting.tried_since or now
        return now - waiting.tried_since > TRIED_FOR
