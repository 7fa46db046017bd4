"""What a run is told of itself, on a real Postgres."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from rollcall.core import ids, reporting, windows
from rollcall.core.dead_letters import State
from rollcall.core.executions import Status, Trigger
from rollcall.services import ports, runs
from rollcall.store import engine
from support import builders, clocks

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
BOOT = "0123456789abcdef"


class World:
    """A job with windows, and its runs of every five minutes."""

    def __init__(self, store: engine.Database, clock: clocks.Clock) -> None:
        self.store, self.clock = store, clock
        self.job = builders.job()

    async def begin(self, window: dict[str, str] | None = None, **rhythm: object) -> None:
        policy: dict[str, Any] = {} if window is None else {"window": window}
        self.job = builders.job(policy=policy)
        async with self.store.transaction() as unit:
            await unit.registry.register(self.job)
            applied = builders.applied(builders.revision(**rhythm))
            await unit.registry.applied(self.job.id, applied)

    async def starts(self, slot: int = 0, **changes: object) -> ports.Identity:
        """Let the run of the n-th slot start, with one pod."""
        slot_at = AT + slot * 5 * MINUTE
        self.clock.set(slot_at)
        values: dict[str, Any] = {"slot_at": slot_at, "status": Status.RUNNING} | changes
        run = builders.execution(self.job, **values)
        pod = builders.attempt(f"pod-{slot}", job_uid=run.job_uid, created_at=slot_at)
        async with self.store.transaction() as unit:
            await unit.ledger.save(run)
            await unit.attempts.observe({run: [pod]})
        return await self.identity(f"pod-{slot}")

    async def identity(self, pod_uid: str) -> ports.Identity:
        async with self.store.transaction() as unit:
            return (await unit.attempts.identify([pod_uid]))[pod_uid]

    async def ends(self, identity: ports.Identity, status: Status) -> None:
        run = builders.execution(
            self.job, slot_at=identity.slot_at, status=status, trigger=identity.trigger
        )
        async with self.store.transaction() as unit:
            await unit.ledger.save(run)

    async def told(self, identity: ports.Identity) -> reporting.Run:
        return await self.store.run(lambda unit: runs.told(unit, identity))

    async def reports(self, identity: ports.Identity, *items: reporting.Item) -> None:
        await self._keeps(identity, *items)

    async def could_hear(self) -> None:
        """Let an api say that it keeps reports now."""
        await self.store.run(lambda unit: unit.sight.kept_reports(self.job.cluster))

    async def requeues(self, identity: ports.Identity) -> UUID:
        """Let a run put something aside, and somebody requeue it."""
        letter = reporting.DeadLetter(
            seq=1, at=AT, item="order-17", payload={"n": 1}, error="refused"
        )
        await self.reports(identity, letter)
        identifier = ids.dead_letter_id(pod_uid=identity.pod_uid, boot=BOOT, seq=1)
        async with self.store.transaction() as unit:
            await unit.dead_letters.become(identifier, State.REQUEUED, actor="me", note=None)
        return identifier

    async def replaces(self, identity: ports.Identity) -> ports.Identity:
        """Let the next run take the place of this one, whose pod reports once more."""
        following = await self.starts(1)
        await self.reports(identity)
        await self.ends(identity, Status.REPLACED)
        return following

    async def leaves(self, identity: ports.Identity, how: str) -> None:
        """Let a pod be no longer at work, in one of LEAVINGS."""
        if how == LEAVINGS[0]:
            await self._keeps(identity, is_final=True)
        elif how == LEAVINGS[1]:
            pod = builders.attempt(identity.pod_uid, ended_at=self.clock())
            run = builders.execution(self.job, slot_at=identity.slot_at)
            await self.store.run(lambda unit: unit.attempts.observe({run: [pod]}))
        else:
            self.clock.advance(MINUTE)

    async def _keeps(
        self, identity: ports.Identity, *items: reporting.Item, is_final: bool = False
    ) -> None:
        report = reporting.Report(
            pod_uid=identity.pod_uid, at=self.clock(), boot=BOOT, items=items, is_final=is_final
        )
        await self.store.run(lambda unit: unit.reports.keep([report]))


@pytest.fixture
def world(store: engine.Database, clock: clocks.Clock) -> World:
    return World(store, clock)


def span(begin: int, end: int, *, has_more: bool = False) -> windows.Stretch:
    """Build a window from and to so many minutes after the first slot."""
    return windows.Stretch(
        from_at=AT + begin * MINUTE, until_at=AT + end * MINUTE, has_more=has_more
    )


async def test_a_job_without_windows_is_told_the_rest(world: World) -> None:
    await world.begin()
    identity = await world.starts()
    assert await world.told(identity) == reporting.Run(
        idempotency_key=str(identity.execution_id),
        date=date(2026, 3, 2),
        deadline=AT + 5 * MINUTE,
        requeued=[],
    )


async def test_windows_follow_one_another_over_runs_that_succeed_and_fail(world: World) -> None:
    await world.begin({"initial": "1h"})
    told = []
    for slot, status in enumerate([Status.SUCCEEDED, Status.FAILED, Status.PARTIAL, None]):
        identity = await world.starts(slot)
        told.append((await world.told(identity)).window)
        assert (await world.told(identity)).window == told[-1]
        if status:
            await world.ends(identity, status)
    assert told == [span(-60, 0), span(0, 5), span(0, 10), span(0, 15)]


async def test_a_long_gap_comes_in_pieces(world: World) -> None:
    await world.begin({"initial": "10m", "max": "6m"})
    told = []
    for slot in range(3):
        identity = await world.starts(slot)
        told.append((await world.told(identity)).window)
        await world.ends(identity, Status.SUCCEEDED)
    assert told == [
        span(-10, -4, has_more=True),
        span(-4, 2, has_more=True),
        span(2, 8, has_more=True),
    ]


async def test_a_window_that_another_run_has_is_named_with_it(world: World) -> None:
    await world.begin({})
    holder = await world.starts(0)
    assert (await world.told(holder)).window == span(-5, 0)
    waiting = await world.starts(1)
    told = await world.told(waiting)
    assert (told.window, told.is_complete) == (None, False)
    assert told.window_held_by == reporting.Holder(
        execution_id=holder.execution_id, job_name=holder.job_name
    )
    await world.ends(holder, Status.REPLACED)
    again = await world.told(waiting)
    assert (again.window, again.window_held_by, again.is_complete) == (span(-5, 5), None, True)


LEAVINGS = ("says goodbye", "is seen to have ended", "is not heard any more")


@pytest.mark.parametrize("leaves", LEAVINGS)
async def test_a_replaced_run_has_its_window_until_its_pod_is_gone(
    world: World, leaves: str
) -> None:
    await world.begin({})
    replaced = await world.starts(0)
    await world.told(replaced)
    following = await world.replaces(replaced)
    told = await world.told(following)
    assert (told.window, told.is_complete) == (None, False)
    assert told.window_held_by
    assert told.window_held_by.execution_id == replaced.execution_id

    await world.leaves(replaced, leaves)

    assert (await world.told(following)).window == span(-5, 5)


async def test_while_we_could_not_hear_a_pod_may_be_at_work(world: World) -> None:
    await world.begin({})
    replaced = await world.starts(0)
    await world.told(replaced)
    following = await world.replaces(replaced)

    world.clock.advance(MINUTE)  # in which no api kept reports
    await world.could_hear()
    assert (await world.told(following)).window_held_by
    for _ in range(4):
        world.clock.advance(MINUTE / 4)
        await world.could_hear()
    assert (await world.told(following)).window == span(-5, 5)


async def test_what_a_replaced_run_was_handed_waits_for_the_end_of_its_pod(world: World) -> None:
    await world.begin()
    replaced = await world.starts(0)
    letter = await world.requeues(replaced)
    assert [one.id for one in (await world.told(replaced)).requeued] == [letter]
    following = await world.replaces(replaced)
    assert (await world.told(following)).requeued == []
    await world.leaves(replaced, LEAVINGS[0])
    assert [one.id for one in (await world.told(following)).requeued] == [letter]


async def test_a_success_that_turns_out_to_be_partial_gives_its_window_back(world: World) -> None:
    await world.begin({})
    first = await world.starts(0)
    await world.told(first)
    await world.ends(first, Status.SUCCEEDED)
    second = await world.starts(1)
    assert (await world.told(second)).window == span(0, 5)
    await world.ends(second, Status.SUCCEEDED)
    third = await world.starts(2)
    await world.told(third)
    await world.ends(third, Status.FAILED)
    await world.ends(second, Status.PARTIAL)
    assert (await world.told(await world.starts(3))).window == span(0, 15)


@pytest.mark.parametrize(
    ("concurrency", "deadline"),
    [("Forbid", AT + 5 * MINUTE), ("Replace", AT + 5 * MINUTE), ("Allow", None)],
)
async def test_the_deadline_is_the_next_slot_where_it_matters_to_it(
    world: World, concurrency: str, deadline: datetime | None
) -> None:
    await world.begin({}, concurrency=concurrency)
    told = await world.told(await world.starts())
    assert told.deadline == deadline
    assert (told.window is None) == (concurrency == "Allow")


async def test_the_date_is_that_of_the_slot_where_the_job_is(world: World) -> None:
    await world.begin(time_zone="Pacific/Kiritimati")  # 14 hours ahead: the next day there
    assert (await world.told(await world.starts())).date == date(2026, 3, 3)


async def test_a_run_by_hand_has_a_key_of_its_own_and_no_window(world: World) -> None:
    await world.begin({})
    by_slot = await world.starts()
    await world.told(by_slot)
    by_hand = await world.starts(slot_at=AT + MINUTE, trigger=Trigger.MANUAL, slot=9)
    told = await world.told(by_hand)
    assert told.idempotency_key != (await world.told(by_slot)).idempotency_key
    assert (told.window, told.window_held_by, told.deadline) == (None, None, None)
    assert told.is_complete


async def test_a_run_goes_on_from_the_last_checkpoint_since_the_last_success(world: World) -> None:
    await world.begin()
    failed = await world.starts(0)
    checkpoint = reporting.Checkpoint(seq=1, at=AT, value={"offset": 17})
    await world.reports(failed, checkpoint)
    await world.ends(failed, Status.FAILED)
    second = await world.starts(1)
    handed = (await world.told(second)).checkpoint
    assert handed == reporting.Handed(
        value={"offset": 17}, at=AT, execution_id=failed.execution_id, attempt=1, slot_at=AT
    )
    await world.ends(second, Status.SUCCEEDED)
    assert (await world.told(await world.starts(2))).checkpoint is None


async def test_what_is_requeued_is_handed_to_the_run_that_asks(world: World) -> None:
    await world.begin()
    first = await world.starts(0)
    identifier = await world.requeues(first)
    await world.leaves(first, LEAVINGS[1])
    await world.ends(first, Status.SUCCEEDED)
    second = await world.starts(1)
    handed = (await world.told(second)).requeued
    assert handed == [
        reporting.Requeued(id=identifier, item="order-17", payload={"n": 1}, error="refused", at=AT)
    ]
    assert (await world.told(second)).requeued == handed
