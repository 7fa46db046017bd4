"""What pods leave in their termination messages is kept like a report; what they lost is told.

It comes with every reading of such a pod; repeating it changes nothing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from rollcall.core import executions, pod_events, redaction, reporting, termination
from rollcall.services import ports

logger = logging.getLogger(__name__)

Pods = Sequence[executions.Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was seen of one run's pods, and all of its pods once they are stored, oldest first."""

    run: executions.Execution
    job_name: str
    seen: Pods
    stored: Pods = ()


def for_people(attempt: executions.Attempt) -> executions.Attempt:
    """Return the pod with its program's words, without JSON around them and secrets in them."""
    own = termination.own(attempt.message)
    words = own.message if own else attempt.message
    return replace(attempt, message=words and redaction.redacted(words))


async def keep(transaction: ports.Transaction, found: Sequence[Found]) -> Mapping[UUID, Pods]:
    """Keep what these pods left; return all pods of each run, with their results."""
    for one in found:
        await _tell_ends(transaction, one)
    pods = {one.run.id: one.stored for one in found}
    leaving = {one.run: list(_reports(one, transaction.now)) for one in found}
    reports = [report for told in leaving.values() for report in told]
    if not reports:
        return pods
    kept = await transaction.reports.keep(reports)
    for one in found:
        await _tell_losses(transaction, one, kept)
    touched = [run for run, told in leaving.items() if told]
    return {**pods, **await transaction.attempts.observe(dict.fromkeys(touched, ()))}


def _reports(found: Found, now: datetime) -> Iterator[reporting.Report]:
    for pod in found.seen:
        words, own = termination.last_words(pod.sidecar_said), termination.own(pod.message)
        if not words and not own:
            continue
        yield reporting.Report(
            pod_uid=pod.pod_uid,
            at=min(pod.ended_at or now, now),
            beats=0,
            boot=words.boot if words else None,
            attempt=_number(pod, found.stored),
            job_name=found.job_name,
            progress=words.progress if words else None,
            items=words.items if words else (),
            lost=words.lost if words else {},
            unsent=words.unsent if words else None,
            left=_result(own, pod) if own else None,
            is_final=words is not None,
        )


def _result(own: termination.Own, pod: executions.Attempt) -> reporting.Result:
    return reporting.Result(
        seq=1,  # it has none: `left` is no item
        at=pod.ended_at or pod.created_at,
        result=own.result,
        message=own.message,
        counters=own.counters,
        metadata=own.metadata,
    )


def _number(pod: executions.Attempt, stored: Pods) -> int:
    """Return the number of an attempt among those of its index, from 1."""
    before = (pod.created_at, pod.pod_uid)
    return sum(
        other.index == pod.index and (other.created_at, other.pod_uid) <= before for other in stored
    )


async def _tell_ends(transaction: ports.Transaction, found: Found) -> None:
    lines = pod_events.of_sidecars(found.seen)
    if lines and await transaction.events.record(found.run, lines):
        logger.warning(
            "sidecar ended before its time",
            extra={"job_name": found.job_name, "told": lines[-1].message},
        )


async def _tell_losses(
    transaction: ports.Transaction, found: Found, kept: Mapping[str, reporting.Kept]
) -> None:
    lines = [
        executions.Event(
            at=pod.ended_at or pod.created_at,
            source="report",
            reason="ReportsLost",
            message=f"{pod.pod_name} could not deliver {_counted(kept[pod.pod_uid].lost)}",
        )
        for pod in found.seen
        if pod.pod_uid in kept and kept[pod.pod_uid].lost
    ]
    if lines:
        await transaction.events.record(found.run, lines)


def _counted(lost: Mapping[str, int]) -> str:
    return ", ".join(f"{termination.LOSSES[kind]} ({count})" for kind, count in lost.items())
