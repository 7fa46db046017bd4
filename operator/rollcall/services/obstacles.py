"""Why a Job has no pods, or a pod does not start: what Events say where the objects are silent.

A Job whose pods a quota refuses looks like one that was just created; a pod that waits for a volume
looks like one that starts. Only Events tell, and they are read for such an object alone: a moment
after it should have got on, then more and more rarely, a few per second at most.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

from rollcall.core import errors, upstream
from rollcall.services import ports
from rollcall.services.inbox import Inbox, Silent

logger = logging.getLogger(__name__)

ROUND = 1.0  # seconds
AT_ONCE = 5  # reads per round
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=1)


class Obstacles:
    """Asks for what is silent in the Inbox, and puts the answer back there."""

    def __init__(
        self, *, evidence: ports.Evidence, inbox: Inbox, clock: Callable[[], datetime]
    ) -> None:
        self._evidence = evidence
        self._inbox = inbox
        self._clock = clock
        self._asked: dict[Silent, tuple[datetime, timedelta]] = {}  # again at, next pause

    async def run(self) -> NoReturn:
        """Ask until cancelled."""
        while True:
            try:
                await self.look()
            except errors.RollcallError as error:
                logger.warning("events cannot be read", extra={"error": str(error)})
            await asyncio.sleep(ROUND)

    async def look(self) -> None:
        """Ask for those that are due, longest waiting first. Raises errors.RollcallError."""
        now = self._clock()
        silent = self._inbox.silent()
        self._asked = {one: self._asked.get(one, (one.since, FIRST_PAUSE)) for one in silent}
        due = [one for one, (at, _) in self._asked.items() if at <= now]
        for one in sorted(due, key=lambda one: self._asked[one][0])[:AT_ONCE]:
            _, pause = self._asked[one]
            self._asked[one] = (now + pause, min(2 * pause, LONGEST_PAUSE))
            cause = upstream.told(await self._evidence.warnings(one.namespace, one.uid))
            if cause:
                self._inbox.blocked(one, cause)
