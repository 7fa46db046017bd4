"""Who is told in a timeline: what they take, when, and how they answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from typing_extensions import override  # typing has it from 3.12 on

from support import receiver
from support.receiver import Answer

TAKEN = Answer()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that somebody took."""

    at: datetime
    channel: str
    type: str
    key: str

    @override
    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.channel}: {self.type}"


@dataclass
class Receiver:
    """Who is told on one channel, and how they answer from when on."""

    name: str
    hook: receiver.Receiver
    clock: Callable[[], datetime]
    arrived: list[Arrival] = field(default_factory=list)
    tried: list[datetime] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)  # of what arrived

    def __post_init__(self) -> None:
        self.url = self.hook.url
        self.answers()

    def answers(self, answer: Answer = TAKEN) -> None:
        """Answer so from now on; without arguments, take everything."""
        is_taken = answer.status < 300 and not answer.hang and answer.raw is None
        self._go_on(answer, is_taken=is_taken)

    def loses(self) -> None:
        """Take everything from now on, and hang up before saying so."""
        self._go_on(Answer(raw=b""), is_taken=True)

    def _go_on(self, answer: Answer, *, is_taken: bool) -> None:
        def take(request: receiver.Request) -> Answer:
            now = self.clock()
            self.tried.append(now)
            if is_taken:
                self.bodies.append(json.loads(request.body))
                self.arrived.append(_arrival(now, self.name, request))
            return answer

        self.hook.otherwise = take

    def moves(self, url: str) -> None:
        """Be told there, once the process that delivers has read it."""
        self.url = url


def _arrival(at: datetime, channel: str, request: receiver.Request) -> Arrival:
    body = json.loads(request.body)
    return Arrival(at, channel, body["type"], request.headers["webhook-id"])
