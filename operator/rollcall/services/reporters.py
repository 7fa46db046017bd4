"""Who reports: from a bearer token to the execution its pod belongs to.

Invariants:
- The token alone says who it is; nothing that the sender writes is looked at.
- A dependency that does not answer never makes somebody a stranger: that is errors.Unavailable.
- What a pod's labels claim counts only if Pod, Job and CronJob in the token's own namespace agree,
  UID by UID: the namespace is the boundary of trust.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from rollcall.core import errors, executions
from rollcall.services import gathering, observe, ports, recent, sharing, strangers

logger = logging.getLogger(__name__)

# The operator registers a job before its first Job can exist, so that a minute covers its restart.
YOUNG = timedelta(seconds=60)
YOUNG_RETRY = 1.0  # seconds
# Seconds; earlier pods that turn up late change the number of an attempt. Whoever is the same at
# the second look stays so: nothing else of it changes.
KNOWN_FOR = 60.0
SETTLED_FOR = 600.0
# Each is known for a part of this longer at first, of its own: else all pods that were heard at
# once, as after a restart, are looked at within the same seconds, again and again.
SPREAD = 45.0  # seconds
REFUSED_FOR = 5.0  # seconds; a stranger that tries again costs nothing meanwhile
MOST_KNOWN = 20_000  # pods that run at a time; about 1 KB each
MOST_REFUSED = 10_000
# At a time: each takes a connection to the database, and the batches need theirs.
MOST_DISCOVERED = 4
MOST_LOOKED_AT = 500  # pods of one transaction


class Unauthenticated(errors.RollcallError):
    """The token is not one of this cluster for us, or no longer."""


class Forbidden(errors.RollcallError):
    """The token is genuine, but its bearer is no pod of a tracked job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """The pod that a token is bound to."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom a genuine token belongs to; `pod` is None if it is not bound to one."""

    user: str
    pod: Pod | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A pod of ours and its Job, as read from the cluster."""

    job: executions.JobObservation
    attempt: executions.Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the store knows of a pod, None for nothing, and the time by its clock."""

    identity: ports.Identity | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Whose a pod is, and whether two looks a while apart said so."""

    identity: ports.Identity
    is_settled: bool


class Reviewer(Protocol):
    """Checks tokens."""

    def known(self, token: str) -> Caller | None:
        """Return whose token it is if that is known, and need not be asked again."""

    async def review(self, token: str) -> Caller | None:
        """Return whose token it is, None if it is not good (for us).

        Raises errors.Unavailable if that cannot be known now.
        """


class Lookup(Protocol):
    """Reads what a pod belongs to."""

    async def find(self, pod: Pod) -> Found | None:
        """Return the pod with its Job, None if it is not ours or no longer there.

        Raises errors.Unavailable if that cannot be known now.
        """


class Reporters:
    """From tokens to identities; both answers are remembered for a short time."""

    def __init__(
        self,
        *,
        store: ports.Store,
        reviewer: Reviewer,
        lookup: Lookup,
        cluster: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._reviewer = reviewer
        self._lookup = lookup
        self._cluster = cluster
        # After a restart of the api every pod of the cluster is unknown at once.
        self._looks = gathering.Gathering(self._look, wait=0, most=MOST_LOOKED_AT)
        self._discovering = asyncio.Semaphore(MOST_DISCOVERED)
        # Longer than any is taken as known: the next look is compared with it.
        self._known = recent.Recent[str, _Known](
            lifetime=2 * SETTLED_FOR, size=MOST_KNOWN, clock=clock
        )
        self._learning = sharing.Sharing[Pod, ports.Identity]("ingest-identify")
        self._strangers = strangers.Strangers()
        self._refused = recent.Recent[str, str](lifetime=REFUSED_FOR, size=MOST_REFUSED)

    def known(self, token: str) -> ports.Identity | None:
        """Return whose report this is if nobody has to be asked."""
        caller = self._reviewer.known(token)
        return self._remembered(caller.pod.uid) if caller and caller.pod else None

    async def identify(self, token: str) -> ports.Identity:
        """Return whose report this is.

        Raises Unauthenticated, Forbidden or errors.Unavailable.
        """
        caller = await self._reviewer.review(token)
        if caller is None:
            raise Unauthenticated("the token is not valid for this api")
        try:
            return await self._of(caller)
        except Forbidden as refusal:
            self._strangers.tell(_who(caller), str(refusal))
            raise

    async def _of(self, caller: Caller) -> ports.Identity:
        pod = caller.pod
        if pod is None:
            raise Forbidden("the token is not bound to a pod")
        known = self._remembered(pod.uid)
        return known or await self._learning.get(pod, functools.partial(self._learn, pod))

    async def close(self) -> None:
        """Wait for what is being asked."""
        await self._learning.close()

    def _remembered(self, pod_uid: str) -> ports.Identity | None:
        known = self._known.get(pod_uid, within=SETTLED_FOR)
        if known and not known.is_settled:
            known = self._known.get(pod_uid, within=KNOWN_FOR)
        return known.identity if known else None

    async def _learn(self, pod: Pod) -> ports.Identity:
        refusal = self._refused.get(pod.uid)
        if refusal:
            raise Forbidden(refusal)
        try:
            identity = (await self._stored(pod)).identity or await self._discover(pod)
        except Forbidden as error:
            self._refused.put(pod.uid, str(error))
            raise
        before = self._known.get(pod.uid)
        is_settled = before is not None and before.identity == identity
        longer = 0.0 if before else recent.part(pod.uid.encode(), SPREAD)
        self._known.put(pod.uid, _Known(identity=identity, is_settled=is_settled), age=-longer)
        return identity

    async def _stored(self, pod: Pod) -> _Seen:
        seen = await self._looks.get(pod.uid)
        if seen.identity and seen.identity.namespace != pod.namespace:
            raise Forbidden("the pod's run belongs to another namespace")
        return seen

    async def _look(self, pod_uids: Collection[str]) -> Mapping[str, _Seen]:
        async with self._store.transaction() as unit:
            known = await unit.attempts.identify(pod_uids)
            return {uid: _Seen(identity=known.get(uid), at=unit.now) for uid in pod_uids}

    async def _discover(self, pod: Pod) -> ports.Identity:
        """Read the pod and its Job from the cluster, and record them as the operator would."""
        async with self._discovering:
            found = await self._lookup.find(pod)
            if found is None:
                raise Forbidden("the pod is not one of a TrackedCronJob")
            await self._record(found)
        seen = await self._stored(pod)
        if seen.identity:
            return seen.identity
        if seen.at - found.job.created_at < YOUNG:
            raise errors.Unavailable("the run is not recorded yet", retry_after=YOUNG_RETRY)
        raise Forbidden("the pod's TrackedCronJob is not known here")

    async def _record(self, found: Found) -> None:
        try:
            await observe.record(self._store, self._cluster, [found.job], [found.attempt])
        except errors.Unavailable:
            raise
        except errors.RollcallError:
            # Overtaken by the operator, or a slot that cannot be kept: the next look decides.
            logger.warning("run not recorded", extra={"job": found.job.job_name}, exc_info=True)


def _who(caller: Caller) -> Mapping[str, str]:
    """Return what the log says of somebody."""
    pod = caller.pod
    of_pod = {"namespace": pod.namespace, "pod": pod.name, "pod_uid": pod.uid} if pod else {}
    return {"user": caller.user, **of_pod}
