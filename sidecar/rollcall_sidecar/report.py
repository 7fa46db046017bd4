"""Report: one heartbeat now, then one every interval, with what the program said in between.

A report holds the latest state and what is unacknowledged, and is built when it is sent, so an
outage of any length leaves no heartbeat to catch up with. Failing to report never fails the job.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

from rollcall_sidecar import agenda, ingest, journal, run, width
from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rollcall_sidecar import buffer, intake, settings

EXCHANGE_SECONDS = 5.0  # connect, send and answer together
LARGEST_REPORT = 192 * 1024  # bytes; the api takes 256 KiB
HEAD = 1024  # bytes of a report that are neither items nor progress, at most
JITTER = 0.1  # of the interval, each way: pods that started together drift apart
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
MOST_DOUBLINGS = 6  # 2**6 s is beyond the longest back-off
FIRST_ASK_SECONDS = 5.0  # until the api is asked again what the run is about
FAREWELL_GAP = 0.2  # seconds between reports that the api takes while the pod ends
FAREWELL_PAUSE = 0.5  # seconds between attempts that fail then, half as much more or less
LAST_ATTEMPT = 0.5  # seconds that the last of them has at least
LARGEST_TOKEN = 16 * 1024  # characters; a service-account token has about 1,200


class Beats:
    """The reports of one pod. `post` is `ingest.post` except in tests."""

    def __init__(
        self,
        configured: settings.Settings,
        known: run.Run,
        taken: intake.Intake,
        plan: agenda.Agenda,
        post: Callable[..., ingest.Outcome] = ingest.post,
    ) -> None:
        self._settings = configured
        self._known = known
        self._taken = taken
        self._plan = plan
        self._post = post
        self.kept = taken.kept
        self._width = width.Width()
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self._numbering = threading.Lock()
        self._modern = False  # whether the api ever answered for more than a heartbeat
        self._failures = 0
        self._asked = 0  # how often the api could not say yet all that the run is about
        self._last_reason = ""
        self._last_refusal = ""
        self._refused = ingest.Outcome(reason="")

    def forever(self) -> None:
        """Beat until the farewell; a fault costs one beat, never the loop."""
        while self._plan.rest():
            try:
                self.beat()
            except Exception as error:
                journal.mishap("beating", error)
                self._plan.after(self._settings.heartbeat.total_seconds(), held=True)

    def beat(self) -> None:
        """Send one report and plan the next."""
        outcome, batch = self._send(EXCHANGE_SECONDS, {})
        self._failures = self._failures + 1 if outcome.transient else 0
        if outcome.reason != self._last_reason:
            self._last_reason = outcome.reason
            journal.say(f"heartbeat: {outcome.text()}")
        more = self._settle(outcome, batch)
        keeps_all = more or not (batch.items or batch.progress)
        self._plan.after(self._pause(outcome, keeps_all=keeps_all), held=not more)
        self._taken.announce()

    def _pause(self, outcome: ingest.Outcome, *, keeps_all: bool) -> float:
        """Return the seconds to the next report, if there is no news."""
        seconds = pause(
            outcome,
            failures=self._failures,
            interval=self._settings.heartbeat.total_seconds(),
            chance=agenda.chance(),
        )
        if not (outcome.acknowledged and keeps_all and self._known.wants):
            return seconds
        self._asked += 1
        return min(seconds, asking_pause(self._asked, agenda.chance()))

    def farewell(self, idle: float, busy: float) -> None:
        """Stop beating and send the last state, marked as final: once, within `idle` seconds.

        While something is unacknowledged it goes on trying for `busy` seconds. A beat that is
        under way may arrive after it; the final report has the highest number.
        """
        self._stopping.set()
        self._plan.end()
        started = time.monotonic()
        try:
            while (left := started + (busy if self.kept.count else idle) - time.monotonic()) > 0:
                outcome, more = self._last_words(left)
                left = started + busy - time.monotonic()
                again_in = FAREWELL_GAP if more else farewell_pause(outcome, left, agenda.chance())
                if not self.kept.count or again_in is None or again_in >= left:
                    return
                time.sleep(again_in)
        except Exception as error:
            journal.mishap("sending the last report", error)

    def _last_words(self, left: float) -> tuple[ingest.Outcome, bool]:
        """Try once; say whether another report can follow soon."""
        # Half of the time: a replica of the api that hangs must not use up all of it.
        outcome, batch = self._send(min(left, max(left / 2, 1.0)), {"final": True})
        return outcome, self._settle(outcome, batch)

    def _send(self, seconds: float, marks: dict[str, Any]) -> tuple[ingest.Outcome, buffer.Batch]:
        batch = self.kept.batch(
            most=self._width.items,
            room=LARGEST_REPORT - HEAD,
            progress=self._width.progress,
        )
        try:
            outcome = self._attempt(seconds, batch, marks)
        finally:
            self.kept.landed()
        self._known.record(outcome, now=datetime.now(UTC))
        return outcome, batch

    def _attempt(
        self, seconds: float, batch: buffer.Batch, marks: dict[str, Any]
    ) -> ingest.Outcome:
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
        if not marks and (asking := self._known.asking()):
            marks = {"want": asking}
        content = assemble(self._state(sequence) | marks, batch)
        return self._post(self._settings.ingest, content, sequence, token, seconds)

    def _state(self, sequence: int) -> dict[str, Any]:
        return {
            "v": 1,
            "seq": sequence,
            "boot": self.kept.boot,
            "sentAt": run.rfc3339(datetime.now(UTC)),
            "startedAt": run.rfc3339(self._started_at),
            "heartbeat": {"uptimeSeconds": int(time.monotonic() - self._started)},
        }

    def _settle(self, outcome: ingest.Outcome, batch: buffer.Batch) -> bool:
        """Act on what became of a report; say whether another can follow soon."""
        if outcome.status in width.WHOLLY_REFUSED:
            self._refused = outcome
            self._width.refused(batch)
            return bool(batch.items or batch.progress)
        if not outcome.acknowledged or not self._keeps_items(outcome, batch):
            return False
        self._blame(self._width.passed())
        through, refused = outcome.items or ingest.Settled(0, [])
        self._tell(refused)
        settled = self.kept.settle(batch, through, refused)
        return bool(settled) or not batch.items

    def _keeps_items(self, outcome: ingest.Outcome, batch: buffer.Batch) -> bool:
        """Tell an api that keeps heartbeats only: it answers neither for items nor for the run."""
        self._modern = self._modern or outcome.items is not None or outcome.run is not None
        keeps = outcome.items is not None if batch.items else self._modern
        if not keeps and (batch.items or batch.progress):
            self._complain("this api is older than the sidecar and keeps heartbeats only")
        return keeps

    def _blame(self, culprit: buffer.Item | None) -> None:
        if culprit is None:
            return
        status, detail = self._refused.status, self._refused.detail or self._refused.reason
        self.kept.give_up(culprit, status, detail)
        journal.say(f"the api refuses every report with this {culprit.kind}: {status}: {detail}")

    def _tell(self, refused: Sequence[buffer.Verdict]) -> None:
        if refused:
            first = refused[0]
            self._complain(f"the api refused item {first.seq}: {first.status}: {first.detail}")

    def _complain(self, words: str) -> None:
        """Say it once, however often it happens in a row."""
        if words != self._last_refusal:
            self._last_refusal = words
            journal.say(words)


def assemble(head: dict[str, Any], batch: buffer.Batch) -> bytes:
    """Write a report around items that are JSON already."""
    if batch.lost:
        head = head | {"lost": batch.lost}
    parts = [json.dumps(head, separators=(",", ":")).encode()[:-1]]
    if batch.progress is not None:
        parts += [b',"progress":', batch.progress.content]
    if batch.items:
        parts += [b',"items":[', b",".join(item.content for item in batch.items), b"]"]
    return b"".join([*parts, b"}"])


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


def asking_pause(asked: int, chance: float) -> float:
    """Return the seconds until the api is asked again what the run is about.

    Most often it knows in a moment; but another run can hold the window for hours.
    """
    ceiling = FIRST_ASK_SECONDS * (1 << min(asked - 1, MOST_DOUBLINGS))
    return min(ceiling, LONGEST_BACKOFF_SECONDS) * (1 - chance / 2)


def farewell_pause(outcome: ingest.Outcome, left: float, chance: float) -> float | None:
    """Return the seconds to the next attempt of a farewell, None when none can help any more.

    No `Retry-After` is kept: there is no later. The last attempt has time for an answer, else the
    api may keep what we count as lost.
    """
    spare = left - LAST_ATTEMPT
    if not outcome.transient or spare <= 0:
        return None
    return min(FAREWELL_PAUSE * (0.5 + chance), spare)
