"""`rollcall alerts …` as it is typed."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import incidents, policies
from rollcall.core.policies import Kind, Severity
from rollcall.services import ports
from rollcall.store import engine
from support import builders, commands

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOUR = timedelta(hours=1)
REPORT = builders.job("report", policy={"alerts": {"cooldown": "2h"}})
BILLING = builders.job("billing", namespace="finance")
FAILING = builders.step(REPORT, now=NOW - 3 * HOUR, message="1 run failed\x1b[31m\nmore")
RAISED = builders.step(
    REPORT, incident=FAILING.incident, now=NOW - HOUR, severity=Severity.CRITICAL
)
LATE = builders.step(REPORT, kind=Kind.LATE, now=NOW - 5 * HOUR, reason="Waiting")
SOLVED = builders.step(REPORT, incident=LATE.incident, recovered=True, now=NOW - 4 * HOUR)
EXPLAINED = incidents.decide(
    None,
    builders.finding(Kind.STALE, severity=Severity.CRITICAL),
    cronjob_id=BILLING.id,
    inhibited_by=Kind.MISSED,
    alerts=builders.alerts(),
    recovered=False,
    now=NOW - 72 * HOUR,
)
assert EXPLAINED
NEWEST_FIRST = [str(step.incident.id) for step in (FAILING, LATE, EXPLAINED)]
FIRST, SECOND, THIRD = NEWEST_FIRST
ABSENT = "019cab2e-5d63-8a0c-9d1f-0b6f5a3c2e11"


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    """Run the command on three incidents: one open and told, one solved, one kept quiet."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "alerts")


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    async with store.transaction() as unit:
        for job in (REPORT, BILLING):
            await unit.registry.register(job)
        for step in (LATE, SOLVED, FAILING, RAISED, EXPLAINED):
            assert step
            await unit.incidents.save(step, at=step.incident.notified_at or NOW)
        await unit.outbox.enqueue(FAILING.incident, ["pager", "slack"], {"type": "incident.opened"})
        pager, slack = await unit.outbox.claim("t", 5, HOUR, cluster=builders.CLUSTER)
        refused = ports.Outcome(notification=slack, delivered=False, error="no_service")
        delivered = ports.Outcome(notification=pager, delivered=True)
        await unit.outbox.settle([refused, delivered])
    await store.close()


def test_all_are_listed_newest_first_as_they_stand(rollcall: commands.Command) -> None:
    printed = rollcall("list")
    assert commands.ids_in(printed) == NEWEST_FIRST
    assert printed.splitlines()[0].split() == [
        "NAMESPACE", "CRONJOB", "KIND", "SEVERITY", "STATE", "SINCE", "TOLD", "ID", "MESSAGE",
    ]  # fmt: skip
    lines = printed.splitlines()[1:]
    assert [line.split()[4] for line in lines] == ["open", "resolved", "inhibited"]
    assert lines[2].split()[6] == "-"


CHOICES: dict[str, tuple[list[str], list[str]]] = {
    "a namespace": (["-n", "finance"], [THIRD]),
    "a job": (["--cronjob", "report"], [FIRST, SECOND]),
    "a kind": (["--kind", "late", "--kind", "stale"], [SECOND, THIRD]),
    "a severity": (["--severity", "critical"], [FIRST, THIRD]),
    "what is open": (["--status", "open"], [FIRST, THIRD]),
    "what is solved": (["--status", "resolved"], [SECOND]),
    "a time, and what is open still": (["--since", "2h"], [FIRST, THIRD]),
    "nothing": (["--kind", "missed"], []),
}


@pytest.mark.parametrize(("given", "expected"), CHOICES.values(), ids=CHOICES)
def test_the_list_can_be_restricted(
    rollcall: commands.Command, given: list[str], expected: list[str]
) -> None:
    printed = rollcall("list", *given)
    assert commands.ids_in(printed) == expected
    assert (printed == "no alerts\n") == (expected == [])


def test_pages_follow_one_another_by_the_cursor(rollcall: commands.Command) -> None:
    first = rollcall("list", "--limit", "2")
    (cursor,) = re.findall(r"more: --cursor (\S+)", first)
    second = rollcall("list", "--limit", "2", "--cursor", cursor)
    assert commands.ids_in(first) + commands.ids_in(second) == NEWEST_FIRST
    assert "more:" not in second
    page = json.loads(rollcall("list", "--limit", "2", "-o", "json"))
    assert [item["id"] for item in page["items"]] == NEWEST_FIRST[:2]
    assert page["nextCursor"] == cursor
    assert "nextCursor" in rollcall("list", "--cursor", "forged", code=2)


def test_one_is_shown_with_why_somebody_was_told_and_what_became_of_the_messages(
    rollcall: commands.Command,
) -> None:
    printed = rollcall("show", FIRST)
    assert "\x1b" not in printed
    assert re.search(r"Z +opened +warning +told \(Opened\) +1 run failed", printed)
    assert re.search(r"Z +changed +critical +told \(SeverityRaised\)", printed)
    assert re.search(r"Z +pager +incident\.opened +delivered, \S+Z, 1 try$", printed, re.MULTILINE)
    assert re.search(r"Z +slack +incident\.opened +dead, 1 try: no_service$", printed, re.MULTILINE)
    assert "not told (InhibitedBy:missed)" in rollcall("show", THIRD)


def test_one_is_shown_so_as_json(rollcall: commands.Command) -> None:
    shown = json.loads(rollcall("show", FIRST, "-o", "json"))
    assert (shown["state"], shown["severity"], shown["resolvedAt"]) == ("open", "critical", None)
    due = RAISED.incident.notified_at or NOW
    assert shown["nextReminderAt"] == (due + 2 * HOUR).isoformat().replace("+00:00", "Z")
    assert [step["why"] for step in shown["steps"]] == ["Opened", "SeverityRaised"]
    sent = [(one["channel"], one["status"], one["error"]) for one in shown["messages"]]
    assert sent == [("pager", "delivered", None), ("slack", "dead", "no_service")]
    solved = json.loads(rollcall("show", SECOND, "-o", "json"))
    assert (solved["nextReminderAt"], solved["messages"]) == (None, [])


def test_one_that_there_is_not_is_said_to_be_absent(rollcall: commands.Command) -> None:
    assert f"no alert {ABSENT}" in rollcall("show", ABSENT, code=1)
    assert "no id of an alert" in rollcall("show", "report", code=2)


def test_the_kinds_that_are_offered_are_those_of_the_rules(rollcall: commands.Command) -> None:
    said = rollcall("list", "--kind", "bored", code=2)
    assert all(kind in said for kind in policies.Kind)
