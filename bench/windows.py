"""Some seconds of load on a server, and what they cost it and its Postgres."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench import load, machine, report
from support import postgres

_AFTERWARDS_SECONDS = 0.2  # in which what was under way at the end is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What came of the load; CPU time is in seconds."""

    what: str
    round: int
    events: int
    others: int  # answers that were not 200, and none at all
    seconds: float
    server_cpu: float
    postgres_cpu: float
    p50_ms: float
    p99_ms: float
    rss_mib: float  # of all of the server's processes
    load: float  # of the machine

    @property
    def per_core_second(self) -> float:
        """Events for each second of CPU time, server and Postgres together."""
        return self.events / max(0.01, self.server_cpu + self.postgres_cpu)

    def numbers(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self) | {"per_core_second": self.per_core_second}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A server and its Postgres."""

    pid: int
    port: int
    postgres: postgres.Server

    def window(
        self,
        what: str,
        number: int,
        generate: Callable[[], load.Answers],
        count: Callable[[], int] | None = None,
    ) -> Window:
        """Generate load and see what it costs; `count` says what is kept, if answers do not."""
        server, store = self._cpu()
        answers = generate()
        time.sleep(_AFTERWARDS_SECONDS)
        server_after, store_after = self._cpu()
        return Window(
            what=what,
            round=number,
            events=count() if count else answers.answers,
            others=answers.others,
            seconds=answers.seconds,
            server_cpu=server_after - server,
            postgres_cpu=store_after - store,
            p50_ms=answers.p50_ms,
            p99_ms=answers.p99_ms,
            rss_mib=machine.tree_rss_mib(self.pid),
            load=machine.load(),
        )

    def _cpu(self) -> tuple[float, float]:
        if self.postgres.process is None:
            raise RuntimeError("Postgres has ended")
        store = machine.tree_cpu_seconds(self.postgres.process.pid)
        return machine.tree_cpu_seconds(self.pid), store


def table(windows: Sequence[Window]) -> str:
    """Lay out the medians of all rounds."""
    head = ["medians", "per s", "others", "p50 ms", "p99 ms", "server us", "Postgres us",
            "per core-s", "least", "most", "RSS MiB", "load"]  # fmt: skip
    return report.table(head, (list(_row(rounds)) for rounds in _by_what(windows).values()))


def ratios(ours: Sequence[str], theirs: Sequence[str], windows: Sequence[Window]) -> dict[
    tuple[str, str], float
]:  # fmt: skip
    """Return how many times theirs ours is, per core-second: the median of the rounds."""
    kinds = _by_what(windows)
    return {
        (one, other): median(
            mine.per_core_second / its.per_core_second
            for mine, its in zip(kinds[one], kinds[other], strict=True)
        )
        for one in ours
        for other in theirs
        if one in kinds and other in kinds
    }


def _by_what(windows: Iterable[Window]) -> dict[str, list[Window]]:
    kinds: dict[str, list[Window]] = {}
    for window in windows:
        kinds.setdefault(window.what, []).append(window)
    return kinds


def _row(rounds: Sequence[Window]) -> Iterator[str]:
    def middle(of: Callable[[Window], float]) -> float:
        return median(map(of, rounds))

    costs = [one.per_core_second for one in rounds]
    yield rounds[0].what
    yield f"{middle(lambda one: one.events / one.seconds):,.0f}"
    yield f"{sum(one.others for one in rounds):,}"
    yield f"{middle(lambda one: one.p50_ms):,.1f}"
    yield f"{middle(lambda one: one.p99_ms):,.1f}"
    yield f"{middle(lambda one: one.server_cpu / max(1, one.events)) * 1e6:,.0f}"
    yield f"{middle(lambda one: one.postgres_cpu / max(1, one.events)) * 1e6:,.0f}"
    yield f"{median(costs):,.0f}"
    yield f"{min(costs):,.0f}"
    yield f"{max(costs):,.0f}"
    yield f"{middle(lambda one: one.rss_mib):,.0f}"
    yield f"{middle(lambda one: one.load):,.1f}"
