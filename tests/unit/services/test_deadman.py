"""The word that is given each minute, and withheld when something stands still."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from rollcall.services import deadman
from rollcall.services.deadman import Word
from support import builders

MINUTE = timedelta(minutes=1)


@dataclass
class Outside:
    """Everything around the switch; `pings` are the times at which the word arrived."""

    now: datetime = builders.SLOT_AT
    swept_at: datetime | None = builders.SLOT_AT
    refusal: str | None = None  # of the one who waits for the word
    ingest: str | None = None  # what is wrong with it
    pings: list[datetime] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    given: asyncio.Event = field(default_factory=asyncio.Event)

    def switch(self) -> deadman.DeadMan:
        return deadman.DeadMan(
            ping=self.ping,
            canary=self.canary,
            signs=lambda: {"sweep": self.swept_at, "outbox": self.now},
            clock=lambda: self.now,
            on_word=self.note,
        )

    def note(self, word: str) -> None:
        self.words.append(word)
        self.given.set()

    async def ping(self) -> str | None:
        self.pings.append(self.now)
        return self.refusal

    async def canary(self) -> str | None:
        return self.ingest


async def test_the_word_is_given_while_everything_goes_on() -> None:
    outside = Outside()
    assert await outside.switch().tick() is Word.SENT
    assert outside.pings == [outside.now]
    assert outside.words == ["sent"]


async def test_it_is_withheld_two_minutes_after_the_last_sweep(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outside = Outside()
    switch = outside.switch()
    for _ in range(4):
        await switch.tick()
        outside.now += MINUTE
    assert outside.words == ["sent", "sent", "withheld", "withheld"]
    assert len(outside.pings) == 2
    [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert vars(line)["why"] == "stale: sweep"


async def test_it_is_withheld_when_no_api_replica_answers_for_two_minutes() -> None:
    outside = Outside()
    switch = outside.switch()
    await switch.tick()
    outside.ingest = "answered 503"
    for _ in range(3):
        outside.now = outside.swept_at = outside.now + MINUTE
        await switch.tick()
    assert outside.words == ["sent", "sent", "withheld", "withheld"]
    outside.ingest = None
    assert await switch.tick() is Word.SENT


async def test_before_the_first_sweep_nothing_is_said() -> None:
    assert await Outside(swept_at=None).switch().tick() is Word.WITHHELD


async def test_a_word_that_is_not_taken_is_counted_and_given_again() -> None:
    outside = Outside(refusal="answered 500")
    switch = outside.switch()
    assert await switch.tick() is Word.FAILED
    outside.refusal = None
    assert await switch.tick() is Word.SENT


async def test_it_is_given_until_the_process_stops_and_not_before_anything_can_be_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadman, "EVERY", 0.01)
    outside = Outside()
    running = asyncio.create_task(outside.switch().run())
    await asyncio.sleep(0)
    assert outside.words == []
    await outside.given.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
