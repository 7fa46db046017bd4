"""The judge's own reads of the cluster: each a consistent read, none from a watch."""

from collections.abc import Sequence

from rollcall.cluster import client, mapping, paths
from rollcall.core import errors, executions, names, slots

NEWEST_EVENTS = 500  # of one CronJob; correlated at the source, so that there are far fewer


class Evidence:
    """services.ports.Evidence on the API server."""

    def __init__(self, *, kube: client.KubeClient) -> None:
        self._kube = kube

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        """Read the CronJob, None if it does not exist."""
        try:
            return mapping.cronjob_reading(await self._kube.get(paths.cronjob(namespace, name)))
        except errors.NotFound:
            return None

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        """Read a Job of ours, None if it does not exist."""
        try:
            return mapping.job(await self._kube.get(paths.job(namespace, job_name)))
        except errors.NotFound:
            return None

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        """Read the Events about this CronJob; they are hints, so none can also mean forgotten."""
        page = await self._kube.get(
            paths.events(namespace),
            fieldSelector=f"involvedObject.kind=CronJob,involvedObject.name={name}",
            limit=NEWEST_EVENTS,
        )
        readings = (mapping.event_reading(item) for item in page.get("items") or ())
        return [reading for reading in readings if reading]

    async def probe(self) -> None:
        """Make one small consistent read.

        Without a resourceVersion the API server asks its store, not its cache. Raises
        errors.ClusterUnavailable.
        """
        try:
            await self._kube.get(paths.JOBS, labelSelector=names.LABEL_UID, limit=1)
        except (errors.Refused, errors.NotFound) as error:
            raise errors.ClusterUnavailable(f"we may not list Jobs: {error}") from error
