"""A channel's own words: templates of Jinja2 for the title and the body of its messages.

Whoever may write an AlertChannel is trusted with its messages, not with our process: `sandbox` says
what a template may do.

Loading Jinja2 costs memory: only a process that sends by a channel with templates imports this.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jinja2

from rollcall.core import errors
from rollcall.notify import digests, samples, sandbox, wording
from rollcall.services import ports

LONGEST_TEMPLATE = 4096  # characters
LONGEST: Mapping[str, int] = {wording.TITLE: 500, wording.BODY: 10_000}  # of what comes of it
KEPT = 64  # pairs of templates that stay compiled: a channel is built for each of its messages

# What a digest has not: a template that names one of these, and not `incidents`, is for the others.
OF_ONE = frozenset(
    {
        "incident",
        "cronjob",
        "jobs",
        "execution",
        "lastRuns",
        "changes",
        "advice",
        "commands",
        "suppressed",
        "facts",
        "output",
    }
)
OF_DIGEST = "incidents"


class Dressed:
    """A sender with words of its own; where they fail, a message has the built-in ones.

    Raises errors.InvalidSpec for a template that one of the samples could not be written with.
    """

    def __init__(self, sender: ports.Sender, templates: Mapping[str, str]) -> None:
        Words(templates)  # tried now, before anybody is to be told
        self._sender = sender
        self._templates = templates

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one message; its error says which template failed."""
        words = Words(self._templates)
        payload = {**notification.payload, wording.WORDS: words}
        delivery = await self._sender.send(replace(notification, payload=payload))
        if delivery.delivered and words.problem and not delivery.error:
            return replace(delivery, error=words.problem)
        return delivery


class Words:
    """Writes the texts of one message, each whenever it is asked for.

    Raises errors.InvalidSpec as Dressed does.
    """

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._texts = _tried(templates.get(wording.TITLE), templates.get(wording.BODY))
        self.problem: str | None = None

    def __call__(self, name: str, payload: wording.Payload) -> str | None:
        """Write a text; None where there is no template for it, or it fails."""
        text = self._texts.get(name)
        if text is None or not text.is_for(payload):
            return None
        try:
            return text.write(payload)
        except errors.InvalidSpec as error:  # of a message that no sample is like
            self.problem = str(error)
            return None


@lru_cache(maxsize=KEPT)
def _tried(title: str | None, body: str | None) -> Mapping[str, "_Text"]:
    given = {wording.TITLE: title, wording.BODY: body}
    texts = {name: _Text(name, source) for name, source in given.items() if source is not None}
    for payload in samples.every():
        for text in texts.values():
            if text.is_for(payload):
                text.write(payload)
    return texts


class _Text:
    """One template, compiled."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        if len(source) > LONGEST_TEMPLATE:
            raise self._broken(1, f"it is longer than {LONGEST_TEMPLATE} characters")
        try:
            self._template, names = sandbox.read(source)
        except jinja2.TemplateSyntaxError as error:
            raise self._broken(error.lineno, error.message or "not a template") from None
        except Exception as error:  # noqa: BLE001 - Python's compiler has limits, too, of many kinds
            why = f"it is too deep ({type(error).__name__})"
            raise self._broken(1, why) from None
        self._knows_digests = OF_DIGEST in names or not names & OF_ONE

    def is_for(self, payload: wording.Payload) -> bool:
        """Whether it writes this message: not a digest with what that does not have."""
        return self._knows_digests or not digests.is_digest(payload)

    def write(self, payload: wording.Payload) -> str:
        """Write the text.

        Raises errors.InvalidSpec.
        """
        try:
            text = _cut(self._template.generate(_fields(payload)), LONGEST[self._name])
        except Exception as error:  # noqa: BLE001 - whatever its author made of it
            why = f"{str(error) or type(error).__name__} ({payload['type']})"
            raise self._broken(_line(error), why) from None
        return " ".join(text.split()) if self._name == wording.TITLE else text.strip()

    def _broken(self, line: int, why: str) -> errors.InvalidSpec:
        return errors.InvalidSpec(
            ports.INVALID_TEMPLATES,
            f"templates.{self._name}, line {line}: {why}; the built-in text is sent instead",
        )


def _fields(payload: wording.Payload) -> dict[str, Any]:
    """Return what a template can name: what the message has, and texts made of it."""
    plain = {name: value for name, value in payload.items() if name != wording.WORDS}
    if not digests.is_digest(plain):
        return {OF_DIGEST: None, **_with_texts(plain)}
    listed = digests.worst_first(plain)
    return {
        **dict.fromkeys(OF_ONE),
        **plain,
        OF_DIGEST: [*map(_with_texts, listed[: sandbox.MOST_ITEMS]), *listed[sandbox.MOST_ITEMS :]],
        "headline": digests.headline(plain),
        "story": "\n".join(
            digests.lines(plain, most=sandbox.MOST_ITEMS, longest=LONGEST[wording.BODY])
        ),
    }


def _with_texts(payload: wording.Payload) -> dict[str, Any]:
    incident = payload["incident"]
    return {
        **payload,
        "incident": {**incident, "evidence": _Open(incident.get("evidence") or {})},
        "headline": wording.headline(payload),
        "story": wording.story(payload),
        "facts": _Open(wording.facts(payload)),
        "output": wording.output(payload),
    }


def _cut(chunks: Iterator[str], limit: int) -> str:
    text = ""
    for chunk in chunks:
        text += chunk
        if len(text) > limit:
            break
    return wording.cut(text, limit)


class _Open(dict[str, Any]):
    """What differs from message to message: null stands for what it lacks."""

    def __missing__(self, key: str) -> None:
        return None


def _line(error: Exception) -> int:
    """Return the line of the template that an error came from; Jinja2 puts it into the trace."""
    line, trace = 1, error.__traceback__
    while trace:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
