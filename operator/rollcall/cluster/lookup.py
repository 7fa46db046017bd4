"""What a reporting pod belongs to: its Job and CronJob, read now, every link checked by UID."""

from rollcall.cluster import client, fields, mapping, paths
from rollcall.core import errors, names
from rollcall.services import reporters


class Lookup:
    """services.reporters.Lookup on the API server."""

    def __init__(self, *, kube: client.KubeClient) -> None:
        self._kube = kube

    async def find(self, pod: reporters.Pod) -> reporters.Found | None:
        """Return the pod with its Job; None if it, its Job or their CronJob is gone or not ours.

        Raises errors.ClusterUnavailable.
        """
        body = await self._get(paths.pod(pod.namespace, pod.name))
        # Which container is the tracked one stands in the TrackedCronJob: the operator says so.
        seen = mapping.attempt(body, None)
        if seen is None or seen[1].pod_uid != pod.uid:
            return None
        tracked_uid, attempt = seen
        job_body = await self._get(paths.job(pod.namespace, _owner(body, "Job", attempt.job_uid)))
        job = mapping.job(job_body)
        if job is None or (job.job_uid, job.tracked_uid) != (attempt.job_uid, tracked_uid):
            return None
        owner = _owner(job_body, "CronJob", job.owner_uid)
        cronjob = await self._get(paths.cronjob(pod.namespace, owner))
        is_owner = fields.text(cronjob, "metadata", "uid") == job.owner_uid
        if not is_owner or _label(cronjob) != tracked_uid:
            return None
        return reporters.Found(job=job, attempt=attempt)

    async def _get(self, path: str) -> client.Object:
        """Read an object; an empty one if it does not exist."""
        if path.endswith("/"):
            return {}  # nothing owns it
        try:
            return await self._kube.get(path)
        except errors.NotFound:
            return {}
        except errors.Refused as error:
            raise errors.ClusterUnavailable(f"we may not read: {error}") from error


def _owner(body: client.Object, kind: str, uid: str | None) -> str:
    """Return the name of the owner with this UID, empty if there is none."""
    for owner in fields.items(body, "metadata", "ownerReferences"):
        if uid and owner.get("kind") == kind and owner.get("uid") == uid:
            return fields.text(owner, "name") or ""
    return ""


def _label(body: client.Object) -> str | None:
    return fields.text(body, "metadata", "labels", names.LABEL_UID)
