"""`rollcall schedule explain` as it is typed."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollcall import clock
from rollcall.cli import main

ADVICE = "if that matters, choose hours that no change touches, or the zone Etc/UTC"
NIGHTLY = ("30 2 * * *", "--zone", "Europe/Berlin", "--from", "2024-03-30T12:00Z")
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "schedules.md"
EXAMPLES = re.findall(
    r"```console\n\$ rollcall schedule explain (.*?)\n(.*?)```",
    DOCUMENT.read_text(encoding="utf-8"),
    re.DOTALL,
)
TOLD = f"""\
30 2 * * * in Europe/Berlin, after Sat 2024-03-30 12:00 UTC

Next slots
  UTC                   Europe/Berlin
  Mon 2024-04-01 00:30  Mon 2024-04-01 02:30 UTC+02:00
  Tue 2024-04-02 00:30  Tue 2024-04-02 02:30 UTC+02:00

In the coming year neighbouring slots are 1h to 1d23h apart.

Changes of clocks in the coming year
  Sun 2024-03-31 02:00 becomes 03:00: no run at 02:30: clocks do not show it
  Sun 2024-10-27 03:00 becomes 02:00: two runs at 02:30: 00:30 and 01:30 UTC
  Sun 2025-03-30 02:00 becomes 03:00: no run at 02:30: clocks do not show it

Warnings
  no run at Sun 2024-03-31 02:30 (and 1 more), because clocks change; {ADVICE}
  two runs at Sun 2024-10-27 02:30, because clocks change; {ADVICE}
"""


def explain(*arguments: str) -> str | int | None:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as left:
        main.main(["schedule", "explain", *arguments])
    return left.value.code


def test_everything_is_told_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(*NIGHTLY, "-n", "2") == 0
    assert capsys.readouterr().out == TOLD


def test_everything_is_told_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(*NIGHTLY, "-n", "1", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    changes, warnings = told.pop("clockChanges"), told.pop("warnings")
    assert told == {
        "schedule": "30 2 * * *",
        "timeZone": "Europe/Berlin",
        "from": "2024-03-30T12:00:00Z",
        "slots": [{"utc": "2024-04-01T00:30:00Z", "local": "2024-04-01T02:30:00+02:00"}],
        "shortestGapSeconds": 3600,
        "longestGapSeconds": 47 * 3600,
    }
    assert changes[1] == {
        "at": "2024-10-27T01:00:00Z",
        "localBefore": "2024-10-27T03:00:00+02:00",
        "localAfter": "2024-10-27T02:00:00+01:00",
        "leftOut": [],
        "doubled": ["2024-10-27T02:30:00"],
        "unplanned": [],
        "gapSeconds": 3600,
        "keepsPace": False,
    }
    assert [warning["code"] for warning in warnings] == ["LeftOut", "Doubled"]


def test_a_schedule_that_never_runs_is_told_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explain("0 0 30 2 *") == 0
    told = capsys.readouterr().out
    assert "Next slots\n  UTC                   Etc/UTC\n  none\n" in told
    assert "Changes of clocks in the coming year\n  none\n" in told
    assert "Warnings\n  it never runs" in told
    assert "neighbouring" not in told


def test_programs_read_null_for_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("0 0 30 2 *", "--zone", "Europe/Berlin", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["slots"], told["shortestGapSeconds"], told["longestGapSeconds"]) == (
        [],
        None,
        None,
    )
    assert {change["gapSeconds"] for change in told["clockChanges"]} == {None}


# What a line about a change of clocks says, for runs from January 2024 on.
LINES = {
    "nothing happens": (
        ("0 12 * * *", "Europe/Berlin"),
        "Sun 2024-03-31 02:00 becomes 03:00: no run is lost, doubled or moved",
    ),
    "the pace is kept": (
        ("*/5 * * * *", "Europe/Berlin"),
        "Sun 2024-03-31 02:00 becomes 03:00: runs go on 5m apart",
    ),
    "some runs are lost": (
        ("*/20 1-2 * * *", "Europe/Berlin"),
        "Sun 2024-03-31 02:00 becomes 03:00: no run at 02:00, 02:20, 02:40: clocks do not show it",
    ),
    "many runs are lost": (
        ("*/5 2 * * *", "Europe/Berlin"),
        (
            "Sun 2024-03-31 02:00 becomes 03:00: no run at 12 times from 02:00 to 02:55: "
            "clocks do not show it"
        ),
    ),
    "some runs are doubled": (
        ("*/30 2 * * *", "Europe/Berlin"),
        "Sun 2024-10-27 03:00 becomes 02:00: two runs at 02:00, 02:30, each",
    ),
    "a run is lost on a later date": (
        ("30 5 31 3 *", "Asia/Beirut"),
        "Sun 2024-03-31 00:00 becomes 01:00: no run at 05:30: Kubernetes' search passes over it",
    ),
    "runs are lost on other days": (
        ("0 0 * * *", "Africa/Cairo"),
        "Fri 2024-04-26 00:00 becomes 01:00: no run at 00:00: clocks do not show it",
    ),
    "a run is moved": (
        ("50 3 * * *", "Pacific/Chatham"),
        "Sun 2024-04-07 03:45 becomes 02:45: a run at 02:50, which does not match",
    ),
}


@pytest.mark.parametrize(("question", "line"), LINES.values(), ids=LINES)
def test_a_line_tells_what_a_change_of_clocks_does(
    question: tuple[str, str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expression, zone = question
    assert explain(expression, "--zone", zone, "--from", "2024-01-10T12:00Z") == 0
    assert f"  {line}\n" in capsys.readouterr().out


def test_other_days_are_told_by_their_date(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("0 0 1-2 10 *", "--zone", "America/Asuncion", "--from", "1983-05-01T00:00Z")
    assert explain(*asked) == 0
    assert "no run at 00:00, Sun 1983-10-02 00:00:" in capsys.readouterr().out


def test_neighbours_that_are_always_as_far_apart_have_one_distance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explain("0 * * * *") == 0
    assert "neighbouring slots are 1h apart." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moment", "start"),
    [("2024-07-01T09:00", "2024-07-01 07:00"), ("2024-07-01", "2024-06-30 22:00")],
)
def test_a_moment_without_an_offset_is_one_of_the_zone(
    moment: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("0 3 * * *", "--zone", "Europe/Berlin", "--from", moment) == 0
    assert f"{start} UTC" in capsys.readouterr().out.splitlines()[0]


def test_without_a_moment_it_is_now(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2024, 7, 1, 9, 30, 5, 77, tzinfo=UTC))
    assert explain("0 3 * * *", "-n", "1", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["from"] == "2024-07-01T09:30:05Z"
    assert [slot["utc"] for slot in told["slots"]] == ["2024-07-02T03:00:00Z"]


def test_ten_slots_are_shown_if_not_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("@hourly", "-o", "json") == 0
    assert len(json.loads(capsys.readouterr().out)["slots"]) == 10


WRONG = {
    "a field": (("61 * * * *",), "rollcall: minute: '61' is not allowed; write 0 to 59"),
    "the number of fields": (("* * * *",), "rollcall: schedule: '* * * *' has 4 fields"),
    "the zone": (
        ("* * * * *", "--zone", "Berlin"),
        "rollcall: timeZone: 'Berlin' is unknown",
    ),
    "the moment": (
        ("* * * * *", "--from", "today"),
        "argument --from: 'today' is no time; write it like 2026-03-28T12:00Z or 2026-03-28",
    ),
    "a moment before there were clusters": (
        ("* * * * *", "--from", "1969-12-31"),
        "argument --from: '1969-12-31' is no time between the years 1970 and 9899",
    ),
    "a moment near the end of all calendars": (("* * * * *", "--from", "9999-12-31"), "and 9899"),
    "no slots": (("* * * * *", "-n", "0"), "argument -n: '0' is no number from 1 to 1000"),
    "too many slots": (("* * * * *", "-n", "1001"), "argument -n: '1001' is no number"),
    "a number in words": (("* * * * *", "-n", "ten"), "argument -n: 'ten' is no number"),
    "a number in other digits": (("* * * * *", "-n", "٣"), "argument -n: '٣' is no number"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(*arguments) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""


def test_no_settings_are_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_NOBODY_KNOWS", "this")  # settings would be refused
    assert explain("@daily") == 0
    assert "@daily in Etc/UTC" in capsys.readouterr().out


@pytest.mark.parametrize(("line", "output"), EXAMPLES)
def test_the_document_shows_real_output(
    line: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    explain(*shlex.split(line))
    told = capsys.readouterr()
    assert told.out + told.err == output


def test_the_document_has_examples() -> None:
    assert len(EXAMPLES) == 3
