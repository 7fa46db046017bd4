"""The tables. Named constraints hold the invariants; `store.failures` translates their violations.

`executions` and what belongs to them have no foreign keys: attaching a weekly partition would lock
out all writers of `cronjobs`, and a run may be recorded before its job is registered.
"""

from rollcall.store.models.alerts import Incident, IncidentTransition, Notification
from rollcall.store.models.audit import AuditEntry
from rollcall.store.models.base import Base, table
from rollcall.store.models.jobs import Cluster, CronJob, JobTemplate, ScheduleRevision
from rollcall.store.models.reports import (
    Checkpoint,
    DeadLetter,
    ErrorSignature,
    ExecutionError,
    Window,
)
from rollcall.store.models.rollups import RolledDay, RollupDay
from rollcall.store.models.runs import TROUBLE, Attempt, Execution, ExecutionEvent, Gap
from rollcall.store.models.silences import Silence

__all__ = [
    "TROUBLE",
    "Attempt",
    "AuditEntry",
    "Base",
    "Checkpoint",
    "Cluster",
    "CronJob",
    "DeadLetter",
    "ErrorSignature",
    "Execution",
    "ExecutionError",
    "ExecutionEvent",
    "Gap",
    "Incident",
    "IncidentTransition",
    "JobTemplate",
    "Notification",
    "RolledDay",
    "RollupDay",
    "ScheduleRevision",
    "Silence",
    "Window",
    "table",
]
