"""What the receiver heard, cut down to what a scenario is about."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from support import kube as kubes

Step = tuple[str, str, str]  # kind, step, severity
Span = tuple[datetime, datetime]
# From a delivery until it is recorded, and from our note of a kill until it is done: on a machine
# that is full of load.
UNDER_WAY = timedelta(seconds=15)
# A message under way comes again when its lease of a minute has run out and somebody leads. This
# is twice that, without the times in which nobody led.
AGAIN = timedelta(minutes=2)


async def steps(receiver: kubes.Receiver, place: kubes.Place, name: str) -> list[Step]:
    """Return all that was told of a job, but for repetitions under the same key."""
    messages = await receiver.messages(place, name)
    return [_step(one["payload"]) for one in messages if not one["repeated"]]


async def exactly(
    receiver: kubes.Receiver, place: kubes.Place, name: str, wanted: list[Step], within: float
) -> None:
    """Wait until so much was told of a job, and see that it is this and no more."""

    async def look() -> list[Step]:
        return await steps(receiver, place, name)

    what = f"{len(wanted)} messages about {place.name}/{name}"
    told = await kubes.eventually(
        look, within, what=what, good=lambda told: len(told) >= len(wanted)
    )
    assert told == wanted


def _step(payload: kubes.Object) -> Step:
    incident = payload["incident"]
    return incident["kind"], payload["type"].removeprefix("incident."), incident["severity"]


def needless(messages: Sequence[kubes.Object], away: Sequence[Span]) -> list[str]:
    """Return what came twice without need, as sentences.

    Only what was under way when Rollcall went away may come again, once it is back. A channel has
    one message under way at a time, so that each absence excuses one.
    """
    left = sorted(away, key=lambda span: span[1])
    found = []
    for before, at, line in sorted(_repeated(messages)):
        excuse = next((span for span in left if span[0] - UNDER_WAY <= before <= span[1]), None)
        if excuse and _outside(away, before, at) <= AGAIN:
            left.remove(excuse)
        else:
            found.append(f"{line}: at {before:%H:%M:%S} and again at {at:%H:%M:%S}")
    return found


def _repeated(messages: Sequence[kubes.Object]) -> Iterator[tuple[datetime, datetime, str]]:
    """Yield when a message came, when it came again, and its line."""
    last: dict[str, datetime] = {}
    for one in sorted(messages, key=lambda one: str(one["receivedAt"])):
        at = datetime.fromisoformat(one["receivedAt"])
        if one["key"] in last:
            yield last[one["key"]], at, one["line"]
        last[one["key"]] = at


def _outside(spans: Sequence[Span], begin: datetime, end: datetime) -> timedelta:
    """Return how much of a time lies in none of the spans."""
    outside, covered = timedelta(), begin
    for first, last in sorted(spans):
        outside += max(min(first, end) - covered, timedelta())
        covered = max(covered, min(last, end))
    return outside + max(end - covered, timedelta())
