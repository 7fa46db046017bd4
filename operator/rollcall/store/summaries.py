"""What the statuses of jobs show, read in a few bounded queries."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, incidents
from rollcall.services import ports
from rollcall.store import incidents as incident_rows
from rollcall.store import models, registry, run_rows

_jobs = models.table(models.CronJob)
_runs = models.table(models.Execution)
_pods = models.table(models.Attempt)

# How far back a heartbeat is looked for: far enough to tell a job whose pods never report from one
# whose newest pods do not, and bounded for jobs without a sidecar.
PODS = 100
RUNS = 20


def _last_heartbeat() -> sa.ScalarSelect[Any]:
    newest = (
        sa.select(_pods.c.last_heartbeat_at)
        .where(_pods.c.cronjob_id == _jobs.c.id)
        .order_by(_pods.c.slot_at.desc())
        .limit(PODS)
        .correlate(_jobs)
        .subquery()
    )
    return sa.select(sa.func.max(newest.c.last_heartbeat_at)).scalar_subquery()


def _heard() -> sa.ScalarSelect[Any]:
    """For the newest runs that started and ended: whether any pod of theirs was heard."""
    heard = (
        sa.exists()
        .where(_pods.c.execution_id == _runs.c.id, _pods.c.last_heartbeat_at.is_not(None))
        .correlate(_runs)
    )
    return (
        sa.select(heard)
        .where(
            _runs.c.cronjob_id == _jobs.c.id,
            _runs.c.started_at.is_not(None),
            _runs.c.ended_at.is_not(None),
        )
        .order_by(_runs.c.slot_at.desc(), _runs.c.id.desc())
        .limit(RUNS)
        .correlate(_jobs)
        .scalar_subquery()
    )


# Built once: building a statement costs more than running it.
_JOBS = sa.select(
    _jobs,
    _last_heartbeat().label("heard_at"),
    sa.func.array(_heard(), type_=sa.ARRAY(sa.Boolean)).label("heard"),
).where(_jobs.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))


async def read(
    connection: AsyncConnection, cronjob_ids: Collection[UUID]
) -> Mapping[UUID, ports.Summary]:
    """Read the summaries of jobs; those that are not registered are left out."""
    rows = (await connection.execute(_JOBS, {"ids": list(cronjob_ids)})).all()
    runs = await run_rows.recent(connection, cronjob_ids, limit=1)
    found = await incident_rows.read_open(connection, cronjob_ids)
    return {row.id: _summary(row, runs[row.id], found) for row in rows}


def _summary(
    row: sa.Row[Any],
    runs: Sequence[executions.Execution],
    found: Sequence[incidents.Incident],
) -> ports.Summary:
    mine = [incident for incident in found if incident.cronjob_id == row.id]
    return ports.Summary(
        row=registry.job_row(row),
        last=runs[0] if runs else None,
        active=[run for run in runs if run.is_open],
        incidents=sorted(mine, key=_order),
        last_heartbeat_at=row.heard_at,
        unheard=len(list(takewhile(lambda was_heard: not was_heard, row.heard))),
    )


def _order(incident: incidents.Incident) -> tuple[bool, int, datetime, str]:
    """Put the worst first, and last what another explains: nobody is told of it."""
    is_explained = incident.inhibited_by is not None
    return is_explained, -incident.severity.weight, incident.opened_at, incident.kind.value
