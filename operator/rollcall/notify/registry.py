"""The kinds of channel, by the field of an AlertChannel's spec that configures them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from rollcall.core import errors
from rollcall.notify import http
from rollcall.notify.alertmanager import channel as alertmanager
from rollcall.notify.email import channel as email
from rollcall.notify.pagerduty import channel as pagerduty
from rollcall.notify.slack import channel as slack
from rollcall.notify.webhook import channel as webhook
from rollcall.services import ports

REPEATED = frozenset({"alertmanager"})  # whose senders are ports.Repeater
STAYS = frozenset({"alertmanager", "pagerDuty"})  # who keep what they are told until its end

NONE: Mapping[str, str] = MappingProxyType({})


class Factory(Protocol):
    """Builds channels of one kind."""

    def __call__(
        self, config: Mapping[str, str], templates: Mapping[str, str] = NONE
    ) -> ports.Sender:
        """Build one from its settings, Secret references already read, and its templates.

        Raises errors.InvalidSpec for what only a person can mend. Where its reason is
        ports.INVALID_TEMPLATES, the channel can be built without them.
        """


def factories(client: http.Client, now: Callable[[], datetime]) -> dict[str, Factory]:
    """Return how each kind is built."""
    plain: dict[str, Callable[[Mapping[str, str]], ports.Sender]] = {
        "webhook": lambda config: webhook.Webhook(client, webhook.read(config), now),
        "slack": lambda config: slack.make(client, config),
        "email": lambda config: email.make(client, config, now),
        "alertmanager": lambda config: alertmanager.Alertmanager(
            client, alertmanager.read(config), now
        ),
        "pagerDuty": lambda config: pagerduty.PagerDuty(client, pagerduty.read(config)),
    }
    return {kind: _with_templates(kind, make) for kind, make in plain.items()}


def _with_templates(kind: str, make: Callable[[Mapping[str, str]], ports.Sender]) -> Factory:
    def build(config: Mapping[str, str], templates: Mapping[str, str] = NONE) -> ports.Sender:
        sender = make(config)
        if not templates:
            return sender
        wordless = _wordless(kind, config)
        if wordless:
            raise errors.InvalidSpec(ports.INVALID_TEMPLATES, f"templates: {wordless}")
        # Only here: who has none need not load Jinja2.
        from rollcall.notify import templating

        return templating.Dressed(sender, templates)

    return build


def _wordless(kind: str, config: Mapping[str, str]) -> str | None:
    """Say why messages of this channel have no words: programs read them."""
    if kind == "alertmanager":
        return "an Alertmanager has templates of its own"
    if kind == "webhook" and config.get("format", webhook.OURS) == webhook.OURS:
        return f"format: {webhook.OURS} is read by a program, which makes texts of its own"
    return None
