"""One look at the channels: which of them do not deliver is told on the others.

Each has an incident of its own, so that it is told once, however much it gives up, and so is that
it works again. It goes to no channel that has such a problem itself: what is said of one that does
not deliver cannot come back to it, and when none is left nobody is told until one works again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rollcall.core import incident_steps, incidents, policies, silences, undelivered, wide
from rollcall.core.policies import Kind
from rollcall.services import ports, quiet, wide_alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is known of the channels, and the incidents about them."""

    unready: Mapping[str, undelivered.Unready | None]  # of all that are to deliver
    losses: Mapping[str, undelivered.Loss]
    current: Mapping[str, incidents.Incident]
    silences: Sequence[silences.Silence]

    def broken(self, transaction: ports.Transaction) -> Collection[str]:
        """Return those that are told nothing of the others."""
        return {
            channel
            for channel, unready in self.unready.items()
            if unready or self.loses(channel, transaction)
        }

    def loses(self, channel: str, transaction: ports.Transaction) -> bool:
        """Whether the next message may be given up as the last one was."""
        loss = self.losses.get(channel)
        return loss is not None and loss.is_recent(transaction.now)


class ChannelLooks:
    """Looks at the channels of one cluster."""

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

    async def take(
        self,
        transaction: ports.Transaction,
        in_force: Sequence[silences.Silence],
        *,
        is_sure: bool,
    ) -> bool:
        """Look once; says whether channels are told.

        `is_sure` says whether a channel that is not known is gone.
        """
        state = _State(
            unready=self._directory.readiness(),
            losses=await transaction.losses.recent(self._cluster),
            current=await transaction.cluster_incidents.of_channels(self._cluster),
            silences=in_force,
        )
        is_told = False
        for channel in sorted({*state.broken(transaction), *state.current}):
            if is_sure or channel in state.unready:
                is_told |= await self._look_at(transaction, channel, state)
        return is_told

    async def _look_at(self, transaction: ports.Transaction, channel: str, state: _State) -> bool:
        before = state.current.get(channel)
        answer, jobs = await self._answer(transaction, channel, state)
        mute = self._quiet.mute_cluster(Kind.CANNOT_DELIVER, state.silences, transaction.now)
        step = incident_steps.decide(
            before,
            answer.finding,
            cronjob_id=None,
            cluster=self._cluster,
            channel=channel,
            inhibited_by=None,
            silenced_by=mute.by if mute else None,
            alerts=policies.of_cluster(self._defaults),
            recovered=answer.is_over,
            told_before=await self._told_before(transaction, channel, before, answer),
            now=transaction.now,
        )
        incident = step.incident if step else before
        if incident is None:
            return False
        routes = await self._routes(transaction, incident, state, jobs)
        is_told = False
        if step:
            is_told = await wide_alerts.write(transaction, self._cluster, step, routes)
        if is_told or not wide_alerts.is_told_of(incident):
            return is_told
        return await wide_alerts.tell_others(transaction, self._cluster, incident, routes)

    async def _answer(
        self, transaction: ports.Transaction, channel: str, state: _State
    ) -> tuple[wide.Answer, Sequence[ports.TrackedJob]]:
        """Return what is found, and the jobs of the messages that were given up."""
        rule, loss = self._defaults.rules[Kind.CANNOT_DELIVER], state.losses.get(channel)
        if not rule.enabled or channel not in state.unready:
            return wide.OVER, ()
        jobs = await transaction.losses.jobs(self._cluster, channel) if loss else ()
        if loss:
            loss = replace(loss, jobs=[_name(job) for job in jobs])
        answer = undelivered.cannot_deliver(
            rule,
            channel,
            unready=state.unready[channel],
            loss=loss,
            before=state.current.get(channel),
            now=transaction.now,
        )
        return answer, jobs

    async def _told_before(
        self,
        transaction: ports.Transaction,
        channel: str,
        before: incidents.Incident | None,
        answer: wide.Answer,
    ) -> datetime | None:
        """Look back if something is opened, which is rare."""
        if before or not answer.finding:
            return None
        since = transaction.now - incidents.FLAPS_WITHIN
        return await transaction.cluster_incidents.told_before(self._cluster, channel, since)

    async def _routes(
        self,
        transaction: ports.Transaction,
        incident: incidents.Incident,
        state: _State,
        jobs: Sequence[ports.TrackedJob],
    ) -> wide_alerts.Routes:
        """Return who is told, with the jobs that they may know of; of an end, who heard."""
        if not incident.is_open:
            return dict.fromkeys(await transaction.outbox.told(incident.id), ())
        told = self._directory.channels_of_cluster(kind=incident.kind, severity=incident.severity)
        known = wide_alerts.known_jobs(self._directory, incident, jobs)
        broken = {*state.broken(transaction), incident.channel}
        return {one: known.get(one, ()) for one in told if one not in broken}


def _name(job: ports.TrackedJob) -> str:
    return f"{job.namespace}/{job.name}"
