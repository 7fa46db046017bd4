"""The judge's own reads of the cluster: each a consistent read, none from a watch."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rollcall.cluster import apply, client, mapping, paths
from rollcall.core import errors, executions, names, slots

NEWEST_EVENTS = 500  # of one object; correlated at the source, so that there are far fewer


class Evidence:
    """services.ports.Evidence on the API server."""

    def __init__(self, *, kube: client.KubeClient) -> None:
        self._kube = kube

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        """Read the CronJob, None if it does not exist."""
        try:
            body = await self._kube.get(paths.cronjob(namespace, name))
        except errors.NotFound:
            return None
        reading = mapping.cronjob_reading(body)
        return replace(reading, revision=apply.revision(body)) if reading else None

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        """Read a Job of ours, None if it does not exist."""
        try:
            return mapping.job(await self._kube.get(paths.job(namespace, job_name)))
        except errors.NotFound:
            return None

    async def jobs(self, namespace: str, tracked_uid: str) -> Sequence[executions.JobObservation]:
        """Read all Jobs of a TrackedCronJob."""
        found = self._kube.list(
            paths.jobs(namespace), labelSelector=f"{names.LABEL_UID}={tracked_uid}"
        )
        readings = [mapping.job(body) async for body in found]
        return [reading for reading in readings if reading]

    async def reread(
        self, namespace: str, job_name: str, job_uid: str, tracked_uid: str
    ) -> executions.JobObservation | None:
        """Read this very Job once more, also without our label; None if it is really gone."""
        try:
            body = await self._kube.get(paths.job(namespace, job_name))
        except errors.NotFound:
            return None
        found = mapping.job(body, tracked_uid=tracked_uid)
        return found if found and found.job_uid == job_uid else None

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        """Read the Events about this CronJob; they are hints, so none can also mean forgotten."""
        selector = f"involvedObject.kind=CronJob,involvedObject.name={name}"
        return await self._events(namespace, selector)

    async def warnings(self, namespace: str, uid: str) -> Sequence[slots.EventReading]:
        """Read the Warning Events about the object of this UID, oldest first."""
        found = await self._events(namespace, f"involvedObject.uid={uid},type=Warning")
        return sorted(found, key=lambda event: event.last_at)

    async def _events(self, namespace: str, selector: str) -> list[slots.EventReading]:
        page = await self._kube.get(
            paths.events(namespace), fieldSelector=selector, limit=NEWEST_EVENTS
        )
        readings = (mapping.event_reading(item) for item in page.get("items") or ())
        return [reading for reading in readings if reading]

    async def probe(self) -> datetime | None:
        """Make one small consistent read; returns the server's clock, if it says.

        Without a resourceVersion the API server asks its store, not its cache. Raises
        errors.ClusterUnavailable.
        """
        try:
            await self._kube.get(paths.JOBS, labelSelector=names.LABEL_UID, limit=1)
        except (errors.Refused, errors.NotFound) as error:
            raise errors.ClusterUnavailable(f"we may not list Jobs: {error}") from error
        return self._kube.server_time
