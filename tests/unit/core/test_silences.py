"""What keeps an alert quiet, and until when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from rollcall.core import errors, maintenance, silences
from rollcall.core.policies import Kind
from support import builders

NOW = builders.SLOT_AT
HOUR = timedelta(hours=1)
TARGET = silences.Target(
    namespace="shop", cronjob="report", labels={"team": "data"}, kind=Kind.FAILING
)
HOURLY = {"schedule": "0 * * * *", "duration": "30m"}


def silence(
    chosen: dict[str, Any] | None = None, *, number: int = 1, lasting: timedelta = HOUR
) -> silences.Silence:
    return silences.Silence(
        id=UUID(int=number),
        selector=silences.read_selector(chosen or {}, "selector"),
        chosen=chosen or {},
        starts_at=NOW,
        ends_at=NOW + lasting,
        author="ada",
        reason="the database moves",
    )


CHOICES: dict[str, tuple[dict[str, Any], bool]] = {
    "all": ({}, True),
    "its namespace": ({"namespace": "shop"}, True),
    "another namespace": ({"namespace": "finance"}, False),
    "its job": ({"cronjob": "report"}, True),
    "another job": ({"cronjob": "billing"}, False),
    "its labels": ({"labels": {"matchLabels": {"team": "data"}}}, True),
    "labels that it has not": (
        {"labels": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}},
        False,
    ),
    "its kind": ({"kinds": ["failing", "late"]}, True),
    "another kind": ({"kinds": ["late"]}, False),
    "its job in another namespace": ({"namespace": "finance", "cronjob": "report"}, False),
}


@pytest.mark.parametrize(("chosen", "expected"), CHOICES.values(), ids=CHOICES)
def test_a_selector_selects_what_all_of_it_is_true_of(
    chosen: dict[str, Any], *, expected: bool
) -> None:
    assert silences.read_selector(chosen, "selector").selects(TARGET) is expected


@pytest.mark.parametrize(
    ("after", "is_quiet"),
    [(-timedelta(seconds=1), False), (timedelta(), True), (HOUR, False)],
    ids=["before it begins", "at its begin", "at its end"],
)
def test_a_silence_is_in_force_from_its_begin_until_its_end(
    after: timedelta, *, is_quiet: bool
) -> None:
    until = silence().quiet_until(NOW + after)
    assert until == (NOW + HOUR if is_quiet else None)


def mute(*of: silences.Silence, **changes: Any) -> silences.Mute | None:  # noqa: ANN401
    given: dict[str, Any] = {"recurring": (), "windows": (), "now": NOW} | changes
    return silences.mute(TARGET, silences=of, **given)


def test_without_anything_nothing_keeps_quiet() -> None:
    assert mute() is None
    assert mute(silence({"kinds": ["late"]})) is None


def test_of_several_silences_the_one_that_ends_last_counts() -> None:
    longer = silence(number=2, lasting=2 * HOUR)
    expected = silences.Mute(by=f"silence/{UUID(int=2)}", until=NOW + 2 * HOUR)
    assert mute(silence(), longer) == mute(longer, silence()) == expected


def test_windows_of_the_installation_keep_quiet_what_they_select() -> None:
    (sundays,) = silences.read_recurring([HOURLY | {"name": "sundays"}], "windows")
    assert mute(recurring=[sundays]) == silences.Mute(
        by="maintenance/sundays", until=NOW + HOUR / 2
    )
    elsewhere = replace(sundays, selector=silences.Selector(namespace="finance"))
    assert mute(recurring=[elsewhere]) is None
    assert mute(recurring=[sundays], now=NOW + HOUR / 2) is None


def test_windows_of_the_job_itself_keep_it_quiet() -> None:
    own = maintenance.read(HOURLY, "alerts.maintenance[0]")
    assert mute(windows=[own]) == silences.Mute(by="maintenance", until=NOW + HOUR / 2)


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a kind that there is not": ({"kinds": ["bored"]}, "bored: known are late"),
    "an operator that there is not": (
        {
            "labels": {
                "matchExpressions": [
                    {"key": "a", "operator": "Exists"},
                    {"key": "b", "operator": "Like"},
                ]
            }
        },
        "Like: write In, NotIn",
    ),
    "no name": ({"name": ""}, r"windows\[0\].name: write one"),
    "no schedule": ({"schedule": "often"}, r"windows\[0\].schedule"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_window_of_the_installation_that_cannot_be_is_refused(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.InvalidSpec, match=words):
        silences.read_recurring([HOURLY | {"name": "sundays"} | changes], "windows")


def test_a_silence_has_a_name_in_the_audit_log() -> None:
    assert silences.target(UUID(int=1)) == f"silence/{UUID(int=1)}"


@pytest.mark.parametrize(
    ("chosen", "selects"),
    [
        ({}, True),
        ({"kinds": ["missed_widely"]}, True),
        ({"kinds": ["missed"]}, False),
        ({"namespace": "shop"}, False),
        ({"cronjob": "report"}, False),
        ({"labels": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, False),
    ],
)
def test_what_is_about_the_cluster_is_selected_by_what_names_no_jobs(
    chosen: dict[str, Any], selects: bool
) -> None:
    target = silences.Target(kind=Kind.MISSED_WIDELY)
    assert silences.read_selector(chosen, "selector").selects(target) is selects
