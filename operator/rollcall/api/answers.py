"""What a sidecar is answered, version 1."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from rollcall.api import reports
from rollcall.core import executions, expectations, reporting
from rollcall.core.windows import Stretch
from rollcall.services import ingest, ports


class Execution(msgspec.Struct, rename="camel"):
    """The run that the reporting pod belongs to."""

    id: UUID
    cronjob: str
    namespace: str
    job_name: str
    slot_time: datetime | None  # None for a run that belongs to no slot
    trigger: str
    attempt: int


class Refusal(msgspec.Struct):
    """An item that is not kept; sending it again changes nothing."""

    seq: int
    status: int
    detail: str


class Items(msgspec.Struct):
    """Items up to `through` are settled: kept, or in `refused`."""

    through: int
    refused: list[Refusal]


class Window(msgspec.Struct, rename={"from_": "from"}):
    """The stretch of time [from, to) that the run processes."""

    from_: datetime
    to: datetime
    more: bool


class Holder(msgspec.Struct, rename="camel"):
    """The run that has the window now."""

    execution: UUID
    job_name: str


class Checkpoint(msgspec.Struct, rename="camel"):
    """Where the run goes on, and who left it."""

    value: Any
    at: datetime
    execution: UUID
    attempt: int
    slot_time: datetime


class Requeued(msgspec.Struct):
    """A dead letter that the run is asked to process."""

    id: UUID
    item: str
    payload: Any
    error: str
    at: datetime


class Run(msgspec.Struct, rename="camel"):
    """What the run is told of itself."""

    idempotency_key: str
    date: date
    deadline: datetime | None
    window: Window | None
    window_held_by: Holder | None
    checkpoint: Checkpoint | None
    requeued: list[Requeued]
    complete: bool


class ExpectedEnd(msgspec.Struct):
    """When the run may end; `runs` is 0 where its own progress says so, else of how many others."""

    at: datetime
    runs: int


class Acknowledgement(msgspec.Struct, rename="camel", omit_defaults=True):
    """The report is stored."""

    v: int
    acknowledged: int
    execution: Execution
    items: Items | None = None
    run: Run | None = None
    expected_end: ExpectedEnd | msgspec.UnsetType | None = msgspec.UNSET


_encoder = msgspec.json.Encoder()


def write(request: reports.Request, answer: ingest.Answer) -> bytes:
    """Write the answer to a report that is kept."""
    return _encoder.encode(
        Acknowledgement(
            v=reports.VERSION,
            acknowledged=request.seq,
            execution=_execution(answer.identity),
            items=_items(request, answer) if request.settles else None,
            run=_run(answer.telling.run) if answer.telling.run else None,
            expected_end=_expected(answer.telling.expected_end),
        )
    )


def _execution(identity: ports.Identity) -> Execution:
    in_slot = identity.trigger is not executions.Trigger.MANUAL
    return Execution(
        id=identity.execution_id,
        cronjob=identity.cronjob,
        namespace=identity.namespace,
        job_name=identity.job_name,
        slot_time=identity.slot_at if in_slot else None,
        trigger=identity.trigger.value,
        attempt=identity.attempt,
    )


def _items(request: reports.Request, answer: ingest.Answer) -> Items:
    refused = sorted((*request.refused, *answer.refused), key=lambda one: one.seq)
    return Items(
        through=request.settles,
        refused=[Refusal(one.seq, one.status, one.detail) for one in refused],
    )


def _run(run: reporting.Run) -> Run:
    return Run(
        idempotency_key=run.idempotency_key,
        date=run.date,
        deadline=run.deadline,
        window=_window(run.window) if run.window else None,
        window_held_by=_holder(run.window_held_by) if run.window_held_by else None,
        checkpoint=_checkpoint(run.checkpoint) if run.checkpoint else None,
        requeued=[
            Requeued(one.id, one.item, one.payload, one.error, one.at) for one in run.requeued
        ],
        complete=run.is_complete,
    )


def _expected(
    end: expectations.Expected | msgspec.UnsetType | None,
) -> ExpectedEnd | msgspec.UnsetType | None:
    if isinstance(end, expectations.Expected):
        return ExpectedEnd(at=end.at, runs=end.runs)
    return end


def _window(stretch: Stretch) -> Window:
    return Window(from_=stretch.from_at, to=stretch.until_at, more=stretch.has_more)


def _holder(holder: reporting.Holder) -> Holder:
    return Holder(execution=holder.execution_id, job_name=holder.job_name)


def _checkpoint(handed: reporting.Handed) -> Checkpoint:
    return Checkpoint(
        value=handed.value,
        at=handed.at,
        execution=handed.execution_id,
        attempt=handed.attempt,
        slot_time=handed.slot_at,
    )
