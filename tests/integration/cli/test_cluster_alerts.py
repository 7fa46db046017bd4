"""`rollcall alerts …` of what is about the cluster as a whole, and about none of its jobs."""

import asyncio
import functools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core.policies import Kind
from rollcall.store import engine
from support import builders, commands

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
STEP = builders.step(kind=Kind.MISSED_WIDELY, now=NOW - timedelta(hours=1))
WHOLE = replace(STEP, incident=replace(STEP.incident, cronjob_id=None, cluster=builders.CLUSTER))
ID = str(WHOLE.incident.id)


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    """Run the command where many jobs did not start."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "alerts")


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    async with store.transaction() as unit:
        await unit.sight.mark(builders.CLUSTER, NOW)
        await unit.incidents.save(WHOLE, at=NOW)
        await unit.outbox.enqueue(WHOLE.incident, ["pager"], {"type": "incident.opened"})
    await store.close()


def test_it_is_listed_without_a_job_unless_jobs_are_asked_for(rollcall: commands.Command) -> None:
    assert rollcall("list").splitlines()[1].split()[:5] == [
        "-", "-", "missed_widely", "warning", "open",
    ]  # fmt: skip
    assert rollcall("list", "-n", "shop") == "no alerts\n"


def test_it_is_shown_with_its_messages(rollcall: commands.Command) -> None:
    shown = json.loads(rollcall("show", ID, "-o", "json"))
    assert (shown["namespace"], shown["cronjob"]) == (None, None)
    assert shown["nextReminderAt"]
    assert [one["channel"] for one in shown["messages"]] == ["pager"]
    assert "missed_widely" in rollcall("show", ID)


def test_acts_work_on_it(rollcall: commands.Command) -> None:
    assert rollcall("ack", ID, "--by", "ada") == f"{ID} is acknowledged\n"
    assert rollcall("resend", ID, "--by", "ada").startswith(f"{ID} is told again")
    assert rollcall("false-alarm", ID, "--by", "ada") == f"{ID} is a false alarm\n"
    assert rollcall("resolve", "--all", "--by", "ada") == f"{ID} is resolved\n"


def test_it_is_counted(rollcall: commands.Command) -> None:
    assert "missed_widely  1" in rollcall("stats")
