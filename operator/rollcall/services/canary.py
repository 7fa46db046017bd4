"""Says every few seconds that reports are kept: only then is a run that is not heard silent.

Every api process does. Its word goes the way of a report from this loop into the store; while no
process can say it, nobody can be heard.
"""

import asyncio
import logging
from typing import NoReturn

from rollcall.core import errors
from rollcall.services import ports

logger = logging.getLogger(__name__)

EVERY = 10.0  # seconds; less than report_rules.KEPT_FOR


async def sing(store: ports.Store, cluster: str, *, every: float = EVERY) -> NoReturn:
    """Say it until cancelled."""
    while True:
        try:
            await store.run(lambda unit: unit.sight.kept_reports(cluster))
        except errors.RollcallError as error:
            logger.warning("nobody knows that reports are kept", extra={"error": str(error)})
        await asyncio.sleep(every)
