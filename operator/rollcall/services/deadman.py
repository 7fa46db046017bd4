"""Tell somebody outside each minute that alerts still work, and nothing when they do not.

1. The canary asks, at the address that sidecars use, whether an api replica takes a report up to
   the question whose it is.
2. Sweep, outbox and canary must each have succeeded within two minutes: then the outside is told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum

from rollcall.core import deadman

logger = logging.getLogger(__name__)

EVERY = 60.0  # seconds

Question = Callable[[], Awaitable[str | None]]  # None: fine; else what is wrong


class Word(StrEnum):
    """What became of one minute's word, as counted."""

    SENT = "sent"
    FAILED = "failed"  # the outside did not take it
    WITHHELD = "withheld"


class DeadMan:
    """Gives the word while this process leads; `signs` tells when each part last succeeded."""

    def __init__(
        self,
        *,
        ping: Question,
        canary: Question,
        signs: Callable[[], Mapping[str, datetime | None]],
        clock: Callable[[], datetime],
        on_word: Callable[[str], None] = lambda _word: None,
    ) -> None:
        self._ping = ping
        self._canary = canary
        self._signs = signs
        self._clock = clock
        self._on_word = on_word
        self._answered_at: datetime | None = None
        self._last = Word.SENT

    async def run(self) -> None:
        """Give the word each minute until cancelled, first when all parts had time for a sign."""
        while True:
            await asyncio.sleep(EVERY)
            await self.tick()

    async def tick(self) -> Word:
        """Look at every sign of life, and give the word or withhold it."""
        wrong = await self._canary()
        if wrong is None:
            self._answered_at = self._clock()
        signs = {**self._signs(), "ingest": self._answered_at}
        stale = deadman.stale(signs, self._clock())
        word, why = await self._give(stale, wrong)
        if word is not self._last:
            level = logging.INFO if word is Word.SENT else logging.ERROR
            logger.log(level, "dead-man switch", extra={"word": word.value, "why": why})
        self._last = word
        self._on_word(word.value)
        return word

    async def _give(self, stale: list[str], wrong: str | None) -> tuple[Word, str | None]:
        if stale:
            return Word.WITHHELD, "stale: " + ", ".join(stale) + (
                f"; ingest: {wrong}" if wrong else ""
            )
        refusal = await self._ping()
        return (Word.FAILED, refusal) if refusal else (Word.SENT, None)
