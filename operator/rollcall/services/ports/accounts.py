"""What is shown of one run: what its program reported, what it was given, when it may end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from rollcall.core import executions, reporting, windows
from rollcall.services.ports.values import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedError:
    """One error that a program reported, its run, and the pod and job that it is of."""

    namespace: str
    cronjob: str
    execution_id: UUID
    pod_name: str
    at: datetime
    type: str
    message: str
    item: str | None
    error_class: reporting.ErrorClass | None
    retry_after: float | None  # seconds
    fingerprint: str  # of its group


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWindow:
    """A window as it was given to a run; `state` is what the row says."""

    stretch: windows.Stretch
    state: windows.State


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCheckpoint:
    """The newest checkpoint of a run; `value` is None where its JSON has too many bytes."""

    at: datetime
    attempt: int
    index: int
    size: int  # bytes of JSON
    value: reporting.Json


class Accounts(Protocol):
    """What is read of one run to be shown; nothing is decided by it, and nothing is locked."""

    async def run(self, identity: Identity) -> executions.Execution | None:
        """Return the run of a pod as the ledger has it."""

    async def window(self, run: executions.Execution) -> GivenWindow | None:
        """Return the window that it was given last."""

    async def checkpoint(self, run: executions.Execution, shown: int) -> KeptCheckpoint | None:
        """Return the newest one that is kept, with its value if that has at most `shown` bytes."""

    async def errors(self, run: executions.Execution, limit: int) -> Sequence[ReportedError]:
        """Return the newest errors that are kept."""

    async def durations_before(self, run: executions.Execution, limit: int) -> Sequence[timedelta]:
        """Return how long the newest successes before this run took, newest first."""
