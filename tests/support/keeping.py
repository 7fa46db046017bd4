"""An api that keeps what sidecars report, as the real one does: each item once, in order of number.

It also does what the real one does for the next run: hands on the newest checkpoint, and the dead
letters that a person asked to be tried again.
"""

import copy
import threading
from typing import Any

from support import scriptedapi


class Keeper:
    """Everything reported, over several runs; `reply` is what a scripted api always says."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._items: dict[tuple[str, int], dict[str, Any]] = {}
        self._requeued: list[dict[str, Any]] = []
        self.progress: dict[str, Any] | None = None
        self.lost: dict[str, int] = {}

    def reply(self, exchange: scriptedapi.Exchange, report: scriptedapi.Report) -> None:
        """Keep a report and acknowledge it."""
        with self._guard:
            self._keep(report.body)
            run = self._run()
        more = {"run": run} if "want" in report.body else {}
        scriptedapi.answering(**more)(exchange, report)

    def said(self, kind: str) -> list[dict[str, Any]]:
        """Return the items of one kind in the order of their numbers."""
        with self._guard:
            return [item for _, item in sorted(self._items.items()) if item["kind"] == kind]

    @property
    def boots(self) -> set[str]:
        """Every start of a sidecar that reported an item."""
        with self._guard:
            return {boot for boot, _ in self._items}

    def requeue(self, letter: str, item: dict[str, Any]) -> None:
        """Ask the next run to process a dead letter again."""
        fields = {name: item[name] for name in ("item", "payload", "error", "at")}
        with self._guard:
            self._requeued.append({"id": letter} | fields)

    def _keep(self, body: dict[str, Any]) -> None:
        for item in body.get("items", []):
            known = self._items.setdefault((body["boot"], item["seq"]), item)
            assert known == item, "a number was used twice"
            if item["kind"] == "handled":
                self._requeued = [one for one in self._requeued if one["id"] != item["id"]]
        self.progress = body.get("progress", self.progress)
        self.lost = body.get("lost", self.lost)

    def _run(self) -> dict[str, Any]:
        run = scriptedapi.RUN | {"requeued": copy.deepcopy(self._requeued)}
        passed = [item for item in self._items.values() if item["kind"] == "checkpoint"]
        if not passed:
            return run
        newest = max(passed, key=lambda item: str(item["at"]))
        origin = {
            "execution": scriptedapi.EXECUTION["id"],
            "attempt": 1,
            "slotTime": scriptedapi.EXECUTION["slotTime"],
        }
        return run | {"checkpoint": {"value": newest["value"], "at": newest["at"]} | origin}
