"""A program for pods of the tests: it reports step by step, and prints what became of all it said.

Standard library only, for it runs as `python3 - MARK OPTIONS` in any container of a tracked pod.
MARK is a word to find the process by. Told to end (SIGTERM), it finishes its step, reports its
result, and waits until the sidecar has delivered everything.
"""

import http.client
import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

OPTIONS: dict[str, Any] = {
    "pause": [1.0, 3.0],  # seconds between two steps, shortest and longest
    "steps": None,  # how many; none: until it is told to end
    "wait": "",  # as in `?wait=30s`; empty: it asks for nothing to be committed first
    "payload": 10,  # characters of each dead letter
    "result": "succeeded",
    "deliver": 240,  # seconds to wait at the end for what is not delivered yet
    "beside": "",  # the address of a `bystander.py`, to be asked as often as the sidecar
}
PATIENCE = 90.0  # seconds; the longest wait is a minute
PATHS = {
    "error": "/error",
    "checkpoint": "/checkpoint",
    "deadLetter": "/dead-letter",
    "result": "/result",
}


class Reporter:
    """Numbers what it says, and notes how each was answered."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._address = urlsplit(url).netloc
        self._options = OPTIONS | options
        self._wait = f"?wait={self._options['wait']}" if self._options["wait"] else ""
        self._over = False
        self._numbers = 0
        self.steps = 0
        self.pod_uid = ""
        self.accepted: dict[str, list[int]] = {kind: [] for kind in PATHS}
        self.committed: dict[str, list[int]] = {kind: [] for kind in PATHS}
        self.refused: dict[str, int] = {}  # by kind and status
        self.unanswered: list[str] = []
        self.slowest: tuple[float, str] = (0.0, "")  # seconds, of calls that do not wait
        self.slowest_beside = 0.0  # seconds, of calls to the bystander
        self.most_bytes = 0  # that the sidecar kept
        self.lost: dict[str, int] = {}
        self.delivered = False
        self.ended_at = 0.0  # seconds since 1970

    def end(self, _signal: int, _frame: FrameType | None) -> None:
        """Take the present step for the last one."""
        self._over = True

    def work(self) -> None:
        """Go through all steps, and report the result."""
        self._arrive()
        while not self._over and self.steps != self._options["steps"]:
            self._step()
            time.sleep(random.uniform(*self._options["pause"]))
        result = {"result": self._options["result"], "message": f"{self.steps} steps"}
        self._item("result", result, self._wait)
        self._deliver()
        self._beside("POST")
        self.ended_at = time.time()

    def said(self) -> dict[str, Any]:
        """Return everything that was noted."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def _arrive(self) -> None:
        """Wait for sidecar and bystander: nothing holds up a program until they listen."""
        until = time.monotonic() + PATIENCE
        while not self.pod_uid and time.monotonic() < until:
            with suppress(OSError):
                self._beside("GET")
                _, run = self._exchange(self._address, "GET", "/run")
                self.pod_uid = run["podUid"]
            time.sleep(0.1)

    def _step(self) -> None:
        self.steps += 1
        self._ask("POST", "/progress", {"done": self.steps, "stage": "work"})
        self._look()
        self._error("")
        if self._wait:
            self._error(self._wait)
        name = self._next()
        self._item("checkpoint", {"value": {"item": name}}, self._wait)
        letter = {"item": self._next(), "payload": "x" * self._options["payload"], "error": "no"}
        self._item("deadLetter", letter, self._wait)

    def _error(self, wait: str) -> None:
        name = self._next()
        error = {"type": f"kind-{self._numbers % 3}", "message": f"no answer to {name}"}
        self._item("error", error | {"item": name}, wait)

    def _look(self) -> bool:
        """Ask what the sidecar keeps; say whether that is nothing."""
        _, run = self._ask("GET", "/run")
        if not run:
            return False
        self.most_bytes = max(self.most_bytes, run["buffer"]["bytes"])
        self.lost = {kind: count for kind, count in run["buffer"]["lost"].items() if count}
        return not run["buffer"]["items"]

    def _deliver(self) -> None:
        until = time.monotonic() + self._options["deliver"]
        while not self.delivered and time.monotonic() < until:
            self.delivered = self._look()
            time.sleep(0.5)

    def _next(self) -> str:
        self._numbers += 1
        return f"{self.pod_uid}/{self._numbers}"

    def _item(self, kind: str, fields: dict[str, Any], wait: str) -> None:
        status, answer = self._ask("POST", PATHS[kind] + wait, fields)
        if "accepted" not in answer:
            key = f"{kind} {status}"
            self.refused[key] = self.refused.get(key, 0) + 1
            return
        self.accepted[kind].append(self._numbers)
        if answer.get("committed"):
            self.committed[kind].append(self._numbers)

    def _ask(
        self, method: str, path: str, fields: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Make one request; note how long it took, and whether it was answered at all."""
        timed = "?" not in path
        if timed:
            self._beside("GET")
        started = time.monotonic()
        try:
            return self._exchange(self._address, method, path, fields)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.unanswered.append(f"{path}: {error!r}")
            return 0, {}
        finally:
            if timed:
                call = f"{method} {path} in step {self.steps}"
                self.slowest = max(self.slowest, (time.monotonic() - started, call))

    def _beside(self, method: str) -> None:
        """Make a request to the bystander, if there is one; note how long it took."""
        if not self._options["beside"]:
            return
        started = time.monotonic()
        self._exchange(self._options["beside"], method, "/")
        self.slowest_beside = max(self.slowest_beside, time.monotonic() - started)

    @staticmethod
    def _exchange(
        address: str, method: str, path: str, fields: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        body = None if fields is None else json.dumps(fields)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()


def main() -> None:
    """Report until the end, and print one line of JSON."""
    reporter = Reporter(os.environ["ROLLCALL_URL"], json.loads(sys.argv[2]))
    signal.signal(signal.SIGTERM, reporter.end)
    reporter.work()
    print(json.dumps(reporter.said()))  # noqa: T201 - its output is read


if __name__ == "__main__":
    main()
