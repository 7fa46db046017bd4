"""What people are told about an expression itself."""

import pytest

from rollcall.core import cron_advice

SURPRISING = {
    "minutes that do not come out even": (
        "*/7 * * * *",
        "UnevenStep",
        (
            "minute: */7 is not even: it starts anew with every hour, "
            "so that 0 follows 56 after 4 instead of 7 minutes"
        ),
    ),
    "hours that do not come out even": (
        "0 2/5 * * *",
        "UnevenStep",
        (
            "hour: 2/5 is not even: it starts anew with every day, "
            "so that 2 follows 22 after 4 instead of 5 hours"
        ),
    ),
    "months that do not come out even": (
        "0 0 1 */5 *",
        "UnevenStep",
        (
            "month: */5 is not even: it starts anew with every year, "
            "so that 1 follows 11 after 2 instead of 5 months"
        ),
    ),
    "weekdays never come out even": (
        "0 0 * * sun/2",
        "UnevenStep",
        (
            "day of week: sun/2 is not even: it starts anew with every week, "
            "so that 0 follows 6 after 1 instead of 2 days"
        ),
    ),
    "days start anew with the month": (
        "0 0 */2 * *",
        "UnevenStep",
        "day of month: */2 starts anew with every month, however long the last one was",
    ),
    "a step out of the field": (
        "*/90 * * * *",
        "UnevenStep",
        "minute: */90 matches 0 alone; a step starts anew with every hour",
    ),
    "a step out of the month": (
        "0 0 */40 * *",
        "UnevenStep",
        "day of month: */40 matches 1 alone; a step starts anew with every month",
    ),
    "both day fields restricted": (
        "0 0 13 * 5",
        "EitherDay",
        "day of month 13 and day of week 5: a day that matches EITHER runs; it need not match both",
    ),
    "a stepped star among the day fields": (
        "0 0 1-7 * */7",
        "EitherDay",
        (
            "day of month 1-7 and day of week */7: a day that matches EITHER runs; "
            "it need not match both"
        ),
    ),
    "a disguised star for the day of week": (
        "0 0 13 * 1,*",
        "StarDay",
        (
            "day of week: 1,* counts as a star, so that a day must match both day fields, "
            "and day of month 13 alone decides"
        ),
    ),
    "a disguised star for the day of month": (
        "0 0 */1 * 5",
        "StarDay",
        (
            "day of month: */1 counts as a star, so that a day must match both day fields, "
            "and day of week 5 alone decides"
        ),
    ),
    "a day that some months do not have": (
        "0 0 31 1-4 *",
        "ShortMonths",
        "day of month: 31 does not come in February, April",
    ),
    "a leap day": (
        "0 0 29 * *",
        "LeapDay",
        "day of month: 29 comes in February of leap years only",
    ),
}


@pytest.mark.parametrize(("expression", "code", "message"), SURPRISING.values(), ids=SURPRISING)
def test_a_surprise_is_told(expression: str, code: str, message: str) -> None:
    advice = [advice for advice in cron_advice.about(expression) if advice.code == code]
    assert [advice.message for advice in advice] == [message]


UNSURPRISING = [
    "* * * * *",
    "@daily",
    "*/15 */6 * */3 *",
    "*/1 * * * *",
    "5/20 0 * * *",  # 5, 25, 45 and 5 again
    "*/60 * * * *",  # once an hour, as written
    "10-40/7 * * * *",  # whoever writes an end knows of it
    "*/7,3 * * * *",
    "0 0 ? * mon",
    "0 0 28-31 * *",
    "0 0 31 1,3 *",
    "0 0 30 2 *",  # never: that is told by those who look at slots
    "0 0 29 1,3 *",
    "0 0 , * *",
    "0 0 */1 * */1",
    "0 0 29 3 *",
]


@pytest.mark.parametrize("expression", UNSURPRISING)
def test_nothing_is_told_of_what_everybody_expects(expression: str) -> None:
    assert list(cron_advice.about(expression)) == []


def test_days_that_a_weekday_may_stand_in_for_are_not_missed() -> None:
    assert [advice.code for advice in cron_advice.about("0 0 31 * mon")] == ["EitherDay"]


def test_each_field_is_looked_at_in_order() -> None:
    codes = [advice.code for advice in cron_advice.about("*/7 */5 31 * *")]
    assert codes == ["UnevenStep", "UnevenStep", "ShortMonths"]
