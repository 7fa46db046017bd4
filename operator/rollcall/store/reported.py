"""Pods whose reports have more than heartbeat and progress: their rows, and what is new of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import reporting, unsent
from rollcall.store import columns


@dataclass(slots=True, kw_only=True)
class Room:
    """How much more is kept of a run; its pods in a batch share one."""

    errors: int = 0
    dead_letters: int = 0


@dataclass(slots=True, kw_only=True)
class Pod:
    """A pod's row, locked; what is new of its report, and what becomes of it."""

    pod_uid: str
    pod_name: str
    execution_id: UUID
    slot_at: datetime
    cronjob_id: UUID
    index: int
    created_at: datetime
    errors: int
    dead_letters: int
    settled_seq: int
    boots: Sequence[str]
    boots_before: int
    lost: Mapping[str, Any] | None
    has_result: bool
    heard_at: datetime
    entered_stage: str | None  # another than before, that its progress names
    report: reporting.Report
    room: Room = field(default_factory=Room)
    new_errors: int = 0
    new_dead_letters: int = 0
    refused: list[reporting.Refusal] = field(default_factory=list)

    @property
    def boot(self) -> str:
        """The start of the sidecar that the report is from."""
        return self.report.boot or ""

    @property
    def is_newest(self) -> bool:
        """Whether no later start of the sidecar was heard."""
        return bool(self.boots) and self.boots[-1] == self.boot

    @property
    def boot_number(self) -> int:
        """Which start it is, from 1; one that was heard so long ago that it is forgotten is 0."""
        known = self.boot in self.boots
        return self.boots_before + self.boots.index(self.boot) + 1 if known else 0

    def fresh(self) -> Iterable[reporting.Item]:
        """Yield the items that are not settled. Of an earlier start that is not known any more."""
        settled = self.settled_seq if self.is_newest else 0
        return (item for item in self.report.items if item.seq > settled)

    def said_at(self, item: reporting.Item, now: datetime) -> str:
        """Return when the pod says that it was, within the life that the pod has had."""
        return min(max(item.at, self.created_at), now).isoformat()

    def refuse(self, item: reporting.Item, status: int, detail: str) -> None:
        """Say that an item is not kept."""
        self.refused.append(reporting.Refusal(seq=item.seq, status=status, detail=detail))

    def key(self, item: reporting.Item) -> dict[str, Any]:
        """Return what all rows about an item have."""
        return {
            "pod_uid": self.pod_uid,
            "boot": self.boot,
            "seq": item.seq,
            "execution_id": str(self.execution_id),
            "slot_at": self.slot_at.isoformat(),
            "cronjob_id": str(self.cronjob_id),
        }

    def result(self) -> reporting.Result | None:
        """Return the result that is to stand from now on; None: what stands stays.

        A result of this start replaces any; others count where there is none.
        """
        said = [item for item in self.fresh() if isinstance(item, reporting.Result)]
        if said and (self.is_newest or not self.has_result):
            return said[-1]
        return None if self.has_result else self.report.left

    def losses(self) -> Mapping[str, int]:
        """Return what the report says is lost, without what arrived all the same.

        Where no dead letter is kept any more, one that arrived may have been refused.
        """
        if not self.is_newest or self.dead_letters >= reporting.MOST_DEAD_LETTERS:
            return self.report.lost
        known = self.lost if self.lost and self.lost["boot"] == self.boot else {"counts": {}}
        return unsent.lost_after_all(
            self.report.lost,
            self.report.unsent,
            settled_seq=self.settled_seq,
            counted=known["counts"],
        )

    def kept(self) -> reporting.Kept:
        """Return what became of the report."""
        is_news = bool(self.new_errors or self.new_dead_letters or self.result())
        return reporting.Kept(refused=tuple(self.refused), is_news=is_news, lost=self.losses())


_SETTLE = sa.text(
    """
    UPDATE attempts AS pod
    SET errors = pod.errors + told.errors,
        dead_letters = pod.dead_letters + told.dead_letters,
        settled_seq = greatest(pod.settled_seq, told.settled_seq),
        result = coalesce(told.result, pod.result),
        result_message = CASE WHEN told.result IS NULL
            THEN pod.result_message ELSE told.result_message END,
        result_counters = CASE WHEN told.result IS NULL
            THEN pod.result_counters ELSE told.result_counters END,
        metadata = CASE WHEN told.result IS NULL THEN pod.metadata ELSE told.metadata END,
        result_at = CASE WHEN told.result IS NULL THEN pod.result_at ELSE told.result_at END,
        lost = coalesce(told.lost, pod.lost)
    FROM json_to_recordset(CAST(:rows AS json)) AS told(
        pod_uid text, errors integer, dead_letters integer, settled_seq bigint, result text,
        result_message text, result_counters jsonb, metadata jsonb, result_at timestamptz,
        lost jsonb
    )
    WHERE pod.pod_uid = told.pod_uid
    """
)


async def settle(connection: AsyncConnection, pods: Sequence[Pod], now: datetime) -> None:
    """Write counts, results and losses, and up to where the items are settled."""
    if pods:
        rows = [_row(pod, now) for pod in pods]
        await connection.execute(_SETTLE, {"rows": columns.dumps(rows)})


def _row(pod: Pod, now: datetime) -> dict[str, Any]:
    items = pod.report.items
    row = {
        "pod_uid": pod.pod_uid,
        "errors": pod.new_errors,
        "dead_letters": pod.new_dead_letters,
        "settled_seq": items[-1].seq if items and pod.is_newest else 0,
        "lost": _lost(pod),
    }
    result = pod.result()
    if result is None:
        return row
    return row | {
        "result": result.result,
        "result_message": result.message,
        "result_counters": result.counters,
        "metadata": result.metadata,
        "result_at": pod.said_at(result, now),
    }


def _lost(pod: Pod) -> dict[str, Any] | None:
    counts = pod.losses()
    if not (counts and pod.is_newest):
        return None  # nothing, or what an earlier start had lost before it ended
    return reporting.losses(pod.lost, pod.boot, counts)
