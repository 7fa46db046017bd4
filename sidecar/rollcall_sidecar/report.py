"""Report: one heartbeat now, then one every interval, and last words when the pod ends.

A report holds the latest state and is built when it is sent, so an outage of any length leaves
nothing to catch up with. Failing to report never fails the job.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollcall_sidecar import ingest, journal, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollcall_sidecar import settings

EXCHANGE_SECONDS = 5.0  # connect, send and answer together
JITTER = 0.1  # of the interval, each way: pods that started together drift apart
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
MOST_DOUBLINGS = 6  # 2**6 s is beyond the longest back-off
LARGEST_TOKEN = 16 * 1024  # characters; a service-account token has about 1,200


class Beats:
    """The heartbeat of one pod. `post` is `ingest.post` except in tests."""

    def __init__(
        self,
        configured: settings.Settings,
        known: run.Run,
        post: Callable[..., ingest.Outcome] = ingest.post,
    ) -> None:
        self._settings = configured
        self._known = known
        self._post = post
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self._numbering = threading.Lock()
        self._failures = 0
        self._last_reason = ""

    def forever(self) -> None:
        """Beat until the farewell; a fault costs one beat, never the loop."""
        while not self._stopping.is_set():
            delay = self._settings.heartbeat.total_seconds()
            try:
                delay = self.beat()
            except Exception as error:
                journal.mishap("beating", error)
            self._stopping.wait(delay)

    def beat(self) -> float:
        """Send one heartbeat; return the seconds until the next."""
        outcome = self._send(EXCHANGE_SECONDS, {})
        self._failures = self._failures + 1 if outcome.transient else 0
        if outcome.reason != self._last_reason:
            self._last_reason = outcome.reason
            journal.say(f"heartbeat: {outcome.text()}")
        return pause(
            outcome,
            failures=self._failures,
            interval=self._settings.heartbeat.total_seconds(),
            chance=random.random(),  # noqa: S311 - spreads load, hides nothing
        )

    def farewell(self, seconds: float) -> None:
        """Stop beating and send the last state once, marked as final.

        A beat that is under way may arrive after it; the final report has the highest number.
        """
        self._stopping.set()
        try:
            self._send(seconds, {"final": True})
        except Exception as error:
            journal.mishap("sending the last report", error)

    def _send(self, seconds: float, marks: dict[str, Any]) -> ingest.Outcome:
        outcome = self._attempt(seconds, marks)
        self._known.record(outcome, now=datetime.now(UTC))
        return outcome

    def _attempt(self, seconds: float, marks: dict[str, Any]) -> ingest.Outcome:
        if self._settings.ingest is None:
            return ingest.Outcome(reason="ROLLCALL_INGEST_URL names no place to report to")
        try:
            token = read_token(self._settings.token_file)
        except (OSError, ValueError) as error:
            return ingest.Outcome(reason="no token to report with", detail=str(error))
        with self._numbering:
            if self._stopping.is_set() and not marks:
                return ingest.Outcome(reason="the pod is ending")
            sequence = self._known.sending()
        return self._post(self._settings.ingest, self._state(sequence) | marks, token, seconds)

    def _state(self, sequence: int) -> dict[str, Any]:
        return {
            "v": 1,
            "seq": sequence,
            "sentAt": run.rfc3339(datetime.now(UTC)),
            "startedAt": run.rfc3339(self._started_at),
            "heartbeat": {"uptimeSeconds": int(time.monotonic() - self._started)},
        }


def read_token(path: str) -> str:
    """Read the token as it is now: the kubelet rotates it. Raises OSError and ValueError."""
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs start-up time
        token = file.read(LARGEST_TOKEN + 1).strip()
    plain = token.isascii() and token.isprintable() and " " not in token
    if not token or len(token) > LARGEST_TOKEN or not plain:
        raise ValueError(f"{path} does not hold a token")
    return token


def pause(outcome: ingest.Outcome, *, failures: int, interval: float, chance: float) -> float:
    """Return the seconds until the next beat; `chance` is a random number from 0 to 1.

    What only time can heal is tried again with full jitter, after what the api asked for. What
    asking sooner cannot heal (a token that is not accepted yet) keeps the normal interval.
    """
    if not outcome.transient:
        return interval * (1 - JITTER + 2 * JITTER * chance)
    ceiling = FIRST_BACKOFF_SECONDS * (1 << min(max(failures - 1, 0), MOST_DOUBLINGS))
    spread = chance * min(ceiling, LONGEST_BACKOFF_SECONDS)
    return min(outcome.retry_after + spread, LONGEST_BACKOFF_SECONDS)
