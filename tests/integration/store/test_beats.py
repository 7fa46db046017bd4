"""Heartbeats alone, which take a shorter way."""

import functools
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rollcall.core import errors
from rollcall.core import reporting as values
from rollcall.store import beats, connections, engine, heard
from support import builders, clocks, postgres, reporting, said

RUN = builders.execution(builders.job())
SECOND = timedelta(seconds=1)


async def beat(store: engine.Database, *, ago: timedelta = timedelta(0)) -> None:
    """Say that the pod was heard so long ago."""

    def reports(now: datetime) -> Sequence[values.Report]:
        return [said.report("pod-1", at=now - ago)]

    await store.beat(reports)


async def test_a_beat_is_kept_by_the_databases_clock(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    before = datetime.now(UTC)
    await beat(store, ago=60 * SECOND)
    await beat(store, ago=90 * SECOND)  # of an earlier moment
    at, count = await reporting.beats(store)
    assert at
    assert before - 61 * SECOND < at < datetime.now(UTC) - 59 * SECOND
    assert count == 2


async def test_a_beat_of_a_told_time_is_kept_at_that_time(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    await beat(store, ago=SECOND)
    assert await reporting.beats(store) == (clock.now - SECOND, 1)


async def test_beats_of_unknown_pods_cost_nobody_else(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    pods = ("unknown", "pod\0", "pod\ud800", "%(told)s", "pod-1")
    await store.beat(lambda now: [said.report(uid, at=now) for uid in pods])
    assert (await reporting.beats(store))[1] == 1


# A result of one of three starts of the sidecar, with one of two numbers.
SAID = list(itertools.product(("a" * 16, said.BOOT, said.LATER_BOOT), (1, 2)))
STORIES = list(itertools.product(SAID, repeat=3))


def told(uid: str, step: int, number: int, now: datetime) -> values.Report:
    """Build what one pod says in one step of a story; the last step has no result for some."""
    boot, seq = STORIES[number][step]
    one = said.result(
        seq, message=f"{boot} {step}", counters={"rows": step}, metadata={"n": [step, None]}
    )
    items = [] if step + 1 == len(STORIES[number]) and number % 3 == 0 else [one]
    return said.report(uid, *items, at=now, boot=boot, is_final=step == 1)


def given(reports: Sequence[values.Report], _now: datetime) -> Sequence[values.Report]:
    """Return what was built before."""
    return reports


async def test_results_leave_the_same_on_the_short_way_as_on_the_long_one(
    store: engine.Database,
) -> None:
    pods = {way: [f"{way}-{number:03}" for number in range(len(STORIES))]
            for way in ("long", "short")}  # fmt: skip
    await said.prepare(store, *pods["long"], *pods["short"], run=RUN, job=builders.job())
    for step in range(3):
        now = datetime.now(UTC)
        reports = {way: [told(uid, step, number, now) for number, uid in enumerate(uids)]
                   for way, uids in pods.items()}  # fmt: skip
        kept = await said.keep(store, *reports["long"])
        short = await store.beat(functools.partial(given, reports["short"]))
        for long_uid, short_uid, report in zip(
            pods["long"], pods["short"], reports["long"], strict=True
        ):
            if report.items:
                assert kept[long_uid] == short[short_uid]
    rows = await said.rows(
        store,
        "SELECT result, result_message, result_counters, metadata, result_at, settled_seq, boots,"
        " final_at IS NULL, heartbeats FROM attempts ORDER BY pod_uid",
    )
    assert rows[: len(STORIES)] == rows[len(STORIES) :]
    assert len(set(map(str, rows))) > 6


async def test_a_result_of_a_pod_that_is_not_known_is_not_kept(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    pods = ("unknown", "pod-1")
    kept = await store.beat(lambda now: [said.report(uid, said.result(), at=now) for uid in pods])
    assert dict(kept) == {"pod-1": values.Kept(is_news=True)}


async def test_a_result_that_cannot_be_kept_is_told(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    long = said.result(message="x" * (values.LONGEST_MESSAGE + 1))
    with pytest.raises(errors.Unstorable):
        await store.beat(lambda now: [said.report("pod-1", long, at=now)])
    assert (await reporting.beats(store))[1] == 0


@pytest.mark.parametrize("progress", [None, said.progress(stage="load")], ids=["", "stages"])
@pytest.mark.parametrize("items", [(), (said.result(),)], ids=["heartbeats", "results"])
async def test_a_batch_is_found_by_its_keys_and_in_their_order(
    store: engine.Database,
    dsn: str,
    items: Sequence[values.Item],
    progress: values.Progress | None,
) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    reports = [said.report("pod-1", *items, progress=progress)]
    statement, rows = heard.plain(reports, builders.SLOT_AT)
    async with await psycopg.AsyncConnection.connect(
        dsn, cursor_factory=psycopg.AsyncRawCursor
    ) as connection:
        for name in beats.BY_KEY:
            await connection.execute(f"SET {name} TO off".encode())
        plan = await connection.execute(b"EXPLAIN " + statement, [rows.decode()])
        text = str(await plan.fetchall())
    assert "Seq Scan" not in text
    assert text.count("Index Scan") == 1 + len(items)
    # So rows are written, and locked, in the order of their keys.
    assert text.index("Nested Loop") < text.index("Sort") < text.index("Index Scan")


async def test_a_restart_of_postgres_costs_no_beat_and_is_in_the_log(
    own_server: postgres.Server, own_store: engine.Database, caplog: pytest.LogCaptureFixture
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    own_server.stop()
    own_server.start()
    for _ in range(2):
        await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 3
    assert caplog.text.count("heartbeats took the long way") == 1


async def test_beats_leave_a_server_that_takes_no_writes_any_more(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    _take_writes(own_server, "off")
    with pytest.raises(errors.StoreUnavailable, match="read-only"):
        await beat(own_store)
    _take_writes(own_server, "on")
    await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 2


def _take_writes(server: postgres.Server, word: str) -> None:
    read_only = {"on": "off", "off": "on"}[word]
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only TO {read_only}")
    server.execute("SELECT pg_reload_conf()")
    # It only asks. A new connection has the value no earlier than the others are told of it.
    while server.execute("SHOW default_transaction_read_only") != [(read_only,)]:
        time.sleep(0.01)


async def test_a_moved_name_is_followed_after_a_while(
    dsn: str, store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    connect = connections.connector(
        connections.Target(dsn=dsn, application_name="tests", answer_within=5)
    )
    opened = []

    async def counted() -> connections.Connection:
        opened.append(await connect())
        return opened[-1]

    kept = beats.Beats(counted, settings={})
    for age in (60, 60, -1):
        monkeypatch.setattr(connections, "POOL_RECYCLE", age)
        now = datetime.now(UTC)
        await kept.keep([said.report("pod-1", at=now)], now)
    await kept.close()
    assert [one.closed for one in opened] == [True, True]
    assert (await reporting.beats(store))[1] == 3


async def test_while_postgres_is_stopped_a_beat_is_refused(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    own_server.stop()
    with pytest.raises(errors.StoreUnavailable):
        await beat(own_store)
    own_server.start()
    await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 2


PROGRESS = [None, said.progress(1, done=5.0, total=9.0), said.progress(2, counters={"rows": 1})]
# What one of two starts of the sidecar says, in each of three steps.
HEARTBEATS = list(
    itertools.product(itertools.product((said.BOOT, said.LATER_BOOT), PROGRESS), repeat=3)
)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_progress_leaves_the_same_on_the_short_way_as_on_the_long_one(
    store: engine.Database, *, together: bool
) -> None:
    pods = {way: [f"{way}-{number:03}" for number in range(len(HEARTBEATS))]
            for way in ("long", "short")}  # fmt: skip
    await said.prepare(store, *pods["long"], *pods["short"], run=RUN, job=builders.job())
    for step in range(3):
        now = datetime.now(UTC)
        reports = {
            way: [
                said.report(uid, at=now, boot=HEARTBEATS[number][step][0],
                            progress=HEARTBEATS[number][step][1])
                for number, uid in enumerate(uids)
            ]
            for way, uids in pods.items()
        }  # fmt: skip
        await said.keep(store, *reports["long"])
        size = len(HEARTBEATS) if together else 1
        for start in range(0, len(HEARTBEATS), size):
            await store.beat(functools.partial(given, reports["short"][start : start + size]))
    rows = await said.rows(
        store,
        "SELECT boots, heartbeats, settled_seq, progress_seq, done, total, stage, counters,"
        " progress_message, progress_first_done, progress_at IS NULL, moved_at IS NULL,"
        " moved_at = progress_at, progress_first_at = progress_at"
        " FROM attempts ORDER BY pod_uid",
    )
    assert rows[: len(HEARTBEATS)] == rows[len(HEARTBEATS) :]
    assert len(set(map(str, rows))) > 6
