"""What was reported goes with its execution; what waits for somebody stays."""

from datetime import timedelta

import pytest

from rollcall.core import dead_letters, executions
from rollcall.core.dead_letters import Act
from rollcall.core.executions import Status
from rollcall.core.windows import State, Stretch
from rollcall.services import dead_letters as services
from rollcall.services import ports
from rollcall.store import engine, housekeeping, retention
from support import builders, clocks, said

WEEK = timedelta(weeks=1)
NOW = clocks.START
JOB = builders.job()
TABLES = ("attempts", "checkpoints", "execution_errors", "error_signatures", "dead_letters")


@pytest.fixture
def keeper(store: engine.Database) -> housekeeping.Housekeeping:
    return housekeeping.Housekeeping(store)


@pytest.fixture(autouse=True)
async def newest(store: engine.Database, clock: clocks.Clock) -> None:
    """Let there be a run of today, so that no older one is the newest."""
    assert clock.now == NOW
    await leave(store, 0)


async def leave(
    store: engine.Database, weeks_ago: int, status: Status = Status.SUCCEEDED, *, letters: int = 1
) -> executions.Execution:
    """Record a run that reported one of everything."""
    run = builders.execution(JOB, slot_at=NOW - weeks_ago * WEEK, status=status)
    pod = f"pod-{weeks_ago}"
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(run)
        await unit.attempts.observe({run: [builders.attempt(pod, created_at=run.slot_at)]})
        at = run.slot_at
        items = [said.checkpoint(1), said.error(2, at=at, type=f"of week {weeks_ago}")]
        items += [said.letter(seq, at=at) for seq in range(3, 3 + letters)]
        await unit.reports.keep([said.report(pod, *items)])
    return run


async def act(store: engine.Database, which: Act, weeks_ago: int, seq: int = 3) -> None:
    async with store.transaction() as unit:
        wish = services.Wish(act=which, actor="ada")
        key = said.letter_id(f"pod-{weeks_ago}", seq)
        await services.carry_out(unit, builders.CLUSTER, key, wish)


async def counts(store: engine.Database) -> list[int]:
    return [(await said.rows(store, f"SELECT count(*) FROM {name}"))[0][0] for name in TABLES]  # noqa: S608


async def test_all_that_was_reported_goes_with_its_run(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await leave(store, 1)
    for weeks_ago in (3, 5):
        await leave(store, weeks_ago)
        await act(store, Act.DISCARD, weeks_ago)
    assert await counts(store) == [4] * 5

    await keeper.retire(2)
    assert await counts(store) == [2] * 5


async def test_a_run_that_is_open_keeps_what_it_reported(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await leave(store, 40, Status.RUNNING)
    await act(store, Act.DISCARD, 40)
    await keeper.retire(2)
    assert await counts(store) == [2, 2, 2, 1, 2]  # the group of its errors was not seen for long


async def test_a_dead_letter_that_waits_stays_however_old(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await leave(store, 40, letters=4)
    await act(store, Act.REQUEUE, 40, 3)
    await act(store, Act.RESOLVE, 40, 4)
    await act(store, Act.DISCARD, 40, 5)
    await keeper.retire(2)
    found = await said.rows(store, "SELECT state FROM dead_letters ORDER BY at, state")
    assert [row.state for row in found] == ["open", "requeued", "open"]


async def process(store: engine.Database, weeks_ago: int, state: State | None) -> None:
    run = builders.execution(JOB, slot_at=NOW - weeks_ago * WEEK)
    stretch = Stretch(from_at=run.slot_at - WEEK, until_at=run.slot_at)
    async with store.transaction() as unit:
        await unit.windows.open(JOB.id, run.id, stretch)
        if state:
            await unit.windows.settle(JOB.id, state, unit.now)


async def windows(store: engine.Database) -> list[tuple[int, str]]:
    found = await said.rows(store, "SELECT slot_at, state FROM windows ORDER BY slot_at")
    return [((NOW - row.slot_at) // WEEK, row.state) for row in found]


async def test_the_window_that_the_next_one_begins_at_stays_however_old(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    for weeks_ago in (9, 8):
        await process(store, weeks_ago, State.DONE)
    await process(store, 7, State.RELEASED)
    await process(store, 6, None)
    await keeper.retire(2)
    assert await windows(store) == [(8, "done"), (6, "open")]

    async with store.transaction() as unit:
        await unit.windows.settle(JOB.id, State.DONE, unit.now)
    await keeper.retire(2)
    assert await windows(store) == [(6, "done")]


async def test_nothing_waits_for_a_job_that_is_gone(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await leave(store, 9)
    await process(store, 9, State.DONE)
    await process(store, 8, None)
    async with store.transaction() as unit:
        await unit.registry.mark_deleted(JOB.id, NOW)
    await keeper.retire(2)
    assert await windows(store) == []
    assert (await counts(store))[-1] == 1


async def test_the_audit_log_stays_two_years(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    entry = {"actor": "ada", "verb": "resolve", "target": dead_letters.target(JOB.id)}
    async with store.transaction() as unit:
        for days in (0, 731, 732):
            at = NOW - timedelta(days=days)
            await unit.audit.record(ports.AuditEntry(at=at, **entry))
    await keeper.retire(2)
    clock.advance(retention.ROLLUPS_FOR - timedelta(days=730))
    async with store.transaction() as unit:
        left = await unit.audit.of(entry["target"])
    assert [(NOW - one.at).days for one in left] == [0, 731]


async def test_more_than_a_portion_goes_too(
    store: engine.Database, keeper: housekeeping.Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 3)
    await leave(store, 9, letters=8)
    for seq in range(3, 11):
        await act(store, Act.RESOLVE, 9, seq)
    await keeper.retire(2)
    assert await counts(store) == [1] * 5
