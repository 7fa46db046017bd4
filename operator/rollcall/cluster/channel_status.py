"""The status of an AlertChannel: what came of sending to it, and `Ready`; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollcall.cluster import channel_specs
from rollcall.core import errors, undelivered
from rollcall.services import deliver, ports

REFUSED = "DeliveryRefused"
LONGEST_MESSAGE = 1000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The one condition of an AlertChannel."""

    status: bool
    reason: str
    message: str


@dataclass(slots=True)
class Tally:
    """What came of sending so far. `failed` counts tries, a pause that was asked for is none."""

    delivered: int = 0
    failed: int = 0
    delivered_at: str | None = None
    last_error: Mapping[str, str] | None = None
    refused: str | None = None  # the receiver's last word, if that was a refusal for good

    def add(self, delivery: ports.Delivery, at: datetime) -> None:
        """Count one try."""
        if delivery.error or not delivery.delivered:
            error = (delivery.error or "refused")[:LONGEST_MESSAGE]
            self.last_error = {"time": _time(at), "message": error}
        if delivery.delivered:
            self.delivered += 1
            self.delivered_at = _time(at)
            self.refused = None
            return
        if delivery.permanent and self.last_error:
            self.refused = self.last_error["message"]
        if delivery.retry_after is None:
            self.failed += 1


def read(status: Mapping[str, Any]) -> Tally:
    """Go on counting where the status stands: another process wrote it."""
    said = _condition(status)
    return Tally(
        delivered=int(status.get("delivered") or 0),
        failed=int(status.get("failed") or 0),
        delivered_at=status.get("lastDeliveryTime"),
        last_error=status.get("lastError"),
        refused=said.get("message") if said.get("reason") == REFUSED else None,
    )


def ready(
    spec: channel_specs.Spec | None, problem: errors.InvalidSpec | None, tally: Tally
) -> Ready:
    """Say whether the channel can be sent to, the first obstacle first."""
    if problem:
        return Ready(status=False, reason=problem.reason, message=str(problem))
    if spec and spec.route.suspended:
        return Ready(status=True, reason=deliver.SUSPENDED, message="nothing is sent")
    if tally.refused:
        return Ready(status=False, reason=REFUSED, message=tally.refused)
    return Ready(status=True, reason="Configured", message="settings and Secrets are readable")


def unready(
    ready: Ready | None, before: Mapping[str, Any], now: datetime
) -> undelivered.Unready | None:
    """Say what keeps the channel from being ready; `ready` is None before it was checked."""
    said = _condition(before)
    is_known = said.get("status") == "False"
    if ready.status if ready else not is_known:
        return None
    since = datetime.fromisoformat(said["lastTransitionTime"]) if is_known else now
    return undelivered.Unready(since=since, why=ready.message if ready else said["message"])


def write(
    tally: Tally, *, generation: int, ready: Ready, before: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Write the status; the time of `Ready` stays while its status does."""
    status = "True" if ready.status else "False"
    said = _condition(before)
    since = said.get("lastTransitionTime") if said.get("status") == status else None
    written: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": [
            {
                "type": "Ready",
                "status": status,
                "reason": ready.reason,
                "message": ready.message[:LONGEST_MESSAGE],
                "observedGeneration": generation,
                "lastTransitionTime": since or _time(now),
            }
        ],
        "delivered": tally.delivered,
        "failed": tally.failed,
    }
    if tally.delivered_at:
        written["lastDeliveryTime"] = tally.delivered_at
    if tally.last_error:
        written["lastError"] = tally.last_error
    return written


def _condition(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Ready":
            return dict(condition)
    return {}


def _time(at: datetime) -> str:
    """Write an instant as metav1.Time does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
