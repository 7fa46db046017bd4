"""`rollcall dead-letters …` as it is typed."""

import asyncio
import functools
import getpass
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollcall.core.executions import Status
from rollcall.store import engine
from support import builders, commands, said

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
REPORT = builders.job("report")
BILLING = builders.job("billing", namespace="finance")
OF_REPORT = builders.execution(REPORT, slot_at=NOW - timedelta(hours=1), status=Status.FAILED)
OF_BILLING = builders.execution(BILLING, slot_at=NOW - timedelta(hours=2), status=Status.FAILED)
FIRST, SECOND = (str(said.letter_id("pod-report", seq)) for seq in (1, 2))
THIRD = str(said.letter_id("pod-billing", 1))
ABSENT = "3a4e6b66-0083-8c1c-b6d6-46119678cb55"


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    """Run the command on a database with three dead letters of two jobs."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "dead-letters")


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    for job, run in ((REPORT, OF_REPORT), (BILLING, OF_BILLING)):
        async with store.transaction() as unit:
            await unit.registry.register(job)
            await unit.ledger.save(run)
            pod = builders.attempt(f"pod-{job.name}", created_at=run.slot_at)
            await unit.attempts.observe({run: [pod]})
    letters = [
        said.letter(1, at=OF_REPORT.slot_at, error="bad\x1b[31m\nsecond line"),
        said.letter(2, at=OF_REPORT.slot_at + timedelta(minutes=1), payload=["é", {"\x1b": 1}]),
    ]
    await said.keep(store, said.report("pod-report", *letters, at=NOW))
    of_billing = said.letter(1, at=OF_BILLING.slot_at)
    await said.keep(store, said.report("pod-billing", of_billing, at=NOW))
    await store.close()


def test_all_are_listed_newest_first(rollcall: commands.Command) -> None:
    printed = rollcall("list")
    assert commands.ids_in(printed) == [SECOND, FIRST, THIRD]
    assert printed.splitlines()[0].split() == [
        "NAMESPACE", "CRONJOB", "AT", "STATE", "ITEM", "ID", "ERROR",
    ]  # fmt: skip
    assert re.search(
        r"^shop +report +\S+Z +open +order-1 +\S+ +bad\\x1b\[31m$", printed, re.MULTILINE
    )


CHOICES: dict[str, tuple[list[str], list[str]]] = {
    "a namespace": (["-n", "finance"], [THIRD]),
    "a job": (["--cronjob", "report"], [SECOND, FIRST]),
    "a state": (["--state", "open"], [SECOND, FIRST, THIRD]),
    "other states": (["--state", "resolved", "--state", "discarded"], []),
}


@pytest.mark.parametrize(("arguments", "expected"), CHOICES.values(), ids=CHOICES)
def test_the_list_can_be_restricted(
    rollcall: commands.Command, arguments: list[str], expected: list[str]
) -> None:
    printed = rollcall("list", *arguments)
    assert commands.ids_in(printed) == expected
    assert (printed == "no dead letters\n") == (expected == [])


def test_pages_follow_one_another_by_the_cursor(rollcall: commands.Command) -> None:
    first = rollcall("list", "--limit", "2")
    (cursor,) = re.findall(r"more: --cursor (\S+)", first)
    second = rollcall("list", "--limit", "2", "--cursor", cursor)
    assert commands.ids_in(first) + commands.ids_in(second) == [SECOND, FIRST, THIRD]
    assert "more:" not in second

    page = json.loads(rollcall("list", "--limit", "2", "-o", "json"))
    assert [item["id"] for item in page["items"]] == [SECOND, FIRST]
    assert page["nextCursor"] == cursor
    assert "nextCursor" in rollcall("list", "--cursor", "forged", code=2)


def test_one_is_shown_with_its_payload_and_no_character_that_a_terminal_obeys(
    rollcall: commands.Command,
) -> None:
    printed = rollcall("show", SECOND)
    assert re.search(r"^item +order-2$", printed, re.MULTILINE)
    assert '"é"' in printed
    assert "\x1b" not in printed + rollcall("show", FIRST) + rollcall("show", FIRST, "-o", "json")
    shown: dict[str, Any] = json.loads(rollcall("show", SECOND, "-o", "json"))
    assert (shown["payload"], shown["state"], shown["acts"]) == (["é", {"\x1b": 1}], "open", [])
    assert shown["execution"] == str(OF_REPORT.id)


@pytest.mark.parametrize(
    ("act", "state"),
    [("requeue", "requeued"), ("resolve", "resolved"), ("discard", "discarded")],
)
def test_an_act_changes_the_state_and_is_remembered(
    rollcall: commands.Command, act: str, state: str
) -> None:
    assert rollcall(act, FIRST, "--by", "ada", "--reason", "seen") == f"{FIRST} is {state}\n"

    shown = json.loads(rollcall("show", FIRST, "-o", "json"))
    assert (shown["state"], shown["actor"], shown["note"]) == (state, "ada", "seen")
    (entry,) = shown["acts"]
    assert (entry["actor"], entry["verb"], entry["reason"]) == ("ada", act, "seen")
    assert entry["before"] == {"state": "open", "actor": None, "note": None}
    assert entry["after"] == {"state": state, "actor": "ada", "note": "seen"}
    assert re.search(rf"Z +{act} +ada +seen$", rollcall("show", FIRST), re.MULTILINE)


def test_without_a_name_it_is_the_user_of_the_operating_system(
    rollcall: commands.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    answer = json.loads(rollcall("resolve", FIRST, "-o", "json"))
    assert answer == {"id": FIRST, "state": "resolved"}
    assert json.loads(rollcall("show", FIRST, "-o", "json"))["actor"] == "grace"


def test_where_nobody_knows_who_you_are_you_are_asked(
    rollcall: commands.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert "--by NAME" in rollcall("resolve", FIRST, code=2)


@pytest.mark.parametrize("act", ["requeue", "resolve", "discard"])
def test_a_step_that_there_is_not_is_refused_with_the_reason(
    rollcall: commands.Command, act: str
) -> None:
    rollcall("resolve", FIRST, "--by", "ada")
    said_so = rollcall(act, FIRST, "--by", "ada", code=1)
    assert f"it is resolved: there is nothing to {act} any more" in said_so
    assert len(json.loads(rollcall("show", FIRST, "-o", "json"))["acts"]) == 1


@pytest.mark.parametrize("action", ["show", "requeue", "resolve", "discard"])
def test_one_that_there_is_not_is_said_to_be_absent(
    rollcall: commands.Command, action: str
) -> None:
    assert f"no dead letter {ABSENT}" in rollcall(action, ABSENT, code=1)
    assert "no id of a dead letter" in rollcall(action, "order-1", code=2)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_name_that_says_nothing_is_refused(rollcall: commands.Command, name: str) -> None:
    assert "printable characters" in rollcall("resolve", FIRST, "--by", name, code=2)
