"""Processes that begin while one watches: from /proc, so on Linux only."""

from collections.abc import Callable
from pathlib import Path

# What a container's process is before its own program is executed.
_RUNTIME = b"runc"


class Newcomers:
    """The processes that begin from now on.

    They are found by the number that was given last: to list all of /proc each millisecond would
    take a core from what is measured.
    """

    def __init__(self) -> None:
        self._last = _last()
        self._waiting: set[int] = set()

    def find(self, is_wanted: Callable[[bytes], bool]) -> int | None:
        """Return the first whose command line is wanted, if it is there already."""
        self._waiting |= set(self._given())
        for pid in sorted(self._waiting):
            line = _command(pid)
            if is_wanted(line):
                return pid
            if (line and _RUNTIME not in line) or not Path(f"/proc/{pid}").exists():
                self._waiting.discard(pid)  # it is another program, or none any more
        return None

    def _given(self) -> range:
        """Return the numbers given since the last call; threads have some of them."""
        before, self._last = self._last, _last()
        began_anew = self._last < before
        return range(1 if began_anew else before + 1, self._last + 1)


def _last() -> int:
    return int(Path("/proc/loadavg").read_text().split()[-1])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
