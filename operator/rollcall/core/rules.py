"""Facts about a job, its policy and now: what is wrong, how badly, and when to look again.

Each rule returns a Check: a finding if it holds, and the next instant at which its answer can
change by time alone. An execution that ends or a slot that becomes final asks for a new look by
itself. A new job raises nothing before its first slot is final, rules about what has not started or
goes on excepted.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from rollcall.core import (
    incidents,
    report_rules,
    run_rules,
    slot_rules,
    start_rules,
    streaks,
)
from rollcall.core.executions import Status
from rollcall.core.findings import NOTHING, Check, Facts
from rollcall.core.policies import Kind, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a kind is found; `holds` and `over` are its line in docs/reference/rules.md."""

    find: Callable[[Facts], Check]
    holds: str
    over: str


RULES: Mapping[Kind, Rule] = {
    Kind.LATE: Rule(
        find=start_rules.late,
        holds="a run has not started so long after its slot; not while an earlier run goes on"
        " under `Forbid`",
        over="it starts, or the slot is final",
    ),
    Kind.CANNOT_START: Rule(
        find=start_rules.cannot_start,
        holds="a run waits so long for something that must be mended: its image, configuration,"
        " volume or command, or a quota or policy that refuses its Job or pods; `unschedulable`:"
        " for a node. A run that is queued does not wait",
        over="it starts, or the slot is final",
    ),
    Kind.MISSED: Rule(
        find=slot_rules.missed,
        holds="so many slots in a row are final, and nothing ran; of a time in which Rollcall could"
        " not see it is told also if something has run since",
        over="a later slot runs, or any run succeeds",
    ),
    Kind.SKIPPED: Rule(
        find=slot_rules.skipped,
        holds="so many slots in a row were skipped, because an earlier run went on under `Forbid`",
        over="a later slot runs",
    ),
    Kind.FAILING: Rule(
        find=run_rules.failing,
        holds="so many runs of slots failed without a success between them",
        over="`alerts.recoveryThreshold` runs in a row succeed",
    ),
    Kind.FAILURE_RATE: Rule(
        find=run_rules.failure_rate,
        holds="so many percent of the runs of slots of the last `window` failed, of at least"
        " `minExecutions` and at most the newest 2000 that failed or succeeded; not where all of"
        " them failed in one row that `failing` has told",
        over="a run succeeds, and it is fewer",
    ),
    Kind.STALE: Rule(
        find=slot_rules.stale,
        holds="no run succeeded for so long, since the last success, resumption or first slot",
        over="a run succeeds",
    ),
    Kind.OVERRUNNING: Rule(
        find=run_rules.overrunning,
        holds="a run goes on for so long",
        over="it ends",
    ),
    Kind.SLOW: Rule(
        find=run_rules.slow,
        holds="a run of a slot that succeeded took so long; `auto`: longer than the median of at"
        " least 20 successes before it by 5 (normalised) median deviations, by half of it and by 30"
        " seconds",
        over="a run that succeeds takes less",
    ),
    Kind.TOO_FAST: Rule(
        find=run_rules.too_fast,
        holds="a run of a slot succeeded in less time than this",
        over="a run that succeeds takes longer",
    ),
    Kind.SILENT: Rule(
        find=report_rules.silent,
        holds="a run goes on that was heard, and has not been heard for so long, at least four"
        " heartbeats and a minute; only time in which reports could have been kept counts",
        over="it is heard, or ends",
    ),
    Kind.NO_PROGRESS: Rule(
        find=report_rules.no_progress,
        holds="the numbers that a run reports stand still for so long, while it is heard",
        over="they move, or the run ends",
    ),
    Kind.ERRORS: Rule(
        find=report_rules.errors,
        holds="a run reported so many errors; if `types` are named, so many of them among those"
        " that are kept, the first 1,000 of a pod; one dead letter reaches the lowest threshold."
        " The message has an example of the most frequent, or item and error of a dead letter",
        over="a later run ends without",
    ),
    Kind.COUNTER: Rule(
        find=report_rules.counter,
        holds="so many of the `counters` of the newest run of a slot that succeeded are below"
        " `min`, above `maxPercentOf` another, absent, or, where it `deviates`, further from the"
        " median of at least 20 successes before it than 5 (normalised) median deviations and half"
        " of it",
        over="a later run that succeeds is within, or is not heard",
    ),
    Kind.SUSPENDED: Rule(
        find=slot_rules.suspended,
        holds="the job is suspended for so long",
        over="it is resumed",
    ),
}

# Which open finding explains another one: the explained one is kept and shown, not notified.
INHIBITED_BY: Mapping[Kind, frozenset[Kind]] = {
    Kind.LATE: frozenset({Kind.CANNOT_START, Kind.MISSED}),
    Kind.SKIPPED: frozenset({Kind.CANNOT_START, Kind.LATE, Kind.OVERRUNNING}),
    Kind.FAILURE_RATE: frozenset({Kind.FAILING, Kind.MISSED}),
    Kind.STALE: frozenset(
        {Kind.CANNOT_START, Kind.LATE, Kind.MISSED, Kind.FAILING, Kind.OVERRUNNING}
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRule:
    """A line in docs/reference/rules.md about a cluster as a whole; `wide` and others find it."""

    holds: str
    over: str
    explains: str


OF_CLUSTER: Mapping[Kind, ClusterRule] = {
    Kind.BLIND: ClusterRule(
        holds="we have not seen the cluster for so long, and judge no slot meanwhile; told"
        " afterwards where nobody could tell it, because Postgres or Rollcall was away too",
        over="we see it again",
        explains="what is opened before that",
    ),
    Kind.MISSED_WIDELY: ClusterRule(
        holds="at least `minJobs` jobs did not start, so many percent of the slots that were due"
        " within five minutes",
        over="fewer than half as many jobs remain",
        explains="`late`, `cannot_start` and `missed`",
    ),
    Kind.CANNOT_PULL: ClusterRule(
        holds="so many jobs cannot start for images of one registry",
        over="fewer than half as many remain",
        explains="`late` and `cannot_start` for an image of that registry",
    ),
    Kind.CANNOT_DELIVER: ClusterRule(
        holds="an AlertChannel is not ready for so long; one that gave up a message reaches the"
        " lowest threshold at once",
        over="it is ready and has given up none for ten minutes, or is deleted or suspended",
        explains="nothing",
    ),
}


def check(facts: Facts) -> dict[Kind, Check]:
    """Answer every enabled rule."""
    return {
        kind: rule.find(facts) if facts.policy.rules[kind].enabled else NOTHING
        for kind, rule in RULES.items()
    }


def recovered(incident: incidents.Incident, facts: Facts) -> bool:
    """Whether an incident whose rule does not hold any more is over."""
    if not facts.policy.rules[incident.kind].enabled:
        return True
    if incident.kind in {Kind.FAILING, Kind.FAILURE_RATE}:
        is_row = incident.kind is Kind.FAILING
        needed = facts.policy.alerts.recovery_threshold if is_row else 1
        return streaks.successes_in_a_row(facts.recent) >= needed
    if incident.kind is Kind.SILENT:
        return not _still_silent(incident, facts)
    return incident.kind is not Kind.CANNOT_START or not _still_waits(incident, facts)


def inhibitor(
    kind: Kind, current: Mapping[Kind, Severity], told: Collection[Kind] = ()
) -> Kind | None:
    """Return which problem explains this one.

    `current` are all that the job has, and how bad; `told` those that somebody was told of. An info
    is told to nobody by default, so it explains nothing that is worse than itself.
    """
    if kind is Kind.CANNOT_START and _late_tells_it(current, told):
        return Kind.LATE
    others = INHIBITED_BY.get(kind, frozenset()) & current.keys()
    if kind is Kind.LATE and _late_tells_it(current, told):
        others -= {Kind.CANNOT_START}
    is_info = current[kind] is Severity.INFO
    return next(
        (one for one in sorted(others) if is_info or current[one] is not Severity.INFO), None
    )


def _late_tells_it(current: Mapping[Kind, Severity], told: Collection[Kind]) -> bool:
    """Whether `late` was told before `cannot_start` and is as bad: both are about the same run."""
    if Kind.LATE not in told or not {Kind.LATE, Kind.CANNOT_START} <= current.keys():
        return False
    return current[Kind.LATE].weight >= current[Kind.CANNOT_START].weight


def _still_waits(incident: incidents.Incident, facts: Facts) -> bool:
    """Whether what could not start has neither started nor ended, whatever it waits for now."""
    if incident.execution_id is None:
        slot_at = facts.unstarted.isoformat() if facts.unstarted else None
        return incident.evidence.get("slotTime") == slot_at
    return any(
        run.id == incident.execution_id and run.status is Status.PENDING for run in facts.recent
    )


def _still_silent(incident: incidents.Incident, facts: Facts) -> bool:
    """Whether a silent run goes on unheard, though we could not have heard it all the time."""
    hearing = next(
        (
            facts.hearing.get(run.id)
            for run in facts.open_runs
            if run.id == incident.execution_id and run.status is Status.RUNNING
        ),
        None,
    )
    return hearing is not None and hearing.heard_at <= incident.opened_at
