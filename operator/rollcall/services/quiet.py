"""What keeps alerts quiet now, asked when a message is written and once more before it is sent.

In between a silence may have begun. What it then holds back counts as never written: an incident
that nobody heard of is announced when the silence ends, and its end is not told where its beginning
was not.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from rollcall.core import incidents, policies, silences, wide
from rollcall.services import ports

_HELD_BACK = frozenset(f"incident.{transition}" for transition in silences.HELD_BACK)
_ENDS = frozenset(f"incident.{transition}" for transition in incidents.ENDS)
UNHEARD = "NeverAnnounced"


class Quiet:
    """Knows the installation's windows and jobs' labels; silences come with each transaction."""

    def __init__(
        self,
        *,
        directory: ports.Directory,
        cluster: str,
        defaults: policies.Defaults,
        recurring: Sequence[silences.Recurring] = (),
        suppressed: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._directory = directory
        self._cluster = cluster
        self._defaults = defaults
        self._recurring = recurring
        self._suppressed = suppressed

    def mute(
        self,
        job: ports.TrackedJob,
        kind: policies.Kind,
        alerts: policies.Alerts,
        in_force: Sequence[silences.Silence],
        now: datetime,
    ) -> silences.Mute | None:
        """Return what keeps a job's alerts of this kind quiet."""
        target = silences.Target(
            namespace=job.namespace,
            cronjob=job.name,
            labels=self._directory.labels_of(job.namespace, job.name),
            kind=kind,
        )
        return silences.mute(
            target,
            silences=in_force,
            recurring=self._recurring,
            windows=alerts.maintenance,
            now=now,
        )

    def mute_cluster(
        self, kind: policies.Kind, in_force: Sequence[silences.Silence], now: datetime
    ) -> silences.Mute | None:
        """Return what keeps an alert about the cluster as a whole quiet."""
        return silences.mute(
            silences.Target(kind=kind),
            silences=in_force,
            recurring=self._recurring,
            windows=(),
            now=now,
        )

    async def sift(
        self, transaction: ports.Transaction, claimed: Sequence[ports.Notification]
    ) -> Sequence[ports.Notification]:
        """Settle claimed messages that are held back, and return the others."""
        held = await self._muted(transaction, claimed) | await self._unheard(transaction, claimed)
        if held:
            await transaction.outbox.hold_back(held)
            for why in held.values():
                transaction.after_commit(partial(self._suppressed, why.partition(":")[0]))
        return [one for one in claimed if one.id not in held]

    async def _muted(
        self, transaction: ports.Transaction, claimed: Sequence[ports.Notification]
    ) -> dict[int, str]:
        """Find what is kept quiet now, and ask for a look at its jobs, which finds out until when.

        That locks their rows before those of their incidents, as looks do. Causes beyond the job
        were found since, if its message waited for that.
        """
        news = [one for one in claimed if one.type in _HELD_BACK]
        if not news:
            return {}
        in_force = await transaction.silences.in_force(self._cluster)
        of_cluster = await transaction.cluster_incidents.current(self._cluster)
        about = await transaction.incidents.subjects_of({one.incident_id for one in news})
        held: dict[int, str] = {}
        jobs = set()
        for one in news:
            job, kind = about[one.incident_id]
            cause = wide.explained_since(of_cluster, kind, one.payload, one.created_at)
            mute = self._mute_any(job, kind, in_force, transaction.now)
            if cause:
                held[one.id] = f"InhibitedBy:{cause}"
            elif mute:
                held[one.id] = f"SilencedBy:{mute.by}"
            if job and one.id in held:
                jobs.add(job.id)
        await transaction.schedule.look_at(dict.fromkeys(sorted(jobs), transaction.now))
        return held

    def _mute_any(
        self,
        job: ports.TrackedJob | None,
        kind: policies.Kind,
        in_force: Sequence[silences.Silence],
        now: datetime,
    ) -> silences.Mute | None:
        if job is None:
            return self.mute_cluster(kind, in_force, now)
        alerts = policies.read(job.policy, self._defaults).alerts
        return self.mute(job, kind, alerts, in_force, now)

    async def _unheard(
        self, transaction: ports.Transaction, claimed: Sequence[ports.Notification]
    ) -> dict[int, str]:
        """Find ends of which this channel was to hear the beginning, and it was held back."""
        ends = [one for one in claimed if one.type in _ENDS]
        if not ends:
            return {}
        silent = await transaction.outbox.unheard({one.incident_id for one in ends})
        return {one.id: UNHEARD for one in ends if (one.incident_id, one.channel) in silent}
