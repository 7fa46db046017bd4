"""Each test here runs in the loop of the operator and in that of the api."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from support import rawserver


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the loop of asyncio and that of uvloop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> rawserver.Identity:
    return rawserver.identity(tmp_path_factory.mktemp("identity"))
