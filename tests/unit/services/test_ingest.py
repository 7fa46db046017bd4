"""One report, from its token to its answer, with a store that does what the test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest

from rollcall.core import errors, reporting
from rollcall.services import ingest, limits, ports
from rollcall.services.told import Told
from support import builders, said
from support import reporting as stand_ins

T = TypeVar("T")
RUN = builders.execution()
REFUSAL = reporting.Refusal(seq=1, status=429, detail="too many")


class Store:
    """Knows one pod; refuses its items with seq 1; `faults` are raised one after the other."""

    def __init__(self) -> None:
        self.faults: list[Exception | None] = []
        self.beats = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        async def identify(pod_uids: Collection[str]) -> Mapping[str, ports.Identity]:
            return {uid: said.identity(RUN, pod_uid=uid) for uid in pod_uids}

        unit = SimpleNamespace(
            now=builders.SLOT_AT,
            attempts=SimpleNamespace(identify=identify),
            reports=SimpleNamespace(keep=self.keep),
        )
        yield cast("ports.Transaction", unit)

    async def run(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        async with self.transaction() as unit:
            return await work(unit)

    async def beat(
        self, reports: Callable[[datetime], Sequence[reporting.Report]]
    ) -> Mapping[str, reporting.Kept]:
        return await self.run(lambda unit: unit.reports.keep(reports(unit.now)))

    async def keep(self, reports: Sequence[reporting.Report]) -> Mapping[str, reporting.Kept]:
        self.beats += sum(report.beats for report in reports)
        return {
            report.pod_uid: reporting.Kept(refused=(REFUSAL,)) for report in reports if report.items
        }


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def use_case(store: Store) -> AsyncIterator[ingest.Ingest]:
    reports = ingest.Ingest(
        store=cast("ports.Store", store),
        reviewer=stand_ins.Reviewer(good=stand_ins.caller("pod-1")),
        lookup=stand_ins.Lookup(),
        cluster=builders.CLUSTER,
    )
    yield reports
    await reports.close()


async def test_who_sent_an_item_is_told_that_it_was_refused(use_case: ingest.Ingest) -> None:
    one = Told(boot=said.BOOT, items=[said.letter(1)])
    other = Told(boot=said.BOOT, items=[said.letter(2)])
    assert list((await use_case.report("good", one)).refused) == [REFUSAL]
    assert list((await use_case.report("good", other)).refused) == []


@pytest.mark.parametrize(
    ("fault", "level"),
    [(errors.StoreUnavailable("down"), "WARNING"), (ValueError("a mistake of ours"), "ERROR")],
    ids=["an outage", "a mistake"],
)
async def test_what_is_kept_is_acknowledged_also_when_the_run_cannot_be_told(
    use_case: ingest.Ingest,
    store: Store,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    level: str,
) -> None:
    store.faults = [None, fault]
    answer = await use_case.report("good", Told(), list(reporting.Want))
    assert (answer.identity.pod_uid, answer.telling, store.beats) == ("pod-1", ingest.NOTHING, 1)
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        (level, "run not told")
    ]


async def test_a_pod_over_its_limit_was_heard(use_case: ingest.Ingest, store: Store) -> None:
    for _ in range(ingest.BURST):
        await use_case.report("good", Told())
    refused = 0
    for _ in range(20):
        try:
            await use_case.report("good", Told())
        except limits.TooMany:
            refused += 1
    await use_case.close()
    assert refused > 0
    assert store.beats == ingest.BURST + 20
