"""Heartbeats and progress: the latest of each pod, in one statement for many."""

import asyncio
import itertools
import math
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from rollcall.core import progress
from rollcall.core import reporting as values
from rollcall.store import engine, heard
from support import builders, clocks, reporting, said

JOB = builders.job()
RUN = builders.execution(JOB)
SECOND = timedelta(seconds=1)
PROGRESS = """
SELECT done, total, stage, progress_message, counters, progress_at, moved_at
FROM attempts WHERE pod_uid = 'pod-1'"""


@pytest.fixture(autouse=True)
async def pod(store: engine.Database) -> None:
    """Record a run with one pod."""
    await said.prepare(store, "pod-1", run=RUN, job=JOB)


async def observe(store: engine.Database, *pods: str) -> None:
    async with store.transaction() as unit:
        await unit.attempts.observe({RUN: [builders.attempt(uid) for uid in pods]})


async def hear(store: engine.Database, pod: str, at: datetime, **changes: object) -> None:
    await said.keep(store, said.report(pod, at=at, **changes))


async def test_the_latest_heartbeat_is_kept_and_all_are_counted(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await hear(store, "pod-1", clock.now - SECOND, beats=2)
    await hear(store, "pod-1", clock.now - 5 * SECOND)

    assert await reporting.beats(store) == (clock.now - SECOND, 3)


async def test_who_speaks_for_a_pod_is_no_heartbeat_of_it(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await hear(store, "pod-1", clock.now, beats=0)

    assert await reporting.beats(store) == (None, 0)


async def test_heartbeats_of_unknown_pods_and_poison_cost_nobody_else(
    store: engine.Database, clock: clocks.Clock
) -> None:
    strange = ("unknown", "pod\0", "pod\ud800", "'; DROP TABLE attempts; --")
    kept = await said.keep(
        store,
        *(said.report(uid, said.error(), at=clock.now) for uid in (*strange, "pod-1")),
    )

    assert await reporting.beats(store) == (clock.now, 1)
    assert list(kept) == ["pod-1"]


async def test_no_reports_are_no_statement(store: engine.Database) -> None:
    assert await said.keep(store) == {}


async def test_a_fast_clock_elsewhere_cannot_hide_a_silence(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await hear(store, "pod-1", clock.now + timedelta(days=365))

    assert await reporting.beats(store) == (clock.now, 1)


async def test_a_reading_of_the_pod_keeps_what_it_reported(
    store: engine.Database, clock: clocks.Clock
) -> None:
    words = said.progress(done=4)
    await hear(store, "pod-1", clock.now, progress=words)

    async with store.transaction() as unit:
        started = builders.attempt("pod-1", started_at=builders.SLOT_AT)
        await unit.attempts.observe({RUN: [started]})

    assert await reporting.beats(store) == (clock.now, 1)
    assert (await said.heard(store, RUN)).progress == words


async def test_heartbeats_and_progress_touch_no_index(store: engine.Database) -> None:
    pods = [f"pod-{number:04}" for number in range(500)]
    await observe(store, *pods)
    some = pods[::5]  # pages have room for that many new versions, as between two vacuums
    async with store.transaction() as unit:
        words = said.progress(done=1, total=9, stage="load", counters={"rows": 5})
        kept = [said.report(uid, at=unit.now, progress=words) for uid in some]
        await unit.reports.keep(kept)
        statistics = await unit.connection.execute(
            sa.text(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables"
                " WHERE relname = 'attempts'"
            )
        )
        updated, hot = statistics.one()

    assert (updated, hot) == (len(some), len(some))


async def test_batches_in_opposite_order_do_not_deadlock(store: engine.Database) -> None:
    pods = [f"pod-{number:03}" for number in range(200)]
    await observe(store, *pods)

    async def report(order: list[str]) -> None:
        for _ in range(10):
            async with store.transaction() as unit:  # not `run`: a deadlock would be an error
                words = [said.report(uid, said.error(), at=unit.now) for uid in order]
                await unit.reports.keep(words)

    await asyncio.gather(*[report(pods), report(pods[::-1]), report(pods[1::2] + pods[::2])])

    assert (await reporting.beats(store, "pod-199"))[1] == 30
    assert [row.count for row in await said.rows(store, "SELECT * FROM error_signatures")] == [200]


async def test_all_of_the_latest_progress_is_kept_and_none_of_what_was_before(
    store: engine.Database, clock: clocks.Clock
) -> None:
    first = said.progress(1, done=1, total=9, stage="read", message="m", counters={"rows": 1})
    latest = said.progress(3, done=4.5)
    await hear(store, "pod-1", clock.now - SECOND, progress=first)
    assert (await said.heard(store, RUN)).progress == first

    await hear(store, "pod-1", clock.now, progress=latest)

    found = await said.heard(store, RUN)
    assert (found.progress, found.progress_at) == (latest, clock.now)


async def test_progress_that_comes_late_or_twice_changes_nothing(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await hear(store, "pod-1", clock.now, progress=said.progress(3, done=4))
    before = await said.everything(store)
    clock.advance(SECOND)

    for seq, done in ((3, 5), (2, 9), (1, 0)):
        await hear(store, "pod-1", clock.now, progress=said.progress(seq, done=done))

    assert await said.everything(store) == before


async def test_a_report_without_progress_leaves_it(
    store: engine.Database, clock: clocks.Clock
) -> None:
    words = said.progress(done=4)
    await hear(store, "pod-1", clock.now, progress=words)
    await hear(store, "pod-1", clock.now)

    assert (await said.heard(store, RUN)).progress == words


async def test_a_sidecar_that_was_started_anew_counts_from_one_again(
    store: engine.Database, clock: clocks.Clock
) -> None:
    late = said.progress(8, done=80)
    await hear(store, "pod-1", clock.now, progress=late)
    anew = said.progress(1, done=90)
    await hear(store, "pod-1", clock.now, boot=said.LATER_BOOT, progress=anew)
    # What the first start had sent comes once more, and something of it that was on its way.
    await hear(store, "pod-1", clock.now, progress=late)
    await hear(store, "pod-1", clock.now, progress=said.progress(9, done=85))

    assert (await said.heard(store, RUN)).progress == anew


@pytest.mark.parametrize("other", [None, said.progress(done=1)], ids=["alone", "beside others"])
async def test_what_a_program_told_an_earlier_sidecar_is_true_until_it_tells_more(
    store: engine.Database, clock: clocks.Clock, other: values.Progress | None
) -> None:
    await observe(store, "pod-1", "pod-2")
    words = said.progress(8, done=80, counters={"rows": 4000}, stage="read", message="m")
    await hear(store, "pod-1", clock.now, progress=words)
    before = await said.rows(store, PROGRESS)
    clock.advance(SECOND)

    await said.keep(
        store,
        said.report("pod-1", at=clock.now, boot=said.LATER_BOOT),
        said.report("pod-2", at=clock.now, progress=other),
    )

    assert await said.rows(store, PROGRESS) == before
    await hear(store, "pod-1", clock.now, boot=said.LATER_BOOT, progress=said.progress(done=81))
    (row,) = await said.rows(store, PROGRESS)
    assert (row.done, row.counters) == (81, None)


async def test_a_sidecar_that_never_stops_starting_fills_nothing(
    store: engine.Database, clock: clocks.Clock
) -> None:
    for number in range(heard.BOOTS_KEPT + 5):
        boot = f"{number:08x}"
        await hear(store, "pod-1", clock.now, boot=boot, progress=said.progress(done=number))

    (row,) = await said.rows(store, "SELECT boots, boots_before, done FROM attempts")
    assert row.boots == [f"{number:08x}" for number in range(5, heard.BOOTS_KEPT + 5)]
    assert (row.boots_before, row.done) == (5, heard.BOOTS_KEPT + 4)


MOVES: dict[str, tuple[values.Progress, bool]] = {
    "done": (said.progress(2, done=2, counters={"rows": 1}), True),
    "a counter": (said.progress(2, done=1, counters={"rows": 2}), True),
    "a counter more": (said.progress(2, done=1, counters={"rows": 1, "bad": 0}), True),
    "words alone": (
        said.progress(2, done=1, counters={"rows": 1}, stage="s", message="alive"),
        False,
    ),
}


@pytest.mark.parametrize(("words", "moves"), MOVES.values(), ids=MOVES)
async def test_it_moves_when_a_number_changes(
    store: engine.Database, clock: clocks.Clock, words: values.Progress, moves: bool
) -> None:
    first = said.progress(1, done=1, counters={"rows": 1})
    await hear(store, "pod-1", clock.now, progress=first)
    began_at = clock.now
    assert (await said.heard(store, RUN)).moved_at == began_at

    await hear(store, "pod-1", clock.advance(SECOND), progress=words)

    found = await said.heard(store, RUN)
    assert found.moved_at == (clock.now if moves else began_at)


async def test_the_rate_is_counted_from_the_first_report_and_anew_from_a_new_beginning(
    store: engine.Database, clock: clocks.Clock
) -> None:
    async def say(seq: int, done: float | None) -> tuple[datetime | None, float | None]:
        words = said.progress(seq, done=done)
        await hear(store, "pod-1", clock.advance(SECOND), progress=words)
        found = await said.heard(store, RUN)
        return found.first_at, found.first_done

    assert await say(1, None) == (None, None)
    first = await say(2, 10)
    assert first == (clock.now, 10)
    assert await say(3, 20) == first
    assert await say(4, 5) == (clock.now, 5)


async def rate(store: engine.Database) -> float | None:
    async with store.transaction() as unit:
        pods = (await unit.attempts.observe({RUN: ()}))[RUN.id]
        told = progress.of(pods, await unit.reports.of(RUN.id), unit.now)
        return told and told.rate


async def test_the_rate_is_that_of_the_last_minutes(
    store: engine.Database, clock: clocks.Clock
) -> None:
    seq, done = itertools.count(1), 1000.0

    async def work(minutes: int, per_second: float, *, each: int) -> float | None:
        nonlocal done
        for _ in range(minutes * 60 // each):
            clock.advance(each * SECOND)
            done += per_second * each
            words = said.progress(next(seq), done=done)
            await hear(store, "pod-1", clock.now, progress=words)
        return await rate(store)

    assert await work(60, 10, each=60) == pytest.approx(10)
    assert await work(10, 2, each=20) == pytest.approx(2 + 8 * math.exp(-2), rel=0.05)
    assert await work(60, 0, each=60) == pytest.approx(0, abs=0.01)
    assert await work(60, 3, each=1200) == pytest.approx(3, rel=0.05)


async def test_the_sidecars_goodbye_is_kept(store: engine.Database, clock: clocks.Clock) -> None:
    await hear(store, "pod-1", clock.now, is_final=True)
    at = clock.now
    await hear(store, "pod-1", clock.advance(SECOND), is_final=True)
    await hear(store, "pod-1", clock.now)

    assert (await said.heard(store, RUN)).final_at == at
