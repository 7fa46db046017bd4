"""A receiver on loopback, and who sends to it."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from rollcall.notify import http
from support import delivering, receiver


@pytest.fixture
def hook() -> Iterator[receiver.Receiver]:
    with receiver.running() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[http.Client]:
    async with http.Client(
        now=delivering.now, allowed=receiver.LOOPBACK, timeout=timedelta(seconds=5)
    ) as client:
        yield client
