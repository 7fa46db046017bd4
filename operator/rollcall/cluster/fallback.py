"""When the sidecar's image cannot be pulled: the user's job runs all the same.

The image of a pod that is waiting for it is patched to one that every node has; that run is not
heard. After several such pods in a row no new template gets the sidecar, until it is tried again a
while later.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.cluster import client, events, fields, inventory, paths, workqueue
from rollcall.core import errors, executions, names, upstream

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)  # a registry may only be slow
FAILURES = 3
WINDOW = timedelta(minutes=10)
PAUSE = timedelta(minutes=10)  # doubled each time that it did not help
LONGEST_PAUSE = timedelta(hours=6)
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod that waits."""

    namespace: str
    name: str
    uid: str


class Fallback:
    """Watches pods that wait for our image; `stopped` is called when templates change for it.

    Without a fallback image it does nothing.
    """

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        image: str,
        events: events.Events,
        stopped: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._image = image
        self._events = events
        self._stopped = stopped
        self._clock = clock
        self._waiting: dict[Pod, datetime] = {}
        self._failed: deque[datetime] = deque(maxlen=FAILURES)
        self._stopped_until: datetime | None = None
        self._pause = PAUSE
        self._queue: workqueue.WorkQueue[Pod] = workqueue.WorkQueue(
            handle=self.mend, workers=2, name="fallback"
        )

    def pod_seen(self, body: client.Object, attempt: executions.Attempt) -> None:
        """Take a reading of a pod of ours."""
        pod = Pod(**inventory.key_of(body)._asdict(), uid=attempt.pod_uid)
        if attempt.ended_at or attempt.sidecar_waiting not in upstream.IMAGE_ERRORS:
            self._waiting.pop(pod, None)
            if self._runs(body):
                self._failed.clear()  # failures count in a row
                self._pause = PAUSE
            return
        if self._image and pod not in self._waiting and len(self._waiting) < _REMEMBERED:
            self._waiting[pod] = self._clock()
            self._queue.add_after(pod, PATIENCE)

    def unavailable(self) -> str | None:
        """Say why new templates get no sidecar, None while they do."""
        if self._stopped_until is None or self._clock() >= self._stopped_until:
            return None
        return (
            f"the sidecar's image could not be pulled for {FAILURES} pods in a row; "
            "it is tried again later"
        )

    async def run(self) -> None:
        """Mend pods until cancelled."""
        await self._queue.run()

    async def mend(self, pod: Pod) -> timedelta | None:
        """Give one pod the fallback image, if it still waits. Raises errors.Unavailable."""
        if pod not in self._waiting:
            return None
        body = {
            "metadata": {"uid": pod.uid},
            "spec": {"initContainers": [{"name": names.CONTAINER, "image": self._image}]},
        }
        try:
            patched = await self._kube.patch(paths.pod(pod.namespace, pod.name), body)
        except (errors.NotFound, errors.Conflict):
            patched = None
        except errors.Refused as error:
            patched = None
            logger.error(  # noqa: TRY400 - the server's words say it all
                "a pod could not get the fallback image",
                extra={"pod": f"{pod.namespace}/{pod.name}", "error": str(error)},
            )
        del self._waiting[pod]
        if patched is None:
            return None
        await self._events.post(
            patched,
            reason="SidecarUnavailable",
            message="the sidecar's image cannot be pulled; this run is not heard",
            warning=True,
        )
        self._count()
        return None

    def _runs(self, body: client.Object) -> bool:
        """Whether our own image runs in this pod."""
        image = next(
            (
                container.get("image")
                for container in fields.items(body, "spec", "initContainers")
                if container.get("name") == names.CONTAINER
            ),
            None,
        )
        return image not in {None, self._image} and any(
            status.get("name") == names.CONTAINER and fields.mapping(status, "state", "running")
            for status in fields.items(body, "status", "initContainerStatuses")
        )

    def _count(self) -> None:
        now = self._clock()
        self._failed.append(now)
        if len(self._failed) == FAILURES and now - self._failed[0] <= WINDOW:
            self._stopped_until = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._failed.clear()
            self._stopped()
