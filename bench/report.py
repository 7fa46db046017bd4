"""Tables of what was measured, beside what others were measured at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Of two products that watch CronJobs and create none: cronguard e873087 and cronjob-guardian
# ed93b9c, measured in the same way (2 cores, 24 GiB, Kubernetes 1.36.3, all every five minutes).
_OTHERS: dict[str, dict[str, str]] = {
    "cronguard 100": {"listed": "3.0", "rss": "42 / 47", "cpu": "1.0", "writes": "5.25"},
    "guardian 100": {"listed": "0.9", "rss": "83 / 86", "cpu": "4.5", "writes": "0.73"},
    "cronguard 1,000": {"listed": "299", "rss": "159 / 171", "cpu": "65.6", "writes": "5.84"},
    "guardian 1,000": {"listed": "17", "rss": "266 / 357", "cpu": "60.4", "writes": "0.03"},
}
# With their tightest settings that alarm nobody falsely; one run each.
_OTHERS_DETECT = (
    ["guardian, slot until its webhook", "16.5", "", "21"],
    ["cronguard, slot until its metric; it sends nothing", "5.1", "", "5.3"],
)
_ROWS = {
    "listed": "all seen after the start, s",
    "known": "new ones: each has its row, s",
    "applied": "new ones: each has its CronJob, s",
    "rss": "RSS mean / max, MiB",
    "cpu": "CPU seconds per minute",
    "runs": "runs begun / ended in five minutes",
    "writes": "API writes per run",
    "reads": "API reads per run",
    "statements": "database statements per run",
    "lag": "end of a Job to its row, p50 / p95, s",
    "incidents": "incidents",
    "restart": "restart to ready, s",
    "restart_cpu": "CPU seconds until then",
    "restart_writes": "API writes until 15 s after",
    "load": "load of the machine",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What one number of jobs came to."""

    jobs: int
    listed_seconds: float  # from the first start until all of them are seen
    known_seconds: float  # until each has its row
    applied_seconds: float  # and its CronJob
    runs: int  # that began in five minutes; on a slow machine fewer end
    ended: int
    rss_mean_mib: float
    rss_max_mib: float
    cpu_seconds_per_minute: float
    reads_per_run: float
    writes_per_run: float
    statements_per_run: float
    lag_p50_seconds: float
    lag_p95_seconds: float
    incidents: int
    restart_seconds: float
    restart_writes: int
    restart_cpu_seconds: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long something took; `budget_ms` is for p99, empty for none."""

    what: str
    budget_ms: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How many seconds something took."""

    what: str
    median_seconds: float
    p95_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much something took, in the unit that `what` names; `budget` is for the median."""

    what: str
    median: float
    most: float
    budget: str


def detection(measured: Iterable[Spread]) -> str:
    """Lay out what `bench.detection` measured, beside the others, which count from the slot."""
    rows = [
        [one.what, *(f"{at:.2f}" for at in (one.median_seconds, one.p95_seconds, one.max_seconds))]
        for one in measured
    ]
    return table(["seconds", "median", "p95", "max"], [*rows, *_OTHERS_DETECT])


def times(measured: Iterable[Times]) -> str:
    """Lay out durations in milliseconds."""
    head = ["milliseconds", "p50", "p99", "budget"]
    rows = [
        [one.what, f"{one.p50_ms:,.2f}", f"{one.p99_ms:,.2f}", one.budget_ms] for one in measured
    ]
    return table(head, rows)


def amounts(measured: Iterable[Amount]) -> str:
    """Lay out amounts beside their budgets."""
    rows = [[one.what, f"{one.median:,.1f}", f"{one.most:,.1f}", one.budget] for one in measured]
    return table(["", "median", "most", "budget"], rows)


def scale(numbers: Iterable[Scale]) -> str:
    """Lay out what `bench.scale` measured, beside the others."""
    columns = {f"rollcall {one.jobs:,}": _cells(one) for one in numbers} | _OTHERS
    rows = [
        [title, *(cells.get(key, "") for cells in columns.values())] for key, title in _ROWS.items()
    ]
    return table(["", *columns], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lay rows out in columns, the first one to the left, the others to the right."""
    texts = [list(map(str, head)), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    lines = []
    for first, *rest in texts:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def _cells(one: Scale) -> dict[str, str]:
    return {
        "listed": f"{one.listed_seconds:.1f}",
        "known": f"{one.known_seconds:.1f}",
        "applied": f"{one.applied_seconds:.1f}",
        "rss": f"{one.rss_mean_mib:.0f} / {one.rss_max_mib:.0f}",
        "cpu": f"{one.cpu_seconds_per_minute:.1f}",
        "runs": f"{one.runs:,} / {one.ended:,}",
        "writes": f"{one.writes_per_run:.2f}",
        "reads": f"{one.reads_per_run:.2f}",
        "statements": f"{one.statements_per_run:.0f}",
        "lag": f"{one.lag_p50_seconds:.1f} / {one.lag_p95_seconds:.1f}",
        "incidents": f"{one.incidents}",
        "restart": f"{one.restart_seconds:.1f}",
        "restart_cpu": f"{one.restart_cpu_seconds:.1f}",
        "restart_writes": f"{one.restart_writes}",
        "load": f"{one.load:.1f}",
    }
