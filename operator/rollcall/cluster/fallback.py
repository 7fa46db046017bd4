"""When the sidecar cannot start: the user's job runs all the same.

The image of a pod that waits for it is replaced by one that every node has; that pod is untracked,
and marked so in the same write: whoever sees it knows why. A write goes to the very version of the
pod that was judged. While a pull hangs, the kubelet takes no change: that is only told and counted.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.cluster import (
    client,
    events,
    fields,
    inventory,
    mapping,
    paths,
    sidecarstatus,
    timestamps,
    troubles,
    workqueue,
)
from rollcall.core import errors, executions, names, pod_events, sidecar_starts
from rollcall.core.sidecar_starts import PULLING

logger = logging.getLogger(__name__)

WORKERS = 8  # where all pods of a minute have to be mended in the same
AT_ONCE = timedelta()
CHANGED = timedelta(seconds=0.5)  # between two looks at a pod that changes under our hands


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod that waits."""

    namespace: str
    name: str
    uid: str
    job: inventory.Key
    tracked_uid: str  # of that job


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A pod as it was just read."""

    body: client.Object
    start: sidecar_starts.Start
    untracked: executions.Untracked | None

    @property
    def due(self) -> datetime | None:
        """When something has to be done about it; None if nothing has."""
        if self.untracked is None:
            return sidecar_starts.due(self.start) or sidecar_starts.hangs(self.start)
        blocks = self.start.blocks and not sidecar_starts.is_outdated(self.start)
        return self.untracked.at + sidecar_starts.TRIES if blocks else None


class Fallback:
    """Watches pods that wait for our container. Without a fallback image they wait on.

    `clock` is the API server's: the pods' own times are by it.
    `reconcile_all` is called when the templates of all jobs change for it, `reconcile` when one's.
    """

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        image: str,
        events: events.Events,
        troubles: troubles.Troubles,
        reconcile: Callable[[inventory.Key], None],
        reconcile_all: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._image = image
        self._events = events
        self._troubles = troubles
        self._reconcile = reconcile
        self._reconcile_all = reconcile_all
        self._clock = clock
        self._waiting: set[Pod] = set()
        self._queue: workqueue.WorkQueue[Pod] = workqueue.WorkQueue(
            handle=self.mend, workers=WORKERS, name="fallback"
        )

    def pod_seen(self, body: client.Object, attempt: executions.Attempt) -> None:
        """Take a reading of a pod of ours."""
        reading = _reading(body, attempt)
        if reading is None:
            return
        pod = _pod(body)
        self._learn(pod, reading, has_started=bool(attempt.started_at))
        if reading.due is None:
            self._waiting.discard(pod)
        elif self._image:
            self._waiting.add(pod)
            self._queue.add_after(pod, max(reading.due - self._clock(), AT_ONCE))

    async def run(self) -> None:
        """Mend pods until cancelled."""
        await self._queue.run()

    async def mend(self, pod: Pod) -> timedelta | None:
        """Look at one pod again, and give it the fallback image if it still waits for ours.

        Returns when to look again. Raises errors.RollcallError where the server does not let us.
        """
        if pod not in self._waiting:
            return None
        self._waiting.discard(pod)  # what comes in from now on asks again
        try:
            again = await self._look(pod)
        except errors.RollcallError:  # the queue comes back
            self._waiting.add(pod)
            raise
        if again is not None:
            self._waiting.add(pod)
        return again

    async def _look(self, pod: Pod) -> timedelta | None:
        reading = await self._read(pod)
        if reading is None or reading.due is None:
            return None
        now = self._clock()
        if reading.due > now:
            return reading.due - now
        try:
            await self._act(pod, reading, now)
        except errors.Conflict:
            return CHANGED
        except errors.NotFound:
            pass  # it went meanwhile
        return None

    def _learn(self, pod: Pod, reading: _Reading, *, has_started: bool) -> None:
        start, untracked = reading.start, reading.untracked
        ran_since = start.ran_since if has_started and self._is_current(pod) else None
        if untracked:
            message = pod_events.untracked(pod.name, untracked.words)
            # Once the fallback runs, what was said while it did not is over.
            at = max(untracked.at, start.ran_since or untracked.at)
            self._tell(pod, untracked.words, message, at)
        elif ran_since and self._troubles.ran(pod.job, ran_since):
            self._reconcile_all()

    async def _read(self, pod: Pod) -> _Reading | None:
        try:
            body = await self._kube.get(paths.pod(pod.namespace, pod.name))
        except errors.NotFound:
            return None
        found = mapping.attempt(body, None)
        is_same = found is not None and found[1].pod_uid == pod.uid
        return _reading(body, found[1]) if found and is_same else None

    async def _act(self, pod: Pod, reading: _Reading, now: datetime) -> None:
        words = reading.start.words
        if reading.untracked:
            both = f"{reading.untracked.words}; the fallback image cannot start either: {words}"
            self._complain(pod, both, now)
        elif reading.start.is_quiet:
            await self._ask(pod)
        else:
            await self._mend(pod, reading, executions.Untracked(at=now, words=words))

    async def _ask(self, pod: Pod) -> None:
        """Say that a pull hangs, if it is one of ours for which a pod waits."""
        where = f"spec.initContainers{{{names.CONTAINER}}}"
        page = await self._kube.get(
            paths.events(pod.namespace),
            fieldSelector=f"involvedObject.uid={pod.uid},involvedObject.fieldPath={where}",
        )
        told = [one for item in fields.items(page, "items") if (one := mapping.event_reading(item))]
        newest = max(told, key=lambda one: (one.last_at, one.reason != PULLING), default=None)
        if newest and newest.reason == PULLING:
            since = timestamps.text(newest.last_at)
            words = f"{PULLING}: {newest.message} has gone on since {since}"
            self._complain(pod, words, newest.last_at)
            self._count(pod, words)

    async def _mend(self, pod: Pod, reading: _Reading, untracked: executions.Untracked) -> None:
        try:
            patched = await self._replace(pod, reading, untracked)
        except errors.Refused as error:
            words = f"{untracked.words}; the fallback image was refused: {error}"
            self._complain(pod, words, untracked.at)
            self._count(pod, words)
            return
        message = pod_events.untracked(pod.name, untracked.words)
        self._tell(pod, untracked.words, message, untracked.at)
        self._count(pod, untracked.words)
        await self._events.post(patched, reason="Untracked", message=message, warning=True)

    def _count(self, pod: Pod, words: str) -> None:
        reason = sidecar_starts.reason(words)
        if self._is_current(pod) and self._troubles.failed(pod.job, pod.uid, reason):
            self._reconcile_all()
        elif self._troubles.withheld(pod.job):
            self._reconcile(pod.job)

    async def _replace(
        self, pod: Pod, reading: _Reading, untracked: executions.Untracked
    ) -> client.Object:
        version = fields.text(reading.body, "metadata", "resourceVersion")
        metadata = {
            "uid": pod.uid,
            "resourceVersion": version,
            "annotations": {names.UNTRACKED: sidecarstatus.mark(untracked)},
        }
        spec = {"initContainers": [{"name": names.CONTAINER, "image": self._image}]}
        body = {"metadata": metadata, "spec": spec}
        return await self._kube.patch(paths.pod(pod.namespace, pod.name), body)

    def _complain(self, pod: Pod, words: str, at: datetime) -> None:
        """Say that a pod waits on, and that we can do no more for it."""
        where = f"{pod.namespace}/{pod.name}"
        logger.error("a pod waits for its sidecar", extra={"pod": where, "words": words})
        self._tell(pod, words, f"{pod.name} waits for its sidecar: {words}", at)

    def _tell(self, pod: Pod, words: str, message: str, at: datetime) -> None:
        if self._is_current(pod):
            reason = sidecar_starts.reason(words)
            self._troubles.tell(pod.job, troubles.Trouble(at=at, reason=reason, message=message))

    def _is_current(self, pod: Pod) -> bool:
        return self._troubles.knows(pod.job, pod.tracked_uid)


def _reading(body: client.Object, attempt: executions.Attempt) -> _Reading | None:
    start = sidecarstatus.read(body, attempt)
    return _Reading(body=body, start=start, untracked=attempt.untracked) if start else None


def _pod(body: client.Object) -> Pod:
    namespace, name = inventory.key_of(body)
    job = fields.text(body, "metadata", "labels", names.LABEL_NAME) or ""
    uid = fields.text(body, "metadata", "uid") or ""
    return Pod(
        namespace=namespace,
        name=name,
        uid=uid,
        job=inventory.Key(namespace, job),
        tracked_uid=fields.text(body, "metadata", "labels", names.LABEL_UID) or "",
    )
