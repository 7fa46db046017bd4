"""The cluster, seen from the use cases."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from rollcall.core import executions, slots


class Evidence(Protocol):
    """The judge's own reads of the cluster; none of them is served from a watch."""

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        """Read the CronJob, None if it does not exist."""

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        """Read a Job, None if it does not exist."""

    async def jobs(self, namespace: str, tracked_uid: str) -> Sequence[executions.JobObservation]:
        """Read all Jobs of a TrackedCronJob."""

    async def reread(
        self, namespace: str, job_name: str, job_uid: str, tracked_uid: str
    ) -> executions.JobObservation | None:
        """Read this very Job once more, also without our label; None if it is really gone."""

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        """Read the Events about this CronJob."""

    async def warnings(self, namespace: str, uid: str) -> Sequence[slots.EventReading]:
        """Read the Warning Events about the object of this UID, oldest first."""

    async def probe(self) -> datetime | None:
        """Make one small consistent read; returns the server's clock, in whole seconds, if it says.

        Raises errors.ClusterUnavailable if we are blind.
        """
