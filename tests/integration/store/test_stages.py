"""Stages that programs name become lines of their run's story, each when it is entered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from rollcall.core import errors, executions, reporting, stages
from rollcall.store import engine
from support import builders, clocks, said

JOB = builders.job()
RUN = builders.execution(JOB)
SECOND = timedelta(seconds=1)
PODS = ("pod-1", "pod-2")


@pytest.fixture(autouse=True)
async def pods(store: engine.Database) -> None:
    """Record a run with two pods."""
    await said.prepare(store, *PODS, run=RUN, job=JOB)


async def beat(store: engine.Database, *reports: reporting.Report) -> Mapping[str, reporting.Kept]:
    def told(now: datetime) -> Sequence[reporting.Report]:
        for one in reports:
            one.at = now
        return reports

    return await store.beat(told)


def at_stage(
    stage: str | None, seq: int, *items: reporting.Item, pod: str = "pod-1", boot: str = said.BOOT
) -> reporting.Report:
    return said.report(pod, *items, progress=said.progress(seq, stage=stage, done=seq), boot=boot)


async def story(store: engine.Database) -> list[executions.Event]:
    async with store.transaction() as unit:
        return list(await unit.events.of(RUN.id))


async def lines(store: engine.Database) -> list[str]:
    return [event.message for event in await story(store)]


NAMES = {uid: builders.attempt(uid).pod_name for uid in PODS}


async def test_a_stage_is_told_when_it_is_entered_and_not_while_it_lasts(
    store: engine.Database,
) -> None:
    for seq, stage in enumerate(("load", "load", "store", "store"), start=1):
        await beat(store, at_stage(stage, seq))

    assert await lines(store) == [f"{NAMES['pod-1']}: load", f"{NAMES['pod-1']}: store"]
    (event, _) = await story(store)
    assert (event.source, event.reason) == (stages.SOURCE, stages.REASON)
    found = await said.rows(store, "SELECT heartbeats, stage FROM attempts ORDER BY pod_uid")
    assert found == [(4, "store"), (0, None)]


async def test_the_time_is_that_at_which_it_was_heard(
    store: engine.Database, clock: clocks.Clock
) -> None:
    heard_at = clock.now - SECOND
    report = at_stage("load", 1)
    report.at = heard_at
    await said.keep(store, report)

    assert [event.at for event in await story(store)] == [heard_at]


async def test_one_that_enters_a_stage_costs_the_others_of_its_batch_nothing(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await beat(store, at_stage("load", 1), at_stage("load", 1, pod="pod-2"))
    told: list[str] = []
    run = store.run

    async def counted(work: Callable[[engine.Transaction], Awaitable[object]]) -> object:
        told.append("the long way")
        return await run(work)

    monkeypatch.setattr(store, "run", counted)
    await beat(store, at_stage("load", 2), at_stage("load", 2, pod="pod-2"))
    assert told == []
    await beat(store, at_stage("store", 3), at_stage("load", 3, pod="pod-2"))
    assert told == ["the long way"]
    found = await said.rows(store, "SELECT heartbeats, stage, done FROM attempts ORDER BY pod_uid")
    assert found == [(3, "store", 3), (3, "load", 3)]


async def test_a_result_that_comes_with_a_new_stage_is_kept_with_it(
    store: engine.Database,
) -> None:
    await beat(store, at_stage("load", 1), said.report("pod-2", said.result()))
    await beat(store, at_stage("store", 2, said.result()), said.report("pod-2"))

    assert len(await lines(store)) == 2
    found = await said.rows(store, "SELECT result, heartbeats FROM attempts ORDER BY pod_uid")
    assert found == [("partial", 2), ("partial", 2)]


async def test_errors_that_come_with_a_new_stage_are_kept_with_it(store: engine.Database) -> None:
    await said.keep(store, at_stage("load", 1, said.error()))

    assert await lines(store) == [f"{NAMES['pod-1']}: load"]
    assert (await said.rows(store, "SELECT errors FROM attempts ORDER BY pod_uid"))[0] == (1,)


async def test_what_comes_late_or_again_enters_nothing(store: engine.Database) -> None:
    await beat(store, at_stage("store", 5))
    for seq, stage in ((5, "store"), (4, "load"), (5, "load")):
        await beat(store, at_stage(stage, seq))
        await said.keep(store, at_stage(stage, seq))

    assert await lines(store) == [f"{NAMES['pod-1']}: store"]


@pytest.mark.parametrize("nothing", [None, ""], ids=["absent", "empty"])
async def test_progress_without_a_stage_enters_none(
    store: engine.Database, nothing: str | None
) -> None:
    await beat(store, at_stage("load", 1))
    await beat(store, at_stage(nothing, 2), at_stage("load", 1, pod="pod-2"))

    assert await lines(store) == [f"{NAMES[uid]}: load" for uid in PODS]
    found = await said.rows(store, "SELECT heartbeats, stage FROM attempts ORDER BY pod_uid")
    assert found == [(2, nothing), (1, "load")]


async def test_a_sidecar_that_was_started_anew_says_it_again_and_it_is_one_stage(
    store: engine.Database,
) -> None:
    await beat(store, at_stage("load", 3))
    await beat(store, at_stage("load", 1, boot=said.LATER_BOOT))
    await beat(store, at_stage("store", 2, boot=said.LATER_BOOT))

    async with store.transaction() as unit:
        pods = (await unit.attempts.observe({RUN: ()}))[RUN.id]
    told = stages.of(await story(store), pods, None)
    assert [stage.name for stage in told] == ["load", "store"]


async def test_who_names_a_stage_for_each_item_fills_nothing(
    store: engine.Database, clock: clocks.Clock
) -> None:
    for seq in range(1, stages.MOST + 6):
        clock.advance(SECOND)
        report = at_stage(f"item {seq}", seq)
        report.at = clock.now
        await said.keep(store, report)
    assert len(await lines(store)) == stages.MOST

    other = at_stage("load", 1, pod="pod-2")
    other.at = clock.now
    await said.keep(store, other)
    assert (await lines(store))[-1] == f"{NAMES['pod-2']}: load"
    found = await said.rows(store, "SELECT stage FROM attempts ORDER BY pod_uid")
    assert found == [(f"item {stages.MOST + 5}",), ("load",)]


async def test_a_run_whose_week_is_gone_is_heard_all_the_same(store: engine.Database) -> None:
    names = await said.rows(
        store,
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'execution_events'::regclass",
    )
    for (name,) in names:
        await said.rows(store, f"DROP TABLE {name}")
    await beat(store, at_stage("load", 1), at_stage(None, 1, pod="pod-2"))

    found = await said.rows(store, "SELECT heartbeats, stage FROM attempts ORDER BY pod_uid")
    assert found == [(1, "load"), (1, None)]


async def test_pods_that_are_unknown_cost_nobody_else(store: engine.Database) -> None:
    await beat(store, at_stage("load", 1, pod="unknown"), at_stage("load", 1))

    assert await lines(store) == [f"{NAMES['pod-1']}: load"]


async def test_where_a_stage_cannot_be_kept_only_who_entered_it_says_so_again(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await beat(store, at_stage("load", 1), at_stage("load", 1, pod="pod-2"))
    away = errors.StoreUnavailable("away")

    async def fail(work: object) -> None:
        del work
        raise away

    with monkeypatch.context() as patch:
        patch.setattr(store, "run", fail)
        kept = await beat(store, at_stage("store", 2), at_stage("load", 2, pod="pod-2"))
        assert {uid: one.failure for uid, one in kept.items()} == {"pod-1": away, "pod-2": None}
        with pytest.raises(errors.StoreUnavailable):
            await beat(store, at_stage("store", 2))
    await beat(store, at_stage("store", 2))
    found = await said.rows(store, "SELECT heartbeats, stage FROM attempts ORDER BY pod_uid")
    assert found == [(2, "store"), (2, "load")]
