"""A job, the services, and who is told, on a clock that the test sets."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from rollcall.core import policies
from rollcall.notify import http
from rollcall.store import engine
from support import clocks, receiver
from support.audience import Receiver
from support.stories import Story
from support.timelines import Timeline

TIMEOUT = timedelta(seconds=1)  # stands for the ten seconds of production


@pytest.fixture
async def reader(dsn: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Open what a timeline asks with for the next moment."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def timeline(
    store: engine.Database, clock: clocks.Clock, reader: psycopg.AsyncConnection[Any]
) -> AsyncIterator[Timeline]:
    """Begin at 11:30 with an hourly job, of which nobody is told yet."""
    async with http.Client(now=clock, allowed=receiver.LOOPBACK, timeout=TIMEOUT) as client:
        yield Timeline(Story(store, clock), client, reader)


@pytest.fixture
def tells(timeline: Timeline) -> Iterator[Callable[..., Receiver]]:
    """Add channels, each with a receiver of its own."""
    with contextlib.ExitStack() as stack:

        def add(name: str, *only: policies.Severity) -> Receiver:
            return timeline.tells(name, stack.enter_context(receiver.running()), only=only)

        yield add
