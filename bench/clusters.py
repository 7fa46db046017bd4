"""The cluster of the benchmarks: made for one, removed at its end."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import NoReturn

import deploy

from bench import ROOT

NAME = "rollcall-bench"
_TOOL = (sys.executable, str(ROOT / "hack/cluster"))


@contextlib.contextmanager
def running() -> Iterator[deploy.Target]:
    """Bring the cluster up, and remove it however the block ends."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    subprocess.run([*_TOOL, "up", NAME], check=True)
    try:
        yield deploy.target(NAME)
    finally:
        subprocess.run([*_TOOL, "down", NAME], check=True)


def install() -> None:
    """Install the chart with our own images, as `make demo` does."""
    subprocess.run([*_TOOL, "images", NAME], check=True)
    subprocess.run([sys.executable, str(ROOT / "hack/deploy.py"), NAME], check=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
