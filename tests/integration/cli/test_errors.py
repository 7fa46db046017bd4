"""`rollcall errors …` as it is typed."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core.executions import Status
from rollcall.store import engine
from support import builders, commands, said

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MINUTE = timedelta(minutes=1)
REPORT = builders.job("report")
BILLING = builders.job("billing", namespace="finance")
FIRST = builders.execution(REPORT, slot_at=NOW - timedelta(hours=2), status=Status.FAILED)
SECOND = builders.execution(REPORT, slot_at=NOW - timedelta(hours=1), status=Status.SUCCEEDED)
OF_BILLING = builders.execution(BILLING, slot_at=NOW - timedelta(hours=3), status=Status.FAILED)
RUNS = {"pod-first": (REPORT, FIRST), "pod-second": (REPORT, SECOND),
        "pod-billing": (BILLING, OF_BILLING)}  # fmt: skip
ABSENT = "3a4e6b66-0083-8c1c-b6d6-46119678cb55"


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    """Run the command on a database with the errors of two jobs."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "errors")


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    for uid, (job, run) in RUNS.items():
        async with store.transaction() as unit:
            await unit.registry.register(job)
            await unit.ledger.save(run)
            pod = builders.attempt(uid, created_at=run.slot_at, job_uid=run.job_uid)
            await unit.attempts.observe({run: [pod]})
    at = FIRST.slot_at
    again = SECOND.slot_at
    told = {
        "pod-first": [
            said.error(1, at=at + MINUTE, message="no answer after 3 s", item="order-1"),
            said.error(2, at=at + 2 * MINUTE, type="quota", message="too \x1b[31mmuch\nsecond"),
        ],
        "pod-second": [
            said.error(
                1, at=again + MINUTE, message="no answer after 30 s", error_class="transient",
                retry_after=90,
            ),
            said.error(2, at=again + 2 * MINUTE, message="no answer after 9 s"),
        ],
        "pod-billing": [said.error(1, at=OF_BILLING.slot_at, message="no answer after 1 s")],
    }  # fmt: skip
    for uid, items in told.items():
        await said.keep(store, said.report(uid, *items, at=NOW))
    await store.close()


def groups(rollcall: commands.Command, *arguments: str) -> list[tuple[str, str, int, int]]:
    listed = json.loads(rollcall("list", *arguments, "-o", "json"))["items"]
    return [(one["cronjob"], one["type"], one["count"], one["runs"]) for one in listed]


def fingerprint_of(rollcall: commands.Command, kind: str) -> str:
    listed = json.loads(rollcall("list", "-o", "json"))["items"]
    found: str = next(one["fingerprint"] for one in listed if one["type"] == kind)
    return found


def test_groups_are_listed_with_count_runs_and_an_example_the_last_seen_first(
    rollcall: commands.Command,
) -> None:
    printed = rollcall("list")
    assert printed.splitlines()[0].split() == [
        "NAMESPACE", "CRONJOB", "TYPE", "COUNT", "RUNS", "FIRST", "LAST", "FINGERPRINT", "EXAMPLE",
    ]  # fmt: skip
    assert groups(rollcall) == [
        ("report", "timeout", 3, 2), ("report", "quota", 1, 1), ("billing", "timeout", 1, 1),
    ]  # fmt: skip
    assert re.search(
        r"^shop +report +timeout +3 +2 +\S+Z +\S+Z +[0-9a-f]{16} +no answer after 3 s$",
        printed,
        re.MULTILINE,
    )
    assert "too \\x1b[31mmuch" in printed
    assert "second" not in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-n", "finance"], [("billing", "timeout", 1, 1)]),
        (["--cronjob", "report"], [("report", "timeout", 3, 2), ("report", "quota", 1, 1)]),
    ],
    ids=["a namespace", "a job"],
)
def test_the_list_can_be_restricted(
    rollcall: commands.Command, arguments: list[str], expected: list[tuple[str, str, int, int]]
) -> None:
    assert groups(rollcall, *arguments) == expected


def test_where_there_are_none_that_is_said(rollcall: commands.Command) -> None:
    assert rollcall("list", "--cronjob", "other") == "no errors\n"


def test_pages_follow_one_another_by_the_cursor(rollcall: commands.Command) -> None:
    first = rollcall("list", "--limit", "2")
    (cursor,) = re.findall(r"more: --cursor (\S+)", first)
    second = rollcall("list", "--limit", "2", "--cursor", cursor)
    assert "billing" not in first
    assert "billing" in second
    assert "more:" not in second
    assert "nextCursor" in rollcall("list", "--cursor", "forged", code=2)


def test_the_errors_of_a_group_are_shown_newest_first_with_run_pod_item_and_class(
    rollcall: commands.Command,
) -> None:
    fingerprint = fingerprint_of(rollcall, "timeout")
    printed = rollcall("show", fingerprint, "--cronjob", "report")
    assert re.search(r"^sample +no answer after 3 s$", printed, re.MULTILINE)
    assert commands.ids_in(printed) == [str(SECOND.id), str(SECOND.id), str(FIRST.id)]
    assert re.search(
        r"pod-second +timeout +transient, again after 1m30s +- +no answer after 30 s$",
        printed,
        re.MULTILINE,
    )
    assert re.search(r"pod-first +timeout +- +order-1 +no answer after 3 s$", printed, re.MULTILINE)

    shown = json.loads(rollcall("show", fingerprint, "-o", "json"))
    assert [one["cronjob"] for one in shown["groups"]] == ["report", "billing"]
    assert [one["cronjob"] for one in shown["items"]] == ["report"] * 3 + ["billing"]


def test_the_errors_of_a_run_are_shown_whole_and_in_pages(rollcall: commands.Command) -> None:
    printed = rollcall("show", str(FIRST.id))
    assert commands.ids_in(printed) == [str(FIRST.id)] * 2
    assert "too \\x1b[31mmuch" in printed
    assert "second" in printed
    assert "\x1b" not in printed

    first = json.loads(rollcall("show", str(FIRST.id), "--limit", "1", "-o", "json"))
    cursor = first["nextCursor"]
    rest = json.loads(rollcall("show", str(FIRST.id), "--cursor", cursor, "-o", "json"))
    assert [one["type"] for one in (*first["items"], *rest["items"])] == ["quota", "timeout"]
    assert rest["nextCursor"] is None


def test_what_there_is_not_is_said_to_be_absent(rollcall: commands.Command) -> None:
    assert f"no execution {ABSENT}" in rollcall("show", ABSENT, code=1)
    assert "no group of errors 00000000ffffffff" in rollcall("show", "0" * 8 + "f" * 8, code=1)
    assert "neither a fingerprint" in rollcall("show", "order-1", code=2)


def test_a_group_outlives_the_errors_that_it_was_made_of(
    rollcall: commands.Command, dsn: str
) -> None:
    async def forget() -> None:
        store = engine.Database(dsn, application_name="tests")
        await said.rows(store, "DELETE FROM execution_errors")
        await store.close()

    asyncio.run(forget())
    assert ("report", "timeout", 3, 0) in groups(rollcall)
    assert "no errors are kept" in rollcall("show", fingerprint_of(rollcall, "timeout"))
