"""Words of a program that would forge a log line, mention everybody, or give a secret away."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rollcall.cli import logs
from rollcall.notify import http, registry
from support import delivering, payloads, receiver
from support.audience import Receiver
from support.receiver import Answer
from support.timelines import Timeline

Tells = Callable[..., Receiver]
HOSTILE = """\
<!channel> <!here> <@U012AB> @everyone @here <@&1> <at>all</at>
<script>alert(1)</script> &lt;b&gt;
\x1b[31mred\x1b[0m \x07 \r\n{"level": "error", "message": "forged"}
*bold* _it_ ~x~ `code` [link](https://evil.test) <https://evil.test|bank>
{0} {message} {{7*7}} %s %(name)s %n ${HOME}
"""
SINKS: dict[str, tuple[str, dict[str, str]]] = {
    "slack": ("slack", {"webhookURL": ""}),
    "slack's format": ("webhook", {"url": "", "format": "slack"}),
    "discord": ("webhook", {"url": "", "format": "discord"}),
    "teams": ("webhook", {"url": "", "format": "teams"}),
    "pagerduty": ("pagerDuty", {"url": "", "routingKey": "R0"}),
    "alertmanager": ("alertmanager", {"url": ""}),
}
NEVER_SLACK = ("<!channel>", "<!here>", "<@U012AB>", "<script>", "|bank>")


async def arrived(timeline: Timeline, hook: receiver.Receiver) -> dict[str, Any]:
    timeline.at("12:01", timeline.crashes, HOSTILE)
    timeline.want("team", "opened", "12:01", "12:02")
    await timeline.play(until="12:30")
    body: dict[str, Any] = json.loads(hook.requests[0].body)
    return body


async def test_no_receiver_is_told_more_than_text(
    timeline: Timeline, tells: Tells, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rollcall")
    payload = await arrived(timeline, tells("team").hook)
    assert "{{7*7}} %s" in payload["execution"]["message"]  # it came that far as it was
    client = http.Client(now=delivering.now, allowed=receiver.LOOPBACK)
    async with client:
        for name, (kind, config) in SINKS.items():
            with receiver.running() as sink:
                given = {key: value or sink.url for key, value in config.items()}
                sender = registry.factories(client, delivering.now)[kind](given)
                await sender.send(payloads.notification(payload))
                told = json.loads(sink.requests[0].body)
            said = list(texts(told))
            if name.startswith("slack"):
                assert not [one for one in said if any(word in one for word in NEVER_SLACK)]
            assert name != "discord" or told["allowed_mentions"] == {"parse": []}
            assert '"entities"' not in json.dumps(told)  # who a card of Teams would mention
            assert any("7*7" in one or "7\\*7" in one for one in said), name
    for record in caplog.records:
        line = logs.JsonFormatter().format(record)
        assert "\n" not in line
        assert json.loads(line)["logger"].startswith("rollcall.")


async def test_no_secret_is_kept_told_or_logged(
    timeline: Timeline, tells: Tells, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rollcall")
    team, pager = tells("team"), tells("pager")
    pager.moves(pager.hook.url.replace("/hook", "/services/c4nary-of-the-address"))
    timeline.restart()
    pager.answers(Answer(status=404, body=b"no /services/c4nary-of-the-address here"))
    words = "cannot reach postgres://app:c4nary-of-the-program@db/shop, DB_PASSWORD=c4nary-too"
    timeline.at("12:01", timeline.crashes, words)
    timeline.want("team", "opened", "12:01", "12:02")
    await timeline.play(until="12:30")

    (told,) = team.hook.requests
    assert b"postgres://app:***@db/shop" in told.body
    outputs = [told.body.decode()]
    outputs += [logs.JsonFormatter().format(record) for record in caplog.records]
    for (table,) in await timeline.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace ="
        " current_schema()::regnamespace"
    ):
        outputs += await timeline.table(table)
    assert any("no *** here" in one for one in outputs)
    assert [one for one in outputs if "c4nary" in one] == []


def texts(document: object) -> Iterator[str]:
    """Yield every text of a document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from texts(value)
