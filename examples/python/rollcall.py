"""Report to Rollcall: a client to copy next to your program. It needs the standard library only.

Reporting never fails the job: without Rollcall (ROLLCALL_URL is not set) nothing happens, and what
cannot be reported is a line on stderr.

    import rollcall

    start = rollcall.checkpointed(default={"page": 0})
    rollcall.progress(done=40, total=100, counters={"rows": 400})
    rollcall.checkpoint({"page": 7})
    rollcall.error("no answer from the shop", type="timeout", item="order-17")
    rollcall.dead_letter("order-17", payload={"id": 17}, error="no such customer")
    rollcall.result("partial", message="2 of 100 orders failed")
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

# The address is in the pod itself: a proxy from the environment would not find it.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# The sidecar may listen a moment later than the program starts: until then, refused is not final.
_PATIENT_UNTIL = time.monotonic() + 5


@functools.cache
def run(wait: str = "30s") -> dict[str, Any]:
    """Return what this run is, as `GET /run` says it; empty without Rollcall."""
    told = _ask(f"/run?wait={wait}", None) or {}
    if "ROLLCALL_URL" in os.environ and not told.get("complete"):
        print("where the last run stopped may not be known", file=sys.stderr)
    return told


def checkpointed(default: Any = None) -> Any:
    """Return the last checkpoint of a run that did not finish, else the default."""
    checkpoint = run().get("checkpoint")
    return checkpoint["value"] if checkpoint else default


def progress(**fields: Any) -> None:
    """Say how far the run is: done, total, stage, message, counters. Only the latest is kept."""
    _post("/progress", fields)


def checkpoint(value: Any, wait: str = "5s") -> bool:
    """Say where a later run can go on; True: it is stored for good."""
    answer = _post(f"/checkpoint?wait={wait}", {"value": value})
    return bool(answer and answer.get("committed"))


def error(message: str, **fields: Any) -> None:
    """Say what went wrong although the run goes on; also type, item, class, retryAfter."""
    _post("/error", {"message": message, **fields})


def dead_letter(item: str, payload: Any = None, error: str = "", wait: str = "5s") -> bool:
    """Keep an item that could not be processed; a person can ask a later run to try it again.

    False: it was not taken. Do not pass it over with a checkpoint then.
    """
    letter = {"item": item, "payload": payload, "error": error}
    return _post(f"/dead-letter?wait={wait}", letter) is not None


def requeued() -> list[dict[str, Any]]:
    """Return the dead letters that this run is asked to try again; say `handled` of each."""
    return list(run().get("requeued", []))


def handled(letter: dict[str, Any]) -> None:
    """Say that a requeued dead letter is done."""
    _post("/handled", {"id": letter["id"]})


def result(result: str, **fields: Any) -> None:
    """Say how it went: succeeded, partial or failed; also message, counters, metadata."""
    _post("/result", {"result": result, **fields})


def _post(path: str, fields: dict[str, Any]) -> dict[str, Any] | None:
    # As \u escapes, texts would take up to three times the room, and the sidecar takes 80 KiB.
    return _ask(path, json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"))


def _ask(path: str, body: bytes | None) -> dict[str, Any] | None:
    """Return the answer, or None if there is none; `body` None is a GET."""
    url = os.environ.get("ROLLCALL_URL")
    if not url:
        return None
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
    try:
        return _exchange(request)
    except (OSError, http.client.HTTPException, ValueError) as trouble:
        refused = isinstance(getattr(trouble, "reason", None), ConnectionRefusedError)
        if refused and time.monotonic() < _PATIENT_UNTIL:
            time.sleep(0.2)
            return _ask(path, body)
        print(f"not reported: {path}: {trouble}", file=sys.stderr)
    return None


def _exchange(request: urllib.request.Request) -> dict[str, Any]:
    try:
        with _DIRECT.open(request, timeout=40) as answer:
            read: dict[str, Any] = json.load(answer)
            return read
    except urllib.error.HTTPError as refusal:
        raise ValueError(refusal.read().decode()) from None
