"""Group commit: one transaction for many, an answer only after COMMIT."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.core import errors, reporting
from rollcall.services import batches, limits, ports, reporters
from rollcall.services.told import Told, Waiter
from support import builders, said

T = TypeVar("T")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BAD = "cannot be kept"
OURS = KeyError("a fault of ours")


class Store:
    """Keeps batches at COMMIT, which waits for `gate`.

    It cannot keep pods or items in `poison`, and fails at those in `broken`.
    """

    def __init__(self) -> None:
        self.kept: list[list[reporting.Report]] = []
        self.transactions = 0
        self.poison: set[object] = set()
        self.broken: set[object] = set()
        self.unknown: set[str] = set()
        self.news: set[str] = set()
        self.refused: dict[str, reporting.Refusal] = {}
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        batch: list[reporting.Report] = []
        self.transactions += 1

        async def keep(reports: Sequence[reporting.Report]) -> Mapping[str, reporting.Kept]:
            self.writing.set()
            if any(self._is_poisoned(report) for report in reports):
                raise errors.Unstorable(BAD)
            if any(_has(report, self.broken) for report in reports):
                raise OURS
            batch.extend(reports)
            return {
                one.pod_uid: self._outcome(one)
                for one in reports
                if (one.items or one.lost) and one.pod_uid not in self.unknown
            }

        yield cast(
            "ports.Transaction", SimpleNamespace(now=NOW, reports=SimpleNamespace(keep=keep))
        )
        await self.gate.wait()
        if self.fault:
            raise self.fault
        self.kept.append(batch)

    async def run(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        async with self.transaction() as unit:
            return await work(unit)

    async def beat(
        self, reports: Callable[[datetime], Sequence[reporting.Report]]
    ) -> Mapping[str, reporting.Kept]:
        return await self.run(lambda unit: unit.reports.keep(reports(unit.now)))

    def pods(self) -> list[list[str]]:
        """Return who was in each transaction."""
        return [[report.pod_uid for report in batch] for batch in self.kept]

    def items(self) -> list[int]:
        """Return all items that were kept, in order of time."""
        return [item.seq for batch in self.kept for report in batch for item in report.items]

    def _is_poisoned(self, report: reporting.Report) -> bool:
        return _has(report, self.poison)

    def _outcome(self, report: reporting.Report) -> reporting.Kept:
        refused = tuple(one for one in (self.refused.get(report.pod_uid),) if one)
        return reporting.Kept(refused=refused, is_news=report.pod_uid in self.news)


def _has(report: reporting.Report, some: set[object]) -> bool:
    """Whether it is one of these pods, or has one of these items."""
    return bool(some & {report.pod_uid, *(item.seq for item in report.items)})


def identity(pod_uid: str, job: str = "report") -> ports.Identity:
    run = builders.execution(builders.job(job))
    return said.identity(run, pod_uid=pod_uid, attempt=2, job_name="report-1")


def told(*items: reporting.Item, **changes: object) -> Told:
    values: dict[str, Any] = {"boot": said.BOOT, "items": items}
    return Told(**(values | changes))


async def keep(batcher: batches.Batcher, identity: ports.Identity, told: Told) -> reporting.Kept:
    waiter = Waiter()
    batcher.add(identity, told, waiter.hear)
    return await waiter.kept


async def settled(batcher: batches.Batcher, *pods: str) -> list[reporting.Kept | BaseException]:
    hearing = [keep(batcher, identity(uid), told()) for uid in pods]
    return await asyncio.gather(*hearing, return_exceptions=True)


KEPT = reporting.Kept()


async def test_what_comes_together_is_one_transaction_and_one_row_per_pod() -> None:
    store, transactions = Store(), []
    batcher = batches.Batcher(store, on_batch=lambda *batch: transactions.append(batch))
    assert await settled(batcher, "a", "b", "a", "c", "a") == [KEPT] * 5
    assert store.pods() == [["a", "b", "c"]]
    assert [report.beats for report in store.kept[0]] == [3, 1, 1]
    assert [size for _, size in transactions] == [3]
    assert all(0 <= seconds < 10 for seconds, _ in transactions)


async def test_of_a_batch_that_is_kept_in_part_each_is_told_what_became_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, fault = Store(), errors.StoreUnavailable("away")

    async def beat(_: object) -> Mapping[str, reporting.Kept]:
        return {"a": reporting.Kept(failure=fault)}

    monkeypatch.setattr(store, "beat", beat)
    assert await settled(batches.Batcher(store), "a", "b") == [fault, KEPT]


async def test_nobody_waits_for_others_to_come() -> None:
    store = Store()
    async with asyncio.timeout(1):  # 50 ms for each would be twice that
        for _ in range(40):
            await settled(batches.Batcher(store), "a")


async def test_the_time_is_the_databases() -> None:
    store = Store()
    await settled(batches.Batcher(store), "a")
    assert NOW - timedelta(seconds=10) < store.kept[0][0].at <= NOW


async def test_all_that_a_report_says_is_kept_with_who_says_it() -> None:
    store = Store()
    words = told(said.error(1), progress=said.progress(3), lost={"error": 2}, is_final=True)
    await keep(batches.Batcher(store), identity("a"), words)
    (report,) = store.kept[0]
    assert (report.boot, report.attempt, report.job_name) == (said.BOOT, 2, "report-1")
    assert (report.items, report.progress) == ([said.error(1)], said.progress(3))
    assert (report.lost, report.is_final) == ({"error": 2}, True)


async def test_reports_of_one_pod_are_kept_as_one_with_the_latest_of_each() -> None:
    store = Store()
    batcher = batches.Batcher(store)
    words = [
        told(said.error(2), progress=said.progress(5), lost={"error": 2, "result": 1}),
        told(said.error(1), said.error(2), progress=said.progress(4)),
        told(said.error(3), lost={"error": 1}, is_final=True),
        told(),
    ]
    await asyncio.gather(*(keep(batcher, identity("a"), one) for one in words))
    (report,) = store.kept[0]
    assert [item.seq for item in report.items] == [1, 2, 3]
    assert report.progress == said.progress(5)
    assert (report.lost, report.is_final) == ({"error": 2, "result": 1}, True)


async def test_a_sidecar_that_was_started_anew_is_kept_after_the_one_before() -> None:
    store = Store()
    batcher = batches.Batcher(store)
    words = [told(said.error(9)), told(said.error(1), boot=said.LATER_BOOT)]
    await asyncio.gather(
        *(keep(batcher, identity("a"), one) for one in words), keep(batcher, identity("b"), told())
    )
    assert store.pods() == [["a", "b"], ["a"]]
    assert store.items() == [9, 1]


async def test_nobody_is_answered_before_commit() -> None:
    store = Store()
    store.gate.clear()
    batcher = batches.Batcher(store)
    heard = asyncio.create_task(keep(batcher, identity("a"), told()))
    await store.writing.wait()
    await asyncio.wait({heard}, timeout=0.05)
    assert not heard.done()
    store.gate.set()
    await heard
    assert store.pods() == [["a"]]


async def test_what_comes_during_a_transaction_is_the_next_one() -> None:
    store = Store()
    store.gate.clear()
    batcher = batches.Batcher(store)
    first = asyncio.create_task(keep(batcher, identity("a"), told()))
    await store.writing.wait()
    later = [asyncio.create_task(keep(batcher, identity(uid), told())) for uid in ("a", "b")]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *later)
    assert store.pods() == [["a"], ["a", "b"]]


async def test_large_crowds_are_cut_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 10)
    store = Store()
    assert await settled(batches.Batcher(store), *map(str, range(30))) == [KEPT] * 30
    assert [len(batch) for batch in store.kept] == [10, 10, 10]


async def test_large_reports_are_cut_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LARGEST_BATCH", 100)
    store = Store()
    batcher = batches.Batcher(store)
    sizes = {"a": 60, "b": 40, "c": 1, "d": 300, "e": 5}
    await asyncio.gather(
        *(keep(batcher, identity(uid), told(size=size)) for uid, size in sizes.items())
    )
    assert store.pods() == [["a", "b"], ["c"], ["d"], ["e"]]


async def test_when_the_store_fails_all_are_refused_and_nothing_is_kept() -> None:
    store = Store()
    store.fault = errors.StoreUnavailable("down")
    batcher = batches.Batcher(store)
    outcomes = await settled(batcher, "a", "b")
    assert [getattr(one, "retry_after", None) for one in outcomes] == [5, 5]
    store.fault = None
    assert await settled(batcher, "c") == [KEPT]
    assert store.pods() == [["c"]]


async def test_who_came_during_a_failing_transaction_is_refused_with_it() -> None:
    store = Store()
    store.gate.clear()
    store.fault = errors.StoreUnavailable("down")
    batcher = batches.Batcher(store)
    first = asyncio.create_task(keep(batcher, identity("a"), told()))
    await store.writing.wait()
    second = asyncio.create_task(keep(batcher, identity("b"), told()))
    await asyncio.sleep(0)
    store.gate.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in outcomes] == [errors.StoreUnavailable] * 2
    assert store.transactions == 1


async def test_a_poisoned_pod_costs_only_itself() -> None:
    store = Store()
    store.poison = {"d"}
    outcomes = await settled(batches.Batcher(store), *"abcdefg")
    bad = [isinstance(one, errors.Unstorable) for one in outcomes]
    assert bad == [uid == "d" for uid in "abcdefg"]
    assert sorted(uid for batch in store.pods() for uid in batch) == list("abcefg")


async def test_what_cannot_be_kept_together_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Quarrel(Store):
        @override
        def _is_poisoned(self, report: reporting.Report) -> bool:
            return self.transactions == 1

    assert await settled(batches.Batcher(Quarrel()), "a", "b") == [KEPT] * 2
    assert BAD in caplog.text


async def test_a_poisoned_item_costs_only_itself() -> None:
    store = Store()
    store.poison = {2, 4}
    batcher = batches.Batcher(store)
    words = told(*map(said.error, range(1, 6)), progress=said.progress(7))
    kept, other = await asyncio.gather(
        keep(batcher, identity("a"), words), keep(batcher, identity("b"), told(said.error(9)))
    )
    assert [(refusal.seq, refusal.status) for refusal in kept.refused] == [(2, 422), (4, 422)]
    assert other == KEPT
    assert sorted(store.items()) == [1, 3, 5, 9]
    of_a = [report for batch in store.kept for report in batch if report.pod_uid == "a"]
    assert sum(report.beats for report in of_a) == 1
    assert [report.progress for report in of_a if report.progress] == [said.progress(7)]


async def test_an_item_that_a_fault_of_ours_keeps_out_is_not_refused() -> None:
    """Its sidecar is told that the report failed, and sends it again: no item is skipped."""
    store = Store()
    store.broken = {3}
    batcher = batches.Batcher(store)
    words = told(*map(said.error, range(1, 5)))
    failed, other = await asyncio.gather(
        keep(batcher, identity("a"), words),
        keep(batcher, identity("b"), told(said.error(9))),
        return_exceptions=True,
    )
    assert (failed, other) == (OURS, KEPT)
    assert sorted(store.items()) == [1, 2, 9]

    store.broken = set()
    assert await keep(batcher, identity("a"), words) == KEPT
    assert store.items()[-4:] == [1, 2, 3, 4]


async def test_an_outage_while_items_are_tried_keeps_nobody_waiting() -> None:
    store = Store()
    store.poison = {1}
    store.gate.clear()
    batcher = batches.Batcher(store)
    waiting = asyncio.create_task(keep(batcher, identity("a"), told(*map(said.error, range(1, 4)))))
    await store.writing.wait()
    await asyncio.sleep(0)
    store.fault = errors.StoreUnavailable("down")
    store.gate.set()
    with pytest.raises(errors.StoreUnavailable):
        await waiting


async def test_what_the_store_refuses_comes_back() -> None:
    store = Store()
    refusal = reporting.Refusal(seq=1, status=429, detail="too many")
    store.refused = {"a": refusal}
    kept = await keep(batches.Batcher(store), identity("a"), told(said.letter(1)))
    assert kept.refused == (refusal,)


async def test_items_of_a_run_that_is_gone_are_not_acknowledged() -> None:
    store = Store()
    store.unknown = {"a"}
    batcher = batches.Batcher(store)
    assert await keep(batcher, identity("a"), told()) == KEPT
    with pytest.raises(reporters.Forbidden):
        await keep(batcher, identity("a"), told(said.error(1)))


async def test_news_is_told_by_job() -> None:
    store, news = Store(), set[UUID]()
    store.news = {"a", "b"}
    batcher = batches.Batcher(store, on_news=news.update)
    words = told(said.error(1))
    await keep(batcher, identity("a"), words)
    await keep(batcher, identity("c", "other"), words)
    await keep(batcher, identity("b"), told())
    assert news == {builders.job("report").id}


async def test_too_many_waiting_are_turned_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_WAITING", 3)
    batcher = batches.Batcher(Store())
    outcomes = await settled(batcher, "a", "b", "c", "d")
    assert outcomes[:3] == [KEPT] * 3
    assert isinstance(outcomes[3], errors.StoreUnavailable)
    assert await settled(batcher, "d") == [KEPT]


async def test_more_than_there_is_memory_for_is_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 100)
    batcher = batches.Batcher(Store())
    for _ in range(3):  # what is kept, or given up, waits no more
        outcomes = await asyncio.gather(
            *(keep(batcher, identity(uid), told(size=40)) for uid in "abc"), return_exceptions=True
        )
        assert [type(one) for one in outcomes] == [
            reporting.Kept, reporting.Kept, errors.StoreUnavailable,
        ]  # fmt: skip


async def test_one_pod_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_OF_POD", 100)
    batcher = batches.Batcher(Store())
    outcomes = await asyncio.gather(
        *(keep(batcher, identity(uid), told(size=60)) for uid in "aab"), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [reporting.Kept, limits.TooMany, reporting.Kept]


async def test_a_pod_has_no_more_room_for_calling_itself_started_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "MOST_OF_POD", 100)
    batcher = batches.Batcher(Store())
    for _ in range(3):  # what is kept waits no more
        outcomes = await asyncio.gather(
            *(keep(batcher, identity("a"), told(size=60, boot=boot))
              for boot in (said.BOOT, said.LATER_BOOT)),
            return_exceptions=True,
        )  # fmt: skip
        assert [type(one) for one in outcomes] == [reporting.Kept, limits.TooMany]


async def test_a_pod_whose_reports_were_refused_with_all_has_its_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "MOST_OF_POD", 100)
    store = Store()
    store.fault = errors.StoreUnavailable("down")
    batcher = batches.Batcher(store)
    boots = (said.BOOT, said.LATER_BOOT)
    await asyncio.gather(
        *(keep(batcher, identity("a"), told(size=40, boot=boot)) for boot in boots),
        return_exceptions=True,
    )
    store.fault = None
    assert await keep(batcher, identity("a"), told(size=100)) == KEPT


async def test_a_pod_whose_report_is_refused_was_heard() -> None:
    store = Store()
    batcher = batches.Batcher(store)
    batcher.note(identity("a"), said.BOOT)
    await batcher.close()
    (report,) = store.kept[0]
    assert (report.pod_uid, report.beats, report.boot) == ("a", 1, said.BOOT)


async def test_a_pod_that_is_refused_under_ever_new_names_takes_one_place() -> None:
    store = Store()
    store.gate.clear()
    batcher = batches.Batcher(store)
    writing = asyncio.create_task(keep(batcher, identity("b"), told()))
    await store.writing.wait()
    for number in range(1000):
        batcher.note(identity("a"), f"{number:016x}")
    batcher.note(identity("a"), f"{0:016x}")
    store.gate.set()
    await writing
    await batcher.close()
    assert store.pods() == [["b"], ["a"]]
    (report,) = store.kept[1]
    assert (report.boot, report.beats) == ("0" * 16, 2)


async def test_who_gives_up_leaves_the_others_alone() -> None:
    store = Store()
    store.gate.clear()
    batcher = batches.Batcher(store)
    impatient = asyncio.create_task(keep(batcher, identity("a"), told()))
    patient = asyncio.create_task(keep(batcher, identity("a"), told()))
    await store.writing.wait()
    impatient.cancel()
    store.gate.set()
    await patient
    await batcher.close()
    assert store.pods() == [["a"]]


async def test_an_answer_that_fails_costs_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError("the connection is gone")

    batcher = batches.Batcher(Store())
    batcher.add(identity("a"), told(), fail)
    assert await settled(batcher, "a", "b") == [KEPT] * 2
    assert "report not answered" in caplog.text
