"""What the pod knows about its own run: written by the beats, read by the loopback API."""

from __future__ import annotations

import collections
import threading
import time
from datetime import UTC, datetime

from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rollcall_sidecar import ingest, settings


# What `GET /run` hands on as the api said it.
TOLD = ("idempotencyKey", "date", "deadline", "window", "windowHeldBy")
MOST_HANDLED = 100  # the api hands a run no more dead letters
# Seconds after which the api is asked anew when the run may end, told or not.
END_HOLDS = 60.0


def rfc3339(at: datetime) -> str:
    """Write an instant as the wire wants it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Run:
    """The latest state, safe to use from several threads."""

    def __init__(
        self, configured: settings.Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.can_be_asked = False  # by programs, on the loopback API
        self._clock = clock
        self._settings = configured
        self._changed = threading.Condition()
        self._execution: dict[str, Any] | None = None
        self._told: dict[str, Any] | None = None  # `run` of the newest answer that had one
        self._expected_end: dict[str, Any] | None = None
        self._end_asked_at = float("-inf")
        self._end_is_wanted = False  # a program has asked for it
        self._end_is_asked = False  # by the report that is under way
        self._passed: dict[str, Any] | None = None  # the newest checkpoint of this very pod
        self._handled: collections.deque[str] = collections.deque(maxlen=MOST_HANDLED)
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
            if outcome.run is not None:
                self._told = outcome.run
            if outcome.expected_end is not None:
                self._expected_end = outcome.expected_end or None
            if self._end_is_asked:
                self._end_asked_at, self._end_is_wanted = self._clock(), False
            self._changed.notify_all()

    def passed(self, value: object, at: str) -> None:
        """Note a checkpoint of this pod: a container that is started again resumes from it."""
        with self._changed:
            self._passed = {"value": value, "at": at}

    def handled(self, letter: str) -> None:
        """Note that a requeued dead letter needs no work any more."""
        name = letter.lower()  # as the api writes ids
        with self._changed:
            if name not in self._handled:
                self._handled.append(name)

    @property
    def wants(self) -> bool:
        """Whether the api is still to say what the run is about.

        Where no program can ask, nobody is told: a window or a dead letter that is handed out is
        this run's to process.
        """
        with self._changed:
            return self.can_be_asked and not self._complete()

    def asking(self) -> list[str]:
        """Return what the report that goes out now asks the api for."""
        with self._changed:
            self._end_is_asked = self._end_is_wanted and self._complete()
            return ["run"] if self.wants else ["expectedEnd"] if self._end_is_asked else []

    def wait(self, seconds: float) -> bool:
        """Wait until everything is known, at most so long; say whether it is."""
        with self._changed:
            return self._changed.wait_for(self._complete, seconds)

    def view(self) -> dict[str, Any]:
        """Show everything, as `GET /run` answers it; what can change is asked for anew."""
        with self._changed:
            self._end_is_wanted |= self._clock() - self._end_asked_at >= END_HOLDS
            at = self._last_acknowledged_at
            told = self._told or {}
            return {
                "complete": self._complete(),
                "executionId": (self._execution or {}).get("id"),
                **{name: told.get(name) for name in TOLD},
                "expectedEnd": self._expected_end,
                "checkpoint": self._checkpoint(),
                "requeued": self._requeued(),
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

    def _complete(self) -> bool:
        # An api that is short of time acknowledges a report without an answer to this: that says
        # nothing of a window or a checkpoint, least of all that there is none.
        told = self._told or {}
        return self._execution is not None and told.get("complete") is True

    def _checkpoint(self) -> dict[str, Any] | None:
        if self._passed is None:
            handed: dict[str, Any] | None = (self._told or {}).get("checkpoint")
            return handed
        execution = self._execution or {}
        origin = {name: execution.get(name) for name in ("attempt", "slotTime")}
        return self._passed | {"execution": execution.get("id")} | origin

    def _requeued(self) -> list[Any]:
        letters = (self._told or {}).get("requeued")
        return [
            letter
            for letter in (letters if isinstance(letters, list) else [])
            if not (isinstance(letter, dict) and letter.get("id") in self._handled)
        ]
