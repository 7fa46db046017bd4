"""The latest reading of each Job and its pods, until it is written.

A burst costs memory by living objects, not by events. Nothing here waits or writes.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollcall.core import executions, upstream
from rollcall.services import jobless

PARKED_STEP = timedelta(seconds=2)
PARKED_FOR = timedelta(minutes=5)  # a Job whose TrackedCronJob is not registered yet waits so long
# How long a Job may be without pods, and a pod without a word, before Events are asked for why.
SILENT_JOB = timedelta(seconds=5)
SILENT_POD = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A Job or a pod that does not get on, and neither says why."""

    job_uid: str
    namespace: str
    uid: str  # its own
    since: datetime  # from when on it may be asked for


@dataclass(slots=True)
class Entry:
    """What is known of one Job, and what of it is not written yet."""

    job: executions.JobObservation | None = None
    pods: dict[str, executions.Attempt] = field(default_factory=dict)
    obstacle: upstream.Cause | None = None  # what Events say of why it does not start
    waiting_since: datetime | None = None
    parked_until: datetime | None = None  # it cannot be written yet
    gone_at: datetime | None = None  # when we heard that it is gone
    was_seen_going: bool = False  # the API server told us so; else a list did without it
    news: int = 0  # counts what came in


class Inbox:
    """The latest readings, by Job UID. Not for use from several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._waiting: dict[str, None] = {}  # in order of arrival
        self._jobless = jobless.Jobless(clock)
        self._silent: dict[str, Silent] = {}
        self._unseen: dict[str, datetime] = {}  # gone, and known from the store alone
        self.arrived = asyncio.Event()

    def job(self, job: executions.JobObservation) -> None:
        """Remember a reading; the same as before asks for nothing."""
        entry = self._entries.setdefault(job.job_uid, Entry())
        if entry.job == job and not entry.gone_at:
            return
        entry.job = job
        entry.gone_at = None
        entry.was_seen_going = False
        self._ask(job.job_uid, entry)

    def pod(self, attempt: executions.Attempt) -> None:
        """Remember a pod of a Job; what Events said before is out of date with it."""
        entry = self._entries.setdefault(attempt.job_uid, Entry())
        if entry.pods.get(attempt.pod_uid) == attempt:
            return
        entry.pods[attempt.pod_uid] = attempt
        entry.obstacle = None
        if entry.job:
            self._ask(attempt.job_uid, entry)
        else:
            self._jobless.put(attempt)

    def blocked(self, silent: Silent, cause: upstream.Cause) -> None:
        """Remember what Events say of something silent, unless it has got on meanwhile."""
        if self._silent.get(silent.job_uid) != silent:
            return
        entry = self._entries[silent.job_uid]
        if entry.obstacle != cause:
            entry.obstacle = cause
            self._ask(silent.job_uid, entry)

    def deleted(self, job_uid: str) -> None:
        """Remember the hint that a Job was deleted, of which the last reading was just given."""
        entry = self._entries[job_uid]
        entry.gone_at = self._clock()
        entry.was_seen_going = True
        self._ask(job_uid, entry)

    def vanished(self, job_uid: str) -> None:
        """Remember the hint that a Job is gone, and nobody saw it go."""
        entry = self._entries.get(job_uid)
        if entry is None or entry.job is None:
            self._unseen.setdefault(job_uid, self._clock())
            self.arrived.set()
        elif entry.gone_at is None:
            entry.gone_at = self._clock()
            self._ask(job_uid, entry)

    def known(self) -> Collection[str]:
        """Return the UIDs of Jobs that are believed to be alive."""
        return [uid for uid, entry in self._entries.items() if entry.job and not entry.gone_at]

    def silent(self) -> Collection[Silent]:
        """Return what does not get on without saying why."""
        return self._silent.values()

    def oldest(self) -> datetime | None:
        """Return since when the oldest reading or hint waits that could be written."""
        entries = (self._entries[uid] for uid in self._waiting)
        reading = next((e.waiting_since for e in entries if not e.parked_until), None)
        hint = next(iter(self._unseen.values()), None)
        return min((at for at in (reading, hint) if at), default=None)

    def take(self, limit: int) -> Mapping[str, Entry]:
        """Return what waits longest and can be tried now, by UID; all have their Job."""
        now = self._clock()
        ready = [uid for uid in self._waiting if _is_ready(self._entries[uid], now)]
        if not ready:
            self.arrived.clear()
        return {uid: self._entries[uid] for uid in ready[:limit]}

    def jobless(self, limit: int) -> Sequence[executions.Attempt]:
        """Return pods of whose Job nothing has come, which are to be tried without it."""
        return self._jobless.due(limit)

    def tried(self, pods: Sequence[executions.Attempt], kept: Collection[str]) -> None:
        """Forget pods without their Job that are kept; the others are tried again for a while."""
        for pod in self._jobless.tried(pods, kept):
            entry = self._entries[pod.job_uid]
            del entry.pods[pod.pod_uid]
            if not entry.pods:
                self._forget(pod.job_uid)

    def unseen(self) -> set[str]:
        """Return the UIDs of vanished Jobs of which only the store knows."""
        return set(self._unseen)

    def settled(self, job_uids: Collection[str]) -> None:
        """Forget vanished Jobs of which only the store knew."""
        for job_uid in job_uids:
            self._unseen.pop(job_uid, None)

    def written(self, job_uid: str, news: int) -> None:
        """Stop asking, unless something came in since the entry counted so many news."""
        entry = self._entries[job_uid]
        if entry.news != news:
            return
        self._waiting.pop(job_uid, None)
        entry.waiting_since = entry.parked_until = None
        if entry.gone_at:
            self._forget(job_uid)

    def defer(self, job_uid: str) -> None:
        """Try again later, when more can be said."""
        self._entries[job_uid].parked_until = self._clock() + PARKED_STEP

    def park(self, job_uid: str) -> None:
        """Try a reading again later; after PARKED_FOR only a newer one is tried."""
        entry = self._entries[job_uid]
        now = self._clock()
        if now - (entry.waiting_since or now) > PARKED_FOR:
            self._waiting.pop(job_uid, None)
            entry.waiting_since = entry.parked_until = None
            return
        self.defer(job_uid)

    def _ask(self, job_uid: str, entry: Entry) -> None:
        self._jobless.drop(entry.pods)
        entry.news += 1
        entry.waiting_since = entry.waiting_since or self._clock()
        self._waiting.setdefault(job_uid, None)
        silent = _silent(entry)
        if silent:
            self._silent[job_uid] = silent
        else:
            self._silent.pop(job_uid, None)
        self.arrived.set()

    def _forget(self, job_uid: str) -> None:
        self._entries.pop(job_uid, None)
        self._waiting.pop(job_uid, None)
        self._silent.pop(job_uid, None)


def _is_ready(entry: Entry, now: datetime) -> bool:
    return entry.parked_until is None or entry.parked_until <= now


def _silent(entry: Entry) -> Silent | None:
    job, pods = entry.job, entry.pods.values()
    if job is None or entry.gone_at or job.decided or job.suspended:
        return None
    if any(pod.started_at or pod.waiting_reason for pod in pods):
        return None
    living = [pod for pod in pods if not pod.ended_at]
    if living:
        newest = max(living, key=lambda pod: (pod.created_at, pod.pod_uid))
        uid, since = newest.pod_uid, newest.created_at + SILENT_POD
    else:
        uid, since = job.job_uid, job.created_at + SILENT_JOB
    return Silent(job_uid=job.job_uid, namespace=job.namespace, uid=uid, since=since)
