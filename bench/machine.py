"""What a process used: from /proc, so on Linux only."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in user and kernel mode."""
    return sum(_ticks(Path(f"/proc/{pid}/stat").read_text())[:2]) / _TICKS


def tree_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all that came from it, also of what has ended."""
    return sum(sum(_ticks(_read(f"{one}/stat"))) for one in tree(pid)) / _TICKS


def tree(pid: int) -> list[int]:
    """Return a process and its descendants; what ends meanwhile is left out."""
    children = _read(f"{pid}/task/{pid}/children").split()
    return [pid, *(found for child in children for found in tree(int(child)))]


def tree_rss_mib(pid: int) -> float:
    """Return the sum of what they hold; what they share counts for each of them."""
    return sum(rss_mib(one) for one in tree(pid))


def rss_mib(pid: int) -> float:
    """Return the memory that a process holds now."""
    return _status(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has held since `forget_peak`, or ever."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def turns(pid: int) -> tuple[float, float]:
    """Return for how many seconds the threads of a process ran, and waited for a processor."""
    told = [
        _read(f"{pid}/task/{one.name}/schedstat") for one in Path(f"/proc/{pid}/task").iterdir()
    ]
    numbers = [[int(number) / 1e9 for number in one.split()] for one in told if one]
    return sum(one[0] for one in numbers), sum(one[1] for one in numbers)


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


def _ticks(stat: str) -> list[int]:
    """Return its user and kernel mode, then those of its children that it has waited for."""
    after_name = stat.rpartition(")")[2].split()
    return [int(value) for value in after_name[11:15]]


def _read(name: str) -> str:
    """Read a file of a process, nothing if it has ended."""
    try:
        return Path(f"/proc/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def _lines(name: str) -> list[str]:
    return Path(f"/proc/{name}").read_text().splitlines()
