"""Pods of executions, and who reports from them; what they report is in `store.reports`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, texts
from rollcall.services import ports
from rollcall.store import arrays, models, run_rows

_jobs = models.table(models.CronJob)
_runs = models.table(models.Execution)
_pods = models.table(models.Attempt)
_SAME_RUN = sa.and_(_runs.c.slot_at == _pods.c.slot_at, _runs.c.id == _pods.c.execution_id)
_POD_UIDS = sa.bindparam("pod_uids", type_=sa.ARRAY(sa.Text))


@dataclass(slots=True)
class Attempts:
    """`ports.Attempts` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def observe(
        self, seen: Mapping[executions.Execution, Sequence[executions.Attempt]]
    ) -> Mapping[UUID, Sequence[executions.Attempt]]:
        """Insert or update these pods and return all of each execution's, oldest first.

        Readings may be repeated or out of order: a pod that has started or ended stays so.
        """
        newest = {pod.pod_uid: (run, pod) for run, pods in seen.items() for pod in pods}
        rows = [_columns(*newest[pod_uid]) for pod_uid in sorted(newest)]
        if rows:
            await self.connection.execute(_UPSERT, arrays.parameters(rows, _GIVEN))
        stored: dict[UUID, list[executions.Attempt]] = {run.id: [] for run in seen}
        found = await self.connection.execute(_OF_EXECUTIONS, {"ids": list(stored)})
        for row in found.mappings():
            stored[row["execution_id"]].append(_attempt(row))
        return stored

    async def identify(self, pod_uids: Collection[str]) -> Mapping[str, ports.Identity]:
        """Return whose pods these are, by UID; unknown ones are left out."""
        asked = [uid for uid in pod_uids if texts.is_storable(uid)]
        rows = await self.connection.execute(_IDENTITIES, {"pod_uids": asked})
        return {row.pod_uid: _identity(row) for row in rows}

    async def of_runs_over(self, pod_uids: Collection[str]) -> Mapping[str, ports.Outlived]:
        """Return those of these pods that are known and whose run is over, by UID."""
        rows = await self.connection.execute(_OF_RUNS_OVER, {"pod_uids": list(pod_uids)})
        return {
            row.pod_uid: ports.Outlived(
                run=run_rows.execution_of(row), pod_has_ended=row.pod_has_ended
            )
            for row in rows
        }


# What a reading of the cluster writes.
_GIVEN = (
    "pod_uid", "execution_id", "slot_at", "cronjob_id", "job_uid", "pod_name", "index",
    "created_at", "started_at", "ended_at", "waiting_reason", "sidecar_waiting", "exit_code",
    "reason", "message", "node", "image_ids",
)  # fmt: skip

_LASTING = ("started_at", "ended_at", "exit_code", "reason", "message", "node", "image_ids")


def _upsert() -> sa.Executable:
    """Build the statement that keeps readings of pods."""
    given = arrays.rows(_pods, _GIVEN)
    seen = insert(_pods).from_select(_GIVEN, sa.select(*given.c))
    new = seen.excluded
    latest = {name: new[name] for name in ("waiting_reason", "sidecar_waiting")}
    # What was once seen does not become unseen.
    lasting = {name: sa.func.coalesce(new[name], _pods.c[name]) for name in _LASTING}
    set_ = latest | lasting
    differs = [_pods.c[name].is_distinct_from(value) for name, value in set_.items()]
    # A pod that has started or ended stays so; an eviction may take the start from the reading.
    is_news = sa.or_(
        new.ended_at.is_not(None),
        sa.and_(
            _pods.c.ended_at.is_(None),
            sa.or_(_pods.c.started_at.is_(None), new.started_at.is_not(None)),
        ),
    )
    return seen.on_conflict_do_update(
        index_elements=[_pods.c.pod_uid], set_=set_, where=sa.and_(is_news, sa.or_(*differs))
    )


def _identities() -> sa.Select[Any]:
    earlier = _pods.alias()
    number = (
        sa.select(sa.func.count())
        .where(
            earlier.c.execution_id == _pods.c.execution_id,
            earlier.c.index == _pods.c.index,
            sa.tuple_(earlier.c.created_at, earlier.c.pod_uid)
            <= sa.tuple_(_pods.c.created_at, _pods.c.pod_uid),
        )
        .scalar_subquery()
    )
    return (
        sa.select(
            _pods.c.pod_uid,
            _pods.c.execution_id,
            _pods.c.slot_at,
            _pods.c.cronjob_id,
            _runs.c.trigger,
            _runs.c.job_name,
            _jobs.c.namespace,
            _jobs.c.name,
            number.label("number"),
            _pods.c.index.label("index_"),  # rows are tuples, and have a method of that name
        )
        .join_from(_pods, _runs, _SAME_RUN)
        .join(_jobs, _jobs.c.id == _pods.c.cronjob_id)
        .where(_pods.c.pod_uid == sa.any_(_POD_UIDS))
    )


# The same but what runs are compared by, and the program's own word beside it. How a pod reports is
# a wide row that the writer has no use for.
_READ = (
    "execution_id", "pod_uid", "pod_name", "job_uid", "index", "created_at", "started_at",
    "ended_at", "waiting_reason", "exit_code", "reason", "message", "sidecar_waiting", "result",
    "result_message",
)  # fmt: skip
# Built once: building a statement costs more than running it.
_UPSERT = _upsert()
_IDENTITIES = _identities()
_OF_RUNS_OVER = (
    sa.select(_runs, _pods.c.pod_uid, _pods.c.ended_at.is_not(None).label("pod_has_ended"))
    .join_from(_pods, _runs, _SAME_RUN)
    .where(_pods.c.pod_uid == sa.any_(_POD_UIDS), _runs.c.status.not_in(executions.OPEN))
)
_OF_EXECUTIONS = (
    sa.select(*(_pods.c[name] for name in _READ))
    .where(_pods.c.execution_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(_pods.c.created_at, _pods.c.pod_uid)
)


def _identity(row: sa.Row[Any]) -> ports.Identity:
    return ports.Identity(
        cronjob_id=row.cronjob_id,
        namespace=row.namespace,
        cronjob=row.name,
        execution_id=row.execution_id,
        slot_at=row.slot_at,
        trigger=executions.Trigger(row.trigger),
        job_name=row.job_name,
        pod_uid=row.pod_uid,
        attempt=row.number,
        index=row.index_,
    )


def _columns(execution: executions.Execution, attempt: executions.Attempt) -> dict[str, Any]:
    return {
        "pod_uid": attempt.pod_uid,
        "execution_id": execution.id,
        "slot_at": execution.slot_at,
        "cronjob_id": execution.cronjob_id,
        "job_uid": attempt.job_uid,
        "pod_name": attempt.pod_name,
        "index": attempt.index,
        "created_at": attempt.created_at,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "waiting_reason": attempt.waiting_reason,
        "sidecar_waiting": attempt.sidecar_waiting,
        "exit_code": attempt.exit_code,
        "reason": attempt.reason,
        "message": attempt.message,
        "node": attempt.node,
        "image_ids": dict(attempt.image_ids) if attempt.image_ids else None,
    }


def _attempt(row: sa.RowMapping) -> executions.Attempt:
    return executions.Attempt(
        pod_uid=row["pod_uid"],
        pod_name=row["pod_name"],
        job_uid=row["job_uid"],
        index=row["index"],  # by key: rows are tuples, and have a method of that name
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        waiting_reason=row["waiting_reason"],
        exit_code=row["exit_code"],
        reason=row["reason"],
        message=row["message"],
        sidecar_waiting=row["sidecar_waiting"],
        result=row["result"],
        result_message=row["result_message"],
    )
