"""The one word about a job: worst first."""

from collections.abc import Iterable
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


def health(
    severities: Iterable[policies.Severity], *, suspended: bool, seeing: bool, has_history: bool
) -> Health:
    """Summarise the severities of the open incidents.

    `seeing` is False while the cluster could not be observed for over two minutes; `has_history`
    once a slot is final or a run has ended.
    """
    worst = max((severity.weight for severity in severities), default=-1)
    if worst >= policies.Severity.CRITICAL.weight:
        return Health.FAILING
    if worst >= policies.Severity.WARNING.weight:
        return Health.DEGRADED
    if not seeing:
        return Health.UNKNOWN
    if suspended:
        return Health.SUSPENDED
    return Health.HEALTHY if has_history else Health.NEW
