"""What programs say of their runs: say only what matters, the rest is plausible."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from rollcall.core import executions, ids, reporting
from rollcall.services import ports
from rollcall.store import engine
from support import builders

AT = builders.SLOT_AT
BOOT = "b" * 16
LATER_BOOT = "c" * 16


def report(
    pod_uid: str = "pod-1",
    *items: reporting.Item,
    at: datetime = AT,
    **changes: Any,  # noqa: ANN401 - of each field
) -> reporting.Report:
    """Build a report with one heartbeat."""
    values: dict[str, Any] = {"boot": BOOT, "job_name": "report-1"}
    return reporting.Report(pod_uid=pod_uid, at=at, items=items, **(values | changes))


def progress(seq: int = 1, **changes: Any) -> reporting.Progress:  # noqa: ANN401 - of each field
    """Build how far a program is."""
    return reporting.Progress(seq=seq, **changes)


def error(seq: int = 1, **changes: object) -> reporting.Error:
    """Build an error."""
    values: dict[str, Any] = {"at": AT, "type": "timeout", "message": "no answer"}
    return reporting.Error(seq=seq, **(values | changes))


def checkpoint(seq: int = 1, value: reporting.Json = None) -> reporting.Checkpoint:
    """Build a checkpoint; its value tells its number."""
    return reporting.Checkpoint(seq=seq, at=AT, value={"row": seq} if value is None else value)


def letter(seq: int = 1, **changes: object) -> reporting.DeadLetter:
    """Build an item that could not be processed."""
    values: dict[str, Any] = {"at": AT, "item": f"order-{seq}", "payload": {"id": seq}}
    return reporting.DeadLetter(seq=seq, **({"error": "rejected"} | values | changes))


def result(
    seq: int = 1, verdict: reporting.Verdict = reporting.Verdict.PARTIAL, **changes: object
) -> reporting.Result:
    """Build a program's word for its work."""
    values: dict[str, Any] = {"at": AT, "result": verdict}
    return reporting.Result(seq=seq, **(values | changes))


def handled(identifier: Any, seq: int = 1) -> reporting.Handled:  # noqa: ANN401 - a UUID or not
    """Build the word that a dead letter is processed."""
    return reporting.Handled(seq=seq, at=AT, id=identifier)


def identity(run: executions.Execution, **changes: object) -> ports.Identity:
    """Build what is known of a pod of a run."""
    values: dict[str, Any] = {
        "cronjob_id": run.cronjob_id,
        "namespace": "shop",
        "cronjob": "report",
        "execution_id": run.id,
        "slot_at": run.slot_at,
        "trigger": run.trigger,
        "job_name": run.job_name or "",
        "pod_uid": "pod-1",
        "attempt": 1,
        "index": 0,
    }
    return ports.Identity(**(values | changes))


async def prepare(
    store: engine.Database, *pods: str, run: executions.Execution, job: ports.TrackedJob
) -> None:
    """Record a run of a job with these pods."""
    async with store.transaction() as unit:
        await unit.registry.register(job)
        await unit.ledger.save(run)
        seen = [builders.attempt(uid, job_uid=run.job_uid) for uid in pods]
        await unit.attempts.observe({run: seen})


async def keep(store: engine.Database, *reports: reporting.Report) -> dict[str, reporting.Kept]:
    """Keep reports in one transaction."""
    async with store.transaction() as unit:
        return dict(await unit.reports.keep(reports))


async def heard(store: engine.Database, run: executions.Execution) -> reporting.Heard:
    """Return what the only pod of a run has reported."""
    async with store.transaction() as unit:
        (only,) = await unit.reports.of(run.id)
        return only


async def rows(store: engine.Database, statement: str) -> list[Any]:
    """Return what a statement finds; nothing if it finds nothing by nature."""
    async with store.transaction() as unit:
        found = await unit.connection.execute(sa.text(statement))
        return list(found) if found.returns_rows else []


async def everything(store: engine.Database) -> dict[str, list[Any]]:
    """Return all that reports leave, but for heartbeats."""
    tables = ("checkpoints", "execution_errors", "error_signatures", "dead_letters", "audit_log")
    found = {name: await rows(store, f"SELECT * FROM {name} ORDER BY 1, 2, 3") for name in tables}  # noqa: S608
    found["attempts"] = await rows(
        store,
        "SELECT to_jsonb(attempts) - 'heartbeats' - 'last_heartbeat_at' FROM attempts"
        " ORDER BY pod_uid",
    )
    return found


def letter_id(pod_uid: str = "pod-1", seq: int = 1) -> UUID:
    """Return the id of what `letter` says."""
    return ids.dead_letter_id(pod_uid=pod_uid, boot=BOOT, seq=seq)
