"""The termination message: what the api did not acknowledge before the pod ended.

The kubelet copies the file into the Pod's status, where the operator reads it like a report. It
keeps 4096 bytes, and of many containers fewer, so only what matters most goes in: the result, the
newest checkpoint if it is small, the progress; of everything else the number.
"""

from __future__ import annotations

import collections
import json
import os

from rollcall_sidecar import journal
from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rollcall_sidecar import buffer

LARGEST_VALUE = 2048  # bytes of a checkpoint's value
CUT_MESSAGE = 300  # characters of a result's message, when room is short


class Testament:
    """The file, how much of it is read, and whether we wrote to it."""

    def __init__(self, path: str, largest: int) -> None:
        self._path = path
        self._largest = largest
        self._written = False

    def leave(self, boot: str, remains: buffer.Remains) -> None:
        """Write what remains in place of what was written before; nothing, if nothing does."""
        content = message(boot, remains, self._largest)
        if not content and not self._written:
            return
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                self._written = True
                os.write(file, content)
            finally:
                os.close(file)
        except OSError as error:
            journal.say(f"cannot write the termination message: {error.strerror}")


def message(boot: str, remains: buffer.Remains, largest: int) -> bytes:
    """Write what remains in at most so many bytes; empty if the api knows everything.

    Where not even the numbers fit, too much is written: that it is cut says that something is lost.
    """
    if not remains.items and remains.progress is None and remains.told:
        return b""
    content = b""
    for words in _shorter_and_shorter(boot, remains):
        content = _written({"rollcall": words})
        if len(content) <= largest:
            break
    return content


def _shorter_and_shorter(boot: str, remains: buffer.Remains) -> Iterator[dict[str, Any]]:
    """Leave out one thing after another, the least important first, at last all but numbers."""
    result = _newest(remains, "result")
    checkpoint = _newest(remains, "checkpoint")
    if checkpoint and len(_written(checkpoint["value"])) > LARGEST_VALUE:
        checkpoint = None
    progress = json.loads(remains.progress.content) if remains.progress else None
    yield _words(boot, remains, result, checkpoint, progress)
    yield _words(boot, remains, result, checkpoint, None)
    for name in ("metadata", "counters"):
        result = {key: value for key, value in (result or {}).items() if key != name} or None
        yield _words(boot, remains, result, checkpoint, None)
    if result and "message" in result:
        result["message"] = result["message"][:CUT_MESSAGE]
    yield _words(boot, remains, result, checkpoint, None)
    yield _words(boot, remains, result, None, None)
    bare = {key: value for key, value in (result or {}).items() if key != "message"} or None
    yield _words(boot, remains, bare, None, None)
    yield _words(boot, remains, None, None, None)


def _newest(remains: buffer.Remains, kind: str) -> dict[str, Any] | None:
    for item in reversed(remains.items):
        if item.kind == kind:
            content: dict[str, Any] = json.loads(item.content)
            return {name: value for name, value in content.items() if name != "kind"}
    return None


def _words(
    boot: str,
    remains: buffer.Remains,
    result: dict[str, Any] | None,
    checkpoint: dict[str, Any] | None,
    progress: dict[str, Any] | None,
) -> dict[str, Any]:
    shown = {said["seq"] for said in (result, checkpoint) if said}
    gone = [item for item in remains.items if item.seq not in shown]
    unsent = collections.Counter(item.kind for item in gone)
    unsent["progress"] += remains.progress is not None and progress is None
    return {
        "v": 1,
        "boot": boot,
        "result": result,
        "checkpoint": checkpoint,
        "progress": progress,
        "unsent": +unsent,
        # The api may have kept them all the same, too late to tell us.
        **({"unsentThrough": gone[-1].seq} if gone else {}),
        "lost": remains.lost,
    }


def _written(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
