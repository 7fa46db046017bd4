"""What a process used: from /proc, so on Linux only."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in user and kernel mode."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def rss_mib(pid: int) -> float:
    """Return the memory that a process holds now."""
    return _status(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has held since `forget_peak`, or ever."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def describe() -> str:
    """Say what was measured on: processor, cores, memory."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("cpuinfo") if "model name" in line),
        "unknown processor",
    )
    kib = int(next(line for line in _lines("meminfo") if "MemTotal" in line).split()[1])
    return f"{cpu}, {os.cpu_count()} cores, {kib / 1024 / 1024:.0f} GiB"


def load() -> float:
    """Return how many threads wanted to run in the last minute, ours included."""
    return os.getloadavg()[0]


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def _lines(name: str) -> list[str]:
    return Path(f"/proc/{name}").read_text().splitlines()
