"""Who is told in a timeline: what they take, when, and how they answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from typing_extensions import override  # typing has it from 3.12 on

from support import receiver
from support.receiver import Answer


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

    def __post_init__(self) -> None:
        self.url = self.hook.url
        self.answers()

    def answers(self, *, loses: bool = False, **how: Any) -> None:  # noqa: ANN401 - as `Answer` is
        """Answer so from now on; without arguments, take everything.

        Who `loses` takes it and hangs up before saying so.
        """
        answer = Answer(raw=b"") if loses else Answer(**how)
        is_taken = loses or (answer.status < 300 and not answer.hang and answer.raw is None)

        def take(request: receiver.Request) -> Answer:
            now = self.clock()
            self.tried.append(now)
            if is_taken:
                self.arrived.append(_arrival(now, self.name, request))
            return answer

        self.hook.otherwise = take

    def moves(self, url: str) -> None:
        """Be told there, once the process that delivers has read it."""
        self.url = url


def _arrival(at: datetime, channel: str, request: receiver.Request) -> Arrival:
    body = json.loads(request.body)
    return Arrival(at, channel, body["type"], request.headers["webhook-id"])
