"""Which step an incident takes under what is found now, and whether somebody is told.

The rules:
- Opened, raised, or of a new nature (another reason or class of exit code): told at once. Otherwise
  a reminder every cooldown; what happened in between is counted and said with it.
- An inhibited or silenced incident is kept and shown, not told; what was held back is told when
  nothing keeps it quiet any more.
- A resolve notice only for what was told.
- Not acknowledged for long: escalated, a step at a time, from when it was first told. What fell due
  while nobody could take it is taken once, and the steps after it keep their distance.
- Opened again within an hour of the end of one that was told: it flaps, which is told. From then
  on it stays open, and nobody is told that it is gone and back, until it was gone for an hour.
- Acknowledged: not told until it gets worse or has another reason, which ends the acknowledgement.
- Resolved by hand while the finding still holds: dismissed. It opens anew when the problem comes
  again, gets worse or has another reason.
Every step carries the reason for telling or not telling.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from rollcall.core import findings, ids, policies, telling
from rollcall.core.incidents import (
    FLAPS_WITHIN,
    STABLE,
    Incident,
    Step,
    Transition,
    nature,
)


def decide(
    incident: Incident | None,
    finding: findings.Finding | None,
    *,
    cronjob_id: UUID | None,
    cluster: str | None = None,
    channel: str | None = None,
    inhibited_by: policies.Kind | None,
    silenced_by: str | None = None,
    alerts: policies.Alerts,
    recovered: bool,
    told_before: datetime | None = None,
    now: datetime,
) -> Step | None:
    """Return the step from the open incident (None: there is none) under today's finding.

    It is about a job, or about a cluster as a whole or one of its channels.
    A dismissed one counts as none, but for a finding that is no more than what was dismissed. One
    that is not over although nothing is found goes on as it was found last. `told_before` is when
    the last one of its kind ended of which anybody was told.
    """
    quiet, about = _Quiet(inhibited_by, silenced_by), _About(cronjob_id, cluster, channel)
    if incident is None:
        flapping = told_before is not None and now - told_before < FLAPS_WITHIN
        return _open(finding, about, quiet, alerts, now, flapping=flapping) if finding else None
    if finding is None and recovered:
        if not _comes_again(incident, now):
            return _over(incident, now)
        if not incident.tell_again:
            return _gone(incident, now)
    if stays_dismissed(incident, finding):
        return None
    found = finding or _last_found(incident)
    if not incident.is_open:
        return replace(_open(found, about, quiet, alerts, now), follows=incident.id)
    return _continue(incident, found, quiet, alerts, now)


def stays_dismissed(incident: Incident | None, finding: findings.Finding | None) -> bool:
    """Whether it was resolved by hand, and what is found now is no more than what that was."""
    if incident is None or incident.is_open:
        return False
    return finding is None or not (
        _is_repeat(incident, finding)
        or _is_worse(incident, finding)
        or _is_other(incident, finding)
    )


class _Quiet(NamedTuple):
    """What keeps an incident from being told."""

    inhibited_by: policies.Kind | None
    silenced_by: str | None


class _About(NamedTuple):
    """Whose problem it is: a job's, or a cluster's or one of its channels'."""

    cronjob_id: UUID | None
    cluster: str | None
    channel: str | None

    @property
    def id(self) -> UUID:
        if self.channel:
            return ids.channel_id(cluster=self.cluster or "", channel=self.channel)
        return self.cronjob_id or ids.cluster_id(cluster=self.cluster or "")


def withdraw(incident: Incident, now: datetime) -> Step:
    """End an incident whose job was deleted."""
    return _end(incident, Transition.WITHDRAWN, now)


def _last_found(incident: Incident) -> findings.Finding:
    return findings.Finding(
        kind=incident.kind,
        severity=incident.severity,
        reason=incident.reason,
        message=incident.message,
        since=incident.opened_at,
        evidence=incident.evidence,
        execution_id=incident.execution_id,
    )


def _open(
    finding: findings.Finding,
    about: _About,
    quiet: _Quiet,
    alerts: policies.Alerts,
    now: datetime,
    *,
    flapping: bool = False,
) -> Step:
    incident = Incident(
        id=ids.incident_id(of=about.id, kind=finding.kind, opened_at=now),
        cronjob_id=about.cronjob_id,
        cluster=about.cluster,
        channel=about.channel,
        kind=finding.kind,
        severity=finding.severity,
        reason=finding.reason,
        message=finding.message,
        evidence=finding.evidence,
        execution_id=finding.execution_id,
        opened_at=now,
        inhibited_by=quiet.inhibited_by,
        silenced_by=quiet.silenced_by,
        flapping=flapping,
    )
    if any(quiet):
        return _kept(incident, Transition.OPENED, telling.why_quiet(incident))
    return _told(incident, Transition.OPENED, "Flapping" if flapping else "Opened", alerts, now)


def _continue(
    incident: Incident,
    finding: findings.Finding,
    quiet: _Quiet,
    alerts: policies.Alerts,
    now: datetime,
) -> Step | None:
    current = _with(incident, finding, quiet)
    told = telling.telling(incident, current, alerts, now)
    if told:
        return _told(_next(current), *told, alerts, now)
    return _quietly(incident, current, telling.why_quiet(current))


def _with(incident: Incident, finding: findings.Finding, quiet: _Quiet) -> Incident:
    """Return the incident with what is found now."""
    is_worse = _is_worse(incident, finding)
    return replace(
        incident,
        severity=finding.severity,
        reason=finding.reason,
        message=finding.message,
        evidence=finding.evidence,
        execution_id=finding.execution_id,
        inhibited_by=quiet.inhibited_by,
        silenced_by=quiet.silenced_by,
        gone_since=None,
        held_back=incident.held_back or (is_worse and any(quiet)),
        suppressed=incident.suppressed + _is_repeat(incident, finding),
        acknowledged=None if is_worse or _is_other(incident, finding) else incident.acknowledged,
    )


def _is_worse(incident: Incident, finding: findings.Finding) -> bool:
    return finding.severity.weight > incident.severity.weight


def _is_other(incident: Incident, finding: findings.Finding) -> bool:
    """Whether its nature is none that it had before."""
    return nature(finding) not in {nature(incident), *incident.reasons}


def _is_repeat(incident: Incident, finding: findings.Finding) -> bool:
    """Whether it happened again: another run, or one more in the row."""
    return (finding.execution_id, finding.evidence.get("count")) != (
        incident.execution_id,
        incident.evidence.get("count"),
    )


def _quietly(before: Incident, after: Incident, why: str) -> Step | None:
    if after == before:
        return None
    changed = after.severity is not before.severity
    transition = Transition.CHANGED if changed else None
    return _kept(_next(after) if transition else after, transition, why)


def _over(incident: Incident, now: datetime) -> Step:
    if incident.is_open:
        return _end(incident, Transition.RESOLVED, now)
    return _kept(replace(incident, dismissed=False), None, "OverSinceDismissed")


def _comes_again(incident: Incident, now: datetime) -> bool:
    """Whether one that flaps is gone not long enough to be over."""
    if not incident.is_open or not incident.flapping:
        return False
    return now - (incident.gone_since or now) < STABLE


def _gone(incident: Incident, now: datetime) -> Step | None:
    gone = replace(incident, gone_since=incident.gone_since or now)
    return None if gone == incident else _kept(gone, None, "Flapping")


def _end(incident: Incident, transition: Transition, now: datetime) -> Step:
    ended = replace(_next(incident), resolved_at=now, gone_since=None)
    if incident.announced_at is None:
        return _kept(ended, transition, "NeverAnnounced")
    return _told(ended, transition, transition.value.capitalize(), None, now)


def _next(incident: Incident) -> Incident:
    return replace(incident, version=incident.version + 1)


def _kept(incident: Incident, transition: Transition | None, why: str) -> Step:
    return Step(incident=incident, transition=transition, notify=False, why=why)


def _told(
    incident: Incident,
    transition: Transition,
    why: str,
    alerts: policies.Alerts | None,
    now: datetime,
) -> Step:
    taken = incident.escalated + (transition is Transition.ESCALATED)
    is_next = transition is Transition.ESCALATED or incident.escalate_at is None
    told = replace(
        incident,
        announced_at=incident.announced_at or now,
        notified_at=now,
        suppressed=0,
        tell_again=False,
        held_back=False,
        escalated=taken,
        escalate_at=_next_step_at(taken, alerts, now) if is_next else incident.escalate_at,
        reasons=tuple(dict.fromkeys((*incident.reasons, nature(incident)))),
    )
    return Step(
        incident=told,
        transition=transition,
        notify=True,
        why=why,
        told_suppressed=incident.suppressed,
    )


def _next_step_at(taken: int, alerts: policies.Alerts | None, now: datetime) -> datetime | None:
    """Return when the step after those that were taken is due, as far from them as is written."""
    steps = alerts.escalation if alerts else ()
    if taken >= len(steps):
        return None
    before = steps[taken - 1].after if taken else timedelta()
    return now + steps[taken].after - before
