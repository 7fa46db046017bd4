"""What a run's program reported, as `rollcall executions show` shows it."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import reporting
from rollcall.core.executions import Status
from rollcall.store import engine
from support import builders, commands

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
SECOND = timedelta(seconds=1)
JOB = builders.job()
BOOT = "0123456789abcdef"
RUN = builders.execution(JOB, slot_at=NOW - timedelta(hours=1), status=Status.RUNNING)
SILENT = builders.execution(JOB, slot_at=NOW - timedelta(hours=2), status=Status.SUCCEEDED)
POD = builders.attempt(job_uid=RUN.job_uid, created_at=RUN.slot_at, started_at=RUN.slot_at)
ITEMS = [
    reporting.Error(seq=1, at=RUN.slot_at, type="timeout", message="no answer"),
    reporting.Error(seq=2, at=RUN.slot_at, type="quota", message="too much"),
    reporting.DeadLetter(seq=3, at=RUN.slot_at, item="order-17", payload=None, error="refused"),
    reporting.Result(
        seq=4,
        at=RUN.slot_at,
        result=reporting.Verdict.PARTIAL,
        message="half",
        counters={"files": 3},
        metadata={"source": "s3"},
    ),
]


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        for run in (RUN, SILENT):
            await unit.ledger.save(run)
        await unit.attempts.observe({RUN: [POD]})
    for number, done in enumerate((20, 40)):
        report = reporting.Report(
            pod_uid=POD.pod_uid,
            at=RUN.slot_at + number * 10 * SECOND,
            boot=BOOT,
            progress=reporting.Progress(
                seq=number + 1, done=done, total=100, stage="load", counters={"rows": 400}
            ),
            items=ITEMS if number else (),
            lost={"error": 1} if number else {},
            is_final=bool(number),
        )
        async with store.transaction() as unit:
            await unit.reports.keep([report])
    await store.close()


@pytest.fixture
def show(dsn: str, command: commands.Command) -> commands.Command:
    """Show a run of a ledger with one that reported and one that did not."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "executions", "show")


def test_a_run_is_shown_with_its_progress_and_what_it_reported(show: commands.Command) -> None:
    lines = dict(line.split(None, 1) for line in show(str(RUN.id)).splitlines() if line)
    ends = (RUN.slot_at + 40 * SECOND).isoformat().replace("+00:00", "Z")
    assert lines["progress"] == f"40 of 100 (40%), load, 2 per second, ends {ends}"
    assert lines["counters"] == "rows=400"
    assert (lines["result"], lines["resultCounters"]) == ("partial", "files=3")
    assert (lines["errors"], lines["deadLetters"], lines["lost"]) == ("2", "1", "error=1")
    assert lines["errorTypes"].split() == ["quota=1", "timeout=1"]
    heard = (RUN.slot_at + 10 * SECOND).isoformat().replace("+00:00", "Z")
    assert lines["heard"] == f"{heard}, took leave"


def test_a_run_is_shown_so_as_json(show: commands.Command) -> None:
    shown = json.loads(show(str(RUN.id), "-o", "json"))
    assert shown["progress"]["percent"] == 40.0
    assert shown["progress"]["ratePerSecond"] == 2.0
    assert shown["progress"]["counters"] == {"rows": 400}
    assert shown["result"]["result"] == "partial"
    assert shown["result"]["metadata"] == {"source": "s3"}
    assert shown["errorTypes"] == {"quota": 1, "timeout": 1}
    assert (shown["errors"], shown["deadLetters"], shown["lost"]) == (2, 1, {"error": 1})


def test_a_run_that_reported_nothing_is_shown_without_it(show: commands.Command) -> None:
    assert not re.search(
        r"^(progress|result|errors|lost|heard)", show(str(SILENT.id)), re.MULTILINE
    )
    shown = json.loads(show(str(SILENT.id), "-o", "json"))
    assert (shown["progress"], shown["result"], shown["errors"]) == (None, None, 0)
    assert (shown["lastHeardTime"], shown["tookLeave"]) == (None, None)
