"""The operator with 100, 1,000 and 10,000 jobs: a real cluster, nodes without machines.

The numbers of jobs grow on one cluster, `rollcall-bench`, made for this and removed afterwards.
The first thousand run every five minutes, all at once; the others once a day, at 288 different
times. Each size is started anew (its new jobs are unknown), left alone for five minutes, restarted.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import deploy

from bench import (
    ROOT,
    clusters,
    controllers,
    database,
    fakenodes,
    machine,
    operatorprocess,
    report,
    trackedjobs,
)

SIZES = (100, 1_000, 10_000)
FREQUENT = 1_000  # jobs that run every five minutes
WINDOW_SECONDS = 300.0
QUIET_SECONDS = 30.0  # in which nobody starts or ends, before a restart
AFTER_READY_SECONDS = 15.0


def run() -> list[dict[str, Any]]:
    """Measure all sizes of $BENCH_SIZES, print a table, return the numbers."""
    asked = os.environ.get("BENCH_SIZES")
    sizes = [int(size) for size in asked.split(",")] if asked else SIZES
    numbers: list[report.Scale] = []
    with _cluster() as cluster, database.running() as store, _logs() as logs:
        store.witness()
        with fakenodes.running(cluster, logs / "kwok.log"):
            for size in sorted(sizes):
                numbers.append(_measure(cluster, store, logs, size))
                # Each time: the next size takes long, and may be too much for the machine.
                print(f"\n{report.scale(numbers)}\n{machine.describe()}\n", flush=True)
    return [asdict(one) for one in numbers]


def name(number: int) -> str:
    """Return the name of the job of this number; the first come last in a list.

    So those that run often, where many are new, are created when the others are there.
    """
    return f"job-{99_999 - number:05}"


def schedule(number: int) -> str:
    """Return the schedule of the job of this number."""
    if number < FREQUENT:
        return "*/5 * * * *"
    return f"{number % 12 * 5} {number // 12 % 24} * * *"


def _measure(
    cluster: deploy.Target, store: database.Database, logs: Path, size: int
) -> report.Scale:
    _say(f"{size:,} jobs: creating them")
    there = int(store.one("SELECT count(*) FROM cronjobs"))
    trackedjobs.create(cluster, [(name(i), schedule(i)) for i in range(there, size)])
    _say(f"{size:,} jobs: start")
    with operatorprocess.running(cluster, store, logs / "operator.log") as process:
        operatorprocess.wait_until(process.is_ready, "ready")
        listed = process.age()
        known = _until(process, store, f"SELECT count(*) >= {size} FROM cronjobs")
        applied = _until(process, store, f"SELECT count(cronjob_uid) >= {size} FROM cronjobs")
        _say(
            f"{size:,} jobs: known after {known:.1f} s, applied after {applied:.1f} s; five minutes"
        )
        window = _window(process, store)
        _await_quiet(store)
    return report.Scale(
        jobs=size,
        listed_seconds=listed,
        known_seconds=known,
        applied_seconds=applied,
        **window,
        **_restart(cluster, store, logs),
        load=machine.load(),
    )


def _window(process: operatorprocess.OperatorProcess, store: database.Database) -> dict[str, Any]:
    time.sleep(QUIET_SECONDS)
    machine.forget_peak(process.pid)
    began, before, sent = store.one(_NOW), process.counts(), store.statements()
    memory = list(_memory(process.pid, WINDOW_SECONDS))
    ended, after = store.one(_NOW), process.counts()
    runs = int(store.one(_RUNS.format(began=began, ended=ended)))
    return {
        "runs": runs,
        "ended": int(store.one(_ENDED.format(began=began, ended=ended))),
        "rss_mean_mib": fmean(memory),
        "rss_max_mib": machine.peak_mib(process.pid),
        "cpu_seconds_per_minute": (after.cpu_seconds - before.cpu_seconds) / (ended - began) * 60,
        "reads_per_run": (after.reads - before.reads) / runs,
        "writes_per_run": (after.writes - before.writes) / runs,
        "statements_per_run": (store.statements() - sent) / runs,
        "lag_p50_seconds": store.one(_LAG.format(percent=0.5, began=began, ended=ended)),
        "lag_p95_seconds": store.one(_LAG.format(percent=0.95, began=began, ended=ended)),
        "incidents": int(store.one("SELECT count(*) FROM incidents")),
    }


def _restart(cluster: deploy.Target, store: database.Database, logs: Path) -> dict[str, Any]:
    with operatorprocess.running(cluster, store, logs / "operator.log") as process:
        operatorprocess.wait_until(process.is_ready, "ready after a restart")
        ready, cpu_seconds = process.age(), process.counts().cpu_seconds
        time.sleep(AFTER_READY_SECONDS)
        writes = process.counts().writes
    _say(f"restarted: ready after {ready:.1f} s, {writes} writes")
    return {
        "restart_seconds": ready,
        "restart_writes": writes,
        "restart_cpu_seconds": cpu_seconds,
    }


_NOW = "SELECT extract(epoch FROM now())"
_RUNS = """
    SELECT count(*) FROM executions
    WHERE created_at BETWEEN to_timestamp({began}) AND to_timestamp({ended})
"""
_ENDED = """
    SELECT count(*) FROM bench_ended
    WHERE seen_at BETWEEN to_timestamp({began}) AND to_timestamp({ended})
"""
# The API server's times are whole seconds, cut off: half a second of it is theirs.
_LAG = """
    SELECT percentile_cont({percent}) WITHIN GROUP (
        ORDER BY extract(epoch FROM bench_ended.seen_at - executions.ended_at)
    )
    FROM bench_ended JOIN executions USING (id)
    WHERE bench_ended.seen_at BETWEEN to_timestamp({began}) AND to_timestamp({ended})
"""
_BUSY = """
    SELECT count(*) = 0 FROM executions
    WHERE status IN ('pending', 'queued', 'running')
       OR ended_at > now() - interval '{seconds} seconds'
"""


def _until(process: operatorprocess.OperatorProcess, store: database.Database, query: str) -> float:
    operatorprocess.wait_until(lambda: bool(store.one(f"SELECT ({query})::int")), query)
    return process.age()


def _await_quiet(store: database.Database) -> None:
    query = f"SELECT ({_BUSY.format(seconds=int(QUIET_SECONDS))})::int"
    operatorprocess.wait_until(lambda: bool(store.one(query)), "a quiet moment")


def _memory(pid: int, seconds: float) -> Iterator[float]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield machine.rss_mib(pid)
        time.sleep(1)


@contextlib.contextmanager
def _cluster() -> Iterator[deploy.Target]:
    with clusters.running() as cluster:
        controllers.unleash(cluster)
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        kinds = ("crd/trackedcronjobs.rollcall.dev", "crd/alertchannels.rollcall.dev")
        cluster.kubectl("wait", *kinds, "--for=condition=Established", "--timeout=60s")
        yield cluster


@contextlib.contextmanager
def _logs() -> Iterator[Path]:
    """Keep logs for as long as they may explain something: until the end, or on failure."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name:
        folder = Path(name)
        try:
            yield folder
        except BaseException:
            for log in sorted(folder.iterdir()):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
            raise


def _say(text: str) -> None:
    print(f"  {time.strftime('%H:%M:%S')}  {text}", flush=True)
