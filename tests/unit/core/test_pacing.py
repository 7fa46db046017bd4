"""When a channel's messages go, and whether one by one or as one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, pacing
from rollcall.core.pacing import Turn, Why
from rollcall.core.policies import Severity
from support import builders, payloads

NOW = builders.SLOT_AT  # a Monday, 12:00 UTC
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TEAM = pacing.Pace(bundles=True, limit=pacing.Limit(messages=20, per=MINUTE))
PAGER = pacing.Pace(limit=pacing.Limit(messages=2, per=MINUTE))
OFFICE = [{"schedule": "0 8 * * 1-5", "duration": "10h"}]


def sent(*seconds_ago: float, digest: bool = False) -> list[pacing.Sent]:
    return [pacing.Sent(at=NOW - one * SECOND, is_digest=digest) for one in seconds_ago]


def plan(
    pace: pacing.Pace,
    waiting: int,
    before: Sequence[pacing.Sent] = (),
    *,
    failing: bool = False,
) -> pacing.Plan:
    return pacing.plan(pace, waiting=waiting, sent=before, failing=failing, now=NOW)


def test_a_handful_goes_one_by_one() -> None:
    assert (plan(TEAM, 5).singly, plan(TEAM, 5).together) == (5, False)


def test_more_than_a_handful_goes_together() -> None:
    assert plan(TEAM, 6).together


def test_what_would_be_more_than_a_handful_in_seconds_goes_together() -> None:
    assert plan(TEAM, 3, sent(1, 2, 3)).together
    assert plan(TEAM, 2, sent(1, 2, 3)).singly == 2


def test_one_message_is_no_storm() -> None:
    assert plan(TEAM, 1, sent(1, 2, 3, 4)).singly == 1


def test_after_a_handful_within_seconds_the_next_waits_until_the_first_is_long_ago() -> None:
    found = plan(TEAM, 1, sent(1, 2, 3, 4, 8))
    assert (found.singly, found.together) == (0, False)
    assert (found.again_at, found.why) == (NOW + 2 * SECOND, Why.STORM)


def test_what_comes_after_a_digest_is_gathered_for_a_minute() -> None:
    found = plan(TEAM, 50, sent(59, digest=True))
    assert (found.together, found.again_at, found.why) == (False, NOW + SECOND, Why.STORM)
    assert plan(TEAM, 50, sent(60, digest=True)).together


def test_of_several_reasons_to_wait_the_longest_counts() -> None:
    slow = pacing.Pace(bundles=True, limit=pacing.Limit(messages=1, per=timedelta(hours=1)))
    found = plan(slow, 50, sent(30, digest=True))
    assert (found.again_at, found.why) == (NOW + 3570 * SECOND, Why.RATE_LIMIT)


def test_within_the_rate_limit_messages_go_one_by_one_and_the_rest_waits() -> None:
    first = plan(PAGER, 5, sent(10))
    assert (first.singly, first.together) == (1, False)
    assert (first.again_at, first.why) == (NOW + 50 * SECOND, Why.RATE_LIMIT)
    assert plan(PAGER, 5, sent(10, 20)).singly == 0


def test_while_the_receiver_fails_one_message_tries_it() -> None:
    found = plan(TEAM, 50, failing=True)
    assert (found.singly, found.together, found.why) == (1, False, Why.RECEIVER)


def test_a_channel_without_limits_sends_everything() -> None:
    assert plan(pacing.PLAIN, 500).singly == 500


@given(
    waits=st.lists(st.integers(0, 20), min_size=1, max_size=120),
    messages=st.integers(1, 10),
    seconds=st.integers(1, 90),
    bundles=st.booleans(),
)
def test_the_rate_is_never_exceeded_and_everything_goes(
    waits: list[int], messages: int, seconds: int, bundles: bool
) -> None:
    pace = pacing.Pace(bundles=bundles, limit=pacing.Limit(messages=messages, per=seconds * SECOND))
    now, waiting, gone, log = NOW, 0, 0, list[pacing.Sent]()
    for arrived in [*waits, *[0] * 400]:
        waiting += arrived
        if waiting:
            found = pacing.plan(pace, waiting=waiting, sent=log, failing=False, now=now)
            went = waiting if found.together else found.singly
            assert went or found.again_at > now
            count = 1 if found.together else went
            log = [*[pacing.Sent(at=now, is_digest=found.together)] * count, *log]
            waiting, gone = waiting - went, gone + went
        now += SECOND
        assert sum(one.at > now - seconds * SECOND for one in log) <= messages
    if bundles:
        assert gone == sum(waits)


def test_a_plan_asks_for_what_was_sent_as_long_ago_as_counts() -> None:
    assert pacing.remembers(pacing.PLAIN) == MINUTE
    hourly = pacing.read("slack", {"rateLimit": {"messages": 1, "per": "1h"}})
    assert pacing.remembers(hourly) == 60 * MINUTE


@pytest.mark.parametrize(
    ("kind", "bundles", "messages"),
    [
        ("slack", True, 20),
        ("email", True, 20),
        ("webhook", True, 60),
        ("pagerDuty", False, 90),
        ("alertmanager", False, None),
    ],
)
def test_each_kind_of_channel_has_a_pace(kind: str, bundles: bool, messages: int | None) -> None:
    pace = pacing.read(kind, {})
    assert pace.bundles is bundles
    assert (pace.limit and pace.limit.messages) == messages


def test_a_channel_can_be_told_of_each_without_a_list() -> None:
    assert not pacing.read("webhook", {"digest": "Never"}).bundles
    assert pacing.read("webhook", {"digest": "Auto"}).bundles
    assert not pacing.read("pagerDuty", {"digest": "Auto"}).bundles


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"rateLimit": {"messages": 0, "per": "1m"}}, "rateLimit.messages: write a number"),
        ({"rateLimit": {"messages": 1001, "per": "1m"}}, "rateLimit.messages: write a number"),
        ({"rateLimit": {"messages": 1}}, "rateLimit.per: '' is not a duration"),
        ({"rateLimit": {"messages": 1, "per": "0s"}}, "rateLimit.per: write a duration above"),
        ({"rateLimit": {"messages": 1, "per": "2d"}}, "rateLimit.per: write a duration above"),
        ({"activeHours": [{"schedule": "0 8", "duration": "1h"}]}, "activeHours[0].schedule:"),
        ({"activeHours": [{"schedule": "0 8 * * *"}]}, "activeHours[0].duration: write"),
    ],
    ids=["none", "too many", "no time", "no length", "too long", "no schedule", "no duration"],
)
def test_what_cannot_be_is_refused_with_what_to_write(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        pacing.read("slack", spec)
    assert refused.value.reason == "InvalidChannel"
    assert str(refused.value).startswith(says)


def test_outside_active_hours_the_next_ones_are_known() -> None:
    pace = pacing.read("slack", {"activeHours": OFFICE})
    assert pacing.begins_at(pace, NOW) is None
    evening = NOW.replace(hour=18)
    assert pacing.begins_at(pace, evening) == NOW.replace(hour=8) + timedelta(days=1)
    friday = evening + timedelta(days=4)
    assert pacing.begins_at(pace, friday) == NOW.replace(hour=8) + timedelta(days=7)


def test_without_active_hours_or_with_some_that_never_come_it_is_always_time() -> None:
    assert pacing.begins_at(pacing.PLAIN, NOW) is None
    never = pacing.read("slack", {"activeHours": [{"schedule": "0 0 30 2 *", "duration": "1h"}]})
    assert pacing.begins_at(never, NOW) is None


OPENED = payloads.payload()
URGENT = payloads.payload(found=builders.finding(severity=Severity.CRITICAL))
SOLVED = payloads.payload(solved_after=MINUTE)


@pytest.mark.parametrize(
    ("messages", "active", "waited", "heard", "turn"),
    [
        ([OPENED], True, False, False, Turn.SINGLY),
        ([OPENED, SOLVED], True, False, False, Turn.SINGLY),
        ([OPENED], False, False, False, Turn.WAIT),
        ([OPENED], False, True, False, Turn.WAIT),
        ([OPENED, URGENT], False, True, False, Turn.AS_ONE),
        ([URGENT], False, False, False, Turn.AS_ONE),
        ([OPENED, SOLVED], False, True, False, Turn.DROP),
        ([OPENED, SOLVED], True, True, False, Turn.DROP),
        ([OPENED, URGENT, SOLVED], False, True, False, Turn.AS_ONE),
        ([SOLVED], False, False, True, Turn.WAIT),
        ([SOLVED], True, True, True, Turn.AS_ONE),
    ],
    ids=[
        "in hours they go in order",
        "in hours what is solved was broken before",
        "outside it waits",
        "and goes on waiting",
        "until it is critical",
        "what is critical does not wait",
        "solved before anybody heard of it",
        "the same when the hours begin",
        "critical meanwhile",
        "the end of what was told waits",
        "and is told when the hours begin",
    ],
)
def test_active_hours_say_whose_turn_it_is(
    messages: list[dict[str, Any]], active: bool, waited: bool, heard: bool, turn: Turn
) -> None:
    found = pacing.turn(messages, is_active=active, has_waited=waited, is_heard=heard)
    assert found is turn
