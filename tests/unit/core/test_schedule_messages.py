"""What people read when a schedule or a zone is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import schedule

FIVE = "but must have exactly 5: minute, hour, day of month, month, day of week"
EVERY = (
    "schedule: @every is refused, because it counts from a moment that only the controller knows; "
    "write five fields, such as */5 * * * * for every five minutes"
)
PREFIX = "schedule: a time zone in front of the fields is refused; write it in spec.timeZone"

EXPRESSIONS = {
    "empty": ("", f"schedule: '' has 0 fields, {FIVE}"),
    "four fields": ("* * * *", f"schedule: '* * * *' has 4 fields, {FIVE}"),
    "six fields": (
        "0 * * * * *",
        f"schedule: '0 * * * * *' has 6 fields, {FIVE}; leave out seconds and years",
    ),
    "separators that only Python takes for space": (
        "*\x1c*\x1d*\x1e*\x1f*",
        rf"schedule: '*\x1c*\x1d*\x1e*\x1f*' has 1 field, {FIVE}",
    ),
    "@every": ("@every 5m", EVERY),
    "@every without a duration": ("@every", EVERY),
    "TZ=": ("TZ=Europe/Berlin 0 3 * * *", PREFIX),
    "CRON_TZ=": ("CRON_TZ=UTC 0 3 * * *", PREFIX),
    "TZ= alone, which the library cannot survive": ("TZ=UTC", PREFIX),
    "an unknown descriptor": (
        "@reboot",
        (
            "schedule: '@reboot' is unknown; write one of @yearly, @annually, @monthly, @weekly, "
            "@daily, @midnight, @hourly, or five fields"
        ),
    ),
    "a descriptor in capitals": (
        "@Daily",
        (
            "schedule: '@Daily' must be spelled exactly @daily, "
            "in lower case and without space around it"
        ),
    ),
    "a descriptor with space around it": (
        " @daily",
        (
            "schedule: ' @daily' must be spelled exactly @daily, "
            "in lower case and without space around it"
        ),
    ),
    "a minute too many": ("60 * * * *", "minute: '60' is not allowed; write 0 to 59"),
    "an hour too many": ("0 9-24 * * *", "hour: '9-24' is not allowed; write 0 to 23"),
    "day zero": ("0 0 0 * *", "day of month: '0' is not allowed; write 1 to 31"),
    "month 13": ("0 0 1 13 *", "month: '13' is not allowed; write 1 to 12 or jan to dec"),
    "Sunday as 7": ("0 0 * * 7", "day of week: '7' is not allowed; Sunday is 0 or sun"),
    "Sunday as 7 in a range": (
        "0 0 * * 5-7",
        "day of week: '5-7' is not allowed; Sunday is 0 or sun",
    ),
    "weekday 8": ("0 0 * * 8", "day of week: '8' is not allowed; write 0 to 6 or sun to sat"),
    "a full name of a month": ("0 0 1 January *", "month: 'January' is not allowed; write jan"),
    "a full name of a day": ("0 0 * * sunday", "day of week: 'sunday' is not allowed; write sun"),
    "a name where there are none": ("0 mon * * *", "hour: 'mon' is not allowed; write 0 to 23"),
    "a backward range": (
        "0 22-2 * * *",
        "hour: '22-2' runs backwards, which is not allowed; write 22-23,0-2",
    ),
    "a backward range of names": (
        "0 0 * * fri-mon",
        "day of week: 'fri-mon' runs backwards, which is not allowed; write 5-6,0-1",
    ),
    "a backward range with a step": (
        "0 22-2/2 * * *",
        "hour: '22-2/2' runs backwards, which is not allowed; list the values one by one",
    ),
    "a double range": ("0 1-2-3 * * *", "hour: '1-2-3' is not allowed; write 0 to 23"),
    "a negative number": ("-5 * * * *", "minute: '-5' is not allowed; write 0 to 59"),
    "a range without end": ("5- * * * *", "minute: '5-' is not allowed; write 0 to 59"),
    "the last day": (
        "0 0 L * *",
        (
            "day of month: 'L' is not allowed; write 1 to 31; "
            "Kubernetes knows none of L, W, #, H and ~"
        ),
    ),
    "the second Friday": (
        "0 0 * * 5#2",
        (
            "day of week: '5#2' is not allowed; write 0 to 6 or sun to sat; "
            "Kubernetes knows none of L, W, #, H and ~"
        ),
    ),
    "step 0": (
        "*/0 * * * *",
        "minute: '*/0' has no valid step; write one whole number from 1 after one slash",
    ),
    "no step after a slash": (
        "*/ * * * *",
        "minute: '*/' has no valid step; write one whole number from 1 after one slash",
    ),
    "two steps": (
        "*/2/3 * * * *",
        "minute: '*/2/3' has no valid step; write one whole number from 1 after one slash",
    ),
    "a number beyond Go's int": (
        "*/9223372036854775808 * * * *",
        (
            "minute: '*/9223372036854775808' has no valid step; "
            "write one whole number from 1 after one slash"
        ),
    ),
    "a digit that is not ASCII": ("٣ * * * *", "minute: '٣' is not allowed; write 0 to 59"),
    "something endless": (
        f"{'9' * 5000} * * * *",
        f"minute: '{'9' * 40}…' is not allowed; write 0 to 59",
    ),
}


@pytest.mark.parametrize(("expression", "message"), EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_refused_expression_says_what_to_write(expression: str, message: str) -> None:
    with pytest.raises(schedule.ScheduleError) as refused:
        schedule.parse(expression, "UTC")
    assert str(refused.value) == message


ZONE_ADVICE = "write a name of the IANA database such as Europe/Berlin, or Etc/UTC"
OFFSET = (
    f"is an offset, not a zone; {ZONE_ADVICE}, "
    "or Etc/GMT-2 for a fixed offset of two hours ahead of UTC"
)
UNKNOWN = f"is unknown; {ZONE_ADVICE} (capital letters matter)"
MACHINE = f"differs from machine to machine; {ZONE_ADVICE}"

ZONES = {
    "empty": ("", f"timeZone: it is empty; {ZONE_ADVICE}"),
    "the machine's own": ("Local", f"timeZone: 'Local' {MACHINE}"),
    "the machine's own in small letters": ("local", f"timeZone: 'local' {MACHINE}"),
    "the machine's own by its file": ("localtime", f"timeZone: 'localtime' {MACHINE}"),
    "an offset": ("+02:00", f"timeZone: '+02:00' {OFFSET}"),
    "an offset from UTC": ("UTC+2", f"timeZone: 'UTC+2' {OFFSET}"),
    "an offset from GMT": ("gmt-0530", f"timeZone: 'gmt-0530' {OFFSET}"),
    "a misspelled name": ("Europe/Berln", f"timeZone: 'Europe/Berln' {UNKNOWN}"),
    "a name in small letters": ("europe/berlin", f"timeZone: 'europe/berlin' {UNKNOWN}"),
    "a continent": ("Europe", f"timeZone: 'Europe' {UNKNOWN}"),
    "a file that is no zone": ("tzdata.zi", f"timeZone: 'tzdata.zi' {UNKNOWN}"),
    "a copy of the database with leap seconds": ("right/UTC", f"timeZone: 'right/UTC' {UNKNOWN}"),
    "a path up": ("../UTC", f"timeZone: '../UTC' {UNKNOWN}"),
    "an absolute path": ("/etc/localtime", f"timeZone: '/etc/localtime' {UNKNOWN}"),
    "a part longer than the API server allows": (
        "Europe/Berlin_Berlin_B",
        f"timeZone: 'Europe/Berlin_Berlin_B' {UNKNOWN}",
    ),
    "a zero byte": ("UTC\0", f"timeZone: 'UTC\\x00' {UNKNOWN}"),
    "something endless": ("a/" * 5000 + "b", f"timeZone: '{'a/' * 20}…' {UNKNOWN}"),
}


@pytest.mark.parametrize(("zone", "message"), ZONES.values(), ids=ZONES)
def test_a_refused_zone_says_what_to_write(zone: str, message: str) -> None:
    with pytest.raises(schedule.ScheduleError) as refused:
        schedule.parse("0 3 * * *", zone)
    assert str(refused.value) == message


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "Etc/GMT-2", "America/Argentina/Salta"])
def test_names_of_the_database_are_accepted(zone: str) -> None:
    assert schedule.parse("0 3 * * *", zone).zone == zone


ODD = {
    "white space around": "\t0 3 * * *\n",
    "white space that is not ASCII": "0\u00a03\u2003*\u3000* *",
    "empty items": "0,,0, ,3, * * *",
    "leading zeros and a plus": "+00 003 * * *",
    "a step beyond the end": "0/99 3/9223372036854775807 * * *",
    "a range of one with a step": "0-0/5 3-3/2 * * *",
    "a star with a tail": "0 3 *-5 *-x ?-",
    "names in any case": "0 3 * jan-Feb,MAR-dec sUn-SAT",
}


@pytest.mark.parametrize("expression", ODD.values(), ids=ODD)
def test_odd_spellings_of_daily_at_three_are_accepted(expression: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    slots = schedule.parse(expression, "UTC").slots_between(start, start + timedelta(days=70))
    assert list(slots) == [start + timedelta(days=day, hours=3) for day in range(70)]


DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * sun",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@pytest.mark.parametrize(("descriptor", "fields"), DESCRIPTORS.items(), ids=DESCRIPTORS)
def test_a_descriptor_stands_for_five_fields(descriptor: str, fields: str) -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    slots = list(schedule.parse(descriptor, "Europe/Berlin").slots_between(start, end))
    assert slots == list(schedule.parse(fields, "Europe/Berlin").slots_between(start, end))
    assert len(slots) >= 2
