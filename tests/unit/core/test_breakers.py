"""When something that fails again and again is left alone for a while."""

from datetime import UTC, datetime, timedelta

from rollcall.core import breakers

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def after_failures(*names: str, at: datetime = START) -> breakers.Breaker:
    breaker = breakers.CLOSED
    for name in names:
        breaker = breakers.after_failure(breaker, name, at)
    return breaker


def test_three_in_a_row_open_it_for_ten_minutes() -> None:
    assert not breakers.is_open(after_failures("a", "b"), START)
    breaker = after_failures("a", "b", "c")
    assert breakers.is_open(breaker, START + breakers.PAUSE - SECOND)
    assert not breakers.is_open(breaker, START + breakers.PAUSE)


def test_the_same_one_counts_once() -> None:
    assert not breakers.is_open(after_failures("a", "b", "a", "b"), START)


def test_failures_far_apart_are_a_row_all_the_same() -> None:
    breaker, now = breakers.CLOSED, START
    for name in ("a", "b", "c"):
        now += timedelta(days=1)
        breaker = breakers.after_failure(breaker, name, now)
    assert breakers.is_open(breaker, now)


def test_after_its_pause_one_failure_opens_it_for_twice_as_long() -> None:
    breaker, now = after_failures("a", "b", "c"), START
    for trip in range(1, 40):
        now = breaker.until or now
        breaker = breakers.after_failure(breaker, "d", now)
        pause = min(breakers.PAUSE * 2 ** min(trip, 9), breakers.LONGEST_PAUSE)
        assert breaker.until == now + pause


def test_a_failure_during_the_pause_does_not_prolong_it() -> None:
    before = after_failures("a", "b", "c")
    after = breakers.after_failure(before, "d", START + SECOND)
    assert after.until == before.until
    assert after.trips == before.trips


def test_a_success_closes_it() -> None:
    breaker = after_failures("a", "b", "c")
    assert breakers.after_success(breaker, START + SECOND) == breakers.CLOSED
    assert breakers.after_success(after_failures("a"), START + SECOND) == breakers.CLOSED
    assert breakers.after_success(breakers.CLOSED, START) == breakers.CLOSED


def test_a_success_that_began_before_the_last_failure_says_nothing() -> None:
    breaker = after_failures("a", "b")
    assert breakers.after_success(breaker, START) == breaker
