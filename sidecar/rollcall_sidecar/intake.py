"""Take what the program reports: check it, keep it, and see that it is sent.

It knows neither sockets nor HTTP headers. One body is made sense of at a time: sixteen hostile ones
together would need more memory than the container has.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from rollcall_sidecar import bodies, kinds, rates, refusals, run
from rollcall_sidecar.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from rollcall_sidecar import agenda, buffer

PER_SECOND = 100
BURST = 200
TOO_FAST = f"A pod may POST {PER_SECOND} times a second, {BURST} in a burst"


class Receipt(NamedTuple):
    """What was accepted; its number is one of the progress or one of the items."""

    seq: int
    progress: bool


class Intake:
    """The way from a body to the buffer."""

    def __init__(self, kept: buffer.Buffer, plan: agenda.Agenda, known: run.Run) -> None:
        self.kept = kept
        self._plan = plan
        self._known = known
        self._allowance = rates.Allowance(per_second=PER_SECOND, burst=BURST)
        self._one_at_a_time = threading.Lock()

    def admit(self, path: str) -> bool:
        """Say whether this comes within the rate; raises Refused where it need not even be read.

        A progress is read all the same: it takes the place of the one before and costs no memory.
        """
        admitted = self._allowance.take()
        if not admitted and path != kinds.PROGRESS:
            raise refusals.too_much(f"{TOO_FAST}: this one came too soon.")
        return admitted

    def take(
        self, path: str, body: bytes, content_type: str, *, awaited: bool, admitted: bool = True
    ) -> Receipt:
        """Accept one report; raises Refused with what is wrong with it."""
        with self._one_at_a_time:
            receipt = self._judge(path, body, content_type, awaited=awaited and admitted)
        if isinstance(receipt, refusals.Refused):
            raise receipt
        self.announce()
        if not admitted:
            raise refusals.too_much(f"{TOO_FAST}. This progress is kept all the same.")
        return receipt

    def announce(self) -> None:
        """Tell the agenda what there is to send."""
        if self.kept.urgent:
            self._plan.hurry()
        elif self.kept.count or not self.kept.told:
            self._plan.news()
        elif self.kept.moved:
            self._plan.moved()

    def asked(self) -> None:
        """Tell the agenda that a program waits for what only the api knows of its run."""
        self._plan.asked()

    def _judge(
        self, path: str, body: bytes, content_type: str, *, awaited: bool
    ) -> Receipt | refusals.Refused:
        """Keep it, or return a refusal that holds on to nothing.

        The one that was raised has a traceback, which holds everything that was made of the body
        until the last byte of the answer is sent.
        """
        try:
            fields = kinds.check(path, bodies.fields(body, content_type))
            return self._keep(path, fields, awaited=awaited)
        except refusals.Refused as refusal:
            return refusals.Refused(refusal.status, refusal.detail, refusal.retry_after)

    def _keep(self, path: str, fields: dict[str, Any], *, awaited: bool) -> Receipt:
        kind = kinds.KINDS[path].name
        at = run.rfc3339(datetime.now(UTC))
        if path == kinds.PROGRESS:
            content = kinds.encode({"at": at} | fields)
            return Receipt(self.kept.put_progress(content, awaited=awaited), progress=True)
        content = kinds.encode({"kind": kind, "at": at} | fields)
        seq = self.kept.put(kind, content, awaited=awaited)
        self._note(kind, fields, at)
        return Receipt(seq, progress=False)

    def _note(self, kind: str, fields: dict[str, Any], at: str) -> None:
        """Keep `GET /run` true: a container that is started again goes by it."""
        if kind == "checkpoint":
            self._known.passed(fields["value"], at)
        elif kind == "handled":
            self._known.handled(fields["id"])
        elif kind == "deadLetter" and "requeueOf" in fields:
            self._known.handled(fields["requeueOf"])
