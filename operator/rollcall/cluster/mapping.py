"""From objects of the API server to observations; pure, and never failing on what an object says.

A Job or Pod without our label is not ours, and neither is one that lacks what identifies it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rollcall.cluster import (
    fields,
    job_templates,
    managedfields,
    podstatus,
    sidecarstatus,
    timestamps,
)
from rollcall.core import durations, executions, names, slots, upstream

SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANUAL = "cronjob.kubernetes.io/instantiate"  # "manual" on a Job of `kubectl create job --from`
INDEX = "batch.kubernetes.io/job-completion-index"
JOB_UID = "batch.kubernetes.io/controller-uid"
# Nobody starts a slot this long before its time; clocks may differ. Beyond it the text is forged.
_AHEAD = timedelta(hours=1)
_INDEX_DIGITS = 10  # an index is a signed 32-bit number

_HISTORY = ("successfulJobsHistoryLimit", "failedJobsHistoryLimit")
_KEPT = (3, 1)  # what the API server takes where they are absent

Body = Mapping[str, Any]

# By worth: the first two say that all pods have ended, the others that the Job is decided.
_VERDICTS = {
    "Failed": executions.Status.FAILED,
    "Complete": executions.Status.SUCCEEDED,
    "FailureTarget": executions.Status.FAILED,
    "SuccessCriteriaMet": executions.Status.SUCCEEDED,
}


def job(body: Body, *, tracked_uid: str | None = None) -> executions.JobObservation | None:
    """Read a Job; None if it is not ours. `tracked_uid` is for one that was, and lost its label."""
    uid, tracked_uid = fields.text(body, "metadata", "uid"), tracked_uid or _tracked_uid(body)
    name = fields.text(body, "metadata", "name")
    namespace = fields.text(body, "metadata", "namespace")
    created_at = _created_at(body)
    if not (uid and tracked_uid and name and namespace and created_at):
        return None
    holding = _holding(body)
    status, condition = _verdict(holding)
    cause = _cause(status, condition)
    owner = _owner(body, "CronJob")
    return executions.JobObservation(
        namespace=namespace,
        job_name=name,
        job_uid=uid,
        tracked_uid=tracked_uid,
        owner_uid=fields.text(owner, "uid"),
        owner_name=fields.text(owner, "name"),
        slot_at=_slot_at(body),
        created_at=created_at,
        job_started_at=_instant(body, "status", "startTime"),
        suspended=fields.mapping(body, "spec").get("suspend") is True,
        decided=status,
        decided_at=_decided_at(holding, status),
        ended_at=_ended_at(body, status, condition),
        reason=cause.reason if cause else None,
        message=cause.message if cause else fields.message(condition, "message"),
        template=job_templates.read(body),
    )


def attempt(
    body: Body, container: str | None, *, gone: bool = False
) -> tuple[str, executions.Attempt] | None:
    """Read a Pod as an attempt, with the UID of its TrackedCronJob; None if it is not ours.

    `container` is the tracked one's name, None for the first. `gone` says that this is the last
    that was seen of a deleted Pod.
    """
    uid, tracked_uid = fields.text(body, "metadata", "uid"), _tracked_uid(body)
    name, created_at = fields.text(body, "metadata", "name"), _created_at(body)
    job_uid = fields.text(_owner(body, "Job"), "uid") or fields.text(
        body, "metadata", "labels", JOB_UID
    )
    if not (uid and tracked_uid and name and job_uid and created_at):
        return None
    pod = podstatus.Pod(body, container)
    ended_at = pod.ended_at() or (_instant(body, "metadata", "deletionTimestamp") if gone else None)
    end = pod.end() if ended_at else podstatus.End()
    if gone and end.exit_code is None and not end.reason:
        end = podstatus.End(reason="PodDeleted", message="the pod was deleted before it ended")
    waits_for = None if ended_at else pod.waits_for()
    return tracked_uid, executions.Attempt(
        pod_uid=uid,
        pod_name=name,
        job_uid=job_uid,
        index=_index(body),
        created_at=created_at,
        started_at=pod.started_at(),
        ended_at=ended_at,
        waiting_reason=waits_for.reason if waits_for else None,
        waiting_message=waits_for.message if waits_for else None,
        exit_code=end.exit_code,
        reason=end.reason,
        message=end.message,
        sidecar_waiting=None if ended_at else sidecarstatus.waits_for(sidecarstatus.own(body)),
        sidecar_said=sidecarstatus.said(body),
        sidecar_ends=sidecarstatus.ends(body),
        untracked=sidecarstatus.untracked(body),
        node=pod.node(),
        image_ids=pod.image_ids(),
    )


def cronjob_reading(body: Body) -> slots.CronJobReading | None:
    """Read what the judge wants of a CronJob; None for one that is being deleted: it is over."""
    uid = fields.text(body, "metadata", "uid")
    if not uid or _instant(body, "metadata", "deletionTimestamp"):
        return None
    spec = fields.mapping(body, "spec")
    kept = [fields.number(spec, field) for field in _HISTORY]
    ttl = fields.number(spec, "jobTemplate", "spec", "ttlSecondsAfterFinished")
    suspender = managedfields.last_change(body, ("spec", "suspend"))
    active = (fields.text(job, "uid") for job in fields.items(body, "status", "active"))
    return slots.CronJobReading(
        uid=uid,
        suspended=spec.get("suspend") is True,
        last_schedule_at=_instant(body, "status", "lastScheduleTime"),
        last_success_at=_instant(body, "status", "lastSuccessfulTime"),
        created_at=_created_at(body),
        suspended_by=suspender.manager if suspender else None,
        suspended_at=suspender.at if suspender else None,
        active=frozenset(filter(None, active)),
        keeps_succeeded=_KEPT[0] if kept[0] is None else kept[0],
        keeps_failed=_KEPT[1] if kept[1] is None else kept[1],
        keeps_for=timedelta(seconds=ttl) if ttl is not None else None,
    )


def event_reading(body: Body) -> slots.EventReading | None:
    """Read an Event (core/v1); None without a reason or a time, and for our own: no evidence."""
    if fields.text(body, "source", "component") == names.MANAGER:
        return None
    series = fields.mapping(body, "series")
    last_at = (
        timestamps.parse(series.get("lastObservedTime"))
        or timestamps.parse(body.get("lastTimestamp"))
        or timestamps.parse(body.get("eventTime"))
        or _created_at(body)
    )
    reason = fields.text(body, "reason")
    if not reason or not last_at:
        return None
    message = fields.message(body, "message") or ""
    return slots.EventReading(reason=reason, message=message, last_at=last_at)


def _holding(body: Body) -> Mapping[str | None, Body]:
    """Return the conditions that are true, by type."""
    return {
        fields.text(condition, "type"): condition
        for condition in fields.items(body, "status", "conditions")
        if condition.get("status") == "True"
    }


def _verdict(holding: Mapping[str | None, Body]) -> tuple[executions.Status | None, Body]:
    for kind, status in _VERDICTS.items():
        if kind in holding:
            return status, holding[kind]
    return None, {}


def _cause(status: executions.Status | None, condition: Body) -> upstream.Cause | None:
    word, message = fields.text(condition, "reason"), fields.message(condition, "message")
    if word is None:
        return None
    failed = status is executions.Status.FAILED
    return upstream.failed(word, message) if failed else upstream.succeeded(word, message)


def _decided_at(
    holding: Mapping[str | None, Body], status: executions.Status | None
) -> datetime | None:
    """Return when the Job was first decided, whatever had still to end then."""
    times = [
        timestamps.parse(holding[kind].get("lastTransitionTime"))
        for kind, verdict in _VERDICTS.items()
        if verdict is status and kind in holding
    ]
    return min((at for at in times if at), default=None)


def _ended_at(body: Body, status: executions.Status | None, condition: Body) -> datetime | None:
    if status is None:
        return None
    changed_at = timestamps.parse(condition.get("lastTransitionTime"))
    completed_at = _instant(body, "status", "completionTime")
    return (completed_at if status is executions.Status.SUCCEEDED else None) or changed_at


def _slot_at(body: Body) -> datetime | None:
    annotations = fields.mapping(body, "metadata", "annotations")
    slot_at, created_at = timestamps.parse(annotations.get(SLOT)), _created_at(body)
    if annotations.get(MANUAL) == "manual" or slot_at is None or created_at is None:
        return None
    return slot_at if -_AHEAD <= created_at - slot_at <= durations.LONGEST else None


def _index(body: Body) -> int:
    for place in ("annotations", "labels"):
        raw = fields.text(body, "metadata", place, INDEX)
        if raw and raw.isascii() and raw.isdigit() and len(raw) < _INDEX_DIGITS:
            return int(raw)
    return 0


def _owner(body: Body, kind: str) -> Body:
    for owner in fields.items(body, "metadata", "ownerReferences"):
        if owner.get("kind") == kind and str(owner.get("apiVersion")).startswith("batch/"):
            return owner
    return {}


def _tracked_uid(body: Body) -> str | None:
    return fields.text(body, "metadata", "labels", names.LABEL_UID)


def _created_at(body: Body) -> datetime | None:
    return _instant(body, "metadata", "creationTimestamp")


def _instant(body: Body, *path: str) -> datetime | None:
    return timestamps.parse(fields.mapping(body, *path[:-1]).get(path[-1]))
