"""Dead letters: kept, shown in pages, handed to the next run and confirmed by it."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from rollcall.api import answers, reports
from rollcall.core import dead_letters, executions, ids, reporting
from rollcall.core.dead_letters import State
from rollcall.services import dead_letters as services
from rollcall.services import ingest, ports, runs, told
from rollcall.store import engine
from rollcall_sidecar import ingest as sidecar
from support import builders, clocks, said

JOB = builders.job()
RUN = builders.execution(JOB, status=executions.Status.FAILED)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ALL = services.Choice(cluster=builders.CLUSTER)


def id_of(seq: int, pod_uid: str = "pod-1") -> UUID:
    return ids.dead_letter_id(pod_uid=pod_uid, boot=said.BOOT, seq=seq)


@pytest.fixture(autouse=True)
async def letters(store: engine.Database, clock: clocks.Clock) -> None:
    """Let a run that failed leave three dead letters."""
    await said.prepare(store, "pod-1", run=RUN, job=JOB)
    for seq in (1, 2, 3):
        await said.keep(store, said.report("pod-1", said.letter(seq, at=clock.now)))
        clock.advance(SECOND)


async def act(
    store: engine.Database, act: dead_letters.Act, *seqs: int, actor: str = "ada"
) -> None:
    async with store.transaction() as unit:
        for seq in seqs:
            wish = services.Wish(act=act, actor=actor, reason="because")
            await services.carry_out(unit, builders.CLUSTER, id_of(seq), wish)


async def later_run(
    store: engine.Database,
    hours: int,
    status: executions.Status = executions.Status.RUNNING,
    job: ports.TrackedJob = JOB,
) -> executions.Execution:
    run = builders.execution(job, slot_at=RUN.slot_at + hours * HOUR, status=status)
    await said.prepare(store, f"pod-of-{job.name}-{hours}", run=run, job=job)
    return run


async def handed(store: engine.Database, run: executions.Execution) -> list[UUID]:
    async with store.transaction() as unit:
        heard_since = unit.now - 4 * SECOND
        found = await unit.dead_letters.hand_over(said.identity(run), heard_since)
        return [one.id for one in found]


async def find(store: engine.Database, seq: int) -> ports.DeadLetter:
    async with store.transaction() as unit:
        found = await unit.letters.find(builders.CLUSTER, id_of(seq))
    assert found
    return found


async def test_a_dead_letter_is_kept_open_with_all_that_was_said(
    store: engine.Database,
) -> None:
    found = await find(store, 1)
    assert (found.namespace, found.cronjob, found.execution_id) == ("shop", "report", RUN.id)
    assert (found.item, found.payload, found.error) == ("order-1", {"id": 1}, "rejected")
    assert (found.state, found.actor, found.handed_to) == (State.OPEN, None, None)


async def test_pages_follow_one_another_newest_first(store: engine.Database) -> None:
    async with store.transaction() as unit:
        first = await unit.letters.page(ALL, limit=2)
        second = await unit.letters.page(ALL, limit=2, cursor=first.next_cursor)

    assert [one.id for one in (*first.items, *second.items)] == [id_of(3), id_of(2), id_of(1)]
    assert first.next_cursor is not None
    assert second.next_cursor is None


CHOICES = {
    "another cluster": (services.Choice(cluster="other"), 0),
    "a namespace": (services.Choice(cluster=builders.CLUSTER, namespace="shop"), 3),
    "another namespace": (services.Choice(cluster=builders.CLUSTER, namespace="other"), 0),
    "a job": (services.Choice(cluster=builders.CLUSTER, cronjob="report"), 3),
    "another job": (services.Choice(cluster=builders.CLUSTER, cronjob="other"), 0),
    "open ones": (services.Choice(cluster=builders.CLUSTER, states=frozenset({State.OPEN})), 2),
    "two states": (
        services.Choice(cluster=builders.CLUSTER, states=frozenset({State.OPEN, State.DISCARDED})),
        3,
    ),
}


@pytest.mark.parametrize(("choice", "count"), CHOICES.values(), ids=CHOICES)
async def test_a_page_has_what_was_chosen(
    store: engine.Database, choice: services.Choice, count: int
) -> None:
    await act(store, dead_letters.Act.DISCARD, 2)
    async with store.transaction() as unit:
        assert len((await unit.letters.page(choice, limit=9)).items) == count


async def test_only_what_is_requeued_is_handed_over_oldest_wish_first(
    store: engine.Database, clock: clocks.Clock
) -> None:
    run = await later_run(store, 1)
    assert await handed(store, run) == []
    await act(store, dead_letters.Act.REQUEUE, 3)
    clock.advance(SECOND)
    await act(store, dead_letters.Act.REQUEUE, 1)

    assert await handed(store, run) == [id_of(3), id_of(1)]
    assert await handed(store, run) == [id_of(3), id_of(1)]
    found = await find(store, 3)
    assert (found.handed_to, found.handed_at) == (run.id, clock.now)


async def test_runs_of_other_jobs_are_handed_nothing(store: engine.Database) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1)
    assert await handed(store, await later_run(store, 1, job=builders.job("other"))) == []


async def test_what_a_run_has_is_given_to_no_other_while_it_goes_on(
    store: engine.Database,
) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1)
    first, second = await later_run(store, 1), await later_run(store, 2)

    assert await handed(store, first) == [id_of(1)]
    assert await handed(store, second) == []

    await later_run(store, 1, executions.Status.FAILED)
    assert await handed(store, second) == [id_of(1)]


async def test_asking_again_takes_nothing_away_when_more_was_requeued(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch, clock: clocks.Clock
) -> None:
    monkeypatch.setattr(reporting, "LARGEST_REQUEUED", 300)  # two of them
    await act(store, dead_letters.Act.REQUEUE, 2)
    run = await later_run(store, 1)
    assert await handed(store, run) == [id_of(2)]
    clock.advance(-HOUR)
    await act(store, dead_letters.Act.REQUEUE, 1, 3)

    given = await handed(store, run)
    assert given[0] == id_of(2)
    assert len(given) == 2


async def test_the_largest_payload_is_handed_over_by_itself(store: engine.Database) -> None:
    large = {"x": "é" * (reporting.LARGEST_VALUE // 2 - 10)}
    words = [said.letter(seq, payload=large) for seq in (4, 5, 6)]
    await said.keep(store, said.report("pod-1", *words))
    await act(store, dead_letters.Act.REQUEUE, 4, 5, 6)

    given = [await handed(store, await later_run(store, hours)) for hours in (1, 2, 3)]
    assert [len(ones) for ones in given] == [1, 1, 1]
    assert {one for ones in given for one in ones} == {id_of(4), id_of(5), id_of(6)}


async def whole_answer(store: engine.Database, run: executions.Execution) -> bytes:
    """Return what the api writes for a pod of this run that asks what the run is about."""
    identity = said.identity(run)
    async with store.transaction() as unit:
        telling = ingest.Telling(run=await runs.told(unit, identity))
    request = reports.Request(seq=1, told=told.Told(), wants=(reporting.Want.RUN,))
    return answers.write(request, ingest.Answer(identity=identity, telling=telling))


HEADERS = 1024  # bytes, at most
CHECKPOINT = "\x1b" * (reporting.LARGEST_VALUE // 6)  # the largest: each is written \u001b
CHARACTERS = {
    "letters": "ab",
    "quotes": '"a',
    "quotes alone": '""',
    "backslashes": "\\\\",
    "escape sequences of terminals": "\x1b[",
    "control characters": "\x1b\x01",
    "ends of lines": "\r\n",
    "deleted": "\x7f\x80",
    "two bytes": "éß",
    "three bytes": "\u2028\ufffd",
    "four bytes": "😀😀",
}


@pytest.mark.parametrize("pair", CHARACTERS.values(), ids=CHARACTERS)
async def test_an_answer_fits_whatever_characters_are_handed_over(
    store: engine.Database, pair: str
) -> None:
    """A sidecar that cannot read an answer is acknowledged nothing, and asks the same again."""
    texts = {"error": pair * 2000, "item": pair * 250, "payload": {pair: [pair * 100]}}
    words = [said.letter(seq, **texts) for seq in range(4, 104)]
    await said.keep(store, said.report("pod-1", *words, said.checkpoint(104, CHECKPOINT)))
    await act(store, dead_letters.Act.REQUEUE, *range(4, 104))

    written = await whole_answer(store, await later_run(store, 1))

    assert len(written) < sidecar.LARGEST_ANSWER - HEADERS
    run = msgspec.json.decode(written)["run"]
    assert run["checkpoint"]["value"] == CHECKPOINT
    letters = msgspec.json.encode(run["requeued"])
    assert letters in written
    one_more = len(letters) // len(run["requeued"])
    assert len(letters) <= reporting.LARGEST_REQUEUED < len(letters) + one_more


async def handle(
    store: engine.Database, run: executions.Execution, *items: reporting.Item, hours: int = 1
) -> reporting.Kept:
    report = said.report(f"pod-of-report-{hours}", *items, job_name=run.job_name or "")
    return (await said.keep(store, report))[f"pod-of-report-{hours}"]


async def test_a_run_confirms_what_it_was_handed(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1)
    run = await later_run(store, 1)
    await handed(store, run)
    clock.advance(SECOND)

    for _ in range(2):
        kept = await handle(store, run, said.handled(id_of(1)))
        assert kept.refused == ()

    found = await find(store, 1)
    assert (found.state, found.actor) == (State.RESOLVED, f"run {run.job_name}")
    assert (found.state_at, found.handed_to) == (clock.now, run.id)
    async with store.transaction() as unit:
        requeued, resolved = await unit.audit.of(dead_letters.target(id_of(1)))
    assert (requeued.actor, requeued.verb, requeued.reason) == ("ada", "requeue", "because")
    assert (resolved.actor, resolved.verb) == (f"run {run.job_name}", "resolve")
    assert resolved.before == {"state": "requeued", "actor": "ada", "note": "because"}
    assert (resolved.after or {})["state"] == "resolved"


async def test_what_a_run_was_not_handed_it_cannot_confirm(store: engine.Database) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1, 2)
    run, other = await later_run(store, 1), await later_run(store, 2)
    await act(store, dead_letters.Act.DISCARD, 2)
    await handed(store, other)

    strange = [id_of(1), id_of(2), id_of(3), UUID(int=5)]
    items = [said.handled(one, seq) for seq, one in enumerate(strange, 1)]
    for _ in range(2):  # it is refused as often as it is sent
        kept = await handle(store, run, *items)
        assert {refusal.seq: refusal.status for refusal in kept.refused} == dict.fromkeys(
            range(1, 5), 422
        )
        assert all("id" in refusal.detail for refusal in kept.refused)

    states = [(await find(store, seq)).state for seq in (1, 2, 3)]
    assert states == [State.REQUEUED, State.DISCARDED, State.OPEN]


async def test_what_fails_again_is_another_dead_letter_and_the_old_one_is_done(
    store: engine.Database,
) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1)
    run = await later_run(store, 1)
    await handed(store, run)

    await handle(store, run, said.letter(1, requeue_of=id_of(1)))

    anew = id_of(1, "pod-of-report-1")
    found = await find(store, 1)
    assert (found.state, found.note) == (State.RESOLVED, f"failed again: {anew}")
    async with store.transaction() as unit:
        newest = await unit.letters.find(builders.CLUSTER, anew)
    assert newest
    assert newest.state is State.OPEN


async def test_what_fails_again_and_finds_no_room_stays_requeued(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1)
    run = await later_run(store, 1)
    await handed(store, run)
    monkeypatch.setattr(reporting, "MOST_DEAD_LETTERS", 0)

    kept = await handle(store, run, said.letter(1, requeue_of=id_of(1)))

    assert [refusal.status for refusal in kept.refused] == [429]
    assert (await find(store, 1)).state is State.REQUEUED


async def test_requeued_once_more_it_is_taken_from_the_run_that_has_it(
    store: engine.Database,
) -> None:
    await act(store, dead_letters.Act.REQUEUE, 1)
    run = await later_run(store, 1)
    await handed(store, run)

    await act(store, dead_letters.Act.REQUEUE, 1)

    assert (await find(store, 1)).handed_to is None
    kept = await handle(store, run, said.handled(id_of(1)))
    assert [refusal.status for refusal in kept.refused] == [422]
