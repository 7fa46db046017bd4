"""Which jobs exist, and what was applied for them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from rollcall.core import errors, slots
from rollcall.services import ports
from rollcall.store import engine, registry
from support import builders, clocks

LATER = timedelta(hours=1)


async def register(store: engine.Database, job: ports.TrackedJob) -> ports.JobRow:
    async with store.transaction() as unit:
        return await unit.registry.register(job)


async def registered(store: engine.Database, cluster: str = builders.CLUSTER) -> list[str]:
    async with store.transaction() as unit:
        return [row.job.name for row in await unit.registry.registered(cluster)]


async def revisions(
    store: engine.Database, job: ports.TrackedJob, since: datetime = builders.CREATED_AT
) -> list[slots.Revision]:
    async with store.transaction() as unit:
        return list(await unit.history.revisions(job.id, since))


async def apply(store: engine.Database, job: ports.TrackedJob, *rhythms: slots.Revision) -> None:
    async with store.transaction() as unit:
        for rhythm in rhythms:
            await unit.registry.applied(job.id, builders.applied(rhythm))


async def postpone(store: engine.Database, job: ports.TrackedJob) -> datetime:
    async with store.transaction() as unit:
        at = unit.now + timedelta(days=1)
        await unit.schedule.save(job.id, ports.JobState(), at)
    return at


async def test_a_new_job_is_kept_as_it_is_and_looked_at_at_once(
    store: engine.Database, clock: clocks.Clock
) -> None:
    job = builders.job(group="billing", policy={"rules": {"late": {"warning": "5m"}}})

    row = await register(store, job)

    assert row == ports.JobRow(
        job=job,
        cronjob_uid=None,
        generation=None,
        spec_hash=None,
        state=ports.JobState(),
        deleted_at=None,
        next_check_at=clock.now,
    )


async def test_registering_again_unchanged_writes_nothing(store: engine.Database) -> None:
    await register(store, builders.job())
    postponed_to = await postpone(store, builders.job())
    async with store.transaction() as unit:
        before = await row_version(unit)
        row = await unit.registry.register(builders.job())

        assert await row_version(unit) == before
    assert row.next_check_at == postponed_to


async def row_version(unit: engine.Transaction) -> str:
    found = await unit.connection.execute(sa.text("SELECT xmin::text, ctid::text FROM cronjobs"))
    return str(found.one())


async def test_a_change_is_kept_and_asks_for_a_look_at_once(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await register(store, builders.job())
    await postpone(store, builders.job())
    clock.advance(LATER)

    row = await register(store, builders.job(group="billing"))

    assert row.job.group == "billing"
    assert row.next_check_at == clock.now


async def test_a_change_keeps_what_was_learned_about_the_job(store: engine.Database) -> None:
    job = builders.job()
    state = ports.JobState(consecutive_failures=3, last_success_at=builders.SLOT_AT)
    await register(store, job)
    await apply(store, job, builders.revision(generation=7))
    async with store.transaction() as unit:
        await unit.schedule.save(job.id, state, unit.now)

    row = await register(store, replace(job, group="billing"))

    assert row.state == state
    assert row.generation == 7


async def test_a_reused_name_closes_the_row_of_the_older_object(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await register(store, builders.job(uid="old"))
    newer = builders.job(uid="new", created_at=builders.CREATED_AT + LATER)

    await register(store, newer)

    async with store.transaction() as unit:
        (row,) = await unit.registry.registered(builders.CLUSTER)
        old = await unit.schedule.lock(builders.job(uid="old").id)
    assert row.job.uid == "new"
    assert old is not None
    assert old.deleted_at == clock.now


async def test_a_late_event_of_the_older_object_does_not_close_the_newer_ones_row(
    store: engine.Database,
) -> None:
    old = builders.job(uid="old")
    await register(store, old)
    await register(store, builders.job(uid="new", created_at=builders.CREATED_AT + LATER))

    with pytest.raises(errors.Conflict, match="cronjobs_live_name_key"):
        await register(store, replace(old, group="changed"))

    async with store.transaction() as unit:
        (row,) = await unit.registry.registered(builders.CLUSTER)
    assert row.job.uid == "new"


async def test_the_same_name_elsewhere_is_another_job(store: engine.Database) -> None:
    await register(store, builders.job(uid="1"))
    await register(store, builders.job(uid="2", namespace="other"))
    await register(store, builders.job(uid="3", cluster="other"))

    assert await registered(store) == ["report", "report"]
    assert await registered(store, "other") == ["report"]


async def test_more_jobs_than_a_page_are_all_listed(store: engine.Database) -> None:
    last = builders.job("last")
    await register(store, last)
    async with store.transaction() as unit:
        await unit.connection.execute(sa.text(_MANY), {"count": registry.MOST_ROWS})

    names = await registered(store)
    assert len(names) == registry.MOST_ROWS + 1
    assert "last" in names


_MANY = """
    INSERT INTO cronjobs (id, cluster, uid, namespace, name, policy, created_at, next_check_at)
    SELECT gen_random_uuid(), cluster, 'uid-' || n, namespace, 'job-' || n, policy, now(), now()
    FROM cronjobs, generate_series(1, :count) AS n
"""


async def test_some_jobs_are_those_that_are_not_deleted(store: engine.Database) -> None:
    alive, gone, other = (builders.job(name) for name in ("alive", "gone", "other"))
    for job in (alive, gone, other):
        await register(store, job)
    async with store.transaction() as unit:
        await unit.registry.mark_deleted(gone.id, builders.SLOT_AT)
        rows = await unit.registry.some({alive.id, gone.id})
        assert await unit.registry.some(()) == []
    assert [row.job for row in rows] == [alive]


async def test_a_deleted_job_is_no_longer_listed_and_the_first_time_counts(
    store: engine.Database,
) -> None:
    job = builders.job()
    await register(store, job)
    async with store.transaction() as unit:
        await unit.registry.mark_deleted(job.id, builders.SLOT_AT)
        await unit.registry.mark_deleted(job.id, builders.SLOT_AT + LATER)
        row = await unit.schedule.lock(job.id)

    assert await registered(store) == []
    assert row is not None
    assert row.deleted_at == builders.SLOT_AT


async def test_a_job_that_exists_after_all_is_opened_again(
    store: engine.Database, clock: clocks.Clock
) -> None:
    job = builders.job()
    await register(store, job)
    async with store.transaction() as unit:
        await unit.registry.mark_deleted(job.id, unit.now)

    row = await register(store, job)

    assert row.deleted_at is None
    assert row.next_check_at == clock.now


async def test_what_was_applied_is_kept(store: engine.Database) -> None:
    job = builders.job()
    await register(store, job)
    rhythm = builders.revision(deadline=timedelta(hours=2), suspended=True, generation=2**40)

    await apply(store, job, rhythm)

    row = await register(store, job)
    assert (row.cronjob_uid, row.generation, row.spec_hash) == ("cronjob-uid", 2**40, "hash")
    assert await revisions(store, job) == [rhythm]


async def test_an_apply_that_leaves_the_rhythm_adds_no_revision(store: engine.Database) -> None:
    job = builders.job()
    await register(store, job)
    first = builders.revision()
    template_changed = replace(first, generation=2, effective_from=first.effective_from + LATER)

    await apply(store, job, first, template_changed)

    row = await register(store, job)
    assert row.generation == 2
    assert await revisions(store, job) == [first]


async def test_each_new_rhythm_is_a_revision_also_one_that_was_there_before(
    store: engine.Database,
) -> None:
    job = builders.job()
    await register(store, job)
    first = builders.revision()
    suspended = replace(first, suspended=True, effective_from=first.effective_from + LATER)
    resumed = replace(first, effective_from=first.effective_from + 2 * LATER)

    await apply(store, job, first, suspended, resumed)

    assert await revisions(store, job) == [first, suspended, resumed]


async def test_two_edits_in_one_second_leave_the_last(store: engine.Database) -> None:
    job = builders.job()
    await register(store, job)
    first = builders.revision()
    second = replace(first, schedule="0 3 * * *", generation=2)

    await apply(store, job, first, second)

    assert await revisions(store, job) == [second]


async def test_an_apply_whose_time_stepped_back_is_in_force_all_the_same(
    store: engine.Database,
) -> None:
    job = builders.job()
    await register(store, job)
    first = builders.revision()
    later = replace(first, schedule="0 3 * * *", effective_from=first.effective_from + LATER)
    stepped_back = replace(
        first, schedule="0 4 * * *", effective_from=later.effective_from - timedelta(minutes=1)
    )

    await apply(store, job, first, later, stepped_back)

    found = await revisions(store, job)
    assert [revision.schedule for revision in found] == [first.schedule, "0 4 * * *"]


async def test_a_new_rhythm_asks_for_a_look_and_an_old_one_does_not(
    store: engine.Database, clock: clocks.Clock
) -> None:
    job = builders.job()
    await register(store, job)
    await apply(store, job, builders.revision())
    postponed_to = await postpone(store, job)
    clock.advance(LATER)

    await apply(store, job, builders.revision(generation=2))
    assert (await register(store, job)).next_check_at == postponed_to

    await apply(store, job, builders.revision(generation=3, schedule="0 3 * * *"))
    assert (await register(store, job)).next_check_at == clock.now


@pytest.mark.parametrize(
    ("generation", "learned"), [(3, True), (2, False)], ids=["newer", "read before our apply"]
)
async def test_what_was_read_of_a_cronjob_counts_only_if_it_is_newer_than_what_was_applied(
    store: engine.Database, *, generation: int, learned: bool
) -> None:
    job = builders.job()
    await register(store, job)
    await apply(store, job, builders.revision(generation=2))
    read = builders.revision(generation=generation, suspended=True)
    async with store.transaction() as unit:
        await unit.registry.learned(job.id, read)
    assert [one.suspended for one in await revisions(store, job)][-1] is learned


async def test_nothing_is_learned_of_an_unknown_job(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.learned(builders.job().id, builders.revision())
    assert await revisions(store, builders.job()) == []


async def test_an_apply_for_an_unknown_job_is_refused(store: engine.Database) -> None:
    with pytest.raises(errors.NotFound):
        await apply(store, builders.job(), builders.revision())


async def test_texts_that_postgres_cannot_keep_are_kept_with_replacements(
    store: engine.Database,
) -> None:
    job = builders.job(group="a\0b", policy={"k\0": ["x\ud800y", {"deep": "\0"}]})

    row = await register(store, job)

    assert row.job.group == "a\ufffdb"
    assert row.job.policy == {"k\ufffd": ["x\ufffdy", {"deep": "\ufffd"}]}
