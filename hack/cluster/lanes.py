"""Lanes of steps side by side.

The first failure, or Ctrl-C, ends the programs that the other lanes are running; what is finished
stays in the cache, so the next run goes on from there.
"""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Self

from cluster import steps

if TYPE_CHECKING:
    from collections.abc import Callable


class Lanes:
    """Lanes of work side by side; leaving the block waits for all of them."""

    def __init__(self, runner: steps.Runner) -> None:
        self._runner = runner
        self._pools: list[futures.ThreadPoolExecutor] = []
        self._started: list[futures.Future[object]] = []

    def __enter__(self) -> Self:
        return self

    def lane(self, *works: Callable[[], object]) -> list[futures.Future[object]]:
        """Run the functions one after another beside the other lanes; a future for each."""
        pool = futures.ThreadPoolExecutor(max_workers=1)
        self._pools.append(pool)
        started = [pool.submit(self._unless_over, work) for work in works]
        for future in started:
            future.add_done_callback(self._stop_on_failure)
        self._started += started
        return started

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._runner.stop()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=error is not None)
        failures = [
            failure
            for future in self._started
            if not future.cancelled() and (failure := future.exception()) is not None
        ]
        cause = next((each for each in failures if not isinstance(each, steps.Stopped)), None)
        if cause is not None and (error is None or isinstance(error, steps.Stopped)):
            raise cause

    def _unless_over(self, work: Callable[[], object]) -> object:
        self._runner.check()
        return work()

    def _stop_on_failure(self, future: futures.Future[object]) -> None:
        if not future.cancelled() and future.exception() is not None:
            self._runner.stop()
