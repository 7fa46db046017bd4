"""From a TrackedCronJob to the CronJob that is applied for it.

Invariants:
- What differs from the same CronJob written by hand is a closed list: zone, start deadline, history
  limits, lifetime of finished Jobs, our labels and owner, and what `injection` adds.
- The input is never changed, and the same input gives the same hash.
- `suspend` is applied only where the job's spec names it: otherwise a hand edit of it stays.
"""

import copy
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollcall.core import (
    cron_fields,
    durations,
    errors,
    injection,
    names,
    schedule,
    templates,
    tracking,
    zones,
)

DEFAULT_ZONE = "Etc/UTC"
DEFAULT_DEADLINE = 86_400  # seconds: a slot missed through a night's outage still starts
SHORTEST_DEADLINE = 10  # seconds; below it the controller, which looks every 10 s, may miss slots
LONGEST_DEADLINE = int(durations.LONGEST.total_seconds())  # judged so; applied as written
SHORTEST_TTL = 900  # seconds; several of our full lists
LONGEST_NAME = 52  # the API server's limit for CronJobs: a Job's name is 11 longer
_HISTORY = range(3, 16)  # finished Jobs kept: enough for 15 minutes, at most 15
_HISTORY_MINUTES = 15
_MINUTES_PER_DAY = 1440

_OURS = ("tracking", "rules", "alerts", "window")
# Labels by which other tools own objects: copied to a child they would prune or adopt it.
_FOREIGN_LABELS = frozenset({"app.kubernetes.io/instance", "app.kubernetes.io/managed-by"})
_FOREIGN_DOMAINS = (
    "helm.sh",
    "argoproj.io",
    "fluxcd.io",
    "k14s.io",
    "cattle.io",
    "applyset.kubernetes.io",
    "configsync.gke.io",
    "config.k8s.io",
    names.GROUP,
)

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to apply, and what to say about it."""

    cronjob: Object
    spec_hash: str
    raised: tuple[str, ...]  # values of the spec that were raised, as sentences
    obstacle: injection.Obstacle | None  # None: the pods get the sidecar
    ticks: schedule.Schedule
    deadline: timedelta
    concurrency: str

    @property
    def pod(self) -> Object:
        """The pod template as applied."""
        template: Object = self.cronjob["spec"]["jobTemplate"]["spec"]["template"]
        return template

    @property
    def beats_only(self) -> bool:
        """Whether the pods get a sidecar that takes no reports of their programs."""
        return self.obstacle is None and injection.beats_only(self.pod["spec"])


def build(
    tracked: Mapping[str, Any],
    *,
    sidecar: injection.Settings,
    withheld: injection.Obstacle | None = None,
) -> Plan:
    """Plan the CronJob of a TrackedCronJob; `withheld` is an obstacle that was found by trying.

    Raises errors.InvalidSpec for what only a person can mend.
    """
    metadata, spec = tracked["metadata"], tracked.get("spec") or {}
    labels = metadata.get("labels") or {}
    _check_name(metadata["name"])
    wish = tracking.read(spec, labels)
    applied = copy.deepcopy({key: value for key, value in spec.items() if key not in _OURS})
    ticks = _set_rhythm(applied)
    raised = tuple(_raise_floors(applied, ticks.expression))
    job = templates.job_of(applied)
    _mark_tracked_container(job["template"]["spec"], wish)
    found = injection.obstacle(job, wish, sidecar) or injection.unless_overridden(withheld, wish)
    if found is None:
        injection.add(job["template"]["spec"], wish, sidecar)
    ours = {names.LABEL_NAME: metadata["name"], names.LABEL_UID: metadata["uid"]}
    for carrier in (applied["jobTemplate"], job["template"]):
        _label(carrier, ours)
    cronjob = _cronjob(metadata, _inherited(labels) | ours, applied)
    return Plan(
        cronjob=cronjob,
        spec_hash=_hash(cronjob),
        raised=raised,
        obstacle=found,
        ticks=ticks,
        deadline=timedelta(seconds=min(applied["startingDeadlineSeconds"], LONGEST_DEADLINE)),
        concurrency=applied.get("concurrencyPolicy") or "Allow",
    )


def shortest_gap(expression: str) -> timedelta:
    """Return the shortest time between neighbouring slots that the times of day allow."""
    times = cron_fields.parse(expression).times
    if not times:
        return timedelta(days=1)
    around = (*times, times[0] + _MINUTES_PER_DAY)
    return timedelta(minutes=min(b - a for a, b in itertools.pairwise(around)))


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise errors.InvalidSpec(
            "InvalidName",
            f"metadata.name: {len(name)} characters; a CronJob's name has at most {LONGEST_NAME}",
        )


def _set_rhythm(spec: Object) -> schedule.Schedule:
    spec["timeZone"] = DEFAULT_ZONE if spec.get("timeZone") is None else spec["timeZone"]
    if spec.get("startingDeadlineSeconds") is None:
        spec["startingDeadlineSeconds"] = DEFAULT_DEADLINE
    if not _is_number(spec["startingDeadlineSeconds"], SHORTEST_DEADLINE):
        raise errors.InvalidSpec(
            "InvalidDeadline",
            f"startingDeadlineSeconds: write a whole number from {SHORTEST_DEADLINE} up; with less "
            "the controller may start no Job at all",
        )
    try:
        return schedule.parse(str(spec.get("schedule", "")), str(spec["timeZone"]))
    except schedule.ScheduleError as error:
        unknown_zone = isinstance(error.__cause__, zones.ZoneError)
        reason = "InvalidTimeZone" if unknown_zone else "InvalidSchedule"
        raise errors.InvalidSpec(reason, str(error)) from error


def _raise_floors(spec: Object, expression: str) -> Iterator[str]:
    minutes = shortest_gap(expression) / timedelta(minutes=1)
    floor = min(_HISTORY[-1], max(_HISTORY[0], math.ceil(_HISTORY_MINUTES / minutes)))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        written = spec.get(field)
        if not _is_number(written, floor):
            spec[field] = floor
            if written is not None:
                yield f"{field} raised from {written} to {floor}"
    job = templates.job_of(spec)
    written = job.get("ttlSecondsAfterFinished")
    if written is not None and not _is_number(written, SHORTEST_TTL):
        job["ttlSecondsAfterFinished"] = SHORTEST_TTL
        yield f"jobTemplate.spec.ttlSecondsAfterFinished raised from {written} to {SHORTEST_TTL}"


def _is_number(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _mark_tracked_container(pod: Object, wish: tracking.Tracking) -> None:
    """Let the tracked container's log end explain a failure, where its author says nothing."""
    known = {container.get("name"): container for container in reversed(pod["containers"])}
    if wish.container and wish.container not in known:
        has = ", ".join(str(container.get("name")) for container in pod["containers"])
        raise errors.InvalidSpec(
            "InvalidTracking",
            f"tracking.container: the template has no container {wish.container}; it has {has}",
        )
    tracked = known[wish.container] if wish.container else pod["containers"][0]
    if tracked.get("terminationMessagePolicy") is None:
        tracked["terminationMessagePolicy"] = "FallbackToLogsOnError"


def _label(carrier: Object, labels: Mapping[str, str]) -> None:
    metadata = carrier.get("metadata")
    if metadata is None:
        metadata = carrier["metadata"] = {}
    if not isinstance(metadata, dict) or not isinstance(metadata.get("labels") or {}, dict):
        raise errors.InvalidSpec(
            "InvalidTemplate", "jobTemplate: metadata and its labels must be objects"
        )
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}


def _inherited(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if not _is_foreign(key)}


def _is_foreign(label: str) -> bool:
    domain = label.partition("/")[0] if "/" in label else ""
    return label in _FOREIGN_LABELS or any(
        domain == known or domain.endswith(f".{known}") for known in _FOREIGN_DOMAINS
    )


def _cronjob(metadata: Mapping[str, Any], labels: dict[str, str], spec: Object) -> Object:
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def _hash(cronjob: Object) -> str:
    text = json.dumps(cronjob, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
