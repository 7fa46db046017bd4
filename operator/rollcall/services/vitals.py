"""What every process says of the store: whether it answers, and for how long a message waits in it.

An api replica says it too, so that it is known while no operator runs.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from rollcall.core import errors
from rollcall.services import ports

logger = logging.getLogger(__name__)

EVERY = 15.0  # seconds; Prometheus asks no more often as a rule

# Hears for how long the oldest message waits, None if the store does not answer.
Tell = Callable[[timedelta | None], None]


async def watch(store: ports.Store, cluster: str, tell: Tell, *, every: float = EVERY) -> NoReturn:
    """Look until cancelled."""
    while True:
        tell(await look(store, cluster))
        await asyncio.sleep(every)


async def look(store: ports.Store, cluster: str) -> timedelta | None:
    """Return for how long the oldest message waits that could have been sent."""
    try:
        return await store.run(lambda unit: _oldest(unit, cluster))
    except errors.RollcallError as error:
        logger.warning("nobody knows how long messages wait", extra={"error": str(error)})
        return None


async def _oldest(unit: ports.Transaction, cluster: str) -> timedelta:
    since = await unit.bundles.oldest_due(cluster)
    return unit.now - since if since else timedelta()
