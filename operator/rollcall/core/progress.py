"""How far a run is: percent, rate and the time that is left, from what its pods reported.

The rules:
- The numbers of a run are the sums over the pods that stand for it (`core.results`).
- A percentage needs a total from every one of them.
- The rate counts from a pod's first report, so that what an earlier run had done does not count. It
  says nothing before a second report, and nothing of a pod that has ended.
- Once that report is older than `RATE_OVER`, the rate is a moving average: `store/heard.py` moves
  where it counts from.
- An end that has passed without another report was wrong: it is not told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core import results
from rollcall.core.executions import Attempt
from rollcall.core.reporting import Counters, Heard

RATE_OVER = timedelta(minutes=5)
LONGEST_REST = timedelta(days=3650)  # beyond it the rate says nothing about the end
_ALL = 100.0  # percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known of a run's progress; `rate` is per second.

    `percent` is 0 to 100, also where a program has done more than it said there was.
    """

    at: datetime  # of the newest report
    done: float | None
    total: float | None
    percent: float | None
    rate: float | None
    ends_at: datetime | None  # if it goes on as it did
    stage: str | None  # stage and message are those of the newest report
    message: str | None
    counters: Counters


def of(attempts: Sequence[Attempt], heard: Sequence[Heard], now: datetime) -> Progress | None:
    """Sum up what the pods of a run reported; None if none of them told its progress.

    `ends_at` is None for a run of which no pod is going on, and lies ahead of `now` otherwise.
    """
    standing = {pod.pod_uid: pod for pod in results.counting(attempts)}
    told = [(one.progress_at, one) for one in heard if one.pod_uid in standing and one.progress_at]
    if not told:
        return None
    at, newest = max(told, key=lambda pair: pair[0])
    pods = [one for _, one in told]
    done = _sum(one.progress.done if one.progress else None for one in pods)
    total = _total(pods, len(standing))
    rate = _sum(_rate(one) for one in pods if not standing[one.pod_uid].ended_at)
    ends_at = _ends_at(at, done, total, rate)
    return Progress(
        at=at,
        done=done,
        total=total,
        percent=min(done / total, 1.0) * _ALL if done is not None and total else None,
        rate=rate,
        ends_at=ends_at if ends_at and ends_at > now else None,
        stage=newest.progress.stage if newest.progress else None,
        message=newest.progress.message if newest.progress else None,
        counters=_added(_of_progress(one) for one in pods),
    )


def counted(attempts: Sequence[Attempt], heard: Sequence[Heard]) -> Counters | None:
    """Sum up the counters of a run: each as its pod's result names it, else as its progress does.

    None if its pods reported nothing at all.
    """
    standing = {pod.pod_uid for pod in results.counting(attempts)}
    told = [one for one in heard if one.pod_uid in standing]
    if not any(one.last_heartbeat_at or one.result for one in told):
        return None
    return _added({**_of_progress(one), **(one.result_counters or {})} for one in told)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _total(pods: Sequence[Heard], standing: int) -> float | None:
    totals = [one.progress.total for one in pods if one.progress]
    return _sum(totals) if len(totals) == standing and None not in totals else None


def _rate(one: Heard) -> float | None:
    done = one.progress.done if one.progress else None
    if done is None or one.first_done is None or not one.first_at or not one.progress_at:
        return None
    seconds = (one.progress_at - one.first_at).total_seconds()
    return max(done - one.first_done, 0.0) / seconds if seconds > 0 else None


def _ends_at(
    at: datetime, done: float | None, total: float | None, rate: float | None
) -> datetime | None:
    if done is None or total is None or not rate or done >= total:
        return None
    seconds = (total - done) / rate
    return at + timedelta(seconds=seconds) if seconds < LONGEST_REST.total_seconds() else None


def _of_progress(one: Heard) -> Counters:
    return (one.progress and one.progress.counters) or {}


def _added(counters: Iterable[Counters]) -> Counters:
    sums: dict[str, int | float] = {}
    for some in counters:
        for name, value in some.items():
            sums[name] = sums.get(name, 0) + value
    return sums
