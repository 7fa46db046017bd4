"""What the receiver heard, cut down to what a scenario is about."""

from support import kube as kubes

Step = tuple[str, str, str]  # kind, step, severity


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
