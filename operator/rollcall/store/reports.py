"""What pods have reported.

Locks are taken in one order: attempts, dead letters, groups of errors; each in order of its key.
Two processes that keep batches at once can wait for one another and never both.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, findings, reporting
from rollcall.services import ports
from rollcall.store import (
    heard,
    letters_reported,
    models,
    report_items,
    reported,
    rooms,
    stage_lines,
)

_pods = models.table(models.Attempt)
_errors = models.table(models.ExecutionError)
_checkpoints = models.table(models.Checkpoint)
_runs = models.table(models.Execution)

# Built once: building a statement costs more than running it.
_OF_EXECUTION = (
    sa.select(_pods)
    .where(_pods.c.execution_id == sa.bindparam("execution_id"))
    .order_by(_pods.c.created_at, _pods.c.pod_uid)
)
_OF_EXECUTIONS = (
    sa.select(_pods)
    .where(_pods.c.execution_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(_pods.c.created_at, _pods.c.pod_uid)
)
_TYPES = (
    sa.select(_errors.c.type, sa.func.count().label("count"))
    .join(
        _pods,
        sa.and_(
            _pods.c.pod_uid == _errors.c.pod_uid, _pods.c.execution_id == _errors.c.execution_id
        ),
    )
    .where(_pods.c.execution_id == sa.bindparam("execution_id"))
    .group_by(_errors.c.type)
)
# Cut here: a message has up to 4,000 characters, and one line of it is shown.
_EXAMPLE = sa.text(
    """
    SELECT told, times FROM (
        SELECT 1 AS place, concat_ws(': ', told.type, nullif((array_agg(
            left(told.message, :longest) ORDER BY told.at DESC, told.seq DESC
        ))[1], '')) AS told, count(*) AS times, max(told.at) AS at
        FROM attempts AS pod JOIN execution_errors AS told USING (pod_uid, execution_id)
        WHERE pod.execution_id = :execution_id
            AND (CAST(:types AS text[]) IS NULL OR told.type = ANY(CAST(:types AS text[])))
        GROUP BY told.type, told.fingerprint
        UNION ALL
        SELECT 2, concat_ws(': ', item, left(nullif(error, ''), :longest)), 1, at
        FROM dead_letters
        WHERE cronjob_id = :cronjob_id AND slot_at = :slot_at AND execution_id = :execution_id
    ) AS examples
    ORDER BY place, times DESC, at DESC LIMIT 1
    """
).bindparams(longest=reporting.LONGEST_PROGRESS_MESSAGE)
# A run that is under way counts as well: where runs replace one another, the one before may not be
# known to have ended yet.
_newest = (
    sa.select(_checkpoints)
    .where(
        _checkpoints.c.cronjob_id == sa.bindparam("cronjob_id"),
        _checkpoints.c.index == sa.bindparam("index"),
        _checkpoints.c.slot_at <= sa.bindparam("slot_at"),
    )
    .order_by(
        _checkpoints.c.slot_at.desc(),
        (_checkpoints.c.execution_id == sa.bindparam("execution_id")).desc(),
        _checkpoints.c.attempt.desc(),
        _checkpoints.c.pod_uid.desc(),
        _checkpoints.c.boot_number.desc(),
        _checkpoints.c.seq.desc(),
    )
    .limit(1)
    .subquery("newest")
)
# A success since then makes it, and all older ones, void; only so much history is looked at.
_void = sa.exists().where(
    _runs.c.cronjob_id == sa.bindparam("cronjob_id"),
    _runs.c.slot_at.between(_newest.c.slot_at, sa.bindparam("slot_at")),
    _runs.c.id != sa.bindparam("execution_id"),
    _runs.c.status == executions.Status.SUCCEEDED.value,
)
_LAST = sa.select(_newest).where(
    sa.or_(_newest.c.execution_id == sa.bindparam("execution_id"), ~_void)
)


_jobs = models.table(models.CronJob)
_clusters = models.table(models.Cluster)
_HEARING = (
    sa.select(
        _pods.c.execution_id,
        sa.func.min(_pods.c.last_heartbeat_at).label("heard_at"),
        _clusters.c.kept_since,
        _clusters.c.kept_through,
    )
    .join(_jobs, _jobs.c.id == _pods.c.cronjob_id)
    .join(_clusters, _clusters.c.cluster == _jobs.c.cluster)
    .where(
        _pods.c.execution_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
        _pods.c.ended_at.is_(None),
        _pods.c.final_at.is_(None),
        _pods.c.last_heartbeat_at.is_not(None),
    )
    .group_by(_pods.c.execution_id, _clusters.c.kept_since, _clusters.c.kept_through)
)


@dataclass(slots=True)
class Reports:
    """`ports.Reports` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def keep(self, reports: Sequence[reporting.Report]) -> Mapping[str, reporting.Kept]:
        """Keep reports, of each pod at most one; what is kept already changes nothing.

        Returns, by pod UID, what became of items and losses; unknown pods are left out.
        """
        more = {one.pod_uid for one in reports if one.items or one.lost or one.left}
        if not more and not any(map(heard.names_stage, reports)):
            await heard.keep(self.connection, reports, self.now)
            return {}
        by_uid = {one.pod_uid: one for one in reports}
        rows = await heard.keep_and_read(self.connection, reports, self.now)
        known = [reported.Pod(**row, report=by_uid[row["pod_uid"]]) for row in rows]
        await stage_lines.keep(self.connection, known)
        pods = [pod for pod in known if pod.pod_uid in more]
        await rooms.share(self.connection, pods)
        await letters_reported.keep(self.connection, pods, self.now)
        await report_items.keep_checkpoints(self.connection, pods, self.now)
        await report_items.keep_errors(self.connection, pods, self.now)
        await reported.settle(self.connection, pods, self.now)
        return {pod.pod_uid: pod.kept() for pod in pods}

    async def of(self, execution_id: UUID) -> Sequence[reporting.Heard]:
        """Return what each pod of an execution reported, oldest pod first."""
        rows = await self.connection.execute(_OF_EXECUTION, {"execution_id": execution_id})
        return [_heard(row) for row in rows.mappings()]

    async def of_all(
        self, execution_ids: Collection[UUID]
    ) -> Mapping[UUID, Sequence[reporting.Heard]]:
        """Return the same for many executions, each of them."""
        found: dict[UUID, list[reporting.Heard]] = {one: [] for one in execution_ids}
        rows = await self.connection.execute(_OF_EXECUTIONS, {"ids": list(found)})
        for row in rows.mappings():
            found[row["execution_id"]].append(_heard(row))
        return found

    async def hearing(self, execution_ids: Sequence[UUID]) -> Mapping[UUID, findings.Hearing]:
        """Return of each execution when the longest unheard of its pods that go on was heard."""
        rows = await self.connection.execute(_HEARING, {"ids": list(execution_ids)})
        return {
            row.execution_id: findings.Hearing(
                heard_at=row.heard_at, since=row.kept_since, through=row.kept_through
            )
            for row in rows
        }

    async def error_types(self, execution_id: UUID) -> Mapping[str, int]:
        """Count the kept errors of an execution by type."""
        rows = await self.connection.execute(_TYPES, {"execution_id": execution_id})
        return Counter({row.type: row[1] for row in rows})

    async def example(
        self, run: executions.Execution, types: frozenset[str] | None
    ) -> findings.Example | None:
        """Return what the most frequent errors of a run say, else its newest dead letter."""
        key = {
            "execution_id": run.id,
            "cronjob_id": run.cronjob_id,
            "slot_at": run.slot_at,
            "types": sorted(types) if types is not None else None,
        }
        found = (await self.connection.execute(_EXAMPLE, key)).one_or_none()
        return findings.Example(text=found.told, times=found.times) if found else None

    async def last_checkpoint(self, identity: ports.Identity) -> reporting.Handed | None:
        """Return what this pod goes on from: its own run's checkpoint comes first."""
        key = {
            "cronjob_id": identity.cronjob_id,
            "execution_id": identity.execution_id,
            "slot_at": identity.slot_at,
            "index": identity.index,
        }
        row = (await self.connection.execute(_LAST, key)).one_or_none()
        if row is None:
            return None
        return reporting.Handed(
            value=row.value,
            at=row.at,
            execution_id=row.execution_id,
            attempt=row.attempt,
            slot_at=row.slot_at,
        )


def _heard(row: sa.RowMapping) -> reporting.Heard:
    return reporting.Heard(
        pod_uid=row["pod_uid"],
        last_heartbeat_at=row["last_heartbeat_at"],
        progress=_progress(row),
        progress_at=row["progress_at"],
        first_at=row["progress_first_at"],
        first_done=row["progress_first_done"],
        moved_at=row["moved_at"],
        errors=row["errors"],
        dead_letters=row["dead_letters"],
        result=reporting.Verdict(row["result"]) if row["result"] else None,
        result_message=row["result_message"],
        result_counters=row["result_counters"],
        metadata=row["metadata"],
        result_at=row["result_at"],
        lost=reporting.lost_in_all(row["lost"]),
        final_at=row["final_at"],
    )


def _progress(row: sa.RowMapping) -> reporting.Progress | None:
    if row["progress_seq"] is None and row["progress_at"] is None:
        return None
    values: dict[str, Any] = {name: row[name] for name in ("done", "total", "stage", "counters")}
    return reporting.Progress(
        seq=row["progress_seq"] or 0, message=row["progress_message"], **values
    )
