"""Messages about a job: a step of one of its incidents, and what its channels are told of it."""

from collections.abc import Sequence
from datetime import timedelta

from rollcall.core import executions, incidents, messages, policies
from rollcall.services import changed, ports, steps


async def write(
    transaction: ports.Transaction,
    cluster: str,
    job: ports.TrackedJob,
    alerts: policies.Alerts,
    step: incidents.Step,
    *,
    channels: Sequence[str],
    runs: Sequence[executions.Execution],
    wait: timedelta = timedelta(),
) -> bool:
    """Write a step and, if it is to be told, its messages; says whether channels are told.

    Nothing is written if another process took a step first.
    """
    transition = await steps.save(transaction, step, is_heard=bool(channels))
    if transition is None:
        return False
    run = _run_of(step.incident, runs)
    changes = await changed.since_success(transaction, step.incident, run) if channels else None
    payload = messages.payload(
        step=step,
        transition=transition,
        at=transaction.now,
        cluster=cluster,
        subject=messages.Subject(
            namespace=job.namespace, name=job.name, uid=job.uid, group=job.group
        ),
        alerts=alerts,
        execution=run,
        recent=runs,
        changes=changes,
    )
    await transaction.outbox.enqueue(step.incident, channels, payload, wait=wait)
    return True


def _run_of(
    incident: incidents.Incident, runs: Sequence[executions.Execution]
) -> executions.Execution | None:
    return next((run for run in runs if run.id == incident.execution_id), None)
