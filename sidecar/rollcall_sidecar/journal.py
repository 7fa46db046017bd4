"""What the sidecar says on stderr: single lines for people, never a reason to fail."""

from __future__ import annotations

import os

STDERR = 2
LONGEST_LINE = 1000  # characters; some lines quote what others sent


def say(message: str) -> None:
    """Write one line; a closed or broken stderr is nobody's problem."""
    line = " ".join(message.split())[:LONGEST_LINE]
    try:
        os.write(STDERR, f"rollcall: {line}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return


def mishap(where: str, error: BaseException) -> None:
    """Report a fault of our own: type and place only, because messages may quote a secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
    say(f"unexpected {type(error).__name__} at {place} while {where}; going on")
