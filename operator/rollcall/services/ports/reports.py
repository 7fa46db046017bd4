"""What programs report, seen from the use cases: one part of `Transaction` each."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rollcall.core import dead_letters, executions, findings, reporting, windows
from rollcall.services.ports.values import AuditEntry, DeadLetter, Identity, OpenWindow


class Reports(Protocol):
    """What pods have reported."""

    async def keep(self, reports: Sequence[reporting.Report]) -> Mapping[str, reporting.Kept]:
        """Keep reports, of each pod at most one; what is kept already changes nothing.

        Returns, by pod UID, what became of items and losses; unknown pods are left out.
        """

    async def of(self, execution_id: UUID) -> Sequence[reporting.Heard]:
        """Return what each pod of an execution reported, oldest pod first."""

    async def of_all(
        self, execution_ids: Collection[UUID]
    ) -> Mapping[UUID, Sequence[reporting.Heard]]:
        """Return the same for many executions, each of them."""

    async def hearing(self, execution_ids: Sequence[UUID]) -> Mapping[UUID, findings.Hearing]:
        """Return when the pods of executions that go on were heard last.

        Executions are left out of which no pod goes on that was heard and has not said goodbye.
        """

    async def error_types(self, execution_id: UUID) -> Mapping[str, int]:
        """Count the kept errors of an execution by type."""

    async def example(
        self, run: executions.Execution, types: frozenset[str] | None
    ) -> findings.Example | None:
        """Return type and message of the newest error in the most frequent group of a run.

        Of these types, if any are given. Without errors it is item and error of its newest dead
        letter.
        """

    async def last_checkpoint(self, identity: Identity) -> reporting.Handed | None:
        """Return what this pod goes on from.

        The newest checkpoint of its index, of its own run or of one that did not succeed, with a
        slot after the last success and not after its own.
        """


class Windows(Protocol):
    """The stretches of time that a job's runs process."""

    async def open_of(self, cronjob_id: UUID, heard_since: datetime) -> OpenWindow | None:
        """Lock the job's row until the transaction ends, then return the open window.

        A pod that was heard since then and has not ended is at work.
        """

    async def newest_done(self, cronjob_id: UUID) -> windows.Lease | None:
        """Return the processed window that ends last."""

    async def open(self, cronjob_id: UUID, execution_id: UUID, stretch: windows.Stretch) -> None:
        """Open a window for a run; raises errors.Conflict if one is open."""

    async def settle(self, cronjob_id: UUID, state: windows.State, at: datetime) -> None:
        """End the open window, if there is one, as DONE or RELEASED."""


class DeadLetters(Protocol):
    """Items that programs could not process."""

    async def lock(self, cluster: str, dead_letter_id: UUID) -> DeadLetter | None:
        """Return one, locked until the transaction ends; None if there is none (any more)."""

    async def become(
        self, dead_letter_id: UUID, state: dead_letters.State, *, actor: str, note: str | None
    ) -> None:
        """Keep a new state; what is requeued is handed to nobody yet."""

    async def hand_over(
        self, identity: Identity, heard_since: datetime
    ) -> Sequence[reporting.Requeued]:
        """Give this run what is requeued, oldest first, and what it was given before.

        What an earlier run was given and did not confirm is given again once that run has ended.
        At most MOST_REQUEUED and LARGEST_REQUEUED in all; the others wait for the next run.
        """


class Audit(Protocol):
    """What people and runs did."""

    async def record(self, entry: AuditEntry) -> None:
        """Add an entry."""

    async def of(self, target: str) -> Sequence[AuditEntry]:
        """Return the entries about one object, oldest first."""
