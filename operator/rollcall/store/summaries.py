"""What a job's status shows, read in a few bounded queries."""

from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import incidents
from rollcall.services import ports
from rollcall.store import incidents as incident_rows
from rollcall.store import ledger, models, registry

_runs = models.table(models.Execution)
_pods = models.table(models.Attempt)

# How far back a heartbeat is looked for: far enough to tell a job whose pods never report from one
# whose newest pods do not, and bounded for jobs without a sidecar.
PODS = 100
RUNS = 20


def _last_heartbeat() -> sa.ScalarSelect[Any]:
    newest = (
        sa.select(_pods.c.last_heartbeat_at)
        .where(_pods.c.cronjob_id == sa.bindparam("cronjob_id"))
        .order_by(_pods.c.slot_at.desc())
        .limit(PODS)
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
            _runs.c.cronjob_id == sa.bindparam("cronjob_id"),
            _runs.c.started_at.is_not(None),
            _runs.c.ended_at.is_not(None),
        )
        .order_by(_runs.c.slot_at.desc(), _runs.c.id.desc())
        .limit(RUNS)
        .scalar_subquery()
    )


# Built once: building a statement costs more than running it.
_REPORTING = sa.select(
    _last_heartbeat().label("last_at"),
    sa.func.array(_heard(), type_=sa.ARRAY(sa.Boolean)).label("heard"),
)


async def read(connection: AsyncConnection, cronjob_id: UUID) -> ports.Summary | None:
    """Read the summary of a job, None if it is not registered."""
    key = {"cronjob_id": cronjob_id}
    row = (await connection.execute(registry.BY_ID, {"id": cronjob_id})).one_or_none()
    if row is None:
        return None
    runs = await ledger.read_recent(connection, cronjob_id, limit=1)
    found = await incident_rows.read_open(connection, cronjob_id)
    reporting = (await connection.execute(_REPORTING, key)).one()
    return ports.Summary(
        row=registry.job_row(row),
        last=runs[0] if runs else None,
        active=[run for run in runs if run.is_open],
        incidents=sorted(found, key=_worst_first),
        last_heartbeat_at=reporting.last_at,
        unheard=len(list(takewhile(lambda was_heard: not was_heard, reporting.heard))),
    )


def _worst_first(incident: incidents.Incident) -> tuple[int, datetime, str]:
    return -incident.severity.weight, incident.opened_at, incident.kind.value
