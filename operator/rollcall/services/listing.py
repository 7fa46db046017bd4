"""The ledger as people read it: what is asked for, and what comes back."""

from dataclasses import dataclass
from datetime import datetime

from rollcall.core import executions


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which executions are listed; None or empty restricts nothing."""

    cluster: str
    namespace: str | None = None
    cronjob: str | None = None  # all jobs that have or had this name
    statuses: frozenset[executions.Status] = frozenset()
    trigger: executions.Trigger | None = None
    since: datetime | None = None  # slots from here on
    until: datetime | None = None  # slots before


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An execution and the job that it belongs to."""

    execution: executions.Execution
    namespace: str
    cronjob: str
