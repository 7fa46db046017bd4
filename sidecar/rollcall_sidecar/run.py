"""What the pod knows about its own run: written by the beats, read by the loopback API."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollcall_sidecar import ingest, settings


def rfc3339(at: datetime) -> str:
    """Write an instant as the wire wants it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Run:
    """The latest state, safe to use from several threads."""

    def __init__(self, configured: settings.Settings) -> None:
        self._settings = configured
        self._changed = threading.Condition()
        self._execution: dict[str, Any] | None = None
        self._sent = 0
        self._acknowledged = 0
        self._last_acknowledged_at: datetime | None = None
        self._last_error: str | None = None

    def sending(self) -> int:
        """Count one more report, and return its sequence number."""
        with self._changed:
            self._sent += 1
            return self._sent

    def record(self, outcome: ingest.Outcome, *, now: datetime) -> None:
        """Keep what became of a report; an execution once known stays known."""
        with self._changed:
            if not outcome.acknowledged:
                self._last_error = outcome.text()
                return
            self._acknowledged += 1
            self._last_acknowledged_at = now
            self._last_error = None
            if outcome.execution is not None:
                self._execution = outcome.execution
                self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until the execution is known, at most so long; say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._execution is not None, seconds)

    def view(self) -> dict[str, Any]:
        """Show everything, as `GET /run` answers it."""
        with self._changed:
            at = self._last_acknowledged_at
            return {
                "complete": self._execution is not None,
                "namespace": self._settings.namespace,
                "podName": self._settings.pod_name,
                "podUid": self._settings.pod_uid,
                "execution": self._execution,
                "heartbeat": {
                    "intervalSeconds": int(self._settings.heartbeat.total_seconds()),
                    "sent": self._sent,
                    "acknowledged": self._acknowledged,
                    "lastAcknowledgedAt": rfc3339(at) if at else None,
                    "lastError": self._last_error,
                },
            }
