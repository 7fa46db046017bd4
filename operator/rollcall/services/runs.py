"""What a run is told of itself: its key, date, deadline and window, and what earlier runs left.

Asking again gives the same, for every pod of the run. Only a run whose sidecar asks, where a
program can ask it in turn, gets a window and dead letters handed over.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from rollcall.core import ids, policies, reporting, slots, windows, zones
from rollcall.core.executions import Trigger
from rollcall.services import ports

Policy = Mapping[str, Any]
# Of these the next slot's run stops or awaits this one.
_EXCLUSIVE = windows.CONCURRENCY


async def told(transaction: ports.Transaction, identity: ports.Identity) -> reporting.Run:
    """Tell the run of this pod, and write down what it is given.

    It takes the lock on the job's row where the job has windows; keep the transaction short.
    """
    revision = await _revision(transaction, identity)
    policy = await transaction.registry.policy(identity.cronjob_id)
    heard_since = _heard_since(transaction, policy)
    window, holder = await _window(transaction, identity, revision, policy)
    return reporting.Run(
        idempotency_key=str(_key(identity)),
        date=_date(identity, revision),
        deadline=_deadline(identity, revision),
        window=window,
        window_held_by=holder,
        checkpoint=await transaction.reports.last_checkpoint(identity),
        requeued=await transaction.dead_letters.hand_over(identity, heard_since),
        is_complete=holder is None,
    )


async def _revision(
    transaction: ports.Transaction, identity: ports.Identity
) -> slots.Revision | None:
    """Return the schedule that the run started under; None if it is not recorded yet."""
    found = await transaction.history.revisions(identity.cronjob_id, identity.slot_at)
    return found[0] if found else None


def _heard_since(transaction: ports.Transaction, policy: Policy) -> datetime:
    """Return since when a pod that is at work has been heard, as far as we could hear."""
    return transaction.now - windows.AT_WORK_FOR * policies.heartbeat(policy)


async def _window(
    transaction: ports.Transaction,
    identity: ports.Identity,
    revision: slots.Revision | None,
    policy: Policy,
) -> tuple[windows.Stretch | None, reporting.Holder | None]:
    asking = windows.Asking(
        execution_id=identity.execution_id,
        slot_at=identity.slot_at,
        trigger=identity.trigger,
        revision=revision,
    )
    wish = windows.read(policy)
    if wish is None or not asking.may_have_one:
        return None, None
    held = await transaction.windows.open_of(identity.cronjob_id, _heard_since(transaction, policy))
    done = await transaction.windows.newest_done(identity.cronjob_id)
    decision = windows.decide(
        asking, wish, open_lease=held.lease if held else None, newest_done=done
    )
    await _write(transaction, identity, decision)
    holder = None
    if held and decision.held_by:
        holder = reporting.Holder(execution_id=decision.held_by, job_name=held.job_name)
    return decision.window, holder


async def _write(
    transaction: ports.Transaction, identity: ports.Identity, decision: windows.Decision
) -> None:
    if decision.settle:
        await transaction.windows.settle(identity.cronjob_id, decision.settle, transaction.now)
    if decision.opens and decision.window:
        await transaction.windows.open(identity.cronjob_id, identity.execution_id, decision.window)


def _key(identity: ports.Identity) -> UUID:
    """Return what is the same for every try at a slot, and of no other."""
    if identity.trigger is Trigger.MANUAL:
        return identity.execution_id
    return ids.scheduled_execution_id(cronjob_id=identity.cronjob_id, slot_at=identity.slot_at)


def _date(identity: ports.Identity, revision: slots.Revision | None) -> date:
    """Return the day of the slot where the job is; of a run by hand that of its creation."""
    if revision is None:
        return identity.slot_at.date()
    zone = zones.load(revision.time_zone)
    return zone.local(int(identity.slot_at.timestamp())).date()


def _deadline(identity: ports.Identity, revision: slots.Revision | None) -> datetime | None:
    """Return the next slot, where it ends the run (Replace) or is held up by it (Forbid)."""
    if revision is None or revision.concurrency not in _EXCLUSIVE:
        return None
    if identity.trigger is Trigger.MANUAL:
        return None
    return slots.next_after([revision], identity.slot_at)
