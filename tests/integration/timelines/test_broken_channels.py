"""A channel that tells nobody: the others say so, once, and say when it works again."""

from collections.abc import Callable

import sqlalchemy as sa

from rollcall.core import undelivered
from support.audience import Receiver
from support.happenings import time
from support.receiver import Answer
from support.timelines import Timeline

Tells = Callable[[str], Receiver]
REFUSES = Answer(status=403, body=b"invalid_token")


async def test_who_refuses_for_good_is_told_on_the_other_channel_and_so_is_that_it_works_again(
    timeline: Timeline, tells: Tells
) -> None:
    revoked, well = tells("revoked"), tells("well")
    timeline.looks_widely()
    revoked.answers(REFUSES)
    timeline.at("12:01", timeline.fails)
    timeline.want("well", "opened", "12:01", "12:02")  # the failure
    timeline.want("well", "opened", "12:01", "12:02")  # the channel
    timeline.at("12:05", revoked.answers)
    timeline.at("12:06", timeline.fails, "other")
    timeline.want("well", "opened", "12:06", "12:07")
    timeline.want("revoked", "opened", "12:06", "12:07")
    timeline.want("well", "resolved", "12:11", "12:13")
    await timeline.play(until="12:20")
    said = [body for body in well.bodies if body["incident"]["kind"] == "cannot_deliver"]
    assert [one["type"] for one in said] == ["incident.opened", "incident.resolved"]
    assert said[0]["cronjob"] is None
    assert said[0]["jobs"] == [{"namespace": "shop", "name": "report"}]
    assert said[0]["incident"]["message"] == (
        "AlertChannel revoked is not ready since 2026-03-02 12:01 UTC and gave up 1 message within"
        " a day: 127.0.0.1 answered 403 Forbidden: invalid_token"
    )
    assert said[0]["commands"][0] == "kubectl describe alertchannel revoked"


async def test_a_thousand_that_are_refused_are_one_message(
    timeline: Timeline, tells: Tells
) -> None:
    revoked, _ = tells("revoked"), tells("well")
    timeline.looks_widely()
    revoked.answers(REFUSES)
    timeline.at("12:01", timeline.fails)
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.at("12:05", refuse_more, timeline)
    await timeline.play(until="12:10")
    [row] = await timeline.rows("SELECT kind, message FROM incidents WHERE channel = 'revoked'")
    assert row[0] == "cannot_deliver"
    assert "and gave up at least 1000 messages within a day: 127.0.0.1 answered 403" in row[1]


async def refuse_more(timeline: Timeline) -> None:
    """Let a thousand messages more be refused, each about a step of the one incident."""
    async with timeline.story.store.transaction() as unit:
        await unit.connection.execute(
            sa.text(
                "INSERT INTO notifications (cluster, incident_id, channel, key, type, payload,"
                " status, attempts, created_at, next_at, dead_at, last_error)"
                " SELECT cluster, incident_id, channel, key || n, type, payload, 'dead', 1,"
                " created_at, next_at, :now, 'the token is revoked'"
                " FROM notifications, generate_series(1, 1200) n WHERE channel = 'revoked'"
            ),
            {"now": unit.now},
        )


async def test_what_cannot_be_told_on_the_other_channel_either_goes_round_in_no_circle(
    timeline: Timeline, tells: Tells
) -> None:
    first, second = tells("first"), tells("second")
    timeline.looks_widely()
    first.answers(REFUSES)
    second.answers(REFUSES)
    timeline.at("12:01", timeline.fails)
    await timeline.play(until="12:15")
    assert (len(first.tried), len(second.tried)) == (1, 1)
    assert await timeline.rows(
        "SELECT channel FROM incidents WHERE kind = 'cannot_deliver' ORDER BY channel"
    ) == [("first",), ("second",)]


async def test_the_next_one_that_works_hears_of_those_that_do_not(
    timeline: Timeline, tells: Tells
) -> None:
    first, second, third = tells("first"), tells("second"), tells("third")
    timeline.looks_widely()
    first.answers(REFUSES)
    timeline.at("12:01", second.answers, REFUSES)
    timeline.at("12:01", timeline.fails)
    timeline.want("third", "opened", "12:01", "12:02")  # the failure
    timeline.want("third", "opened", "12:01", "12:02")  # one channel
    timeline.want("third", "opened", "12:01", "12:02")  # the other
    await timeline.play(until="12:15")
    assert {body["incident"]["evidence"].get("channel") for body in third.bodies} == {
        None, "first", "second",
    }  # fmt: skip


async def test_who_lacks_a_secret_is_told_of_after_a_while_and_what_waits_arrives(
    timeline: Timeline, tells: Tells
) -> None:
    tells("well")
    tells("bare")
    timeline.looks_widely()
    lacks = undelivered.Unready(since=time("12:00"), why="Secret slack has no key url")
    timeline.at("12:00", timeline.story.channels.unready.update, bare=lacks)
    timeline.at("12:10", timeline.story.channels.unready.clear)
    timeline.want("well", "opened", "12:05", "12:06")
    timeline.want("well", "resolved", "12:10", "12:11")
    await timeline.play(until="12:15")
    [(reason, message)] = await timeline.rows("SELECT reason, message FROM incidents")
    assert reason == "ChannelNotReady"
    assert message.startswith("AlertChannel bare is not ready since 2026-03-02 12:00 UTC; what is")
    assert message.endswith("waits: Secret slack has no key url")


async def test_one_that_loses_a_message_now_and_then_is_said_to_flap(
    timeline: Timeline, tells: Tells
) -> None:
    picky, _ = tells("picky"), tells("well")
    timeline.looks_widely()
    for hour in (12, 13):
        timeline.at(f"{hour}:01", picky.answers, REFUSES)
        timeline.at(f"{hour}:01", timeline.fails, f"job-{hour}")
        timeline.want("well", "opened", f"{hour}:01", f"{hour}:02")
        timeline.at(f"{hour}:02", picky.answers)
        timeline.at(f"{hour}:02", timeline.fails, f"other-{hour}")
        timeline.want("picky", "opened", f"{hour}:02", f"{hour}:03")
        timeline.want("well", "opened", f"{hour}:02", f"{hour}:03")
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.want("well", "resolved", "12:11", "12:13")
    timeline.want("well", "opened", "13:01", "13:02")  # it comes and goes
    await timeline.play(until="13:20")


async def test_one_that_is_suspended_or_deleted_is_no_problem_any_more(
    timeline: Timeline, tells: Tells
) -> None:
    revoked, _ = tells("revoked"), tells("well")
    timeline.looks_widely()
    revoked.answers(REFUSES)
    timeline.at("12:01", timeline.fails)
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.want("well", "opened", "12:01", "12:02")
    timeline.at("12:05", setattr, timeline.story.channels, "names", ("well",))
    timeline.want("well", "resolved", "12:05", "12:06")
    await timeline.play(until="12:10")
    assert len(revoked.tried) == 1
