"""Which stretch of time a run processes."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, windows
from rollcall.core.executions import Status, Trigger
from rollcall.core.windows import Decision, Lease, State, Stretch, Wish
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WISH = Wish(initial=6 * HOUR)
OURS, OTHER = uuid4(), uuid4()


def asking(**changes: object) -> windows.Asking:
    values: dict[str, Any] = {
        "execution_id": OURS,
        "slot_at": AT,
        "trigger": Trigger.SCHEDULE,
        "revision": builders.revision(schedule="0 */2 * * *"),
    }
    return windows.Asking(**values | changes)


def stretch(begin: int, end: int, *, has_more: bool = False) -> Stretch:
    """Build a window from and to so many hours after the slot."""
    return Stretch(from_at=AT + begin * HOUR, until_at=AT + end * HOUR, has_more=has_more)


def lease(status: Status, begin: int = -4, end: int = -2, of: UUID = OTHER) -> Lease:
    return Lease(execution_id=of, stretch=stretch(begin, end), status=status)


def decide(
    wish: Wish | None = WISH,
    *,
    held: Lease | None = None,
    done: Lease | None = None,
    **changes: object,
) -> Decision:
    return windows.decide(asking(**changes), wish, open_lease=held, newest_done=done)


def test_the_first_run_looks_back_as_far_as_the_job_says() -> None:
    assert decide() == Decision(opens=True, window=stretch(-6, 0))


def test_without_a_word_the_first_run_looks_back_to_the_slot_before() -> None:
    assert decide(Wish()).window == stretch(-2, 0)


def test_without_a_slot_before_it_looks_back_a_day() -> None:
    never = builders.revision(schedule="0 0 30 2 *")
    assert decide(Wish(), revision=never).window == stretch(-24, 0)


def test_the_next_one_begins_where_the_newest_processed_one_ended() -> None:
    assert decide(done=lease(Status.SUCCEEDED)).window == stretch(-2, 0)


def test_a_long_gap_is_handed_out_in_pieces() -> None:
    wish = replace(WISH, longest=HOUR)
    assert decide(wish).window == stretch(-6, -5, has_more=True)
    assert decide(wish, done=lease(Status.SUCCEEDED, -2, -1)).window == stretch(-1, 0)


def test_what_is_processed_up_to_the_slot_gives_no_window() -> None:
    assert decide(done=lease(Status.SUCCEEDED, -2, 0)) == windows.NONE
    assert decide(done=lease(Status.SUCCEEDED, -2, 2)) == windows.NONE


@pytest.mark.parametrize("status", [Status.PENDING, Status.QUEUED, Status.RUNNING])
def test_a_window_of_a_run_that_goes_on_is_not_given_twice(status: Status) -> None:
    assert decide(held=lease(status)) == Decision(held_by=OTHER)


def test_a_run_that_asks_again_gets_what_it_has() -> None:
    again = lease(Status.RUNNING, -3, -1, of=OURS)
    assert decide(held=again) == Decision(window=stretch(-3, -1))


def test_a_pod_that_asks_after_its_run_succeeded_gets_its_window() -> None:
    own = lease(Status.SUCCEEDED, -3, 0, of=OURS)
    assert decide(done=own) == Decision(window=stretch(-3, 0))


def test_the_window_of_a_run_that_succeeded_is_processed() -> None:
    assert decide(held=lease(Status.SUCCEEDED), done=lease(Status.SUCCEEDED, -8, -4)) == Decision(
        settle=State.DONE, opens=True, window=stretch(-2, 0)
    )


ENDED_OTHERWISE = sorted(set(Status) - {Status.SUCCEEDED, *windows.OPEN})


@pytest.mark.parametrize("status", ENDED_OTHERWISE)
def test_any_other_end_leaves_it_to_the_next_run(status: Status) -> None:
    assert decide(held=lease(status), done=lease(Status.SUCCEEDED, -8, -4)) == Decision(
        settle=State.RELEASED, opens=True, window=stretch(-4, 0)
    )


@pytest.mark.parametrize("status", [Status.REPLACED, Status.FAILED, Status.UNKNOWN])
def test_a_run_that_is_over_has_its_window_as_long_as_a_pod_of_it_is_at_work(
    status: Status,
) -> None:
    held = replace(lease(status), is_at_work=True)
    assert decide(held=held) == Decision(held_by=OTHER)
    assert decide(held=replace(held, is_at_work=False)).window == stretch(-4, 0)


def test_what_a_run_that_succeeded_processed_is_processed_though_its_pod_still_ends() -> None:
    held = replace(lease(Status.SUCCEEDED), is_at_work=True)
    assert decide(held=held).window == stretch(-2, 0)


def test_a_run_that_turns_out_to_be_partial_later_gives_its_window_back() -> None:
    assert decide(done=lease(Status.PARTIAL)).window == stretch(-4, 0)


def test_a_processed_window_whose_run_is_forgotten_stays_processed() -> None:
    assert decide(done=lease(Status.UNKNOWN)).window == stretch(-2, 0)


def test_what_the_first_run_did_not_process_is_not_forgotten() -> None:
    failed = lease(Status.FAILED, -8, -2)
    assert decide(held=failed).window == stretch(-8, 0)


def test_of_a_lease_that_reaches_beyond_the_slot_nothing_is_left_and_nothing_forgotten() -> None:
    assert decide(held=lease(Status.SUCCEEDED, -4, 2)) == windows.NONE
    assert decide(held=lease(Status.FAILED, 0, 2)) == windows.NONE


@pytest.mark.parametrize(
    "changes",
    [
        {"wish": None},
        {"trigger": Trigger.MANUAL},
        {"revision": builders.revision(concurrency="Allow")},
        {"revision": None},
    ],
    ids=["no wish", "by hand", "runs may overlap", "never applied"],
)
def test_other_runs_have_none_and_touch_none(changes: dict[str, Any]) -> None:
    assert decide(held=lease(Status.SUCCEEDED), **changes) == windows.NONE


def test_a_spec_says_how_far_and_how_much() -> None:
    assert windows.read({}) is None
    assert windows.read({"window": {}}) == Wish()
    written = {"window": {"initial": "30d", "max": "1h30m"}}
    assert windows.read(written) == Wish(initial=timedelta(days=30), longest=90 * MINUTE)


@pytest.mark.parametrize("name", ["initial", "max"])
@pytest.mark.parametrize("value", ["soon", "0s", "", 5], ids=["words", "zero", "nothing", "number"])
def test_a_wrong_duration_names_the_field(name: str, value: object) -> None:
    with pytest.raises(errors.InvalidSpec, match=f"window.{name}") as caught:
        windows.read({"window": {name: value}})
    assert caught.value.reason == "InvalidDuration"


@dataclass
class Job:
    """A job's windows as the store keeps them, under the decisions of any order of runs."""

    wish: Wish
    held: Lease | None = None
    released: list[Lease] = field(default_factory=list)
    done: list[Lease] = field(default_factory=list)
    first: datetime | None = None  # where the first window of all began

    def run(self, slot: int, status: Status) -> Decision:
        """Let the run of the n-th slot ask, perhaps twice, and end."""
        ours = asking(execution_id=UUID(int=slot), slot_at=AT + slot * HOUR)
        decision = self._ask(ours)
        assert self._ask(ours).window == decision.window
        if self.held and self.held.execution_id == ours.execution_id:
            self.held = replace(self.held, status=status)
        return decision

    def _ask(self, ours: windows.Asking) -> Decision:
        newest = max(self.done, key=lambda one: one.stretch.until_at, default=None)
        decision = windows.decide(ours, self.wish, open_lease=self.held, newest_done=newest)
        if decision.settle and self.held:
            (self.done if decision.settle is State.DONE else self.released).append(self.held)
            self.held = None
        if decision.opens and decision.window:
            assert self.held is None
            self.first = self.first or decision.window.from_at
            self.held = Lease(
                execution_id=ours.execution_id, stretch=decision.window, status=Status.RUNNING
            )
        return decision


RUNS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(Status)), max_size=40)
SPANS = st.one_of(st.none(), st.integers(1, 600).map(lambda minutes: minutes * MINUTE))


@given(RUNS, SPANS, SPANS)
def test_what_is_processed_has_neither_holes_nor_doubles(
    runs: list[tuple[int, Status]], initial: timedelta | None, longest: timedelta | None
) -> None:
    job = Job(Wish(initial=initial, longest=longest))
    for slot, status in sorted(runs):
        decision = job.run(slot, status)
        if decision.window:
            assert decision.window.from_at < decision.window.until_at <= AT + slot * HOUR
            assert decision.window.has_more == (decision.window.until_at < AT + slot * HOUR)
            length = decision.window.until_at - decision.window.from_at
            assert longest is None or length <= longest
    job.run(1000, Status.SUCCEEDED)  # settles the last one
    for earlier, later in zip(job.done, job.done[1:], strict=False):
        assert earlier.stretch.until_at == later.stretch.from_at
    if job.done:
        assert job.done[0].stretch.from_at == job.first
    assert all(one.status is Status.SUCCEEDED for one in job.done)
    assert all(one.status is not Status.SUCCEEDED for one in job.released)


@pytest.mark.parametrize(
    ("stored", "status", "expected"),
    [
        (State.OPEN, Status.RUNNING, State.OPEN),
        (State.OPEN, Status.SUCCEEDED, State.DONE),
        (State.OPEN, Status.FAILED, State.RELEASED),
        (State.DONE, Status.SUCCEEDED, State.DONE),
        (State.DONE, Status.PARTIAL, State.RELEASED),
        (State.RELEASED, Status.FAILED, State.RELEASED),
    ],
    ids=["it runs", "processed", "not processed", "settled", "a late result", "given back"],
)
def test_what_became_of_a_window_follows_from_its_row_and_its_run(
    stored: State, status: Status, expected: State
) -> None:
    assert windows.state_of(stored, status) is expected
