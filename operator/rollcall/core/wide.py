"""What is wrong with a cluster as a whole: many jobs suffer from one cause.

Causes are found in the jobs' own open incidents, so that they cost what is open, not what exists.
They last while incidents remain that they explain: who ended one sooner would tell hundreds at
once. Where so few remain that they can be told one by one, it is over.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import findings, images, incidents, words
from rollcall.core.policies import Kind, Rule, Severity
from rollcall.core.reasons import REASONS

NOT_STARTED = frozenset({Kind.LATE, Kind.MISSED, Kind.CANNOT_START})
DUE_WITHIN = timedelta(minutes=5)  # slots that are counted together
MOST_LISTED = 100  # jobs in the evidence
_WHOLE = 100  # percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A job that did not start, as its own open incident says."""

    job: str  # namespace/name
    slot_at: datetime
    reason: str
    registry: str | None = None  # whose images it waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is found, and whether the incident there may be is over if nothing is."""

    finding: findings.Finding | None = None
    is_over: bool = True


OVER = Answer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs whose slots fell due within five minutes, and the last of these slots."""

    until: datetime
    cases: Sequence[Case]


def case(job: str, reason: str, evidence: Mapping[str, Any], opened_at: datetime) -> Case:
    """Return what the open incident of a job says, one of those kinds."""
    said = evidence.get("slotTime")
    return Case(
        job=job,
        slot_at=datetime.fromisoformat(said) if said else opened_at,
        reason=reason,
        registry=evidence.get("registry"),
    )


def cannot_pull(rule: Rule, cases: Sequence[Case], before: incidents.Incident | None) -> Answer:
    """Find registries whose images many jobs wait for."""
    by_registry: dict[str, list[Case]] = defaultdict(list)
    for one in _of_each_job(one for one in cases if one.registry):
        by_registry[one.registry or ""].append(one)
    least = _least(rule)
    many = {name: found for name, found in by_registry.items() if len(found) >= least}
    known = before.evidence.get("registries", ()) if before else ()
    is_over = all(_is_few(len(by_registry.get(name, ())), least) for name in known)
    if not many:
        return Answer(is_over=is_over)
    found = [one for cases in many.values() for one in cases]
    names = sorted({*many, *(name for name in known if name in by_registry)})
    finding = findings.Finding(
        kind=Kind.CANNOT_PULL,
        severity=reached(rule, max(map(len, many.values()))) or Severity.INFO,
        reason=images.UNPULLED,
        message=f"{len(found)} jobs cannot start: images of {' and '.join(names)} are not pulled",
        since=min(one.slot_at for one in found),
        evidence={"registries": names, **_list(found)},
    )
    return Answer(finding=finding)


def spoken_for(answer: Answer, before: incidents.Incident | None) -> frozenset[str]:
    """Return the registries whose jobs `cannot_pull` speaks for."""
    if answer.finding:
        return frozenset(answer.finding.evidence["registries"])
    lasts = before is not None and not answer.is_over
    return frozenset(before.evidence["registries"]) if before and lasts else frozenset()


def together(cases: Sequence[Case]) -> Group | None:
    """Return the most jobs whose slots fell due within five minutes."""
    jobs = sorted(_of_each_job(cases), key=lambda one: one.slot_at)
    best: Group | None = None
    first = 0
    for last, one in enumerate(jobs):
        while jobs[first].slot_at <= one.slot_at - DUE_WITHIN:
            first += 1
        if best is None or last - first + 1 >= len(best.cases):
            best = Group(until=one.slot_at, cases=jobs[first : last + 1])
    return best


def missed_widely(
    rule: Rule, cases: Sequence[Case], *, started: int, before: incidents.Incident | None
) -> Answer:
    """Find that many of the slots of five minutes did not start; `started` of them did."""
    if before:
        return _still_missed(rule, _of_each_job(cases), before)
    group = together(cases)
    if group is None or len(group.cases) < rule.least:
        return OVER
    due = len(group.cases) + started
    percent = len(group.cases) * _WHOLE // due
    severity = reached(rule, percent)
    if severity is None:
        return OVER
    evidence = {"slotTime": group.until.isoformat(), "due": due, "percent": percent}
    what = f"{len(group.cases)} of {due} runs due within 5m until {words.clock(group.until)}"
    message = f"{what} did not start, {_mostly(group.cases)}"
    return Answer(finding=_missed(severity, group.cases, message, evidence))


def explains(
    of_cluster: Mapping[Kind, incidents.Incident],
    found: findings.Finding | incidents.Incident,
    before: incidents.Incident | None,
) -> Kind | None:
    """Return which open incident of the cluster explains what was found of a job.

    `blind` explains what is opened under it, causes what did not start.
    """
    speaking = _speaking(of_cluster, found.severity)
    cause = _cause(speaking, found.kind, found.evidence)
    is_under = before is None or not before.is_open or before.inhibited_by is Kind.BLIND
    return cause or (Kind.BLIND if Kind.BLIND in speaking and is_under else None)


def explained_since(
    of_cluster: Mapping[Kind, incidents.Incident],
    kind: Kind,
    message: Mapping[str, Any],
    written_at: datetime,
) -> Kind | None:
    """Return which cause explains what a message tells, if it was found since it was written.

    What was written under an open cause was to be told although it explains it.
    """
    told = message["incident"]
    causes = {kind: one for kind, one in of_cluster.items() if one.opened_at >= written_at}
    return _cause(_speaking(causes, Severity(told["severity"])), kind, told["evidence"])


def _speaking(
    of_cluster: Mapping[Kind, incidents.Incident], severity: Severity
) -> Mapping[Kind, incidents.Incident]:
    """Return those that are open, but no info for what is worse: nobody may be told of it."""
    is_info = severity is Severity.INFO
    return {
        kind: one
        for kind, one in of_cluster.items()
        if one.is_open and (is_info or one.severity is not Severity.INFO)
    }


def _cause(
    speaking: Mapping[Kind, incidents.Incident], kind: Kind, evidence: Mapping[str, Any]
) -> Kind | None:
    if kind not in NOT_STARTED:
        return None
    pulls = speaking.get(Kind.CANNOT_PULL)
    if pulls and evidence.get("registry") in pulls.evidence["registries"]:
        return Kind.CANNOT_PULL
    return Kind.MISSED_WIDELY if Kind.MISSED_WIDELY in speaking else None


def _still_missed(rule: Rule, jobs: Sequence[Case], before: incidents.Incident) -> Answer:
    if len(jobs) < rule.least:
        return Answer(is_over=_is_few(len(jobs), rule.least))
    known = {name: before.evidence[name] for name in ("slotTime", "due", "percent")}
    message = f"{len(jobs)} jobs did not start, {_mostly(jobs)}"
    return Answer(finding=_missed(before.severity, jobs, message, known))


def _missed(
    severity: Severity, jobs: Sequence[Case], message: str, evidence: Mapping[str, Any]
) -> findings.Finding:
    return findings.Finding(
        kind=Kind.MISSED_WIDELY,
        severity=severity,
        reason="ManyNotStarted",
        message=message,
        since=min(one.slot_at for one in jobs),
        evidence={**evidence, "mostly": _commonest(jobs), **_list(jobs)},
    )


def _of_each_job(cases: Iterable[Case]) -> list[Case]:
    """Return one case of each job: its newest slot, and of two the one that names a registry."""
    ordered = sorted(cases, key=lambda one: (one.slot_at, one.registry or ""))
    return list({one.job: one for one in ordered}.values())


def _list(cases: Sequence[Case]) -> dict[str, Any]:
    jobs = sorted(one.job for one in cases)
    return {"total": len(jobs), "jobs": jobs[:MOST_LISTED]}


def _commonest(cases: Sequence[Case]) -> str:
    counted = Counter(one.reason for one in cases)
    return min(counted, key=lambda reason: (-counted[reason], reason))


def _mostly(cases: Sequence[Case]) -> str:
    reason = _commonest(cases)
    known = REASONS.get(reason)
    count = sum(one.reason == reason for one in cases)
    share = "all" if count == len(cases) else f"{count} of them"
    return f"{share} because {known.meaning}" if known else f"nothing says why of {share}"


def reached(rule: Rule, count: int) -> Severity | None:
    """Return the worst severity whose threshold a count or percentage reaches."""
    limits = rule.thresholds.items()
    return worst(one for one, limit in limits if isinstance(limit, int) and count >= limit)


def worst(severities: Iterable[Severity]) -> Severity | None:
    """Return the most severe, None of none."""
    return max(severities, key=lambda one: one.weight, default=None)


def _least(rule: Rule) -> int:
    return min((limit for limit in rule.thresholds.values() if isinstance(limit, int)), default=1)


def _is_few(count: int, least: int) -> bool:
    """Whether so few remain that they can be told one by one: half of what began it."""
    return count * 2 < least
