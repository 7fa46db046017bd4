"""What people see of incidents: which there are, what became of each, who was told and why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollcall.core import incidents, policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which incidents are listed; None or empty restricts nothing."""

    cluster: str
    namespace: str | None = None
    cronjob: str | None = None  # all jobs that have or had this name
    kinds: frozenset[policies.Kind] = frozenset()
    severities: frozenset[policies.Severity] = frozenset()
    is_open: bool | None = None
    since: datetime | None = None  # opened, or still open
    opened_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An incident, and whose it is; `policy` is that of the job's spec, as written.

    One about the cluster as a whole has no job.
    """

    incident: incidents.Incident
    namespace: str | None
    cronjob: str | None
    policy: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStep:
    """A step that was taken, and why somebody was told of it or not."""

    at: datetime
    transition: incidents.Transition
    severity: policies.Severity
    reason: str
    message: str
    notify: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message to one channel, and what became of it."""

    channel: str
    type: str
    status: str  # pending, delivered, dead or suppressed
    attempts: int
    created_at: datetime
    next_at: datetime  # when it is tried next, while it is pending
    delivered_at: datetime | None
    error: str | None
    suppressed_by: str | None  # why it was not sent
    digest_id: int | None  # names the one message that told of it and others
    waited_for: str | None  # why it was last made to wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """All that is known of one incident."""

    listed: Listed
    steps: Sequence[PastStep]  # oldest first, as the next
    sent: Sequence[Sent]
