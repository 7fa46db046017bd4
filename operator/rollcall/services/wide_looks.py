"""One look at a cluster as a whole: gather, decide, save, all in one transaction.

The cluster's row is locked, against a second leader and against acts of people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollcall.core import (
    blindness,
    ids,
    incident_steps,
    incidents,
    policies,
    silences,
    unseen,
    wide,
)
from rollcall.core.policies import Kind
from rollcall.services import channel_looks, ports, quiet, wide_alerts

Current = Mapping[Kind, incidents.Incident]

# Blindness that ended longer ago is told no more, should nobody have come to it.
TOLD_WITHIN = timedelta(minutes=10)
# After these others may be explained, or not any more.
_SHIFTS = frozenset(
    {
        incidents.Transition.OPENED,
        incidents.Transition.CHANGED,
        incidents.Transition.RESOLVED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Whether we see the cluster now, and for how long this process has not."""

    is_clear: bool
    unseen_for: timedelta | None = None  # None: this process has not seen it yet
    why: str | None = None  # we do not


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What there is: the open and dismissed incidents, and the silences in force."""

    current: Current
    silences: Sequence[silences.Silence]


class Looks:
    """Looks at one cluster."""

    def __init__(
        self,
        *,
        directory: ports.Directory,
        quiet: quiet.Quiet,
        cluster: str,
        defaults: policies.Defaults,
    ) -> None:
        self._directory = directory
        self._quiet = quiet
        self._cluster = cluster
        self._defaults = defaults
        self._channels = channel_looks.ChannelLooks(
            directory=directory, quiet=quiet, cluster=cluster, defaults=defaults
        )

    async def take(self, transaction: ports.Transaction, glance: Glance) -> bool:
        """Look once; says whether channels are told."""
        seen_at = await transaction.cluster_incidents.lock(self._cluster)
        state = _State(
            current=await transaction.cluster_incidents.current(self._cluster),
            silences=await transaction.silences.in_force(self._cluster),
        )
        is_told = await self._look_for_blindness(transaction, glance, seen_at, state)
        if glance.is_clear:
            is_told |= await self._look_for_causes(transaction, state)
        if glance.unseen_for is not None:  # else not all channels may be known yet
            is_told |= await self._channels.take(
                transaction, state.silences, is_sure=glance.is_clear
            )
        return is_told

    async def _look_for_blindness(
        self,
        transaction: ports.Transaction,
        glance: Glance,
        seen_at: datetime | None,
        state: _State,
    ) -> bool:
        rule, before = self._defaults.rules[Kind.BLIND], state.current.get(Kind.BLIND)
        answer = wide.OVER
        if rule.enabled:
            gap = await self._last_gap(transaction) if glance.is_clear else None
            if glance.unseen_for is not None:
                seen_at = transaction.now - glance.unseen_for
            answer = unseen.blind(
                rule,
                seen_at=None if glance.is_clear else seen_at,
                gap=gap,
                told_at=await transaction.cluster_incidents.last_opened(self._cluster, Kind.BLIND),
                why=glance.why,
                now=transaction.now,
            )
            named = unseen.with_gap(before, gap)
            if named:
                state = replace(state, current={**state.current, Kind.BLIND: named})
        return await self._keep(transaction, Kind.BLIND, answer, state)

    async def _last_gap(self, transaction: ports.Transaction) -> unseen.Gap | None:
        """Return the time of blindness that ended last, and how many jobs had a slot in it."""
        cluster_id, now = ids.cluster_id(cluster=self._cluster), transaction.now
        stored = await transaction.gaps.of(cluster_id, now - TOLD_WITHIN, now)
        ended = [(one.from_at, one.until_at) for one in stored if one.until_at]
        if not ended:
            return None
        begin, end = ended[-1]
        jobs = await transaction.neighbours.due_between(self._cluster, begin, end)
        return unseen.Gap(period=blindness.Blind(from_at=begin, until_at=end), jobs=jobs)

    async def _look_for_causes(self, transaction: ports.Transaction, state: _State) -> bool:
        """Find causes of many, the more special one first; the other speaks for the rest."""
        found = await transaction.cluster_incidents.troubled(self._cluster, wide.NOT_STARTED)
        pulls = self._pulls(found, state.current.get(Kind.CANNOT_PULL))
        hosts = wide.spoken_for(pulls, state.current.get(Kind.CANNOT_PULL))
        of_pulls = [one for one in found if _case(one).registry in hosts]
        others = [one for one in found if _case(one).registry not in hosts]
        missed = await self._missed(transaction, others, state.current.get(Kind.MISSED_WIDELY))
        is_told = False
        for kind, answer, of in (
            (Kind.CANNOT_PULL, pulls, of_pulls),
            (Kind.MISSED_WIDELY, missed, others),
        ):
            is_told |= await self._keep(transaction, kind, answer, state, of)
        return is_told

    def _pulls(
        self, found: Sequence[ports.Trouble], before: incidents.Incident | None
    ) -> wide.Answer:
        rule = self._defaults.rules[Kind.CANNOT_PULL]
        return wide.cannot_pull(rule, _cases(found), before) if rule.enabled else wide.OVER

    async def _missed(
        self,
        transaction: ports.Transaction,
        found: Sequence[ports.Trouble],
        before: incidents.Incident | None,
    ) -> wide.Answer:
        rule, cases = self._defaults.rules[Kind.MISSED_WIDELY], _cases(found)
        if not rule.enabled:
            return wide.OVER
        group = wide.together(cases)
        started = 0
        if before is None and group and len(group.cases) >= rule.least:
            begin = group.until - wide.DUE_WITHIN
            started = await transaction.neighbours.started_between(
                self._cluster, begin, group.until
            )
        return wide.missed_widely(rule, cases, started=started, before=before)

    async def _keep(
        self,
        transaction: ports.Transaction,
        kind: Kind,
        answer: wide.Answer,
        state: _State,
        troubles: Sequence[ports.Trouble] = (),
    ) -> bool:
        """Bring the incident in line with the answer; says whether channels are told."""
        before = state.current.get(kind)
        mute = self._quiet.mute_cluster(kind, state.silences, transaction.now)
        step = incident_steps.decide(
            before,
            answer.finding,
            cronjob_id=None,
            cluster=self._cluster,
            inhibited_by=None,
            silenced_by=mute.by if mute else None,
            alerts=policies.of_cluster(self._defaults),
            recovered=answer.is_over,
            now=transaction.now,
        )
        incident = step.incident if step else before
        if incident is None:
            return False
        routes = await self._routes(transaction, incident, troubles)
        is_told = False
        if step:
            is_told = await wide_alerts.write(transaction, self._cluster, step, routes)
            if step.transition in _SHIFTS:
                await look_at_troubled(transaction, self._cluster)
        if is_told or not wide_alerts.is_told_of(incident):
            return is_told
        return await wide_alerts.tell_others(transaction, self._cluster, incident, routes)

    async def _routes(
        self,
        transaction: ports.Transaction,
        incident: incidents.Incident,
        troubles: Sequence[ports.Trouble],
    ) -> wide_alerts.Routes:
        """Return who is told: of an end, exactly those who heard of the beginning."""
        if incident.is_open:
            return wide_alerts.routes(self._directory, incident, troubles)
        return dict.fromkeys(await transaction.outbox.told(incident.id), ())


async def look_at_troubled(transaction: ports.Transaction, cluster: str) -> None:
    """Ask for looks at the jobs that have an open incident: what explains it has changed."""
    troubled = await transaction.silences.troubled(cluster)
    await transaction.schedule.look_at(dict.fromkeys(sorted(troubled), transaction.now))


def _cases(found: Sequence[ports.Trouble]) -> list[wide.Case]:
    return [_case(one) for one in found]


def _case(one: ports.Trouble) -> wide.Case:
    job = f"{one.job.namespace}/{one.job.name}"
    return wide.case(job, one.reason, one.evidence, one.opened_at)
