"""How a process starts, waits for its end, and ends."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

logger = logging.getLogger(__name__)

YOUNG_OBJECTS = 10_000  # new ones until the collector looks at them; Python's own is 700


async def guard(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """End the process when a loop ends: kubelet starts a whole one."""
    try:
        await loop()
    except asyncio.CancelledError:
        raise
    except BaseException:
        logger.exception("a loop failed", extra={"loop": name})
    logger.error("a loop ended", extra={"loop": name})
    os._exit(1)


def exit_at_once() -> None:
    """Leave without a word to anybody: another process leads already."""
    os._exit(1)


def settle() -> None:
    """Spare the garbage collector what is there at the start: it stays, and nothing in it is freed.

    What comes later is of one request and mostly goes with it, so that it is looked at less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


async def first(work: Awaitable[None], stop: asyncio.Event) -> bool:
    """Wait for `work`; False if `stop` came first."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task
        return True
    task.cancel()
    return False


@contextlib.asynccontextmanager
async def stopping() -> AsyncIterator[asyncio.Event]:
    """Give an event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    yield stop
