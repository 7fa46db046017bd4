"""Quick questions to other programs, and the end of long ones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a stopped program gets to tidy up before it is killed.
STOP_SECONDS = 5.0


def end(program: subprocess.Popen[bytes]) -> None:
    """End a program, if it runs, and all that it started: politely, then for certain."""
    if program.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)
        try:
            program.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()


def ask(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 10.0
) -> str | None:
    """Return what a quick program says, or None when it is absent, fails or takes too long."""
    try:
        done = subprocess.run(
            command, env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, timeout=timeout, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return this process's environment with additions."""
    return {**os.environ, **(extra or {})}
