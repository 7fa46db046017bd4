"""Who reports: from a bearer token to the execution its pod belongs to.

Invariants:
- The token alone says who it is; nothing that the sender writes is looked at.
- A dependency that does not answer never makes somebody a stranger: that is errors.Unavailable.
- What a pod's labels claim is recorded only if Pod, Job and CronJob agree and what they name lives
  in the token's own namespace: the namespace is the boundary of trust.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from rollcall.core import errors, executions, ids
from rollcall.services import ports, recent

logger = logging.getLogger(__name__)

# The operator registers a job before its first Job can exist, so that a minute covers its restart.
YOUNG = timedelta(seconds=60)
YOUNG_RETRY = 1.0  # seconds
KNOWN_FOR = 60.0  # seconds; earlier pods that turn up late change the number of an attempt
REFUSED_FOR = 5.0  # seconds; a stranger that tries again costs nothing meanwhile
MOST_KNOWN = 20_000  # pods that run at a time; about 1 KB each
MOST_REFUSED = 10_000


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


class Reviewer(Protocol):
    """Checks tokens."""

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


# services.observe.record
Record = Callable[
    [
        ports.Store,
        str,
        Sequence[executions.JobObservation],
        Sequence[tuple[str, executions.Attempt]],
    ],
    Awaitable[object],
]


class Reporters:
    """From tokens to identities; both answers are remembered for a short time."""

    def __init__(
        self,
        *,
        store: ports.Store,
        reviewer: Reviewer,
        lookup: Lookup,
        record: Record,
        cluster: str,
    ) -> None:
        self._store = store
        self._reviewer = reviewer
        self._lookup = lookup
        self._record = record
        self._cluster = cluster
        self._known = recent.Recent[str, ports.Identity](lifetime=KNOWN_FOR, size=MOST_KNOWN)
        self._refused = recent.Recent[str, str](lifetime=REFUSED_FOR, size=MOST_REFUSED)

    async def identify(self, token: str) -> ports.Identity:
        """Return whose report this is.

        Raises Unauthenticated, Forbidden or errors.Unavailable.
        """
        caller = await self._reviewer.review(token)
        if caller is None:
            raise Unauthenticated("the token is not valid for this api")
        if caller.pod is None:
            raise Forbidden("the token is not bound to a pod")
        return self._known.get(caller.pod.uid) or await self._learn(caller.pod)

    async def _learn(self, pod: Pod) -> ports.Identity:
        refusal = self._refused.get(pod.uid)
        if refusal:
            raise Forbidden(refusal)
        try:
            identity = await self._stored(pod) or await self._discover(pod)
        except Forbidden as error:
            self._refused.put(pod.uid, str(error))
            raise
        self._known.put(pod.uid, identity)
        return identity

    async def _stored(self, pod: Pod) -> ports.Identity | None:
        async with self._store.transaction() as unit:
            identity = await unit.attempts.identify(pod.uid)
        if identity and identity.namespace != pod.namespace:
            raise Forbidden("the pod's run belongs to another namespace")
        return identity

    async def _discover(self, pod: Pod) -> ports.Identity:
        """Read the pod and its Job from the cluster, and record them as the operator would."""
        found = await self._lookup.find(pod)
        if found is None:
            raise Forbidden("the pod is not one of a TrackedCronJob")
        registered, age = await self._registered(found)
        if registered:
            await self._try_record(found)
            identity = await self._stored(pod)
            if identity:
                return identity
        if age < YOUNG:
            raise errors.Unavailable("the run is not recorded yet", retry_after=YOUNG_RETRY)
        raise Forbidden("the pod's TrackedCronJob is not known here")

    async def _registered(self, found: Found) -> tuple[bool, timedelta]:
        """Return whether the job exists, in the namespace of its pod, and the Job's age."""
        async with self._store.transaction() as unit:
            summary = await unit.summary(self._cronjob_id(found))
            age = unit.now - found.job.created_at
        if summary is None or summary.row.deleted_at is not None:
            return False, age
        if summary.row.job.namespace != found.job.namespace:
            raise Forbidden("the pod's labels name a TrackedCronJob of another namespace")
        return True, age

    async def _try_record(self, found: Found) -> None:
        pods = [(found.job.tracked_uid, found.attempt)]
        try:
            await self._record(self._store, self._cluster, [found.job], pods)
        except errors.Unavailable:
            raise
        except errors.RollcallError:
            # Overtaken by the operator, or a slot that cannot be kept: the next look decides.
            logger.warning("run not recorded", extra={"job": found.job.job_name}, exc_info=True)

    def _cronjob_id(self, found: Found) -> UUID:
        return ids.cronjob_id(cluster=self._cluster, uid=found.job.tracked_uid)
