"""The status of a TrackedCronJob: a pure function of the last outcome, the ledger and the old one.

Every field is always there, absent ones as None: in a merge patch that takes away what no longer
holds. A condition keeps the time at which its status last changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rollcall.cluster import fields, outcomes, timestamps, troubles
from rollcall.cluster.outcomes import FALSE, TRUE, UNKNOWN, Condition
from rollcall.core import executions, health, incidents, report_rules, sidecar_starts
from rollcall.core.policies import Kind
from rollcall.services import ports

Status = dict[str, Any]

SHOWN = 10  # open incidents that are listed
HOST_NETWORK = "HostNetwork"  # why a sidecar is there and takes no reports of programs
_BEATS_ONLY = f"{HOST_NETWORK}: heartbeats only, programs get no ROLLCALL_URL"
_HOST_DNS = "; with hostNetwork they know no Service without dnsPolicy ClusterFirstWithHostNet"

_NEWS = ("observedGeneration", "health", "cronJob", "sidecar", "openIncidents", "incidents")
_OF_A_RUN = ("jobName", "slotTime", "status", "reason")
_NOT_STARTED = {executions.Status.PENDING.value, executions.Status.QUEUED.value, None}

_HEALTHY = {
    health.Health.HEALTHY: TRUE,
    health.Health.SUSPENDED: TRUE,
    health.Health.NEW: UNKNOWN,
    health.Health.UNKNOWN: UNKNOWN,
    health.Health.DEGRADED: FALSE,
    health.Health.FAILING: FALSE,
}


def build(
    outcome: outcomes.Outcome,
    summary: ports.Summary | None,
    *,
    before: Mapping[str, Any],
    now: datetime,
    trouble: troubles.Trouble | None = None,
) -> Status:
    """Build the whole status; `summary` is None for a job that was never registered.

    `trouble` is why its last pod went without its sidecar.
    """
    return {
        "observedGeneration": outcome.generation,
        "conditions": _conditions(outcome, summary, trouble, before, now),
        "health": summary.row.state.health.value if summary else health.Health.UNKNOWN.value,
        "cronJob": _cronjob(outcome, summary),
        "sidecar": _sidecar(outcome, before),
        **_of_runs(summary),
        **_of_incidents(summary.incidents if summary else ()),
    }


def differs(status: Status, before: Mapping[str, Any]) -> bool:
    """Whether writing this status would change anything that we write."""
    return _present(status) != {key: value for key, value in before.items() if key in status}


def is_news(status: Status, before: Mapping[str, Any]) -> bool:
    """Whether somebody waits for this difference; times and counts may come with the next one."""
    if _news(status) != _news(before):
        return True
    run, old = fields.mapping(status, "lastExecution"), fields.mapping(before, "lastExecution")
    # Most runs are pending for a second or two: that is no news unless there is a reason.
    is_telling = run.get("status") not in _NOT_STARTED or run.get("reason")
    return bool(is_telling) and any(run.get(key) != old.get(key) for key in _OF_A_RUN)


def _news(status: Mapping[str, Any]) -> Status:
    news = {name: status.get(name) for name in _NEWS}
    news["conditions"] = [_told(item) for item in fields.items(status, "conditions")]
    return _present(news)


def _told(condition: Mapping[str, Any]) -> Status:
    told = {key: condition.get(key) for key in ("type", "status", "reason", "message")}
    if told["type"] == "Reporting":
        del told["message"]  # it counts runs
    return told


def _conditions(
    outcome: outcomes.Outcome,
    summary: ports.Summary | None,
    trouble: troubles.Trouble | None,
    before: Mapping[str, Any],
    now: datetime,
) -> list[Status]:
    wanted = {
        "Ready": outcome.ready,
        "Stalled": outcome.stalled,
        "Healthy": _healthy(outcome, summary),
        "Reporting": _reporting(outcome, summary, trouble),
    }
    old = {item.get("type"): item for item in fields.items(before, "conditions")}
    return [
        {
            "type": kind,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "lastTransitionTime": _since(condition, old.get(kind, {}), now),
            "observedGeneration": outcome.generation,
        }
        for kind, condition in wanted.items()
    ]


def _since(condition: Condition, old: Mapping[str, Any], now: datetime) -> str:
    since = timestamps.parse(old.get("lastTransitionTime"))
    kept = since and old.get("status") == condition.status
    return timestamps.text(since if since and kept else now)


def _healthy(outcome: outcomes.Outcome, summary: ports.Summary | None) -> Condition:
    if outcome.pods_refused:
        return Condition(status=FALSE, reason=outcomes.PODS_REFUSED, message=outcome.pods_refused)
    if summary is None:
        return Condition(status=UNKNOWN, reason="NotJudged", message=outcome.ready.message)
    state = summary.row.state.health
    worst = next(iter(summary.incidents), None)
    return Condition(
        status=_HEALTHY[state],
        reason=state.value,
        message=fields.cut(worst.message) if worst else "",
    )


def _reporting(
    outcome: outcomes.Outcome, summary: ports.Summary | None, trouble: troubles.Trouble | None
) -> Condition:
    if outcome.sidecar is None:
        return Condition(status=UNKNOWN, reason="NotReady", message="see Ready")
    obstacle = outcome.sidecar.obstacle
    if obstacle:
        own = obstacle.reason in sidecar_starts.UNAVAILABLE
        reason = obstacle.reason if own else "NotInjected"
        message = obstacle.message if own else fields.cut(f"{obstacle.reason}: {obstacle.message}")
        return Condition(status=FALSE, reason=reason, message=message + _deaf(summary))
    if trouble:
        message = fields.cut(trouble.message) + _deaf(summary)
        return Condition(status=FALSE, reason=trouble.reason, message=message)
    beats_only = outcome.sidecar.beats_only
    if summary and summary.unheard:
        runs = (
            "the last run was" if summary.unheard == 1 else f"{summary.unheard} runs in a row were"
        )
        return Condition(
            status=FALSE,
            reason="NeverHeard",
            message=f"{runs} never heard; its pods may not reach the ingest address"
            + (_HOST_DNS if beats_only else "")
            + _deaf(summary),
        )
    message = _BEATS_ONLY + _deaf(summary, beats=True) if beats_only else ""
    if summary and summary.last_heartbeat_at:
        return Condition(status=TRUE, reason="Heard", message=message)
    return Condition(status=UNKNOWN, reason="NoRunYet", message=message)


def _deaf(summary: ports.Summary | None, *, beats: bool = False) -> str:
    """Say which rules of the job find nothing while no report comes, or heartbeats alone."""
    rules = report_rules.named(summary.row.job.policy.get("rules") or {}) if summary else []
    if beats:
        rules = [rule for rule in rules if rule is not Kind.SILENT]
    return f"{troubles.AND_SO} these rules find nothing: {', '.join(rules)}" if rules else ""


def _cronjob(outcome: outcomes.Outcome, summary: ports.Summary | None) -> Status | None:
    if outcome.cronjob:
        return {
            "name": outcome.cronjob.name,
            "uid": outcome.cronjob.uid,
            "generation": outcome.cronjob.generation,
        }
    row = summary.row if summary else None
    if row is None or row.cronjob_uid is None:
        return None
    return {"name": row.job.name, "uid": row.cronjob_uid, "generation": row.generation}


def _sidecar(outcome: outcomes.Outcome, before: Mapping[str, Any]) -> Status | None:
    if outcome.sidecar is None:  # nothing was applied, so the last answer still holds
        old = fields.mapping(before, "sidecar")
        return {name: old.get(name) for name in ("injected", "reason")} if old else None
    obstacle = outcome.sidecar.obstacle
    limit = HOST_NETWORK if outcome.sidecar.beats_only else None
    return {"injected": obstacle is None, "reason": obstacle.reason if obstacle else limit}


def _of_runs(summary: ports.Summary | None) -> Status:
    state = summary.row.state if summary else ports.JobState()
    active = summary.active if summary else ()
    names = sorted(run.job_name for run in active if run.job_name)
    return {
        "lastScheduleTime": _time(state.last_schedule_at),
        "lastSuccessfulTime": _time(state.last_success_at),
        "nextScheduleTime": _time(state.next_slot_at),
        "active": names or None,
        "activeCount": len(active),
        "consecutiveFailures": state.consecutive_failures,
        "lastExecution": _execution(summary.last if summary else None),
    }


def _execution(run: executions.Execution | None) -> Status | None:
    if run is None:
        return None
    return {
        "jobName": run.job_name,
        "slotTime": _time(run.slot_at),
        "trigger": run.trigger.value,
        "status": run.status.value,
        "reason": run.reason,
        "startTime": _time(run.started_at),
        "completionTime": _time(run.ended_at),
    }


def _of_incidents(open_ones: Sequence[incidents.Incident]) -> Status:
    shown = [
        {
            "kind": incident.kind.value,
            "severity": incident.severity.value,
            "since": _time(incident.opened_at),
            "message": fields.cut(incident.message),
        }
        for incident in open_ones[:SHOWN]
    ]
    return {"openIncidents": len(open_ones), "incidents": shown or None}


def _present(status: Mapping[str, Any]) -> Status:
    return dict(_without_none(status))


def _without_none(status: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in status.items():
        if isinstance(value, Mapping):
            yield key, _present(value)
        elif value is not None:
            yield key, value


def _time(at: datetime | None) -> str | None:
    return timestamps.text(at) if at else None
