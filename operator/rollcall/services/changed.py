"""What changed since a job's last success, read for a message about one of its runs."""

from collections.abc import Mapping
from typing import Any

from rollcall.core import changes, executions, incidents
from rollcall.services import ports


async def since_success(
    transaction: ports.Transaction,
    incident: incidents.Incident,
    run: executions.Execution | None,
) -> Mapping[str, Any] | None:
    """Compare the run of an open incident; None where it has no Job, or nothing is known."""
    if not incident.is_open or run is None or not run.job_uid:
        return None
    pair = await transaction.setups.of(run)
    compared = changes.compare(pair) if pair else None
    return changes.told(compared) if compared else None
