import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import agenda


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def planned(chance: float = 0.0) -> tuple[agenda.Agenda, Clock]:
    clock = Clock()
    return agenda.Agenda(clock, lambda: chance), clock


def test_the_first_report_is_due_at_once() -> None:
    plan, _ = planned()
    assert plan.due_in == 0
    assert plan.rest() is True


def test_without_news_the_interval_is_kept() -> None:
    plan, clock = planned()
    plan.after(15, held=False)
    assert plan.due_in == 15
    clock.now += 14
    assert plan.due_in == 1


@pytest.mark.parametrize(("chance", "delay"), [(0, 0.2), (0.5, 0.6), (1, 1.0)])
def test_an_item_is_sent_after_a_moment_that_chance_picks(chance: float, delay: float) -> None:
    plan, _ = planned(chance)
    plan.after(15, held=False)
    plan.news()
    assert plan.due_in == pytest.approx(delay)


def test_many_items_do_not_draw_again_for_a_shorter_moment() -> None:
    chances = iter([0.9, 0.0, 0.0])
    plan = agenda.Agenda(Clock(), lambda: next(chances))
    plan.after(15, held=False)
    for _ in range(3):
        plan.news()
    assert plan.due_in == pytest.approx(0.92)


def test_progress_alone_is_sent_every_two_seconds_at_most() -> None:
    plan, clock = planned()
    plan.after(15, held=False)
    plan.moved()
    assert plan.due_in == pytest.approx(2)
    plan.after(15, held=False)
    clock.now += 10
    plan.moved()
    assert plan.due_in == pytest.approx(0.2)


def test_somebody_who_waits_is_served_at_once_ten_times_a_second_at_most() -> None:
    plan, clock = planned()
    plan.after(15, held=False)
    plan.news()
    plan.hurry()
    assert plan.due_in == pytest.approx(0.1)
    clock.now += 5
    plan.after(15, held=False)
    clock.now += 3
    plan.hurry()
    assert plan.due_in == 0


def test_who_waits_for_the_run_has_the_api_asked_every_five_seconds() -> None:
    plan, clock = planned()
    plan.after(300, held=False)
    plan.asked()
    assert plan.due_in == pytest.approx(5)
    plan.after(300, held=False)
    clock.now += 60
    plan.asked()
    assert plan.due_in == pytest.approx(0.2)


def test_nothing_shortens_a_back_off() -> None:
    plan, _ = planned()
    plan.after(30, held=True)
    plan.news()
    plan.moved()
    plan.asked()
    plan.hurry()
    assert plan.due_in == 30


@given(
    calls=st.lists(st.sampled_from(["news", "moved", "asked", "hurry"])),
    seconds=st.integers(0, 60),
    held=st.booleans(),
)
def test_news_never_delays_a_report(calls: list[str], seconds: int, *, held: bool) -> None:
    plan, _ = planned(1.0)
    plan.after(seconds, held=held)
    for call in calls:
        getattr(plan, call)()
    assert (seconds if held else min(seconds, 0.09)) <= plan.due_in <= seconds


def test_rest_ends_when_news_bring_the_report_forward_and_when_all_is_over() -> None:
    plan = agenda.Agenda()
    plan.after(60, held=False)
    threading.Timer(0.05, plan.hurry).start()
    started = time.monotonic()
    assert plan.rest() is True
    plan.after(60, held=True)
    threading.Timer(0.05, plan.end).start()
    assert plan.rest() is False
    assert plan.rest() is False
    assert time.monotonic() - started < 2
