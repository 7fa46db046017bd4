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


async def of_pod(unit: ports.Transaction, identity: ports.Identity) -> expectations.Expected | None:
    """Say when the run of this pod is expected to end, which runs whatever the ledger says yet."""
    run = await unit.accounts.run(identity)
    if run is None:
        return None
    pods = (await unit.attempts.observe({run: ()}))[run.id]
    if run.status is executions.Status.PENDING:
        began = min((pod.created_at for pod in pods), default=None)
        run = replace(run, status=executions.Status.RUNNING, started_at=began)
    return await of(unit, run, progress.of(pods, await unit.reports.of(run.id), unit.now))
