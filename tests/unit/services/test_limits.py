"""How much one pod may send."""

import pytest

from rollcall.services import limits


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> limits.Limiter:
    return limits.Limiter(rate=10, burst=5, size=100, clock=clock)


def taken(limiter: limits.Limiter, tries: int, key: str = "a") -> int:
    """Return how many of the tries were let through."""
    count = 0
    for _ in range(tries):
        try:
            limiter.take(key)
        except limits.TooMany:
            continue
        count += 1
    return count


def test_a_burst_is_let_through_and_no_more(limiter: limits.Limiter) -> None:
    assert taken(limiter, 20) == 5


def test_after_it_the_rate_counts(limiter: limits.Limiter, clock: Clock) -> None:
    taken(limiter, 20)
    through = 0
    for _ in range(300):
        clock.now += 0.01
        through += taken(limiter, 1)
    assert through == 30


def test_who_was_silent_has_a_whole_burst_again(limiter: limits.Limiter, clock: Clock) -> None:
    taken(limiter, 20)
    clock.now += 3600
    assert taken(limiter, 20) == 5


def test_others_do_not_notice(limiter: limits.Limiter) -> None:
    taken(limiter, 10_000)
    assert taken(limiter, 5, "b") == 5


def test_who_waits_as_long_as_is_said_is_let_through(limiter: limits.Limiter, clock: Clock) -> None:
    taken(limiter, 5)
    with pytest.raises(limits.TooMany, match="10 reports a second") as refused:
        limiter.take("a")
    clock.now += refused.value.retry_after + 1e-9
    limiter.take("a")


def test_a_refusal_costs_nothing(limiter: limits.Limiter, clock: Clock) -> None:
    taken(limiter, 1000)
    clock.now += 0.1
    assert taken(limiter, 3) == 1


def test_only_so_many_keys_are_known(clock: Clock) -> None:
    limiter = limits.Limiter(rate=10, burst=5, size=100, clock=clock)
    taken(limiter, 9, "busy")
    for number in range(99):
        clock.now += 0.001
        limiter.take(f"quiet-{number}")
    clock.now += 0.2
    limiter.take("one more")

    assert taken(limiter, 9, "busy") < 5
