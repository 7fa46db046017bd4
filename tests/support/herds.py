"""Many jobs that are registered like one: it by the store, the others as copies of its rows."""

from collections.abc import Sequence

import sqlalchemy as sa

from rollcall.services import ports
from rollcall.store import engine

_LIKE_IT = sa.text("""
    INSERT INTO cronjobs
    SELECT (jsonb_populate_record(
        first, jsonb_build_object('id', other.id, 'uid', other.uid, 'name', other.name))).*
    FROM cronjobs first, unnest(CAST(:ids AS uuid[]), CAST(:uids AS text[]), CAST(:names AS text[]))
        AS other (id, uid, name)
    WHERE first.id = :first
    ON CONFLICT DO NOTHING
""")
_APPLIED_LIKE_IT = sa.text("""
    INSERT INTO schedule_revisions
    SELECT (jsonb_populate_record(first, jsonb_build_object('cronjob_id', other.id))).*
    FROM schedule_revisions first, unnest(CAST(:ids AS uuid[])) AS other (id)
    WHERE first.cronjob_id = :first
    ON CONFLICT DO NOTHING
""")


async def register(
    unit: engine.Transaction,
    jobs: Sequence[ports.TrackedJob],
    applied: ports.Applied | None = None,
) -> None:
    """Register jobs that differ in their names only, and what was applied of each."""
    if not jobs:
        return
    first, *others = jobs
    await unit.registry.register(first)
    if applied:
        await unit.registry.applied(first.id, applied)
    given = {
        "first": first.id,
        "ids": [one.id for one in others],
        "uids": [one.uid for one in others],
        "names": [one.name for one in others],
    }
    await unit.connection.execute(_LIKE_IT, given)
    if applied:
        await unit.connection.execute(_APPLIED_LIKE_IT, given)
