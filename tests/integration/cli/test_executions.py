"""`rollcall executions …` as it is typed."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollcall.cli import main
from rollcall.core.executions import Event, Execution, Status
from rollcall.store import engine
from support import builders, commands, surroundings

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOUR = timedelta(hours=1)
REPORT = builders.job("report")
BILLING = builders.job("billing", namespace="finance")
RUNS = [
    builders.execution(REPORT, slot_at=NOW - 1 * HOUR, status=Status.SUCCEEDED),
    builders.execution(REPORT, slot_at=NOW - 2 * HOUR, status=Status.FAILED, exit_code=3),
    builders.execution(REPORT, slot_at=NOW - 72 * HOUR, status=Status.MISSED),
    builders.execution(BILLING, slot_at=NOW - 3 * HOUR, status=Status.SUCCEEDED),
]
FAILED = RUNS[1]
OOM = Event(at=FAILED.slot_at, source="pod", reason="OOMKilled", message="exit code 137")


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    """Run the command on a ledger with four executions of two jobs."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "executions")


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    async with store.transaction() as unit:
        for job in (REPORT, BILLING):
            await unit.registry.register(job)
        for run in RUNS:
            await unit.ledger.save(run)
        await unit.events.record(FAILED, [OOM])
    await store.close()


def newest_first(*runs: Execution) -> list[str]:
    return [str(run.id) for run in sorted(runs, key=lambda run: run.slot_at, reverse=True)]


def test_the_list_is_a_table_newest_first(rollcall: commands.Command) -> None:
    printed = rollcall("list")

    assert printed.splitlines()[0].split() == [
        "NAMESPACE", "CRONJOB", "SLOT", "STATUS", "REASON", "TRIGGER", "DURATION", "ID",
    ]  # fmt: skip
    assert commands.ids_in(printed) == newest_first(*RUNS)
    assert re.search(r"^shop +report +\S+Z +failed +Failed +schedule +30s +", printed, re.MULTILINE)


CHOICES: dict[str, tuple[list[str], list[Execution]]] = {
    "a namespace": (["-n", "finance"], [RUNS[3]]),
    "a job": (["--cronjob", "report"], RUNS[:3]),
    "two statuses": (["--status", "failed", "--status", "missed"], RUNS[1:3]),
    "a time": (["--since", "2d"], [RUNS[0], RUNS[1], RUNS[3]]),
    "a trigger": (["--trigger", "manual"], []),
}


@pytest.mark.parametrize(("arguments", "expected"), CHOICES.values(), ids=CHOICES)
def test_the_list_can_be_restricted(
    rollcall: commands.Command, arguments: list[str], expected: list[Execution]
) -> None:
    assert commands.ids_in(rollcall("list", *arguments)) == newest_first(*expected)


def test_pages_follow_one_another_by_the_cursor(rollcall: commands.Command) -> None:
    first = rollcall("list", "--limit", "3")
    cursor = re.findall(r"more: --cursor (\S+)", first)[0]
    second = rollcall("list", "--limit", "3", "--cursor", cursor)

    assert commands.ids_in(first) + commands.ids_in(second) == newest_first(*RUNS)
    assert "more:" not in second


def test_the_list_as_json_has_items_and_the_next_cursor(rollcall: commands.Command) -> None:
    page = json.loads(rollcall("list", "--limit", "2", "-o", "json"))

    assert [item["id"] for item in page["items"]] == newest_first(*RUNS)[:2]
    assert page["items"][1]["exitCode"] == 3
    assert page["nextCursor"]


def test_a_forged_cursor_is_refused_with_the_way_out(rollcall: commands.Command) -> None:
    assert "nextCursor" in rollcall("list", "--cursor", "forged", code=2)


def test_one_is_shown_with_what_happened_in_it(rollcall: commands.Command) -> None:
    printed = rollcall("show", str(FAILED.id))

    assert re.search(r"^exitCode +3$", printed, re.MULTILINE)
    assert re.search(r"Z +pod +OOMKilled +exit code 137$", printed, re.MULTILINE)
    shown = json.loads(rollcall("show", str(FAILED.id), "-o", "json"))
    assert shown["status"] == "failed"
    assert [event["reason"] for event in shown["events"]] == ["OOMKilled"]


def test_one_that_there_is_not_is_said_to_be_absent(rollcall: commands.Command) -> None:
    absent = str(builders.execution().id)

    beyond_time = "ffffffff-ffff-8fff-bfff-ffffffffffff"  # its bits say a year beyond 9999

    assert f"no execution {absent}" in rollcall("show", absent, code=1)
    assert f"no execution {beyond_time}" in rollcall("show", beyond_time, code=1)
    assert "no id of an execution" in rollcall("show", "report-1", code=2)


@pytest.mark.parametrize("action", ["list", "stats"])
def test_where_nothing_is_chosen_it_says_so(rollcall: commands.Command, action: str) -> None:
    assert rollcall(action, "--cronjob", "absent") == "no executions\n"


def test_a_database_without_tables_is_answered_with_what_to_run(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    surroundings.forget_settings(monkeypatch)
    monkeypatch.setenv("ROLLCALL_DATABASE_DSN", empty_dsn)
    with pytest.raises(SystemExit):
        main.main(["executions", "list"])
    assert "has no schema yet" in (said := capsys.readouterr().err)
    assert "run `rollcall db upgrade`" in said


def test_numbers_are_by_job(rollcall: commands.Command) -> None:
    printed = rollcall("stats", "--days", "30")

    header, billing, report = (line.split() for line in printed.splitlines())
    assert header == [
        "NAMESPACE", "CRONJOB", "SUCCESS", "FAILED", "MISSED", "SUCCEEDED",
        "P50", "P95", "P99", "LONGEST",
    ]  # fmt: skip
    assert billing == ["finance", "billing", "100.0%", "0", "0", "1", "30s", "30s", "30s", "30s"]
    assert report == ["shop", "report", "50.0%", "1", "1", "1", "30s", "30s", "30s", "30s"]


def test_numbers_as_json_are_of_the_chosen_jobs_and_days(rollcall: commands.Command) -> None:
    numbers: dict[str, Any] = json.loads(
        rollcall("stats", "--days", "2", "--cronjob", "report", "-o", "json")
    )

    [item] = numbers["items"]
    assert item["counts"].get("missed", 0) == 0
    assert item["successRate"] == 0.5
    assert item["longestSeconds"] == 30
