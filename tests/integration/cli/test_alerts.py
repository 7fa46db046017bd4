"""`rollcall alerts …` as it is typed."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.cli import alert_acts
from rollcall.core import incident_steps, policies
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
EXPLAINED = incident_steps.decide(
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


def test_an_act_says_what_came_of_it_and_stays_visible(rollcall: commands.Command) -> None:
    said = rollcall("ack", FIRST, "--by", "ada", "--reason", "disk is full")
    assert said == f"{FIRST} is acknowledged\n"
    assert rollcall("list", "--kind", "failing").splitlines()[1].split()[4] == "acknowledged"
    shown = json.loads(rollcall("show", FIRST, "-o", "json"))
    assert (shown["acknowledgedBy"], shown["acknowledgeReason"]) == ("ada", "disk is full")
    assert shown["nextReminderAt"] is None
    assert [one["type"] for one in shown["messages"]][2:] == ["incident.acknowledged"]
    (entry,) = shown["acts"]
    assert (entry["verb"], entry["actor"]) == ("acknowledge", "ada")
    assert re.search(r"Z +acknowledge +ada +disk is full$", rollcall("show", FIRST), re.MULTILINE)
    assert rollcall("unack", FIRST, "--by", "ada") == f"{FIRST} is open\n"


ACTS = {
    "resend": "is told again at the next look, within seconds",
    "resolve": "is resolved",
    "false-alarm": "is a false alarm",
}


@pytest.mark.parametrize(("verb", "outcome"), ACTS.items(), ids=ACTS)
def test_each_act_has_its_command(rollcall: commands.Command, verb: str, outcome: str) -> None:
    assert rollcall(verb, FIRST, "--by", "ada") == f"{FIRST} {outcome}\n"


def test_a_false_alarm_can_be_taken_back(rollcall: commands.Command) -> None:
    rollcall("false-alarm", SECOND, "--by", "ada")
    assert json.loads(rollcall("show", SECOND, "-o", "json"))["falseAlarm"]
    assert rollcall("true-alarm", SECOND, "--by", "ada") == f"{SECOND} is no false alarm\n"


def test_what_would_change_nothing_is_refused_with_the_reason(rollcall: commands.Command) -> None:
    assert "nothing to acknowledge any more" in rollcall("ack", SECOND, "--by", "ada", code=1)
    assert "no alert" in rollcall("ack", ABSENT, "--by", "ada", code=1)
    assert "name alerts by id, or say --all" in rollcall("resolve", "--by", "ada", code=2)


@pytest.mark.parametrize(
    "more", [["--all"], ["-n", "finance"], ["--cronjob", "billing"], ["--dry-run"]], ids=str
)
def test_what_is_named_is_not_chosen_in_another_way_too(
    rollcall: commands.Command, more: list[str]
) -> None:
    said = rollcall("resolve", FIRST, *more, "--by", "ada", code=2)
    assert "name alerts by id, or say --all" in said
    assert commands.ids_in(rollcall("list", "--status", "open")) == [FIRST, THIRD]


def test_of_several_each_is_done_or_said_why_not(rollcall: commands.Command) -> None:
    printed = rollcall("ack", FIRST, SECOND, THIRD, "--by", "ada")
    assert printed.splitlines() == [
        f"{FIRST} is acknowledged",
        f"{SECOND} is left alone: it is resolved: there is nothing to acknowledge any more",
        f"{THIRD} is acknowledged",
    ]
    again = json.loads(rollcall("ack", FIRST, THIRD, "--by", "ada", "-o", "json"))
    assert [item["refused"] for item in again["items"]] == ["ada acknowledged it already"] * 2


def test_all_that_is_open_can_be_resolved_at_once_after_a_rehearsal(
    rollcall: commands.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_acts, "_AT_ONCE", 1)
    rehearsed = rollcall("resolve", "--all", "--by", "ada", "--dry-run")
    assert commands.ids_in(rehearsed) == [FIRST, THIRD]
    rehearsed = rollcall("resolve", "--all", "--by", "ada", "--dry-run", "-o", "json")
    assert json.loads(rehearsed) == {"items": [{"id": FIRST}, {"id": THIRD}]}
    assert len(commands.ids_in(rollcall("list", "--status", "open"))) == 2
    assert commands.ids_in(rollcall("resolve", "--all", "-n", "finance", "--by", "ada")) == [THIRD]
    assert commands.ids_in(rollcall("resolve", "--all", "--by", "ada")) == [FIRST]
    assert rollcall("resolve", "--all", "--by", "ada") == "no alerts\n"


def test_numbers_say_what_became_of_alerts_and_their_messages(rollcall: commands.Command) -> None:
    rollcall("false-alarm", SECOND, "--by", "ada")
    rollcall("ack", FIRST, "--by", "ada")
    numbers = json.loads(rollcall("stats", "--since", "7d", "-o", "json"))
    failing, late, stale = numbers["kinds"]
    assert failing | {"acknowledgedAfterSeconds": None} == {
        "kind": "failing", "opened": 1, "told": 1, "falseAlarms": 0, "acknowledged": 1,
        "acknowledgedAfterSeconds": None, "resolved": 0, "resolvedAfterSeconds": None,
    }  # fmt: skip
    assert 3 * 3600 <= failing["acknowledgedAfterSeconds"] < 4 * 3600
    assert (late["resolved"], late["resolvedAfterSeconds"], late["falseAlarms"]) == (1, 3600, 1)
    assert (stale["opened"], stale["told"], stale["resolvedAfterSeconds"]) == (1, 0, None)
    assert (numbers["stepsTold"], numbers["stepsNotTold"]) == (5, {"InhibitedBy": 1})
    assert numbers["channels"] == [
        {"channel": "pager", "messages": {"delivered": 1, "pending": 1}},
        {"channel": "slack", "messages": {"dead": 1}},
    ]


def test_numbers_are_of_the_chosen_time_and_jobs(rollcall: commands.Command) -> None:
    lines = rollcall("stats", "--since", "2d").splitlines()
    assert lines[0].split() == [
        "KIND", "OPENED", "TOLD", "FALSE", "ACKED", "ACKED-AFTER", "RESOLVED", "LASTED",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:3]] == ["failing", "late"]
    assert lines[2].split() == ["late", "1", "1", "0", "0", "-", "1", "1h"]
    assert "told  4" in lines
    assert re.search(r"^slack +0 +1 +0 +0$", "\n".join(lines), re.MULTILINE)
    assert "stale" in rollcall("stats", "-n", "finance")
    assert rollcall("stats", "--cronjob", "absent") == "no alerts\n"
