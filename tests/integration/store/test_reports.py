"""Errors, checkpoints and results: each once, whatever comes twice, late or in another order."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollcall.core import findings, reporting
from rollcall.core.reporting import Verdict
from rollcall.store import engine
from support import builders, clocks, said

JOB = builders.job()
RUN = builders.execution(JOB)
AT = said.AT
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
async def pod(store: engine.Database) -> None:
    """Record a run with one pod."""
    await said.prepare(store, "pod-1", run=RUN, job=JOB)


async def say(
    store: engine.Database, *items: reporting.Item, **changes: object
) -> reporting.Kept | None:
    kept = await said.keep(store, said.report("pod-1", *items, **changes))
    return kept.get("pod-1")


EVERYTHING = (
    said.checkpoint(1),
    said.error(2),
    said.error(3, message="no answer after 3 s", error_class="transient", retry_after=1.5),
    said.letter(4),
    said.checkpoint(5),
    said.error(6, type="other", item="order-6"),
    said.result(7, counters={"rows": 1}, metadata={"a": [1]}),
)


async def test_an_error_is_kept_as_it_was_said(store: engine.Database, clock: clocks.Clock) -> None:
    words = said.error(item="order-1", error_class=reporting.ErrorClass.TRANSIENT, retry_after=9)
    kept = await say(store, words)

    assert kept == reporting.Kept(is_news=True)
    (row,) = await said.rows(store, "SELECT * FROM execution_errors")
    assert (row.execution_id, row.cronjob_id, row.slot_at) == (RUN.id, JOB.id, RUN.slot_at)
    assert (row.pod_uid, row.boot, row.seq) == ("pod-1", said.BOOT, 1)
    assert (row.type, row.message, row.item) == ("timeout", "no answer", "order-1")
    assert (row[10], row.retry_after, row.at) == ("transient", 9, clock.now)


@pytest.mark.usefixtures("clock")
async def test_errors_of_one_kind_are_one_group(store: engine.Database) -> None:
    lines = [said.error(seq, message=f"row {seq} of 'a{seq}'") for seq in range(1, 6)]
    await say(store, *lines, said.error(6, message="something else"))
    await say(store, said.error(7, message="row 7 of 'b'"))

    groups = {row.message: row for row in await said.rows(
        store, "SELECT * FROM error_signatures")}  # fmt: skip
    assert {message: row.count for message, row in groups.items()} == {
        "row <number> of <text>": 6,
        "something else": 1,
    }
    assert groups["row <number> of <text>"].sample == "row 1 of 'a1'"


@pytest.mark.usefixtures("clock")
async def test_a_group_tells_its_first_and_last_time(store: engine.Database) -> None:
    created = "UPDATE attempts SET created_at = created_at - interval '1 hour' RETURNING 1"
    await said.rows(store, created)
    await say(store, said.error(1, at=AT - 9 * SECOND), said.error(2, at=AT - 30 * SECOND))
    await say(store, said.error(3, at=AT - 20 * SECOND))

    (group,) = await said.rows(store, "SELECT * FROM error_signatures")
    assert (group.first_at, group.last_at) == (AT - 30 * SECOND, AT - 9 * SECOND)


@pytest.mark.parametrize(
    "changes",
    [{}, {"beats": 3}, {"items": EVERYTHING[:4]}, {"items": EVERYTHING[3:]}, {"items": ()}],
    ids=["the same", "more heartbeats", "its begin", "its end", "none of it"],
)
async def test_what_is_sent_again_changes_nothing(
    store: engine.Database, clock: clocks.Clock, changes: dict[str, object]
) -> None:
    await say(store, *EVERYTHING, lost={"error": 2})
    before = await said.everything(store)
    clock.advance(SECOND)

    items = changes.pop("items", EVERYTHING)
    assert isinstance(items, tuple)
    await say(store, *items, lost={"error": 1}, **changes)

    assert await said.everything(store) == before


@pytest.mark.parametrize("seed", range(8))
async def test_parts_that_overlap_in_any_order_end_in_the_same(
    store: engine.Database, clock: clocks.Clock, seed: int
) -> None:
    """As it is when answers are lost: each part begins at what is not acknowledged yet."""
    chance = random.Random(seed)
    settled, sent = 0, []
    while settled < len(EVERYTHING):
        end = chance.randint(settled + 1, len(EVERYTHING))
        sent.append(EVERYTHING[settled:end])
        await say(store, *EVERYTHING[settled:end])
        if chance.random() < 0.5:
            settled = end
        for old in chance.sample(sent, chance.randint(0, len(sent))):
            await say(store, *old)  # a copy that was on its way for longer
        clock.advance(SECOND)

    assert len(await said.rows(store, "SELECT * FROM execution_errors")) == 3
    counts = await said.rows(store, "SELECT sum(count) FROM error_signatures")
    assert counts[0][0] == 3
    assert [row.seq for row in await checkpoints(store)] == [5, 1]
    assert len(await said.rows(store, "SELECT * FROM dead_letters")) == 1
    found = await said.heard(store, RUN)
    assert (found.errors, found.dead_letters, found.result) == (3, 1, Verdict.PARTIAL)


async def test_what_a_sidecar_sent_before_it_was_started_anew_changes_nothing(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await say(store, *EVERYTHING)
    newer = (
        said.checkpoint(1, value="new"),
        said.error(2),
        said.result(3, Verdict.FAILED),
    )
    await say(store, *newer, boot=said.LATER_BOOT)
    before = await said.everything(store)
    clock.advance(SECOND)

    await say(store, *EVERYTHING)
    await say(store, *newer, boot=said.LATER_BOOT)

    assert await said.everything(store) == before
    found = await said.heard(store, RUN)
    assert (found.errors, found.result) == (4, Verdict.FAILED)


@pytest.mark.usefixtures("clock")
async def test_errors_beyond_the_limit_are_counted_and_not_kept(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "MOST_ERRORS", 5)
    many = [said.error(seq) for seq in range(1, 9)]
    for part in (many[:4], many[2:7], many, many[7:]):
        kept = await say(store, *part)
        assert kept
        assert kept.refused == ()

    assert len(await said.rows(store, "SELECT * FROM execution_errors")) == 5
    assert [row.count for row in await said.rows(store, "SELECT * FROM error_signatures")] == [8]
    assert (await said.heard(store, RUN)).errors == 8


@pytest.mark.usefixtures("clock")
async def test_what_is_known_only_beyond_the_limit_makes_no_group(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program can say something else each time, and groups are to be bounded as errors are."""
    monkeypatch.setattr(reporting, "MOST_ERRORS", 1)
    await say(store, said.error(1), said.error(2, message="new"), said.error(3))
    await say(store, said.error(4, message="new"), said.error(5))

    groups = await said.rows(store, "SELECT message, count FROM error_signatures")
    assert groups == [("no answer", 3)]
    assert (await said.heard(store, RUN)).errors == 5


@pytest.mark.usefixtures("clock")
async def test_dead_letters_beyond_the_limit_are_refused_each_time(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "MOST_DEAD_LETTERS", 2)
    many = [said.letter(seq) for seq in range(1, 5)]
    for part in (many, many[1:], many[3:]):
        kept = await say(store, *part)
        assert kept
        refused = {refusal.seq: refusal.status for refusal in kept.refused}
        assert refused == {seq: 429 for seq in (3, 4) if seq >= part[0].seq}
        assert all("at most 2" in refusal.detail for refusal in kept.refused)

    assert len(await said.rows(store, "SELECT * FROM dead_letters")) == 2
    assert (await said.heard(store, RUN)).dead_letters == 2


@pytest.mark.usefixtures("clock")
async def test_the_pods_of_a_run_share_a_limit_in_one_batch_and_over_many(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "MOST_ERRORS_OF_RUN", 5)
    monkeypatch.setattr(reporting, "MOST_DEAD_LETTERS_OF_RUN", 3)
    async with store.transaction() as unit:
        await unit.attempts.observe({RUN: [builders.attempt("pod-2", index=1)]})
    each = [said.letter(1), said.letter(2), *(said.error(seq) for seq in (3, 4, 5))]
    kept = await said.keep(store, said.report("pod-1", *each), said.report("pod-2", *each))
    refused = [one.detail for name in ("pod-1", "pod-2") for one in kept[name].refused]
    assert refused == ["a run has at most 3 dead letters"]

    more = await said.keep(store, said.report("pod-2", said.letter(6), said.error(7)))
    assert [(one.seq, one.status) for one in more["pod-2"].refused] == [(6, 429)]

    assert len(await said.rows(store, "SELECT * FROM dead_letters")) == 3
    assert len(await said.rows(store, "SELECT * FROM execution_errors")) == 5
    async with store.transaction() as unit:
        assert sum(one.errors for one in await unit.reports.of(RUN.id)) == 7


@pytest.mark.usefixtures("clock")
async def test_another_run_has_room_of_its_own(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "MOST_DEAD_LETTERS_OF_RUN", 1)
    other = builders.execution(JOB, slot_at=AT + 60 * SECOND)
    await said.prepare(store, "pod-2", run=other, job=JOB)
    kept = await said.keep(
        store, said.report("pod-1", said.letter(1)), said.report("pod-2", said.letter(1))
    )
    assert [one.refused for one in kept.values()] == [(), ()]


async def checkpoints(store: engine.Database) -> list[Any]:
    return await said.rows(
        store, "SELECT * FROM checkpoints ORDER BY attempt DESC, boot_number DESC, seq DESC"
    )


@pytest.mark.usefixtures("clock")
async def test_the_newest_three_checkpoints_of_a_pod_are_kept(store: engine.Database) -> None:
    await say(store, *(said.checkpoint(seq) for seq in range(1, 3)))
    assert [row.seq for row in await checkpoints(store)] == [2, 1]

    await say(store, *(said.checkpoint(seq) for seq in range(3, 8)))
    assert [row.seq for row in await checkpoints(store)] == [7, 6, 5]

    await say(store, said.checkpoint(1), boot=said.LATER_BOOT)
    assert [row.seq for row in await checkpoints(store)] == [1, 7, 6]

    await say(store, *(said.checkpoint(seq) for seq in range(1, 8)))
    assert [row.seq for row in await checkpoints(store)] == [1, 7, 6]


@pytest.mark.usefixtures("clock")
async def test_each_completion_index_has_checkpoints_of_its_own(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.attempts.observe({RUN: [builders.attempt("pod-2", index=1)]})
    for pod in ("pod-1", "pod-2"):
        words = [said.checkpoint(seq) for seq in range(1, 6)]
        await said.keep(store, said.report(pod, *words))

    found = await said.rows(store, "SELECT index, seq FROM checkpoints ORDER BY 1, 2")
    assert found == list(itertools.product((0, 1), (3, 4, 5)))


async def side_by_side(store: engine.Database, count: int, **changes: object) -> list[str]:
    """Record so many pods of the run, without indices."""
    pods = [f"pod-{number}" for number in range(1, count + 1)]
    async with store.transaction() as unit:
        await unit.attempts.observe({RUN: [builders.attempt(pod, **changes) for pod in pods]})
    return pods


async def pass_by(store: engine.Database, pods: list[str], *seqs: int) -> None:
    """Have each of them acknowledged what it passes, the newest pod first."""
    for attempt, pod in reversed(list(enumerate(pods, 1))):
        words = [said.checkpoint(seq, f"{pod}, {seq}") for seq in seqs]
        await said.keep(store, said.report(pod, *words, attempt=attempt))


async def told_to_the_next(store: engine.Database) -> object:
    """Return where another pod of the run is told to go on."""
    async with store.transaction() as unit:
        found = await unit.reports.last_checkpoint(said.identity(RUN, pod_uid="next"))
        return found and found.value


@pytest.mark.usefixtures("clock")
async def test_of_pods_side_by_side_each_keeps_what_was_acknowledged(
    store: engine.Database,
) -> None:
    pods = await side_by_side(store, 5)
    await pass_by(store, pods, 1)
    assert sorted(row.pod_uid for row in await checkpoints(store)) == pods

    await pass_by(store, pods, *range(2, 7))
    found = await said.rows(store, "SELECT pod_uid, seq FROM checkpoints ORDER BY 1, 2")
    assert found == list(itertools.product(pods, (4, 5, 6)))
    assert await told_to_the_next(store) == "pod-5, 6"


@pytest.mark.parametrize(("ended_at", "kept"), [(AT, 2), (None, 5)], ids=["ended", "going on"])
@pytest.mark.usefixtures("clock")
async def test_of_pods_without_end_the_old_ones_that_ended_leave_no_checkpoint(
    store: engine.Database,
    monkeypatch: pytest.MonkeyPatch,
    ended_at: datetime | None,
    kept: int,
) -> None:
    monkeypatch.setattr(reporting, "MOST_PODS_WITH_CHECKPOINTS", 2)
    pods = await side_by_side(store, 5, ended_at=ended_at)
    for attempt, pod in enumerate(pods, 1):
        await said.keep(store, said.report(pod, said.checkpoint(value=pod), attempt=attempt))

    assert [row.pod_uid for row in await checkpoints(store)] == pods[::-1][:kept]
    assert await told_to_the_next(store) == "pod-5"


VALUES = [
    None,
    0,
    "",
    "text",
    [],
    {},
    [None],
    {"a": {"b": [1, 2.5, -3, 2**53 - 1, True]}},
    "\U0001f600",
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_checkpoint_may_be_any_json(store: engine.Database, value: object) -> None:
    await say(store, reporting.Checkpoint(seq=1, at=AT, value=value))

    (row,) = await said.rows(store, "SELECT value, jsonb_typeof(value) AS type FROM checkpoints")
    assert row.value == value
    assert row.type is not None


async def test_the_latest_result_counts_with_all_that_belongs_to_it(
    store: engine.Database, clock: clocks.Clock
) -> None:
    first = said.result(1, Verdict.SUCCEEDED, message="m", counters={"a": 1}, metadata={"b": 2})
    assert await say(store, first) == reporting.Kept(is_news=True)
    found = await said.heard(store, RUN)
    assert (found.result, found.result_message) == (Verdict.SUCCEEDED, "m")
    assert (found.result_counters, found.metadata) == ({"a": 1}, {"b": 2})
    assert found.result_at == clock.now

    await say(store, said.result(2, Verdict.FAILED), said.result(3, Verdict.PARTIAL))
    found = await said.heard(store, RUN)
    assert (found.result, found.result_message) == (Verdict.PARTIAL, None)
    assert (found.result_counters, found.metadata) == (None, None)

    assert await say(store, first) == reporting.Kept()
    assert (await said.heard(store, RUN)).result is Verdict.PARTIAL


@pytest.mark.usefixtures("clock")
async def test_a_termination_message_counts_where_nothing_was_reported(
    store: engine.Database,
) -> None:
    left = said.result(0, Verdict.PARTIAL)
    await say(store, boot=None, beats=0, left=left)
    assert (await said.heard(store, RUN)).result is Verdict.PARTIAL

    await say(store, said.result(1, Verdict.FAILED))
    await say(store, boot=None, beats=0, left=left)
    assert (await said.heard(store, RUN)).result is Verdict.FAILED


@pytest.mark.usefixtures("clock")
async def test_losses_only_grow_and_are_summed_over_starts(store: engine.Database) -> None:
    for lost in ({"error": 2}, {"error": 5, "progress": 1}, {"error": 3}):
        await say(store, lost=lost)
    assert (await said.heard(store, RUN)).lost == {"error": 5, "progress": 1}

    await say(store, boot=said.LATER_BOOT, lost={"error": 1})
    await say(store, lost={"error": 9})  # of the start before: it is over

    assert (await said.heard(store, RUN)).lost == {"error": 6, "progress": 1}


INSTANTS = [
    (datetime(1, 1, 1, tzinfo=UTC), AT),
    (AT - SECOND, AT),
    (AT + SECOND, AT + SECOND),
    (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), AT + 60 * SECOND),
]


@pytest.mark.parametrize(("words", "kept"), INSTANTS, ids=str)
async def test_a_clock_that_is_wrong_says_nothing_beyond_the_life_of_its_pod(
    store: engine.Database, clock: clocks.Clock, words: datetime, kept: datetime
) -> None:
    clock.advance(60 * SECOND)
    await say(store, said.error(1, at=words))

    (row,) = await said.rows(store, "SELECT at FROM execution_errors")
    assert row.at == kept


async def test_what_reports_leave_comes_back_with_the_pods(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await say(store, said.result(1, Verdict.PARTIAL, message="half"))
    async with store.transaction() as unit:
        (attempt,) = (await unit.attempts.observe({RUN: ()}))[RUN.id]
        assert (attempt.result, attempt.result_message) == ("partial", "half")
        await unit.attempts.observe({RUN: [builders.attempt("pod-1", ended_at=clock.now)]})
    assert (await said.heard(store, RUN)).result is Verdict.PARTIAL


@pytest.mark.usefixtures("clock")
async def test_errors_are_counted_by_type(store: engine.Database) -> None:
    await say(store, *(said.error(seq, type="ab"[seq % 2]) for seq in range(1, 6)))
    async with store.transaction() as unit:
        assert await unit.reports.error_types(RUN.id) == {"a": 2, "b": 3}
        assert await unit.reports.error_types(builders.execution(builders.job("x")).id) == {}


async def example(store: engine.Database) -> findings.Example | None:
    async with store.transaction() as unit:
        return await unit.reports.example(RUN, None)


async def test_the_example_is_the_newest_of_the_most_frequent_errors_with_their_number(
    store: engine.Database,
) -> None:
    assert await example(store) is None
    await say(store, said.error(1, type="quota"), said.letter(2))
    assert await example(store) == findings.Example(text="quota: no answer", times=1)
    later = [said.error(seq, message=f"no answer in {seq} s") for seq in (3, 4)]
    await say(store, *later)
    assert await example(store) == findings.Example(text="timeout: no answer in 4 s", times=2)


async def test_the_example_of_an_error_without_message_is_its_type(store: engine.Database) -> None:
    await say(store, said.error(message=""))
    assert await example(store) == findings.Example(text="timeout", times=1)


async def test_of_a_long_message_the_beginning_is_an_example(store: engine.Database) -> None:
    await say(store, said.error(message="x" * reporting.LONGEST_MESSAGE))
    found = await example(store)
    assert found
    assert found.text == "timeout: " + "x" * reporting.LONGEST_PROGRESS_MESSAGE
