"""Who is refused is named in the log, and does not fill it."""

import logging

import pytest

from rollcall.services import strangers
from rollcall.services.strangers import AGAIN, BURST

WHO = {"user": "system:serviceaccount:shop:default", "namespace": "shop", "pod": "report-1"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.message == "report refused" for record in caplog.records)


def test_one_is_named_with_what_is_known_of_it(caplog: pytest.LogCaptureFixture) -> None:
    strangers.Strangers().tell(WHO, "not tracked")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert {name: record.__dict__[name] for name in (*WHO, "why")} == WHO | {"why": "not tracked"}


def test_the_same_one_is_named_again_only_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    named = strangers.Strangers(clock=clock)
    for _ in range(1000):
        named.tell(WHO, "not tracked")
    assert lines(caplog) == 1
    named.tell(WHO, "another reason")
    assert lines(caplog) == 2
    clock.now += AGAIN + 1
    named.tell(WHO, "not tracked")
    assert lines(caplog) == 3


def test_a_thousand_at_once_are_not_all_named(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    named = strangers.Strangers(clock=clock)
    for number in range(1000):
        named.tell(WHO | {"pod": f"report-{number}"}, "not tracked")
    assert lines(caplog) == BURST
    clock.now += 2
    named.tell(WHO | {"pod": "another"}, "not tracked")
    assert lines(caplog) == BURST + 1
