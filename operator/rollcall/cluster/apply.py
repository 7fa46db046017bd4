"""Writing a job's CronJob: whose it may be, what must not start, and what the server made of it.

- A CronJob of the same name that is not ours is never touched. It is ours by its controller's UID;
  it may be taken over if it says so itself, or if it is what we left of an earlier TrackedCronJob.
- No slot of the past starts because of us: before a resumption or a change of rhythm the last
  schedule time is set to now, which is all that the controller looks at.
- What we apply is all that we own; fields of others stay.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from rollcall.cluster import client, fields, inventory, managedfields, paths, timestamps
from rollcall.core import errors, manifests, names, slots

RHYTHM: tuple[managedfields.Path, ...] = (
    inventory.SUSPEND,
    ("spec", "schedule"),
    ("spec", "timeZone"),
    ("spec", "startingDeadlineSeconds"),
    ("spec", "concurrencyPolicy"),
)


class Standing(Enum):
    """Whose the CronJob of a job's name is."""

    ABSENT = "absent"
    OURS = "ours"
    ADOPTABLE = "adoptable"
    LEAVING = "leaving"  # of an earlier TrackedCronJob; the garbage collector takes it
    TAKEN = "taken"


def standing(live: Mapping[str, Any] | None, tracked: Mapping[str, Any]) -> Standing:
    """Say whose `live` is, seen from this TrackedCronJob."""
    if live is None:
        return Standing.ABSENT
    name = fields.text(tracked, "metadata", "name")
    owners = fields.items(live, "metadata", "ownerReferences")
    owner = next((one for one in owners if one.get("controller") is True), None)
    if owner is None:
        marks = (
            fields.text(live, "metadata", "annotations", names.ADOPT),
            fields.text(live, "metadata", "labels", names.LABEL_NAME),
        )
        return Standing.ADOPTABLE if name in marks else Standing.TAKEN
    if owner.get("uid") == fields.text(tracked, "metadata", "uid"):
        return Standing.OURS
    same_kind = (owner.get("apiVersion"), owner.get("kind")) == (names.API_VERSION, names.KIND)
    return Standing.LEAVING if same_kind else Standing.TAKEN


def may_surprise(live: Mapping[str, Any], wished: Mapping[str, Any]) -> bool:
    """Whether the controller could take a slot of the past for due once `wished` is applied."""
    now, then = fields.mapping(live, "spec"), fields.mapping(wished, "spec")
    if any(now.get(field) != then.get(field) for field in ("schedule", "timeZone")):
        return True
    if now.get("suspend") is not True:
        return False
    # A field that only we had set goes when we no longer name it.
    ours = any(
        owner.manager == names.MANAGER and inventory.SUSPEND in owner.paths
        for owner in managedfields.owners(live)
    )
    return then.get("suspend") is False or ("suspend" not in then and ours)


def revision(live: Mapping[str, Any]) -> slots.Revision:
    """Read the rhythm of a CronJob as the API server has it, and since when."""
    spec = fields.mapping(live, "spec")
    changed = managedfields.last_change(live, *RHYTHM)
    created_at = timestamps.parse(fields.text(live, "metadata", "creationTimestamp"))
    effective_from = (changed.at if changed else None) or created_at
    if effective_from is None:
        raise errors.ClusterUnavailable("a CronJob came without its time of creation")
    deadline = fields.number(spec, "startingDeadlineSeconds") or manifests.DEFAULT_DEADLINE
    return slots.Revision(
        generation=fields.number(live, "metadata", "generation") or 0,
        schedule=str(spec.get("schedule", "")),
        time_zone=fields.text(spec, "timeZone") or manifests.DEFAULT_ZONE,
        deadline=timedelta(seconds=min(deadline, manifests.LONGEST_DEADLINE)),
        concurrency=fields.text(spec, "concurrencyPolicy") or "Allow",
        suspended=spec.get("suspend") is True,
        effective_from=effective_from,
    )


def in_force(applied: Mapping[str, Any], live: Mapping[str, Any] | None) -> slots.Revision:
    """Read the rhythm after an apply over `live`; one that the apply left alone is older than it.

    managedFields have one time per manager: with any field that we apply, all of ours look new.
    """
    now = revision(applied)
    then = revision(live) if live else now
    return replace(now, effective_from=then.effective_from) if then.same_rhythm(now) else now


class Applier:
    """Reads and writes CronJobs."""

    def __init__(self, *, kube: client.KubeClient, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._clock = clock

    async def read(self, key: inventory.Key) -> client.Object | None:
        """Read the CronJob, None if there is none."""
        try:
            return await self._kube.get(paths.cronjob(*key))
        except errors.NotFound:
            return None

    async def apply(self, plan: manifests.Plan, live: client.Object | None) -> client.Object:
        """Apply the plan over `live` and return what the API server made of it.

        Raises errors.Conflict if `live` is no longer what it was.
        """
        wished = plan.cronjob
        path = paths.cronjob(*inventory.key_of(wished))
        if live:
            identity = {"uid": live["metadata"]["uid"]}
            wished = {**wished, "metadata": {**wished["metadata"], **identity}}
            if may_surprise(live, plan.cronjob):
                at = timestamps.text(not_a_slot(self._clock()))
                forgiven = {"metadata": identity, "status": {"lastScheduleTime": at}}
                await self._kube.merge(f"{path}/status", forgiven, manager=names.MANAGER)
        return await self._kube.apply(path, wished, manager=names.MANAGER)

    async def take_over(self, live: client.Object) -> client.Object:
        """Make everything in an adopted CronJob's spec ours, so that the next apply tidies it.

        Raises errors.Conflict if it was changed meanwhile.
        """
        metadata = {
            "uid": live["metadata"]["uid"],
            "resourceVersion": live["metadata"]["resourceVersion"],
            "managedFields": managedfields.handed_over(
                live, names.MANAGER, root="spec", but="suspend"
            ),
        }
        path = paths.cronjob(*inventory.key_of(live))
        return await self._kube.merge(path, {"metadata": metadata}, manager=names.MANAGER)


def not_a_slot(now: datetime) -> datetime:
    """Return the next full second that is no minute: the proof of a run must not be forged."""
    second = now.replace(microsecond=0) + timedelta(seconds=1)
    return second if second.second else second + timedelta(seconds=1)
