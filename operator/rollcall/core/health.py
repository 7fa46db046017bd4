"""The one word about a job: worst first."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

from rollcall.core import policies


class Health(StrEnum):
    """What `kubectl get tcj` says, stored by value."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    FAILING = "Failing"
    SUSPENDED = "Suspended"
    NEW = "New"
    UNKNOWN = "Unknown"


# After so long without a look at the cluster good news is no longer known to be true. Bad news
# stays: the incident is still open.
BLIND_AFTER = timedelta(minutes=2)
KEPT_WHILE_BLIND = frozenset({Health.DEGRADED, Health.FAILING})


def health(
    severities: Iterable[policies.Severity], *, suspended: bool, has_history: bool
) -> Health:
    """Summarise the severities of the open incidents, seen with open eyes.

    `has_history` is True once a slot is final or a run has ended.
    """
    worst = max((severity.weight for severity in severities), default=-1)
    if worst >= policies.Severity.CRITICAL.weight:
        return Health.FAILING
    if worst >= policies.Severity.WARNING.weight:
        return Health.DEGRADED
    if suspended:
        return Health.SUSPENDED
    return Health.HEALTHY if has_history else Health.NEW
