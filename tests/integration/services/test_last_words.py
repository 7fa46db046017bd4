"""What pods leave in their termination messages is kept like a report."""

import json
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, reporting
from rollcall.core.executions import Status
from rollcall.services import jobless, runs
from rollcall.store import engine
from support import builders, clocks
from support.observing import World

AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)
BOOT = "0123456789abcdef"
RESULT: dict[str, Any] = {
    "seq": 8,
    "at": "2026-03-02T12:00:03Z",
    "result": "partial",
    "message": "3 of 5",
    "counters": {"files": 3},
}
CHECKPOINT = {"seq": 7, "at": "2026-03-02T12:00:02Z", "value": {"offset": 17}}


@pytest.fixture
async def world(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    await world.register(builders.revision())
    await world.starts()
    return world


def left(**fields: object) -> str:
    return json.dumps({"rollcall": {"v": 1, "boot": BOOT, **fields}})


async def pod_ends(world: World, **changes: object) -> None:
    """Let the pod of the first slot end, and write it."""
    world.clock.set(AT + 5 * SECOND)
    values: dict[str, object] = {
        "started_at": AT + SECOND,
        "ended_at": AT + 4 * SECOND,
        "exit_code": 0,
    }
    await world.sees(**values | changes)


async def job_ends(world: World, decided: Status = Status.SUCCEEDED) -> None:
    world.inbox.job(
        builders.observation(
            world.job,
            job_uid="job-0",
            job_name="report-0",
            decided=decided,
            ended_at=AT + 5 * SECOND,
            reason="CompletionsReached",
        )
    )
    await world.writer.flush()


async def heard(world: World) -> reporting.Heard:
    (run,) = await world.runs()
    async with world.store.transaction() as unit:
        (one,) = await unit.reports.of(run.id)
    return one


async def story(world: World) -> list[executions.Event]:
    (run,) = await world.runs()
    async with world.store.transaction() as unit:
        return [line for line in await unit.events.of(run.id) if line.source == "report"]


async def told(world: World) -> tuple[Status, str | None, str | None]:
    (run,) = await world.runs()
    return run.status, run.reason, run.message


async def test_a_program_says_partial_without_http(world: World) -> None:
    said = {"result": "partial", "message": "3 of 5", "counters": {"files": 3}}
    await pod_ends(world, message=json.dumps({"rollcall": said}))
    await job_ends(world)
    assert await told(world) == (Status.PARTIAL, "PartialResult", "3 of 5")
    one = await heard(world)
    assert (one.result, one.result_counters) == (reporting.Verdict.PARTIAL, {"files": 3})
    assert (one.last_heartbeat_at, one.final_at) == (None, None)


async def test_a_failed_programs_own_words_explain_its_failure(world: World) -> None:
    said = json.dumps({"rollcall": {"result": "failed", "message": "no input"}})
    await pod_ends(world, message=said, exit_code=1, reason="Error")
    await job_ends(world, Status.FAILED)
    assert (await told(world))[2] == "exit code 1: no input"


async def test_what_a_sidecar_could_not_send_is_kept_once(world: World) -> None:
    words = left(
        result=RESULT,
        checkpoint=CHECKPOINT,
        progress={"seq": 3, "at": "2026-03-02T12:00:02Z", "done": 3, "total": 5},
    )
    await pod_ends(world, sidecar_said=words)
    await job_ends(world)
    first = await heard(world)
    assert await told(world) == (Status.PARTIAL, "PartialResult", "3 of 5")
    assert first.progress == reporting.Progress(seq=3, done=3, total=5)
    assert (first.last_heartbeat_at, first.final_at) == (None, AT + 4 * SECOND)
    world.restart()
    await pod_ends(world, sidecar_said=words)
    world.clock.advance(60 * SECOND)
    await job_ends(world)
    assert await heard(world) == first
    assert await story(world) == []


async def test_the_checkpoint_that_was_left_is_handed_on(world: World) -> None:
    await pod_ends(world, sidecar_said=left(checkpoint=CHECKPOINT), exit_code=1, reason="Error")
    await job_ends(world, Status.FAILED)
    await world.starts(1)
    await world.sees(pod_uid="pod-2", job_uid="job-1", started_at=world.clock())
    async with world.store.transaction() as unit:
        identities = await unit.attempts.identify(["pod-2"])
        handed = (await runs.told(unit, identities["pod-2"])).checkpoint
    assert handed is not None
    assert (handed.value, handed.attempt, handed.slot_at) == ({"offset": 17}, 1, AT)


async def test_an_item_that_arrived_before_is_no_double(world: World) -> None:
    await pod_ends(world)
    result = reporting.Result(
        seq=8, at=AT + 3 * SECOND, result=reporting.Verdict.SUCCEEDED, message="all"
    )
    report = reporting.Report(pod_uid="pod-1", at=AT, boot=BOOT, items=[result])
    await world.store.run(lambda unit: unit.reports.keep([report]))
    await pod_ends(world, sidecar_said=left(result=RESULT))
    assert (await heard(world)).result_message == "all"


async def test_a_reported_result_is_worth_more_than_a_termination_message(world: World) -> None:
    await world.sees(started_at=AT + SECOND)
    result = reporting.Result(seq=1, at=AT, result=reporting.Verdict.SUCCEEDED)
    report = reporting.Report(pod_uid="pod-1", at=AT, boot=BOOT, items=[result])
    await world.store.run(lambda unit: unit.reports.keep([report]))
    await pod_ends(world, message='{"rollcall": {"result": "partial"}}')
    await job_ends(world)
    assert (await told(world))[0] is Status.SUCCEEDED


async def test_losses_are_counted_and_told(world: World) -> None:
    words = left(unsent={"error": 2}, lost={"error": 1, "deadLetter": 1})
    await pod_ends(world, sidecar_said=words)
    await pod_ends(world, sidecar_said=words)
    assert (await heard(world)).lost == {"deadLetter": 1, "error": 3}
    assert await story(world) == [
        executions.Event(
            at=AT + 4 * SECOND,
            source="report",
            reason="ReportsLost",
            message="report-pod-1 could not deliver dead letters (1), errors (3)",
        )
    ]


async def told_before(world: World, *items: reporting.Item) -> None:
    """Let items arrive whose sidecar does not hear of it any more."""
    await world.sees(started_at=AT + SECOND)
    report = reporting.Report(pod_uid="pod-1", at=AT, boot=BOOT, items=items)
    await world.store.run(lambda unit: unit.reports.keep([report]))


def errors(*numbers: int) -> list[reporting.Error]:
    return [reporting.Error(seq=n, at=AT, type="t", message="m") for n in numbers]


async def test_what_arrived_although_its_sidecar_did_not_hear_of_it_is_not_lost(
    world: World,
) -> None:
    await told_before(world, *errors(6, 7))
    words = left(unsent={"error": 2}, unsentThrough=7, lost={"deadLetter": 1})
    for _ in range(2):
        await pod_ends(world, sidecar_said=words)
    assert (await heard(world)).lost == {"deadLetter": 1}
    (line,) = await story(world)
    assert line.message == "report-pod-1 could not deliver dead letters (1)"


async def test_where_all_arrived_nothing_is_told(world: World) -> None:
    await told_before(world, *errors(6, 7))
    await pod_ends(world, sidecar_said=left(unsent={"error": 2}, unsentThrough=7))
    assert ((await heard(world)).lost, await story(world)) == ({}, [])


async def test_where_no_dead_letter_is_kept_any_more_what_was_unsent_stays_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "MOST_DEAD_LETTERS", 1)
    letters = [
        reporting.DeadLetter(seq=n, at=AT, item="order-17", payload=None, error="e") for n in (6, 7)
    ]
    await told_before(world, *letters)
    await pod_ends(world, sidecar_said=left(unsent={"deadLetter": 1}, unsentThrough=7))
    assert (await heard(world)).lost == {"deadLetter": 1}


async def test_what_had_not_arrived_is_lost_and_told_once(world: World) -> None:
    await told_before(world, *errors(6))
    words = left(result=RESULT, unsent={"error": 2}, unsentThrough=7)
    for _ in range(2):  # the second time its own result, 8, is settled
        await pod_ends(world, sidecar_said=words)
    assert (await heard(world)).lost == {"error": 2}
    (line,) = await story(world)
    assert line.message == "report-pod-1 could not deliver errors (2)"


async def test_words_that_were_cut_are_a_loss_and_told(world: World) -> None:
    whole = json.dumps(
        {"rollcall": {"v": 1, "boot": BOOT, "result": RESULT}}, separators=(",", ":")
    )
    await pod_ends(world, sidecar_said=whole[:-9])
    await pod_ends(world, sidecar_said=whole[:-9])
    one = await heard(world)
    assert (one.lost, one.result) == ({"lastWords": 1}, None)
    (line,) = await story(world)
    assert (line.reason, line.message) == (
        "ReportsLost",
        "report-pod-1 could not deliver its last words (1)",
    )


async def test_a_sidecar_that_is_killed_is_told_once_and_changes_nothing_else(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    killed = executions.SidecarEnd(number=1, at=AT + 2 * SECOND, exit_code=137, reason="OOMKilled")
    await world.sees(started_at=AT + SECOND, sidecar_ends=(killed,))
    await pod_ends(world, exit_code=3, reason="Error", sidecar_ends=(killed,))
    await job_ends(world, Status.FAILED)
    (run,) = await world.runs()
    assert (run.status, run.exit_code, run.message) == (Status.FAILED, 3, "exit code 3")
    async with world.store.transaction() as unit:
        told = [line for line in await unit.events.of(run.id) if line.reason == "SidecarEnded"]
    assert [line.at for line in told] == [AT + 2 * SECOND]
    assert [one.message for one in caplog.records].count("sidecar ended before its time") == 1


async def test_a_result_after_the_verdict_corrects_it(world: World) -> None:
    await job_ends(world)
    assert (await told(world))[0] is Status.SUCCEEDED
    await pod_ends(world, sidecar_said=left(result=RESULT))
    assert (await told(world))[0] is Status.PARTIAL


@pytest.mark.parametrize(
    "words",
    [
        left(result={**RESULT, "message": "nul \x00 and \ud800"}),
        left(checkpoint={**CHECKPOINT, "value": "\ud800" * 9}),
        left(checkpoint={**CHECKPOINT, "seq": 2**53}),
        left(checkpoint={**CHECKPOINT, "seq": 2**63}),
        left(result={**RESULT, "at": "9998-12-31T23:59:59-14:00"}),
        left(lost={"error": 2**53 - 1}, unsent={"error": 2**53 - 1}),
        left(progress={"seq": 2**53 - 1, "done": 1e-320}),
        left(checkpoint={**CHECKPOINT, "value": [10**1000, 1e308, -1e-308]}),
    ],
    ids=[
        "nul", "surrogates", "no number", "beyond bigint", "far future", "very many", "tiny",
        "huge",
    ],
)  # fmt: skip
async def test_no_words_of_a_pod_keep_its_run_from_being_written(world: World, words: str) -> None:
    await pod_ends(world, sidecar_said=words)
    await job_ends(world)
    assert (await told(world))[0] in {Status.SUCCEEDED, Status.PARTIAL}


async def test_a_stage_that_was_left_is_told_with_the_end_of_its_pod(world: World) -> None:
    await world.sees(started_at=AT + SECOND)
    loading = reporting.Report(
        pod_uid="pod-1",
        at=AT + 2 * SECOND,
        boot=BOOT,
        progress=reporting.Progress(seq=1, stage="load"),
    )
    world.clock.set(AT + 2 * SECOND)
    await world.store.run(lambda unit: unit.reports.keep([loading]))
    progress = {"seq": 3, "at": "2026-03-02T12:00:03Z", "stage": "store"}
    await pod_ends(world, sidecar_said=left(progress=progress))
    assert [(line.at - AT, line.message) for line in await story(world)] == [
        (2 * SECOND, "report-pod-1: load"),
        (4 * SECOND, "report-pod-1: store"),
    ]


async def _replaced(world: World) -> None:
    """Let the first run be replaced by the next, while its pod still ends."""
    await world.register(builders.revision(concurrency="Replace"))
    await world.sees(started_at=AT + SECOND)
    (job,) = world.cluster.living.values()
    await world.starts(1)
    await world.goes(job)
    assert await world.ends() == [(Status.REPLACED, "Replaced"), (Status.PENDING, None)]


OUTLIVING = ("", "after a restart", "after its program was seen to end")


@pytest.mark.parametrize("how", OUTLIVING)
async def test_what_a_pod_leaves_that_outlives_its_job_is_kept_once(world: World, how: str) -> None:
    if how == OUTLIVING[2]:
        await pod_ends(world)
    await _replaced(world)
    if how == OUTLIVING[1]:
        world.restart()
    for _ in range(2):
        await pod_ends(world, sidecar_said=left(result=RESULT, lost={"error": 2}))
        world.clock.advance(jobless.STEP)
        await world.writer.flush()
        world.restart()

    replaced, _ = await world.runs()
    async with world.store.transaction() as unit:
        (one,) = await unit.reports.of(replaced.id)
        (pod,) = (await unit.attempts.observe({replaced: ()}))[replaced.id]
        lines = [line.reason for line in await unit.events.of(replaced.id)]
    assert (one.result_message, one.final_at) == ("3 of 5", AT + 4 * SECOND)
    assert pod.ended_at == AT + 4 * SECOND
    assert lines.count("ReportsLost") == 1
    assert (await world.ends())[0] == (Status.REPLACED, "Replaced")
