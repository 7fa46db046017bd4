"""What people are told about a schedule in its zone. Years that have passed: zones are settled."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import cron_changes, explain, schedule


def explained(
    expression: str, zone: str = "Europe/Berlin", start: str = "2024-01-10T12:00Z", count: int = 2
) -> explain.Explanation:
    return explain.explain(schedule.parse(expression, zone), datetime.fromisoformat(start), count)


def walls(times: Iterable[datetime]) -> list[str]:
    return [f"{time:%m-%d %H:%M}" for time in times]


def codes(explanation: explain.Explanation) -> list[str]:
    return [advice.code for advice in explanation.advice]


def test_as_many_slots_as_asked_for_follow_the_start() -> None:
    daily = explained("0 3 * * *", "UTC", start="2024-01-10T03:00Z", count=2)
    assert daily.slots == (
        datetime(2024, 1, 11, 3, tzinfo=UTC),
        datetime(2024, 1, 12, 3, tzinfo=UTC),
    )


def test_the_start_is_told_in_utc() -> None:
    assert explained("* * * * *", start="2024-01-10T12:00+02:00").start.isoformat() == (
        "2024-01-10T10:00:00+00:00"
    )


def test_a_schedule_without_surprises_has_no_advice() -> None:
    plain = explained("0 12 * * *")
    assert plain.advice == ()
    assert plain.gaps == schedule.Gaps(shortest=timedelta(hours=23), longest=timedelta(hours=25))


def test_a_schedule_that_never_runs_says_how_far_the_search_goes() -> None:
    never = explained("0 0 30 2 *")
    assert (never.slots, never.gaps) == ((), None)
    assert [(advice.code, advice.message) for advice in never.advice] == [
        (
            "Never",
            (
                "it never runs: nothing matches until the end of 2029, "
                "and Kubernetes searches no further"
            ),
        )
    ]


def test_the_search_ends_with_a_year_of_the_zone() -> None:
    eve = explained("0 0 30 2 *", "Pacific/Auckland", start="2024-12-31T12:00Z")
    assert "until the end of 2030" in eve.advice[0].message


def test_a_zone_without_changes_has_none() -> None:
    assert explained("30 2 * * *", "Asia/Kolkata").changes == ()


def test_a_change_tells_both_offsets() -> None:
    spring, autumn = explained("0 12 * * *").changes
    assert (spring.at, spring.before, spring.after) == (
        datetime(2024, 3, 31, 1, tzinfo=UTC),
        timedelta(hours=1),
        timedelta(hours=2),
    )
    assert (autumn.before, autumn.after) == (spring.after, spring.before)
    assert not spring.is_noticed


# Left out, doubled, unplanned; across both changes of the coming year.
EFFECTS = {
    "a nightly run is lost once and doubled once": (
        ("30 2 * * *", "Europe/Berlin"),
        [(["03-31 02:30"], [], []), ([], ["10-27 02:30"], [])],
    ),
    "a run at noon is neither": (
        ("0 12 * * *", "Europe/Berlin"),
        [([], [], []), ([], [], [])],
    ),
    "only matching days count": (
        ("30 2 * * 1-5", "Europe/Berlin"),
        [([], [], []), ([], [], [])],
    ),
    "a full hour that a jump of half an hour swallows": (
        ("0 * * * *", "Australia/Lord_Howe"),
        [([], [], []), (["10-06 02:00"], [], [])],
    ),
    "a run that comes by another time than written": (
        ("50 3 * * *", "Pacific/Chatham"),
        [([], [], ["04-07 02:50"]), (["09-29 03:50"], [], [])],
    ),
    "a day without midnight": (
        ("0 0 * * *", "America/Santiago"),
        [([], [], []), (["09-08 00:00"], [], [])],
    ),
    "a date that the search passes over": (
        ("30 5 31 3 *", "Asia/Beirut"),
        [(["03-31 05:30"], [], []), ([], [], [])],
    ),
}


@pytest.mark.parametrize(("question", "effects"), EFFECTS.values(), ids=EFFECTS)
def test_what_changes_of_clocks_do(
    question: tuple[str, str], effects: list[tuple[list[str], list[str], list[str]]]
) -> None:
    changes = explained(*question).changes
    assert [
        (walls(change.left_out), walls(change.doubled), walls(change.unplanned))
        for change in changes
    ] == effects


def test_days_passed_over_long_after_a_change_belong_to_it() -> None:
    october = explained("0 0 * 10 *", "America/Asuncion", start="1983-01-10T00:00Z").changes[-1]
    assert f"{october.at:%m-%d %H:%M}" == "10-01 04:00"
    assert walls(october.left_out)[::29] == ["10-01 00:00", "10-30 00:00"]


def test_the_day_of_a_change_counts_from_the_start_on() -> None:
    change = explained("0 * * * *", start="2024-03-31T00:30Z").changes[0]
    assert walls(change.left_out) == ["03-31 02:00"]
    assert change.across is None


def test_a_change_that_has_passed_is_not_told() -> None:
    changes = explained("30 2 * * *", start="2024-03-31T02:00Z").changes
    assert [f"{change.at:%m-%d}" for change in changes] == ["10-27", "03-30"]


def test_clocks_skip_only_the_times_that_they_jump_over() -> None:
    spring = explained("* * * * *").changes[0]
    shown = [f"{wall:%H:%M}" for wall in spring.left_out if spring.skips(wall)]
    assert (shown[0], shown[-1], len(shown)) == ("02:00", "02:59", 60)
    assert not spring.skips(datetime(2024, 3, 31, 3, 0))  # noqa: DTZ001 - a time on the wall


PACE = {
    "a schedule of all hours goes on": ("*/5 * * * *", "Europe/Berlin", [True, True]),
    "also if its steps are uneven": ("*/7 * * * *", "Europe/Berlin", [True, True]),
    "not where a jump swallows a full hour": ("0 * * * *", "Australia/Lord_Howe", [False, False]),
    "not if some hours are left out": ("0 1-23 * * *", "Europe/Berlin", [False, False]),
    "not if it never runs": ("0 * 30 2 *", "Europe/Berlin", [False, False]),
}


@pytest.mark.parametrize(("expression", "zone", "kept"), PACE.values(), ids=PACE)
def test_the_pace_across_changes_of_clocks(expression: str, zone: str, kept: list[bool]) -> None:
    assert [change.keeps_pace for change in explained(expression, zone).changes] == kept


def test_a_pace_that_is_kept_is_no_surprise() -> None:
    assert codes(explained("*/5 * * * *")) == []


def test_lost_and_doubled_runs_are_counted_over_the_year() -> None:
    lost, doubled = explained("*/20 1-2 * * *").advice
    assert (lost.code, doubled.code) == ("LeftOut", "Doubled")
    assert lost.message == (
        "no run at Sun 2024-03-31 02:00 (and 2 more), because clocks change; "
        "if that matters, choose hours that no change touches, or the zone Etc/UTC"
    )


def test_an_odd_run_is_told() -> None:
    lost, odd = explained("50 3 * * *", "Pacific/Chatham").advice
    assert (lost.code, odd.code) == ("LeftOut", "Unplanned")
    assert odd.message.startswith("an odd run at Sun 2024-04-07 02:50, because")


def test_advice_about_the_expression_comes_before_that_about_clocks() -> None:
    assert codes(explained("30 2 1 * sun")) == ["EitherDay", "LeftOut", "Doubled"]


def test_changes_can_be_asked_for_over_other_times() -> None:
    ticks = schedule.parse("30 2 * * *", "Europe/Berlin")
    start = datetime(2024, 3, 30, 12, tzinfo=UTC)
    assert [len(list(cron_changes.of(ticks, start, days))) for days in (1, 2, 250)] == [0, 1, 2]
