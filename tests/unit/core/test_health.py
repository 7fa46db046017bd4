"""The one word about a job."""

import pytest

from rollcall.core import health
from rollcall.core.health import Health
from rollcall.core.policies import Severity

USUAL = {"suspended": False, "has_history": True}


@pytest.mark.parametrize(
    ("severities", "changes", "word"),
    [
        ([], {}, Health.HEALTHY),
        ([Severity.INFO], {}, Health.HEALTHY),
        ([Severity.WARNING], {}, Health.DEGRADED),
        ([Severity.WARNING, Severity.CRITICAL], {}, Health.FAILING),
        ([Severity.WARNING], {"suspended": True}, Health.DEGRADED),
        ([], {"suspended": True, "has_history": False}, Health.SUSPENDED),
        ([], {"has_history": False}, Health.NEW),
    ],
    ids=["fine", "info", "warning", "worst", "kept", "suspended", "new"],
)
def test_the_worst_comes_first(
    severities: list[Severity], changes: dict[str, bool], word: Health
) -> None:
    assert health.health(severities, **USUAL | changes) is word
