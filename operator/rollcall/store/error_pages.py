"""Errors that programs reported, in pages: groups of a job, and the errors of a group or a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import reporting
from rollcall.services import error_groups, paging, ports
from rollcall.store import models, pages

_jobs = models.table(models.CronJob)
_pods = models.table(models.Attempt)
_errors = models.table(models.ExecutionError)
_groups = models.table(models.ErrorSignature)


def _id_of(*parts: sa.ColumnElement[Any]) -> sa.ColumnElement[UUID]:
    """Return what tells rows of one instant apart: pages end with an instant and an id."""
    texts = (sa.cast(part, sa.Text) for part in parts)
    return sa.cast(sa.func.md5(sa.func.concat_ws(" ", *texts)), sa.Uuid)


# Built once: building a statement costs more than running it. Two columns have names that a row
# cannot have as attributes.
_GROUPS = sa.select(
    _groups,
    _groups.c["count"].label("times"),
    _jobs.c.cluster,
    _jobs.c.namespace,
    _jobs.c.name,
    _id_of(_groups.c.cronjob_id, _groups.c.fingerprint).label("id"),
).join(_jobs, _jobs.c.id == _groups.c.cronjob_id)
REPORTED = (
    sa.select(
        _errors,
        _errors.c["class"].label("error_class"),
        _pods.c.pod_name,
        _jobs.c.namespace,
        _jobs.c.name,
        _id_of(_errors.c.pod_uid, _errors.c.boot, _errors.c.seq).label("id"),
    )
    .join(
        _pods,
        sa.and_(
            _pods.c.pod_uid == _errors.c.pod_uid, _pods.c.execution_id == _errors.c.execution_id
        ),
    )
    .join(_jobs, _jobs.c.id == _errors.c.cronjob_id)
)
_RUNS = sa.text(
    """
    SELECT newest.cronjob_id, newest.fingerprint, count(DISTINCT newest.execution_id) AS runs
    FROM unnest(CAST(:ids AS uuid[])) AS job(id) CROSS JOIN LATERAL (
        SELECT cronjob_id, fingerprint, execution_id FROM execution_errors
        WHERE cronjob_id = job.id ORDER BY slot_at DESC LIMIT :most
    ) AS newest
    WHERE newest.fingerprint = ANY(CAST(:fingerprints AS text[]))
    GROUP BY newest.cronjob_id, newest.fingerprint
    """
)


@dataclass(slots=True)
class Pages:
    """Reads of one connection."""

    connection: AsyncConnection

    async def groups(
        self, choice: error_groups.Choice, *, limit: int, cursor: str | None = None
    ) -> paging.Page[error_groups.Group]:
        """Return one page, the last seen first, of at most `limit` (from 1).

        Raises errors.InvalidSpec for a cursor that no page ended with.
        """
        found = _GROUPS.where(*_of_jobs(choice, _groups)).subquery()
        rows, next_cursor = await pages.page(
            self.connection,
            sa.select(found),
            (found.c.last_at, found.c.id),
            limit=limit,
            cursor=cursor,
        )
        runs = await self._runs(rows)
        return paging.Page(items=[_group(row, runs) for row in rows], next_cursor=next_cursor)

    async def errors(
        self, choice: error_groups.Choice, *, limit: int, cursor: str | None = None
    ) -> paging.Page[ports.ReportedError]:
        """Return one page of errors that are kept, newest first, of at most `limit` (from 1).

        Raises errors.InvalidSpec for a cursor that no page ended with.
        """
        conditions = _of_jobs(choice, _errors)
        if choice.fingerprint is not None:
            conditions.append(_of_groups(choice.fingerprint))
        if choice.execution_id is not None:
            conditions.append(_pods.c.execution_id == choice.execution_id)
        found = REPORTED.where(*conditions).subquery()
        rows, next_cursor = await pages.page(
            self.connection, sa.select(found), (found.c.at, found.c.id), limit=limit, cursor=cursor
        )
        return paging.Page(items=[reported(row) for row in rows], next_cursor=next_cursor)

    async def _runs(self, rows: Sequence[sa.Row[Any]]) -> Mapping[tuple[UUID, str], int]:
        given = {
            "ids": list({row.cronjob_id for row in rows}),
            "fingerprints": list({row.fingerprint for row in rows}),
            "most": error_groups.RUNS_AMONG,
        }
        counted = await self.connection.execute(_RUNS, given)
        return {(row.cronjob_id, row.fingerprint): row.runs for row in counted}


def reported(row: sa.Row[Any]) -> ports.ReportedError:
    """Read a row of REPORTED."""
    return ports.ReportedError(
        namespace=row.namespace,
        cronjob=row.name,
        execution_id=row.execution_id,
        pod_name=row.pod_name,
        at=row.at,
        type=row.type,
        message=row.message,
        item=row.item,
        error_class=reporting.ErrorClass(row.error_class) if row.error_class else None,
        retry_after=row.retry_after,
        fingerprint=row.fingerprint,
    )


def _of_jobs(choice: error_groups.Choice, table: sa.FromClause) -> list[sa.ColumnElement[bool]]:
    conditions = pages.of_jobs(choice.cluster, choice.namespace, choice.cronjob)
    if choice.fingerprint is not None:
        conditions.append(table.c.fingerprint == choice.fingerprint)
    return conditions


def _of_groups(fingerprint: str) -> sa.ColumnElement[bool]:
    """Choose errors by the jobs that have such a group: errors have an index of jobs alone."""
    jobs = sa.select(_groups.c.cronjob_id).where(_groups.c.fingerprint == fingerprint)
    return _errors.c.cronjob_id.in_(jobs)


def _group(row: sa.Row[Any], runs: Mapping[tuple[UUID, str], int]) -> error_groups.Group:
    return error_groups.Group(
        namespace=row.namespace,
        cronjob=row.name,
        fingerprint=row.fingerprint,
        type=row.type,
        sample=row.sample,
        count=row.times,
        runs=runs.get((row.cronjob_id, row.fingerprint), 0),
        first_at=row.first_at,
        last_at=row.last_at,
    )
