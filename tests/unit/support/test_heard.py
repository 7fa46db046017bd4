"""What came twice is needless unless it was under way when Rollcall went away."""

from datetime import UTC, datetime, timedelta

from support import heard
from support import kube as kubes

KILLED_AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
AWAY = (KILLED_AT, KILLED_AT + timedelta(seconds=17))


def message(key: str, seconds: float) -> kubes.Object:
    """Return what the receiver keeps of a message that came so long after the kill."""
    at = KILLED_AT + timedelta(seconds=seconds)
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"receivedAt": text, "key": key, "line": f"message {key}"}


def needless(*messages: kubes.Object, away: tuple[heard.Span, ...] = (AWAY,)) -> list[str]:
    return heard.needless(messages, away)


def test_what_came_once_is_no_repetition() -> None:
    assert needless(message("a", -30), message("b", 0.5), message("c", 70)) == []


def test_what_was_under_way_at_a_kill_may_come_again() -> None:
    assert needless(message("a", 0.5), message("a", 62)) == []
    assert needless(message("a", 62), message("a", 0.5)) == []  # in whatever order they are listed


def test_nothing_comes_twice_without_an_absence() -> None:
    (said,) = needless(message("a", 0.5), message("a", 62), away=())
    assert said == "message a: at 12:00:00 and again at 12:01:02"


def test_what_was_told_long_before_a_kill_may_not_come_again() -> None:
    assert len(needless(message("a", -40), message("a", 20))) == 1


def test_a_kill_excuses_one_message_only() -> None:
    twice = [message(key, at) for key in ("a", "b") for at in (0.5, 62)]
    assert len(needless(*twice)) == 1
    assert len(needless(message("a", 0.5), message("a", 62), message("a", 70))) == 1


def test_what_was_under_way_may_not_come_again_much_later() -> None:
    assert len(needless(message("a", 0.5), message("a", 200))) == 1


def test_what_was_under_way_comes_after_all_kills_that_follow() -> None:
    following = tuple(
        (KILLED_AT + timedelta(seconds=at), KILLED_AT + timedelta(seconds=at + 55))
        for at in (20, 80, 140)
    )
    assert needless(message("a", 0.5), message("a", 200), away=(AWAY, *following)) == []
