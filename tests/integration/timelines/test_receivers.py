"""Receivers that are down, busy, broken or gone, and what arrives when they are back."""

import resource
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from support import certificates, receiver
from support.audience import Receiver
from support.happenings import time
from support.receiver import Answer
from support.timelines import Timeline

Tells = Callable[[str], Receiver]
QUARTER = timedelta(minutes=15)  # no receiver may ask for more patience


async def test_an_hour_of_500s_costs_five_minutes_after_it_and_no_other_channel_waits(
    timeline: Timeline, tells: Tells
) -> None:
    broken, _ = tells("broken"), tells("well")
    broken.answers(Answer(status=500, body=b"down"))
    timeline.at("12:01", timeline.fails)
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.at("13:01", broken.answers)
    timeline.want("broken", "opened", "13:01", "13:06")
    timeline.at("13:10", timeline.succeeds)
    timeline.want("well", "resolved", "13:10", "13:11")
    timeline.want("broken", "resolved", "13:10", "13:11")
    await timeline.play(until="15:00")
    assert 10 < len(broken.tried) < 30  # seldom enough to let it recover


@pytest.mark.parametrize(
    ("asked", "rest"),
    [
        pytest.param("30", timedelta(seconds=30), id="seconds"),
        pytest.param(
            format_datetime(time("12:10"), usegmt=True), timedelta(minutes=8), id="a date"
        ),
        pytest.param("0", timedelta(seconds=1), id="zero"),
        pytest.param("-5", timedelta(seconds=30), id="nonsense"),
        pytest.param("", timedelta(seconds=30), id="empty"),
        pytest.param("86400", QUARTER, id="a day"),
        pytest.param("9" * 400, QUARTER, id="more than there are seconds"),
    ],
)
async def test_who_asks_for_a_pause_is_left_alone_for_so_long_and_then_told_all(
    timeline: Timeline, tells: Tells, asked: str, rest: timedelta
) -> None:
    busy = tells("busy")
    date = {"Date": format_datetime(time("12:02"), usegmt=True)}
    busy.answers(Answer(status=429, headers={"Retry-After": asked} | date))
    timeline.at("12:01", timeline.fails)
    timeline.at("12:01:30", busy.answers)
    timeline.want("busy", "opened", "12:01", "12:17")
    await timeline.play(until="13:00")
    assert {after - before for before, after in pairwise(busy.tried)} == {rest}
    (row,) = await timeline.rows("SELECT attempts, status FROM notifications")
    assert row == (1, "delivered")  # the pauses used up nothing


async def test_a_busy_channel_is_asked_once_for_all_that_waits_for_it(
    timeline: Timeline, tells: Tells
) -> None:
    busy = tells("busy")
    busy.answers(Answer(status=429, headers={"Retry-After": "600"}))
    timeline.at("12:01", timeline.fails)
    timeline.at("12:05", timeline.fails, "other")
    timeline.at("12:08", busy.answers)
    timeline.want("busy", "opened", "12:11", "12:16")
    timeline.want("busy", "opened", "12:11", "12:16")
    await timeline.play(until="13:00")
    assert busy.tried[0] < time("12:02")
    assert busy.tried[1] >= time("12:11")


FAULTS = {
    "never answers": Answer(hang=True),
    "trickles an error": Answer(status=500, trickle=True),
    "answers a gigabyte": Answer(status=500, endless=True),
    "hangs up": Answer(raw=b""),
    "speaks no HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_whatever_a_receiver_does_the_others_are_told_in_time_and_it_is_told_later(
    timeline: Timeline, tells: Tells, fault: Answer
) -> None:
    broken, _ = tells("broken"), tells("well")
    broken.answers(fault)
    before = _memory()
    timeline.at("12:01", timeline.fails)
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.at("12:02", broken.answers)
    timeline.want("broken", "opened", "12:02", "12:07")
    await timeline.play(until="13:00")
    assert len(broken.tried) > 1
    assert _memory() - before < 64  # MiB


async def test_a_certificate_that_nobody_vouches_for_is_told_when_it_is_mended(
    timeline: Timeline, tells: Tells, tmp_path: Path
) -> None:
    broken, _ = tells("broken"), tells("well")
    with receiver.running(tls=certificates.make(tmp_path)) as untrusted:
        broken.url = untrusted.url
        timeline.restart()
        timeline.at("12:01", timeline.fails)
        timeline.want("well", "opened", "12:01", "12:02")
        timeline.at("12:03", broken.moves, broken.hook.url)
        timeline.at("12:03", timeline.restart)
        timeline.want("broken", "opened", "12:03", "12:08")
        await timeline.play(until="13:00")
        assert untrusted.requests == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_refusal_for_good_is_not_repeated_and_what_was_to_be_said_is_kept(
    timeline: Timeline, tells: Tells, status: int
) -> None:
    revoked, _ = tells("revoked"), tells("well")
    revoked.answers(Answer(status=status, body=b"no_service"))
    timeline.at("12:01", timeline.fails)
    timeline.want("well", "opened", "12:01", "12:02")
    await timeline.play(until="18:00")
    assert len(revoked.tried) == 1
    (row,) = await timeline.rows(
        "SELECT status, attempts, last_error, payload #>> '{incident,kind}' FROM notifications"
        " WHERE channel = 'revoked'"
    )
    assert row[:2] == ("dead", 1)
    assert row[2].startswith(f"127.0.0.1 answered {status} ")
    assert row[3] == "failing"
    [(_, delivery)] = [one for one in timeline.senders.reports if one[0] == "revoked"]
    assert delivery.permanent  # what makes the AlertChannel not Ready


def _memory() -> float:
    """Return the most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
