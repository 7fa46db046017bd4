"""Errors that programs reported, as people read them: by group, and one by one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which groups and errors are listed; None restricts nothing."""

    cluster: str
    namespace: str | None = None
    cronjob: str | None = None  # all jobs that have or had this name
    fingerprint: str | None = None
    execution_id: UUID | None = None  # of errors; groups are of all runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Errors of one job that differ only in numbers, times, ids and quoted text.

    `runs` are those among whose kept errors it is found, of the newest RUNS_AMONG of its job.
    """

    namespace: str
    cronjob: str
    fingerprint: str
    type: str
    sample: str  # the first of them, as it was
    count: int
    runs: int
    first_at: datetime
    last_at: datetime


RUNS_AMONG = 5000  # errors of a job: so many are read to count runs, however many there are
