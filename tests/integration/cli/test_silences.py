"""`rollcall silences …` as it is typed."""

import functools
import json
import re

import pytest

from support import commands

BY = ("--by", "ada", "--reason", "the database moves")


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    assert dsn
    return functools.partial(command, "silences")


def added(rollcall: commands.Command, *arguments: str) -> str:
    said = rollcall("add", *arguments, *BY)
    (one,) = commands.ids_in(said)
    assert re.fullmatch(rf"{one} keeps quiet until \S+Z\n", said)
    return one


def test_a_silence_is_listed_until_it_is_over(rollcall: commands.Command) -> None:
    one = added(rollcall, "-n", "shop", "-l", "team=data,tier!=gold,nightly,!test", "--for", "2h")
    header, line = rollcall("list").splitlines()
    assert header.split() == ["STATE", "FROM", "UNTIL", "SELECTS", "BY", "ID", "REASON"]
    assert re.fullmatch(
        r"in-force +\S+Z +\S+Z +namespace=shop,label:team=data,label:tier!=gold,label:nightly,"
        rf"!label:test +ada +{one} +the database moves",
        line,
    )
    assert rollcall("end", one, "--by", "grace") == f"{one} is over\n"
    assert rollcall("list") == "no silences\n"
    (past,) = json.loads(rollcall("list", "--past", "-o", "json"))["items"]
    assert (past["id"], past["state"], past["endedBy"]) == (one, "over", "grace")


def test_a_silence_can_be_asked_for_in_advance(rollcall: commands.Command) -> None:
    day = ("--from", "2126-03-02T18:00Z", "--until", "2126-03-02T20:00")
    refused = rollcall("add", "--cronjob", "report", "--kind", "late", *day, *BY, code=2)
    assert "within 366d" in refused
    one = json.loads(rollcall("add", "--all", "--for", "1h", *BY, "-o", "json"))["id"]
    (item,) = json.loads(rollcall("list", "-o", "json"))["items"]
    assert (item["id"], item["selector"], item["author"]) == (one, {}, "ada")
    assert re.search(r"in-force .* all +ada", rollcall("list"))


def test_it_shows_kind_and_job(rollcall: commands.Command) -> None:
    added(rollcall, "--cronjob", "report", "--kind", "late", "--kind", "missed", "--for", "1h")
    assert " cronjob=report,kind=late|missed " in rollcall("list")


WRONG: dict[str, tuple[list[str], str]] = {
    "nothing chosen": (["--for", "1h"], "or say --all"),
    "something and all": (["--all", "-n", "shop", "--for", "1h"], "or say --all"),
    "no end": (["--all"], "one of the arguments --for --until is required"),
    "no selector": (["-l", "a b", "--for", "1h"], "write key=value"),
    "no time": (["--all", "--until", "tomorrow"], "no time; write it like 2026"),
    "a time that no database keeps": (
        ["--all", "--from", "0001-01-01T00:00+05:00", "--for", "1h"],
        "no time between the years 1970 and",
    ),
    "no kind": (["--kind", "bored", "--for", "1h"], "bored"),
    "in the past": (["--all", "--until", "2026-03-02T18:00Z"], "ends after it begins"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_silence_is_refused_with_what_to_write(
    rollcall: commands.Command, arguments: list[str], words: str
) -> None:
    assert words in rollcall("add", *arguments, *BY, code=2)


def test_a_silence_has_a_reason(rollcall: commands.Command) -> None:
    silence = ("add", "--all", "--for", "1h", "--by", "ada")
    assert "arguments are required: --reason" in rollcall(*silence, code=2)
    assert "say why: a silence has a reason" in rollcall(*silence, "--reason", " ", code=2)


def test_one_that_there_is_not_is_said_to_be_absent(rollcall: commands.Command) -> None:
    absent = "6f0c2b1e-7a55-4c0e-9d0b-2f6d1c7e8a90"
    assert f"no silence {absent}" in rollcall("end", absent, "--by", "ada", code=1)
