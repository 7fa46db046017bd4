"""Which jobs exist, and what was applied for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import errors, health, slots
from rollcall.services import ports
from rollcall.store import models

_jobs = models.table(models.CronJob)
_revisions = models.table(models.ScheduleRevision)

# Built once: building a statement costs more than running it.
_BY_ID = sa.select(_jobs).where(_jobs.c.id == sa.bindparam("id"))
_OWNERS = sa.select(_jobs.c.id, _jobs.c.cronjob_uid).where(
    _jobs.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
    _jobs.c.cronjob_uid.is_not(None),
    _jobs.c.deleted_at.is_(None),
)
_LOCKED = _BY_ID.with_for_update(key_share=True)
_UPDATE = sa.update(_jobs).where(_jobs.c.id == sa.bindparam("key"))
_LAST_REVISION = (
    sa.select(_revisions)
    .where(_revisions.c.cronjob_id == sa.bindparam("cronjob_id"))
    .order_by(_revisions.c.effective_from.desc())
    .limit(1)
)
# A page at a time: a reader that is busy with ten thousand rows must not keep a statement so long.
MOST_ROWS = 1000
_REGISTERED = (
    sa.select(_jobs)
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _jobs.c.deleted_at.is_(None),
        _jobs.c.id > sa.bindparam("after", type_=sa.Uuid),
    )
    .order_by(_jobs.c.id)
    .limit(MOST_ROWS)
)
_SOME = sa.select(_jobs).where(
    _jobs.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
    _jobs.c.deleted_at.is_(None),
)
# A late event of an older object must not close the row of the one that replaced it: that row
# stays, and its unique name refuses the older object.
_RETIRE_NAMESAKES = (
    sa.update(_jobs)
    .where(
        _jobs.c.cluster == sa.bindparam("of_cluster"),
        _jobs.c.namespace == sa.bindparam("of_namespace"),
        _jobs.c.name == sa.bindparam("of_name"),
        _jobs.c.deleted_at.is_(None),
        _jobs.c.id != sa.bindparam("but"),
        _jobs.c.created_at <= sa.bindparam("until"),
    )
    .values(deleted_at=sa.bindparam("at"))
)


def _upsert(table: sa.Table, given: Collection[str]) -> Insert:
    """Build an insert of these columns that updates them in a row that is there already."""
    statement = insert(table)
    changing = [name for name in given if name not in table.primary_key.columns]
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: statement.excluded[name] for name in changing},
    )


_OF_JOB = (
    *("id", "cluster", "uid", "namespace", "name", "group", "policy", "created_at"),
    *("deleted_at", "next_check_at"),
)
_REGISTER = _upsert(_jobs, _OF_JOB).returning(_jobs)
_ADD_REVISION = _upsert(_revisions, _revisions.columns.keys())


@dataclass(slots=True)
class Registry:
    """`ports.Registry` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def register(self, job: ports.TrackedJob) -> ports.JobRow:
        """Insert or update the job's row; an unchanged one is only read.

        Raises errors.Conflict if a job that was created later has the name now.
        """
        found = await self._row(job.id)
        if found and found.job == job and found.deleted_at is None:
            return found
        await self._retire_namesakes(job)
        values = {"id": job.id, "deleted_at": None, "next_check_at": self.now, **_columns(job)}
        return job_row((await self.connection.execute(_REGISTER, values)).one())

    async def applied(self, cronjob_id: UUID, applied: ports.Applied) -> None:
        """Keep what was applied; a new rhythm asks for a new look at once.

        Raises errors.NotFound for a job that is not registered.
        """
        row = await self._row(cronjob_id, lock=True)
        if row is None:
            raise errors.NotFound(f"no job {cronjob_id}")
        kept = {
            "cronjob_uid": applied.cronjob_uid,
            "generation": applied.generation,
            "spec_hash": applied.spec_hash,
        }
        if await self._add_revision(cronjob_id, applied.revision):
            await self._update(cronjob_id, kept | {"next_check_at": self.now})
        elif kept != {name: getattr(row, name) for name in kept}:
            await self._update(cronjob_id, kept)

    async def learned(self, cronjob_id: UUID, revision: slots.Revision) -> None:
        """Keep what was read of the CronJob, if it is newer than what was applied."""
        if await self._row(cronjob_id, lock=True) is None:
            return
        last = await self._last_revision(cronjob_id)
        if last and last.generation < revision.generation:
            await self._add_revision(cronjob_id, revision)

    async def mark_deleted(self, cronjob_id: UUID, at: datetime) -> None:
        """Close the row; its history stays. The first time counts."""
        await self.connection.execute(
            sa.update(_jobs)
            .where(_jobs.c.id == cronjob_id, _jobs.c.deleted_at.is_(None))
            .values(deleted_at=at)
        )

    async def owner(self, cronjob_id: UUID) -> str | None:
        """Return the UID of the CronJob as applied; None without one, or for a deleted job."""
        row = await self._row(cronjob_id)
        return row.cronjob_uid if row and row.deleted_at is None else None

    async def owners(self, cronjob_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the same for many; those that have none are left out."""
        rows = await self.connection.execute(_OWNERS, {"ids": sorted(cronjob_ids)})
        return {row.id: row.cronjob_uid for row in rows}

    async def policy(self, cronjob_id: UUID) -> Mapping[str, Any]:
        """Return the policy of a job's spec, as written; empty for one that is not registered."""
        row = await self._row(cronjob_id)
        return row.job.policy if row else {}

    async def registered(self, cluster: str) -> Sequence[ports.JobRow]:
        """Return all rows of this cluster that are not deleted."""
        found: list[ports.JobRow] = []
        after = UUID(int=0)
        while True:
            rows = await self.connection.execute(_REGISTERED, {"cluster": cluster, "after": after})
            page = [job_row(row) for row in rows]
            found += page
            if len(page) < MOST_ROWS:
                return found
            after = page[-1].job.id

    async def some(self, cronjob_ids: Collection[UUID]) -> Sequence[ports.JobRow]:
        """Return the rows of these jobs, without those that are deleted."""
        rows = await self.connection.execute(_SOME, {"ids": sorted(cronjob_ids)})
        return [job_row(row) for row in rows]

    async def _row(self, cronjob_id: UUID, *, lock: bool = False) -> ports.JobRow | None:
        query = _LOCKED if lock else _BY_ID
        row = (await self.connection.execute(query, {"id": cronjob_id})).one_or_none()
        return job_row(row) if row else None

    async def _update(self, cronjob_id: UUID, values: dict[str, Any]) -> None:
        await self.connection.execute(_UPDATE, {"key": cronjob_id, **values})

    async def _retire_namesakes(self, job: ports.TrackedJob) -> None:
        given = {
            "of_cluster": job.cluster,
            "of_namespace": job.namespace,
            "of_name": job.name,
            "but": job.id,
            "until": job.created_at,
            "at": self.now,
        }
        await self.connection.execute(_RETIRE_NAMESAKES, given)

    async def _add_revision(self, cronjob_id: UUID, revision: slots.Revision) -> bool:
        last = await self._last_revision(cronjob_id)
        if last and last.same_rhythm(revision):
            return False
        # Times of the API server are whole seconds and may step back: the newest apply is in force
        # from then on in any case, and takes the place of one of the same moment.
        begin = max(revision.effective_from, last.effective_from) if last else None
        values = {
            **_revision_columns(revision),
            "cronjob_id": cronjob_id,
            "effective_from": begin or revision.effective_from,
        }
        await self.connection.execute(_ADD_REVISION, values)
        return True

    async def _last_revision(self, cronjob_id: UUID) -> slots.Revision | None:
        found = await self.connection.execute(_LAST_REVISION, {"cronjob_id": cronjob_id})
        row = found.one_or_none()
        return revision_of(row) if row else None


def job_row(row: sa.Row[Any]) -> ports.JobRow:
    """Read a row of `cronjobs`."""
    return ports.JobRow(
        job=ports.TrackedJob(
            id=row.id,
            cluster=row.cluster,
            uid=row.uid,
            namespace=row.namespace,
            name=row.name,
            group=row.group,
            policy=row.policy,
            created_at=row.created_at,
        ),
        cronjob_uid=row.cronjob_uid,
        generation=row.generation,
        spec_hash=row.spec_hash,
        state=ports.JobState(
            judged_through=row.judged_through,
            last_success_at=row.last_success_at,
            last_schedule_at=row.last_schedule_at,
            consecutive_failures=row.consecutive_failures,
            health=health.Health(row.health),
            next_slot_at=row.next_slot_at,
        ),
        deleted_at=row.deleted_at,
        next_check_at=row.next_check_at,
    )


def revision_of(row: sa.Row[Any]) -> slots.Revision:
    """Read a row of `schedule_revisions`."""
    return slots.Revision(
        generation=row.generation,
        schedule=row.schedule,
        time_zone=row.time_zone,
        deadline=row.deadline,
        concurrency=row.concurrency,
        suspended=row.suspended,
        effective_from=row.effective_from,
    )


def _columns(job: ports.TrackedJob) -> dict[str, Any]:
    return {
        "cluster": job.cluster,
        "uid": job.uid,
        "namespace": job.namespace,
        "name": job.name,
        "group": job.group,
        "policy": dict(job.policy),
        "created_at": job.created_at,
    }


def _revision_columns(revision: slots.Revision) -> dict[str, Any]:
    return {
        "generation": revision.generation,
        "schedule": revision.schedule,
        "time_zone": revision.time_zone,
        "deadline": revision.deadline,
        "concurrency": revision.concurrency,
        "suspended": revision.suspended,
    }
