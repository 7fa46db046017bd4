"""A run that cannot start is told with its reason, once, long before its slot is over."""

from dataclasses import replace

from rollcall.core import slots
from rollcall.core.policies import Kind, Severity
from support import builders
from support.stories import HOUR, MINUTE, SECOND, SLOT_AT, Story

PULLING = builders.attempt(
    job_uid="job-0", waiting_reason="ImagePullBackOff", waiting_message="no such tag"
)
QUOTA = slots.EventReading(
    reason="FailedCreate",
    message="Error creating job: exceeded quota: few, requested: count/jobs.batch=1,"
    " used: count/jobs.batch=10, limited: count/jobs.batch=10",
    last_at=SLOT_AT + 2 * SECOND,
)


async def test_an_image_that_cannot_be_pulled_is_told_once_and_is_over_with_the_start(
    story: Story,
) -> None:
    await story.begin(deadline=HOUR)
    story.clock.set(SLOT_AT + MINUTE)
    job = builders.observation(story.job, job_uid="job-0", job_name="report-0")
    await story.record(job, PULLING)
    await story.look(SLOT_AT + 2 * MINUTE)
    assert await story.again_at() == SLOT_AT + 5 * MINUTE
    await story.look(SLOT_AT + 5 * MINUTE)
    found = await story.open()
    assert found[Kind.CANNOT_START].severity is Severity.CRITICAL
    assert found[Kind.CANNOT_START].message == (
        "the run of 2026-03-02 12:00 UTC has been unable to start for 5m:"
        " an image cannot be pulled: no such tag"
    )
    assert found[Kind.LATE].inhibited_by is Kind.CANNOT_START
    await story.record(job, replace(PULLING, waiting_reason=None, waiting_message=None))
    await story.look(SLOT_AT + 7 * MINUTE)
    assert (await story.open())[Kind.LATE].inhibited_by is Kind.CANNOT_START
    started = replace(PULLING, waiting_reason=None, started_at=SLOT_AT + 8 * MINUTE)
    await story.record(job, started)
    await story.look(SLOT_AT + 8 * MINUTE)
    assert await story.open() == {}
    assert await story.messages() == [
        ("incident.opened", "cannot_start", "critical"),
        ("incident.resolved", "cannot_start", "critical"),
    ]


async def test_a_queue_is_no_obstacle_and_its_time_does_not_count(story: Story) -> None:
    await story.begin({"rules": {"late": {"enabled": False}}}, deadline=HOUR)
    story.clock.set(SLOT_AT + MINUTE)
    job = builders.observation(story.job, job_uid="job-0", job_name="report-0", suspended=True)
    await story.record(job)
    await story.look(SLOT_AT + 40 * MINUTE)
    assert await story.open() == {}
    await story.record(replace(job, suspended=False), PULLING)
    await story.look(SLOT_AT + 44 * MINUTE)
    assert await story.open() == {}
    await story.look(SLOT_AT + 45 * MINUTE)
    assert (await story.open()).keys() == {Kind.CANNOT_START}


async def test_a_slot_that_is_late_sooner_than_it_is_doubted_says_why_at_once(
    story: Story,
) -> None:
    await story.begin({"rules": {"late": {"warning": "10s"}}}, deadline=HOUR)
    story.cluster.seen = [QUOTA]
    await story.look(SLOT_AT + 9 * SECOND)
    assert story.cluster.reads == []
    await story.look(SLOT_AT + 10 * SECOND)
    late = (await story.open())[Kind.LATE]
    assert (late.severity, late.reason) == (Severity.WARNING, "QuotaExceeded")
    await story.look(SLOT_AT + 40 * SECOND)
    assert await story.messages() == [("incident.opened", "late", "warning")]


async def test_a_job_that_a_quota_refuses_is_told_before_its_slot_is_missed(story: Story) -> None:
    await story.begin(deadline=HOUR)
    story.cluster.seen = [QUOTA]
    await story.look(SLOT_AT + 5 * MINUTE)
    found = await story.open()
    assert found[Kind.CANNOT_START].message == (
        "the run of 2026-03-02 12:00 UTC has been unable to start for 5m:"
        " the namespace's quota few is used up: 10 of 10 Jobs (1 more wanted)"
    )
    await story.look(SLOT_AT + HOUR + MINUTE)
    await story.look(SLOT_AT + HOUR + 6 * MINUTE)
    assert await story.messages() == [
        ("incident.opened", "cannot_start", "critical"),
        ("incident.opened", "missed", "critical"),
        ("incident.resolved", "cannot_start", "critical"),
    ]
    found = await story.open()
    assert found[Kind.LATE].inhibited_by is Kind.MISSED
    assert found[Kind.MISSED].message == (
        "the run of 2026-03-02 12:00 UTC did not start: the namespace's quota few is used up:"
        " 10 of 10 Jobs (1 more wanted); it could have started until 2026-03-02 13:00 UTC"
    )


async def test_where_late_was_told_first_it_goes_on_telling_until_it_is_worse(story: Story) -> None:
    limits = {"warning": "10m", "critical": "30m"}
    await story.begin(
        {"rules": {"late": {"warning": "5m"}, "cannot_start": {"unschedulable": limits}}},
        deadline=HOUR,
    )
    story.clock.set(SLOT_AT + MINUTE)
    full = replace(PULLING, waiting_reason="Unschedulable", waiting_message="0/3 nodes")
    await story.record(builders.observation(story.job, job_uid="job-0"), full)
    for minutes in (5, 10, 11, 30, 31):
        await story.look(SLOT_AT + minutes * MINUTE)
    assert await story.messages() == [
        ("incident.opened", "late", "warning"),
        ("incident.opened", "cannot_start", "critical"),
    ]
    assert (await story.open())[Kind.LATE].inhibited_by is Kind.CANNOT_START
