"""The cluster's part of a reconciliation: plan, try the pods, apply, and say how it went.

Nothing is written where the CronJob has the generation that our last apply returned and the plan
has the same hash. A change by others is reverted, but not more often than every few seconds: it may
come from a controller that wants it otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall import config
from rollcall.cluster import (
    admission,
    apply,
    client,
    events,
    fields,
    inventory,
    outcomes,
    remarks,
)
from rollcall.core import injection, manifests, sidecar_starts
from rollcall.services import ports

LOOK_AGAIN = timedelta(seconds=30)  # at a CronJob that is not ours
BETWEEN_REVERTS = timedelta(seconds=8)
SIDECAR_AGAIN = timedelta(minutes=1)  # whether the sidecar is tried again
_TRIAL = injection.Obstacle(reason="Trial", message="to see whether pods are accepted without us")

Object = client.Object
Key = inventory.Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How it went; `applied` is to be kept on the row, `again` when to look without being asked."""

    outcome: outcomes.Outcome
    applied: ports.Applied | None = None
    again: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One job with everything that was gathered about it."""

    key: Key
    tracked: Object
    row: ports.JobRow
    plan: manifests.Plan
    answer: admission.Answer
    refusals: Sequence[str]  # of channels


class Converger:
    """Brings CronJobs to their plans."""

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        inventory: inventory.Inventory,
        settings: config.Sidecar,
        refused_channels: Callable[[str, str, Sequence[str]], Sequence[str]],
        withheld: Callable[[Key], injection.Obstacle | None],
        events: events.Events,
        clock: Callable[[], datetime],
    ) -> None:
        self._inventory = inventory
        self._settings = settings
        self._refused_channels = refused_channels
        self._withheld = withheld
        self._events = events
        self._clock = clock
        self._applier = apply.Applier(kube=kube, clock=clock)
        self._admission = admission.Admission(kube=kube, clock=clock)
        self._reverted_at: dict[Key, datetime] = {}

    def plan(self, tracked: Object) -> manifests.Plan:
        """Plan as if pods were accepted. Raises errors.InvalidSpec."""
        return self._plan(tracked, self._withheld(inventory.key_of(tracked)))

    async def converge(
        self,
        key: Key,
        tracked: Object,
        row: ports.JobRow,
        plan: manifests.Plan,
        *,
        was_refused: bool,
    ) -> Result:
        """Bring one CronJob to its plan.

        Raises errors.InvalidSpec, errors.Refused, errors.Conflict, errors.Unavailable.
        """
        child = self._inventory.child(key)
        if was_refused or not (child and _is_settled(child, row, plan)):
            answer = await self._admission.ask(plan, self._plan(tracked, _TRIAL))
        else:
            answer = admission.Answer()  # the last apply has proved it
        if answer.obstacle:
            plan = self._plan(tracked, answer.obstacle)
        case = _Case(
            key=key,
            tracked=tracked,
            row=row,
            plan=plan,
            answer=answer,
            refusals=self._refusals(key, tracked),
        )
        if child and _is_settled(child, row, plan):
            return self._result(case, child)
        return await self._settle(case)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a job."""
        self._admission.forget(*key)
        self._reverted_at.pop(key, None)

    def _plan(self, tracked: Object, withheld: injection.Obstacle | None) -> manifests.Plan:
        return manifests.build(tracked, sidecar=self._settings, withheld=withheld)

    def _refusals(self, key: Key, tracked: Object) -> Sequence[str]:
        wanted = fields.wanted_channels(tracked)
        return self._refused_channels(*key, wanted) if wanted else ()

    async def _settle(self, case: _Case) -> Result:
        live = await self._applier.read(case.key)
        standing = apply.standing(live, case.tracked)
        if live and standing in {apply.Standing.TAKEN, apply.Standing.LEAVING}:
            return Result(outcome=remarks.not_ours(case.tracked, live, standing), again=LOOK_AGAIN)
        if live and standing is apply.Standing.ADOPTABLE:
            live = await self._applier.take_over(live)
            await self._say(case, "Adopted", "the CronJob of this name was taken over")
        elif live:
            child = inventory.child_of(live)
            if _is_settled(child, case.row, case.plan):
                self._inventory.put_child(live)
                return self._result(case, child)
            wait = self._wait(case, child)
            if wait:
                return self._result(case, child, wait, "a change by somebody is reverted soon")
        return await self._apply(case, live)

    async def _apply(self, case: _Case, live: Object | None) -> Result:
        applied = await self._applier.apply(case.plan, live)
        self._inventory.put_child(applied)
        child = inventory.child_of(applied)
        await self._say_what_changed(case, live, child)
        result = self._result(case, child)
        was_ours = live if child.uid == case.row.cronjob_uid else None
        return Result(
            outcome=result.outcome,
            again=result.again,
            applied=ports.Applied(
                cronjob_uid=child.uid,
                generation=child.generation,
                spec_hash=case.plan.spec_hash,
                revision=apply.in_force(applied, was_ours),
            ),
        )

    def _wait(self, case: _Case, child: inventory.Child) -> timedelta | None:
        """Return how long a change by others stays, None for not at all."""
        last = self._reverted_at.get(case.key)
        if last is None or not _is_drift(child, case):
            return None
        left = last + BETWEEN_REVERTS - self._clock()
        return left if left > timedelta() else None

    async def _say_what_changed(
        self, case: _Case, live: Object | None, child: inventory.Child
    ) -> None:
        if live is None and case.row.cronjob_uid:
            await self._say(case, "Recreated", "the CronJob was deleted and is made again")
        if live is None:
            return
        before = inventory.child_of(live)
        if _is_drift(before, case) and child.generation != before.generation:
            self._reverted_at[case.key] = self._clock()
            await self._say(
                case,
                "Reverted",
                f"the CronJob was changed by {remarks.stranger(live)}; edit this instead",
            )

    async def _say(self, case: _Case, reason: str, message: str) -> None:
        await self._events.post(case.tracked, reason=reason, message=message)

    def _result(
        self,
        case: _Case,
        child: inventory.Child,
        wait: timedelta | None = None,
        note: str | None = None,
    ) -> Result:
        plan, answer = case.plan, case.answer
        notes = [note] if note else []
        notes += [*plan.raised, *remarks.about(plan, child, self._clock())]
        ready = outcomes.Condition(
            status=outcomes.TRUE, reason="Reconciled", message="; ".join(notes)
        )
        stalled = outcomes.NOT_STALLED
        if case.refusals:
            ready, stalled = outcomes.blocked("ChannelForbidden", "; ".join(case.refusals))
        outcome = outcomes.Outcome(
            generation=fields.number(case.tracked, "metadata", "generation") or 0,
            ready=ready,
            stalled=stalled,
            pods_refused=answer.refused,
            sidecar=outcomes.Sidecar(obstacle=plan.obstacle, beats_only=plan.beats_only),
            cronjob=outcomes.CronJob(
                name=case.key.name, uid=child.uid, generation=child.generation
            ),
        )
        paused = plan.obstacle is not None and plan.obstacle.reason in sidecar_starts.UNAVAILABLE
        again = _earliest(wait, answer.again, SIDECAR_AGAIN if paused else None)
        return Result(outcome=outcome, again=again)


def _is_settled(child: inventory.Child, row: ports.JobRow, plan: manifests.Plan) -> bool:
    """Whether the CronJob is as our last apply left it, and that was of this plan."""
    return child.belongs_to(row.job.uid) and (child.uid, child.generation, plan.spec_hash) == (
        row.cronjob_uid,
        row.generation,
        row.spec_hash,
    )


def _is_drift(child: inventory.Child, case: _Case) -> bool:
    """Whether somebody else has changed the CronJob since our last apply of the same plan."""
    row = case.row
    same = (child.uid, case.plan.spec_hash) == (row.cronjob_uid, row.spec_hash)
    return same and child.generation != row.generation


def _earliest(*delays: timedelta | None) -> timedelta | None:
    return min((delay for delay in delays if delay is not None), default=None)
