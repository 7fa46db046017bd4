"""When a run is expected to end, for people and for the run itself."""

from dataclasses import replace

from rollcall.core import executions, expectations, progress
from rollcall.services import ports


async def of(
    unit: ports.Transaction, run: executions.Execution, told: progress.Progress | None
) -> expectations.Expected | None:
    """Say when a run is expected to end that has told this of its progress."""
    is_asked = run.status is executions.Status.RUNNING and not (told and told.ends_at)
    before = await unit.accounts.durations_before(run, expectations.RUNS) if is_asked else ()
    return expectations.end(run, told, before)


# A report waits for it, and each pod of the run may ask.
MOST_PODS = 100


async def of_pod(unit: ports.Transaction, identity: ports.Identity) -> expectations.Expected | None:
    """Say when the run of this pod is expected to end, which runs whatever the ledger says yet.

    Of a run with more than MOST_PODS pods the progress is not looked at.
    """
    run = await unit.accounts.run(identity)
    if run is None:
        return None
    if run.status is not executions.Status.RUNNING and run.ended_at is None:
        began = run.started_at or run.created_at
        run = replace(run, status=executions.Status.RUNNING, started_at=began)
    if run.attempts > MOST_PODS:
        return await of(unit, run, None)
    pods = (await unit.attempts.observe({run: ()}))[run.id]
    return await of(unit, run, progress.of(pods, await unit.reports.of(run.id), unit.now))
