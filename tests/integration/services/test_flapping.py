"""Row A8: a job whose runs fail and succeed in turn."""

from datetime import timedelta

from rollcall.core.executions import Status
from support.stories import HOUR, MINUTE, SLOT_AT, Story


async def run(story: Story, number: int, status: Status) -> list[tuple[str, str, str]]:
    """Let the run of the n-th slot of a five-minute schedule end; return what is told of it."""
    at = SLOT_AT + number * timedelta(minutes=5)
    story.clock.set(at + MINUTE)
    assert await story.record(story.job_of(at, status))
    await story.look(at + MINUTE)
    return await story.messages()


async def test_it_is_told_to_flap_and_to_be_over_when_it_is_stable(story: Story) -> None:
    off = {"rules": {"failure_rate": {"enabled": False}}}
    await story.begin(off, schedule="*/5 * * * *")
    told = []
    for number in range(20):
        told += await run(story, number, Status.SUCCEEDED if number % 2 else Status.FAILED)
    assert told == [
        ("incident.opened", "failing", "warning"),
        ("incident.resolved", "failing", "warning"),
        ("incident.opened", "failing", "warning"),
    ]
    assert story.suppressed.count("Flapping") == 8
    (incident,) = (await story.open()).values()
    assert incident.flapping
    last = SLOT_AT + 19 * timedelta(minutes=5) + MINUTE
    for number in range(20, 31):
        assert await run(story, number, Status.SUCCEEDED) == []
    assert await story.again_at() <= last + HOUR
    assert await run(story, 31, Status.SUCCEEDED) == [("incident.resolved", "failing", "warning")]
    assert await story.open() == {}
