"""Reports of sidecars, taken by the real api process: heartbeats and finish events.

CPU time is that of the server's processes and of all of Postgres; that of the load generator and of
what stands in for the API server is not counted. Rounds of ours and of healthchecks alternate, so
that the machine's other work meets both.
"""

import contextlib
import functools
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bench import (
    apiprocess,
    apiserver,
    database,
    healthchecks,
    load,
    machine,
    pods,
    processes,
    report,
    sidecars,
    windows,
)

PODS = 10_000  # that report in the rounds
CONNECTIONS = 16
CROWD = 128  # connections, of many pods at once
STEADY_RATE = 1_000.0  # reports a second
STEADY = f"heartbeat, {STEADY_RATE:,.0f} a second"
BESIDE_A_FLOOD = f"{STEADY}, beside a flood"
STEADY_PODS = 15_000  # of which each reports every 15 seconds then
FLOODING = STEADY_PODS + 1  # the pod that sends as much as it can
# Times as many as tuned healthchecks per core-second.
WANTED = {
    f"heartbeat, {CONNECTIONS}": 40,
    f"heartbeat, {CROWD}": 40,
    f"finish, {CONNECTIONS}": 20,
    f"finish, {CROWD}": 20,
}
WANTED_P99_MS = 50
WANTED_P99_TIMES = 2  # beside a flood
WANTED_RSS_MB = 80  # at rest
MB = 1.048576  # of one MiB
# Of each window, after as much to warm up: by then healthchecks prunes, and tokens are known.
SECONDS = float(os.environ.get("BENCH_SECONDS", "15"))
# Tokens are known for 60 s: so all of them are asked about again in it.
STEADY_SECONDS = 5 * SECONDS
FLOOD_SECONDS = STEADY_SECONDS + 20  # the client takes some to start and to end
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_SETTINGS = {"shared_buffers": "2GB", "wal_compression": "lz4"}
_FINISHED = "SELECT count(*) FROM attempts WHERE result = 'succeeded' AND final_at IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The api, its database, and files of what its pods send."""

    store: database.Database
    server: windows.Measured
    rss_mib: float  # at the start
    heartbeats: Path
    finishes: Path
    steady: Path
    flood: Path


def run() -> list[dict[str, Any]]:
    """Measure, print tables, return the numbers."""
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, _interrupt)  # so that all is ended, whatever ends this
    how = "wrk" if load.WRK else "the client of bench/load.py, for wrk is not installed"
    print(f"load by {how}; {ROUNDS} rounds of {SECONDS:.0f} s")
    checkout = healthchecks.source()
    with _folder() as folder, _ours(folder) as ours, _theirs(checkout, folder) as theirs:
        seen = [_first(ours)]
        for number in range(ROUNDS):
            seen += _round(number + 1, ours, theirs)
        _greet(ours)
        seen.append(_steady(ours, STEADY))
        _greet(ours)
        seen.append(_beside_a_flood(ours))
        sidecar = sidecars.measure(ours.server.port)
    _print(seen, ours.rss_mib, sidecar)
    start = {"what": "api at its start", "rss_mib": ours.rss_mib}
    ratios = [{"ours": one, "theirs": other, "times": times}
              for (one, other), times in _ratios(seen).items()]  # fmt: skip
    return [*(one.numbers() for one in seen), *ratios, start, sidecar]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Keep logs and requests until the end; what failed shows the ends of its logs."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name:
        folder = Path(name)
        try:
            yield folder
        except BaseException:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
            raise


@contextlib.contextmanager
def _ours(folder: Path) -> Iterator[Ours]:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(database.running(port=processes.free_port(), **_SETTINGS))
        pods.create(store, FLOODING)
        cluster = stack.enter_context(apiserver.running(folder))
        api = stack.enter_context(apiprocess.running(store, cluster, folder / "api.log"))
        some, everybody = range(1, PODS + 1), range(1, STEADY_PODS + 1)
        yield Ours(
            store=store,
            server=windows.Measured(pid=api.pid, port=api.port, postgres=store.server),
            rss_mib=machine.tree_rss_mib(api.pid),
            heartbeats=pods.write(folder / "heartbeats", map(pods.heartbeat, some)),
            finishes=pods.write(folder / "finishes", map(pods.finish, some)),
            steady=pods.write(folder / "steady", map(pods.heartbeat, everybody)),
            flood=pods.write(folder / "flood", [pods.heartbeat(FLOODING)]),
        )


@contextlib.contextmanager
def _theirs(checkout: Path | None, folder: Path) -> Iterator[healthchecks.Healthchecks | None]:
    if checkout is None:
        yield None
        return
    with healthchecks.running(checkout, folder, **_SETTINGS) as theirs:
        yield theirs


def _first(ours: Ours) -> windows.Window:
    """Let every pod report for the first time, as after a restart of the api."""
    report = functools.partial(load.each_of, ours.steady, ours.server.port, connections=CONNECTIONS)
    return ours.server.window("first report of a pod", 1, report, lambda: _heard(ours))


def _heard(ours: Ours) -> int:
    return int(ours.store.one("SELECT count(*) FROM attempts WHERE heartbeats > 0"))


def _round(
    number: int, ours: Ours, theirs: healthchecks.Healthchecks | None
) -> Iterator[windows.Window]:
    for connections in (CONNECTIONS, CROWD):
        pods.renew(ours.store)
        yield _heartbeats(number, ours, connections)
        yield _finishes(number, ours, connections)
    if theirs:
        for variant in theirs.variants:
            yield _pings(number, theirs, variant)
    print(f"  {time.strftime('%H:%M:%S')}  round {number} of {ROUNDS}", flush=True)


def _heartbeats(number: int, ours: Ours, connections: int) -> windows.Window:
    beat = functools.partial(
        load.any_of, ours.heartbeats, ours.server.port, connections=connections, seconds=SECONDS
    )
    beat()
    ours.store.server.execute("VACUUM ANALYZE", database.ROLE)
    return ours.server.window(f"heartbeat, {connections}", number, beat)


def _finishes(number: int, ours: Ours, connections: int) -> windows.Window:
    """Let every pod send its last report; what counts is what the database has of them."""
    port = ours.server.port
    finish = functools.partial(load.each_of, ours.finishes, port, connections=connections)
    return ours.server.window(
        f"finish, {connections}", number, finish, lambda: int(ours.store.one(_FINISHED))
    )


def _pings(number: int, theirs: healthchecks.Healthchecks, variant: str) -> windows.Window:
    server = theirs.variants[variant]
    ping = functools.partial(
        load.any_of, theirs.pings, server.port, connections=CONNECTIONS, seconds=SECONDS
    )
    ping()
    theirs.postgres.execute("VACUUM ANALYZE", healthchecks.DATABASE)
    measured = windows.Measured(pid=server.pid, port=server.port, postgres=theirs.postgres)
    return measured.window(f"healthchecks {variant}", number, ping)


def _steady(ours: Ours, what: str) -> windows.Window:
    """Let each pod report every 15 seconds on a connection of its own, as in life."""
    steadily = functools.partial(
        load.at_rate, ours.steady, ours.server.port, rate=STEADY_RATE, seconds=STEADY_SECONDS
    )
    return ours.server.window(what, 1, steadily)


def _greet(ours: Ours) -> None:
    """Let every pod report once, so that all are known again."""
    load.each_of(ours.steady, ours.server.port, connections=CONNECTIONS)


def _beside_a_flood(ours: Ours) -> windows.Window:
    """Measure the same while one pod sends as much as it can, of which nearly all is refused."""
    flood = functools.partial(
        load.any_of, ours.flood, ours.server.port, connections=CROWD, seconds=FLOOD_SECONDS
    )
    with futures.ThreadPoolExecutor(max_workers=1) as beside:
        flooding = beside.submit(flood)
        window = _steady(ours, BESIDE_A_FLOOD)
        lasted = not flooding.done()
        refused = flooding.result().others
    print(f"  the pod that floods was refused {refused:,} times")
    if not lasted:
        print("  the flood ended BEFORE the window: what is told beside it is better than it was")
    return window


def _ratios(seen: list[windows.Window]) -> dict[tuple[str, str], float]:
    theirs = [f"healthchecks {variant}" for variant in healthchecks.VARIANTS]
    return windows.ratios(list(WANTED), theirs, seen)


def _print(seen: list[windows.Window], rss_mib: float, sidecar: dict[str, Any]) -> None:
    print(f"\n{windows.table(seen)}\n")
    ratios = [[one, other, f"{times:.1f}", WANTED[one] if "tuned" in other else ""]
              for (one, other), times in _ratios(seen).items()]  # fmt: skip
    if ratios:
        print(f"{report.table(['per core-second', 'against', 'times', 'wanted'], ratios)}\n")
    print(f"wanted at {STEADY_RATE:,.0f} reports a second: p99 below {WANTED_P99_MS} ms")
    alone, beside = (next(one.p99_ms for one in seen if one.what == what)
                     for what in (STEADY, BESIDE_A_FLOOD))  # fmt: skip
    times = beside / max(0.1, alone)
    print(f"p99 beside a flood: {times:.1f} times; wanted below {WANTED_P99_TIMES}")
    print(f"api: {rss_mib * MB:.0f} MB at its start; wanted below {WANTED_RSS_MB} MB")
    print("sidecar: " + ", ".join(f"{key} {value}" for key, value in sidecar.items()))
    print(machine.describe())


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
