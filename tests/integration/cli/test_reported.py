"""What a run's program reported, as `rollcall executions show` shows it."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollcall.cli import reported
from rollcall.core import expectations, reporting, stages, windows
from rollcall.core.executions import Status
from rollcall.services import account, ports
from rollcall.store import engine
from support import builders, commands

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
JOB = builders.job()
BOOT = "0123456789abcdef"
RUN = builders.execution(JOB, slot_at=NOW - timedelta(hours=1), status=Status.RUNNING)
SILENT = builders.execution(
    JOB, slot_at=NOW - timedelta(hours=2), status=Status.SUCCEEDED, started_at=None
)
POD = builders.attempt(job_uid=RUN.job_uid, created_at=RUN.slot_at, started_at=RUN.slot_at)
ITEMS: list[reporting.Item] = [
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
    reporting.Checkpoint(seq=5, at=RUN.slot_at + 10 * SECOND, value={"page": 7}),
]
# What succeeded before, newest first, by the minutes that it took.
TOOK = (30, 90, 60)
BEFORE = [
    builders.execution(
        JOB,
        slot_at=RUN.slot_at - (2 + number) * 60 * MINUTE,
        status=Status.SUCCEEDED,
        started_at=RUN.slot_at - (2 + number) * 60 * MINUTE,
        ended_at=RUN.slot_at - (2 + number) * 60 * MINUTE + minutes * MINUTE,
    )
    for number, minutes in enumerate(TOOK)
]
WINDOW = windows.Stretch(from_at=RUN.slot_at - 60 * MINUTE, until_at=RUN.slot_at)
WAITING = builders.execution(
    JOB, slot_at=NOW - timedelta(minutes=30), status=Status.RUNNING,
    started_at=NOW - timedelta(minutes=30),
)  # fmt: skip


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        for run in (RUN, SILENT, WAITING, *BEFORE):
            await unit.ledger.save(run)
        await unit.attempts.observe({RUN: [POD]})
        await unit.windows.open(JOB.id, RUN.id, WINDOW)
    for number, done in enumerate((20, 40)):
        report = reporting.Report(
            pod_uid=POD.pod_uid,
            at=RUN.slot_at + number * 10 * SECOND,
            boot=BOOT,
            progress=reporting.Progress(
                seq=number + 1,
                done=done,
                total=100,
                stage=("read", "load")[number],
                counters={"rows": 400},
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
    lines = dict(line.split(None, 1) for line in show(str(RUN.id)).splitlines() if " " in line)
    assert lines["progress"] == "40 of 100 (40%), load, 2 per second"
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


def after(seconds: int) -> str:
    return (RUN.slot_at + seconds * SECOND).isoformat().replace("+00:00", "Z")


def test_a_run_is_shown_with_its_window_checkpoint_stages_and_last_errors(
    show: commands.Command,
) -> None:
    printed = show(str(RUN.id))
    assert re.search(rf"^window +{after(-3600)} to {after(0)}, open$", printed, re.MULTILINE)
    assert re.search(
        rf'^checkpoint +{after(10)}, attempt 1, 11 bytes: {{"page": 7}}$', printed, re.MULTILINE
    )
    assert re.search(rf"^stages +{after(0)} read: 10s\n +{after(10)} load: ", printed, re.MULTILINE)
    assert re.search(rf"^lastErrors +{after(0)} \w+: .*\n +{after(0)} \w+: ", printed, re.MULTILINE)
    assert "timeout: no answer" in printed
    assert re.search(r'^metadata +{"source": "s3"}$', printed, re.MULTILINE)

    shown = json.loads(show(str(RUN.id), "-o", "json"))
    assert shown["window"] == {
        "from": after(-3600), "to": after(0), "more": False, "state": "open",
    }  # fmt: skip
    assert (shown["checkpoint"]["value"], shown["checkpoint"]["bytes"]) == ({"page": 7}, 11)
    assert [(one["stage"], one["endTime"]) for one in shown["stages"]] == [
        ("read", after(10)),
        ("load", None),
    ]
    assert shown["stages"][0]["seconds"] == 10
    assert {one["type"] for one in shown["lastErrors"]} == {"timeout", "quota"}
    # By its rate it had ended long ago, and it has said nothing since.
    assert shown["progress"]["expectedEndTime"] is None
    assert (shown["expectedEndTime"], shown["expectedByRuns"]) == (after(3602), 3)


def test_an_end_by_the_programs_own_numbers_is_told_while_it_lies_ahead(
    show: commands.Command, dsn: str
) -> None:
    async def go_on() -> None:
        store = engine.Database(dsn, application_name="tests")
        told = reporting.Progress(seq=3, done=60, total=100_060)
        at = RUN.slot_at + 20 * SECOND
        report = reporting.Report(pod_uid=POD.pod_uid, at=at, boot=BOOT, progress=told)
        await store.run(lambda unit: unit.reports.keep([report]))
        await store.close()

    asyncio.run(go_on())
    assert f", 2 per second, ends {after(50_020)}\n" in show(str(RUN.id))
    shown = json.loads(show(str(RUN.id), "-o", "json"))
    assert shown["progress"]["expectedEndTime"] == after(50_020)
    assert (shown["expectedEndTime"], shown["expectedByRuns"]) == (after(50_020), 0)


def test_a_large_checkpoint_is_told_by_its_size(show: commands.Command, dsn: str) -> None:
    async def keep() -> None:
        store = engine.Database(dsn, application_name="tests")
        large = reporting.Checkpoint(seq=9, at=RUN.slot_at + MINUTE, value="x" * 500)
        report = reporting.Report(pod_uid=POD.pod_uid, at=NOW, boot=BOOT, items=[large])
        await store.run(lambda unit: unit.reports.keep([report]))
        await store.close()

    asyncio.run(keep())
    assert re.search(r"^checkpoint +\S+Z, attempt 1, 502 bytes$", show(str(RUN.id)), re.MULTILINE)
    assert json.loads(show(str(RUN.id), "-o", "json"))["checkpoint"]["value"] is None


def test_a_run_without_a_rate_is_expected_to_take_as_long_as_those_before(
    show: commands.Command,
) -> None:
    ends = (NOW + 30 * MINUTE).isoformat().replace("+00:00", "Z")
    assert re.search(
        rf"^expectedEnd +{ends} by the median of 3 successes before$",
        show(str(WAITING.id)),
        re.MULTILINE,
    )
    shown = json.loads(show(str(WAITING.id), "-o", "json"))
    assert (shown["expectedEndTime"], shown["expectedByRuns"]) == (ends, 3)


def test_a_run_that_reported_nothing_is_shown_without_it(show: commands.Command) -> None:
    assert not re.search(
        r"^(progress|result|errors|lost|heard|window|checkpoint|stages|expected)",
        show(str(SILENT.id)),
        re.MULTILINE,
    )
    shown = json.loads(show(str(SILENT.id), "-o", "json"))
    assert (shown["progress"], shown["result"], shown["errors"]) == (None, None, 0)
    assert (shown["lastHeardTime"], shown["tookLeave"]) == (None, None)


def test_of_many_stages_the_newest_are_shown() -> None:
    found = [
        stages.Stage(pod_name="pod-1", name=f"part {number}", began_at=NOW, ended_at=NOW)
        for number in range(reported.MOST_STAGES + 5)
    ]
    first, *others = shown(stages=found)["stages"].splitlines()
    assert first == "(5 earlier)"
    assert len(others) == reported.MOST_STAGES
    assert others[-1].endswith(f" {found[-1].name}: 0s")


def test_an_expected_end_that_is_over_is_said_to_be() -> None:
    late = expectations.Expected(at=NOW - MINUTE, runs=5)
    assert shown(expected=late)["expectedEnd"].endswith(
        "Z by the median of 5 successes before; that is over"
    )


@pytest.mark.parametrize(
    ("message", "line"),
    [("", "timeout"), ("no\nmore", "timeout: no"), ("x" * 500, f"timeout: {'x' * 118} …")],
    ids=["none", "lines", "long and unbroken"],
)
def test_an_error_is_one_line(message: str, line: str) -> None:
    error = ports.ReportedError(
        namespace="shop", cronjob="report", execution_id=RUN.id, pod_name="pod-1", at=NOW,
        type="timeout", message=message, item=None, error_class=None, retry_after=None,
        fingerprint="f" * 16,
    )  # fmt: skip
    assert shown(last_errors=[error])["lastErrors"].partition(" ")[2] == line


def shown(**changes: object) -> dict[str, str]:
    """Return the lines of an account that has only this."""
    nothing: dict[str, Any] = {
        "progress": None, "expected": None, "stages": (), "window": None, "checkpoint": None,
        "result": None, "errors": 0, "error_types": {}, "last_errors": (), "dead_letters": 0,
        "lost": {}, "heard_at": None, "has_taken_leave": True,
    }  # fmt: skip
    return dict(reported.rows(account.Account(**(nothing | changes)), NOW))
