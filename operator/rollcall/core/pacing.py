"""When the messages that wait for a channel go, and whether one by one or as one.

- A channel takes so many messages in so long a time (`rateLimit`); what is beyond waits.
- A storm is more than a handful of messages at once, or within seconds. It is told as one message,
  the digest, and what comes within a minute of a digest waits for the next one.
- While a receiver fails, one message at a time tries it; what waits meanwhile is gathered when it
  answers again.
- Outside a channel's active hours, what is not critical waits for their begin.
Nothing is dropped by any of it. Channels that keep a state per incident are told of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Any

from rollcall.core import durations, errors, maintenance, messages, policies

# Whose receivers are told of every incident by its own key: a list would open and close nothing.
PER_INCIDENT = frozenset({"pagerDuty", "alertmanager"})

HANDFUL = 5  # messages that people read one by one
GATHERING = timedelta(minutes=1)  # between two digests
TRY_AGAIN = timedelta(seconds=5)  # of the others, while one message tries a receiver that failed
LONGEST_PER = timedelta(days=1)
MOST_MESSAGES = 1000


class Why(StrEnum):
    """What a message waits for, stored by value."""

    RATE_LIMIT = "RateLimit"
    STORM = "Storm"
    RECEIVER = "ReceiverFails"
    HOURS = "OutsideActiveHours"
    CROWD = "Crowd"  # from the beginning: a cause of many may be found, and tell of it


class Turn(Enum):
    """Whose turn the messages of one incident are, as far as active hours say."""

    SINGLY = auto()  # the oldest goes
    AS_ONE = auto()  # all go as one
    WAIT = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many messages in any stretch of time so long."""

    messages: int
    per: timedelta


BURST = Limit(messages=HANDFUL, per=timedelta(seconds=10))
_MINUTE = timedelta(minutes=1)
# By kind of channel, where its spec says nothing: what people can read and receivers take.
DEFAULT_LIMITS: Mapping[str, Limit | None] = {
    "slack": Limit(messages=20, per=_MINUTE),  # Slack takes one a second
    "email": Limit(messages=20, per=_MINUTE),  # Resend takes two a second
    "webhook": Limit(messages=60, per=_MINUTE),
    "pagerDuty": Limit(messages=90, per=_MINUTE),  # PagerDuty takes 120
    "alertmanager": None,  # it is told of all every minute anyway
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a channel wants its messages."""

    bundles: bool = False  # it can be told of many in one message
    limit: Limit | None = None
    hours: tuple[maintenance.Window, ...] = ()  # none: always


PLAIN = Pace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that went or is under way."""

    at: datetime
    is_digest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many of those that wait go now, or all as one, and until when the others wait and why."""

    singly: int = 0
    together: bool = False
    again_at: datetime
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    messages: int
    more_at: datetime  # when there is room for one more
    why: Why


def remembers(pace: Pace) -> timedelta:
    """Return how far back a plan asks for what was sent."""
    return max(pace.limit.per if pace.limit else timedelta(), GATHERING)


def plan(pace: Pace, *, waiting: int, sent: Sequence[Sent], failing: bool, now: datetime) -> Plan:
    """Plan for so many that wait, after what was sent, newest first."""
    rooms = _rooms(pace, sent, now)
    full = [room for room in rooms if room.messages <= 0]
    if full:
        last = max(full, key=lambda room: room.more_at)
        return Plan(again_at=last.more_at, why=last.why)
    room = min(rooms, key=lambda room: room.messages)
    if pace.bundles and failing:
        return Plan(singly=1, again_at=now + TRY_AGAIN, why=Why.RECEIVER)
    is_storm = waiting > min(HANDFUL, room.messages)
    if pace.bundles and is_storm and waiting > 1:
        return Plan(together=True, again_at=now + GATHERING, why=Why.STORM)
    return Plan(singly=min(waiting, room.messages), again_at=room.more_at, why=room.why)


def _rooms(pace: Pace, sent: Sequence[Sent], now: datetime) -> list[_Room]:
    rooms = [_Room(messages=MOST_MESSAGES, more_at=now, why=Why.RATE_LIMIT)]
    if pace.limit:
        rooms.append(_within(pace.limit, sent, Why.RATE_LIMIT, now))
    if pace.bundles:
        rooms.append(_within(BURST, sent, Why.STORM, now))
        last = next((one.at for one in sent if one.is_digest), now - GATHERING)
        if last + GATHERING > now:
            rooms.append(_Room(messages=0, more_at=last + GATHERING, why=Why.STORM))
    return rooms


def _within(limit: Limit, sent: Sequence[Sent], why: Why, now: datetime) -> _Room:
    recent = [one.at for one in sent if one.at > now - limit.per]
    # The newest of those that must have left the stretch of time before one more has room.
    last = recent[min(limit.messages, len(recent)) - 1] if recent else now
    return _Room(messages=limit.messages - len(recent), more_at=last + limit.per, why=why)


def begins_at(pace: Pace, now: datetime) -> datetime | None:
    """Return when the next active hours begin; None if there are some now, or none ever."""
    if not pace.hours or any(window.open_until(now) for window in pace.hours):
        return None
    starts = [window.schedule.next_after(now) for window in pace.hours]
    return min((start for start in starts if start), default=None)


def turn(
    payloads: Sequence[Mapping[str, Any]], *, is_active: bool, has_waited: bool, is_heard: bool
) -> Turn:
    """Say what becomes of an incident's messages, oldest first.

    `is_heard`: the channel was told of it before. What is over that nobody heard of is not told;
    what waited is told as it stands last, and so is what turned critical meanwhile.
    """
    if is_active and not has_waited:
        return Turn.SINGLY
    is_urgent = any(_is_critical(one) for one in payloads)
    if messages.is_end(payloads[-1]["type"]) and not is_urgent and not is_heard:
        return Turn.DROP
    return Turn.AS_ONE if is_active or is_urgent else Turn.WAIT


def _is_critical(payload: Mapping[str, Any]) -> bool:
    return bool(payload["incident"]["severity"] == policies.Severity.CRITICAL)


def read(kind: str, spec: Mapping[str, Any]) -> Pace:
    """Read how a channel of this kind wants its messages.

    Raises errors.InvalidSpec, naming the field and what to write instead.
    """
    return Pace(
        bundles=kind not in PER_INCIDENT and spec.get("digest") != "Never",
        limit=_limit(spec["rateLimit"]) if "rateLimit" in spec else DEFAULT_LIMITS.get(kind),
        hours=_hours(spec.get("activeHours") or ()),
    )


def _limit(raw: Mapping[str, Any]) -> Limit:
    messages = int(raw.get("messages") or 0)
    if not 0 < messages <= MOST_MESSAGES:
        raise errors.InvalidSpec(
            "InvalidChannel", f"rateLimit.messages: write a number from 1 to {MOST_MESSAGES}"
        )
    try:
        per = durations.parse(str(raw.get("per") or ""))
    except ValueError as error:
        raise errors.InvalidSpec("InvalidChannel", f"rateLimit.per: {error}") from error
    if not timedelta() < per <= LONGEST_PER:
        raise errors.InvalidSpec(
            "InvalidChannel", "rateLimit.per: write a duration above zero and up to 1d, like 1m"
        )
    return Limit(messages=messages, per=per)


def _hours(raw: Sequence[Mapping[str, Any]]) -> tuple[maintenance.Window, ...]:
    try:
        return maintenance.read_all(raw, "activeHours")
    except errors.InvalidSpec as error:
        raise errors.InvalidSpec("InvalidChannel", str(error)) from error
