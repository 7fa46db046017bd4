"""The kinds of channel, by the field of an AlertChannel's spec that configures them."""

from collections.abc import Callable, Mapping
from datetime import datetime

from rollcall.notify import http
from rollcall.notify.alertmanager import channel as alertmanager
from rollcall.notify.email import channel as email
from rollcall.notify.pagerduty import channel as pagerduty
from rollcall.notify.slack import channel as slack
from rollcall.notify.webhook import channel as webhook
from rollcall.services import ports

REPEATED = frozenset({"alertmanager"})  # whose senders are ports.Repeater
STAYS = frozenset({"alertmanager", "pagerDuty"})  # who keep what they are told until its end

Factory = Callable[[Mapping[str, str]], ports.Sender]


def factories(client: http.Client, now: Callable[[], datetime]) -> dict[str, Factory]:
    """Return how each kind is built from its settings, Secret references already read.

    A factory raises errors.InvalidSpec for settings that only a person can mend.
    """
    return {
        "webhook": lambda config: webhook.Webhook(client, webhook.read(config), now),
        "slack": lambda config: slack.make(client, config),
        "email": lambda config: email.make(client, config, now),
        "alertmanager": lambda config: alertmanager.Alertmanager(
            client, alertmanager.read(config), now
        ),
        "pagerDuty": lambda config: pagerduty.PagerDuty(client, pagerduty.read(config)),
    }
