"""Words of a program that would forge a log line, mention everybody, or give a secret away."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rollcall.cli import logs
from rollcall.core import messages
from rollcall.notify import http, registry
from support import certificates, delivering, happenings, hostile, mailserver, payloads, receiver
from support.audience import Receiver
from support.happenings import Policy
from support.receiver import Answer
from support.stories import SLOT_AT
from support.timelines import Timeline

Tells = Callable[..., Receiver]
Way = Callable[[Timeline, str], Policy]  # in which a program says words, and who is told of them
FROM_TO = {"from": "rollcall@example.com", "to": "team@example.com"}
# By what reads it: the kind of channel and its settings, the address last.
SINKS: dict[str, tuple[str, str, dict[str, str]]] = {
    "slack": ("slack", "slack", {"webhookURL": ""}),
    "slack's bot": ("slack", "slack", {"botToken": "xoxb", "channel": "#alerts", "url": ""}),
    "slack's format": ("slack", "webhook", {"format": "slack", "url": ""}),
    "discord": ("discord", "webhook", {"format": "discord", "url": ""}),
    "teams": ("teams", "webhook", {"format": "teams", "url": ""}),
    "pagerduty": ("pagerduty", "pagerDuty", {"routingKey": "R0", "url": ""}),
    "alertmanager": ("alertmanager", "alertmanager", {"url": ""}),
    "resend": ("email", "email", {"resendKey": "re_0", **FROM_TO, "resendURL": ""}),
}
OF_ITS_OWN = {"title": "{{ story }}", "body": "{{ incident.message }}\n{{ output }}\n{{ story }}"}
TAKEN = Answer(body=b'{"ok": true, "channel": "C0ALERTS", "ts": "1772454665.000001"}')


def as_last_words(timeline: Timeline, words: str) -> Policy:
    timeline.at("12:01", timeline.crashes, words)
    return happenings.ONLY_FAILING


def as_an_error(timeline: Timeline, words: str) -> Policy:
    error = {"kind": "error", "type": words, "message": words, "item": words}
    return _reported(timeline, error, errors={"warning": 1})


def as_an_error_s_message(timeline: Timeline, words: str) -> Policy:
    error = {"kind": "error", "type": "", "message": words}
    return _reported(timeline, error, errors={"warning": 1})


def as_a_dead_letter(timeline: Timeline, words: str) -> Policy:
    letter = {"kind": "deadLetter", "item": words, "error": words, "payload": {words: words}}
    return _reported(timeline, letter, errors={"warning": 1})


def as_a_result(timeline: Timeline, words: str) -> Policy:
    result = {"kind": "result", "result": "failed", "message": words, "counters": {"rows": 0}}
    timeline.at("12:10", timeline.succeeds)
    policy = {"warning": 1, "counters": [{"name": "rows", "min": 1}]}
    return _reported(timeline, result | {"metadata": {words: words}}, counter=policy)


def as_a_stage(timeline: Timeline, words: str) -> Policy:
    progress = {"seq": 1, "at": SLOT_AT.isoformat(), "done": 1}
    progress |= {"stage": words, "message": words}
    timeline.at("12:00:01", timeline.starts_pod, "12:00")
    timeline.at("12:01", timeline.says, progress=progress)
    timeline.at("12:15", timeline.says, progress=progress | {"seq": 2})
    return happenings.only(no_progress={"warning": "10m"})


def _reported(timeline: Timeline, item: dict[str, Any], **rules: Policy) -> Policy:
    timeline.at("12:00:01", timeline.starts_pod, "12:00")
    item = {"seq": 1, "at": SLOT_AT.isoformat()} | item
    timeline.at("12:01", timeline.says, items=[item])
    return happenings.only(**rules)


WAYS: list[Way] = [
    as_last_words,
    as_an_error,
    as_an_error_s_message,
    as_a_dead_letter,
    as_a_result,
    as_a_stage,
]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    given: Way = request.param
    return given


@pytest.fixture(params=hostile.PIECES)
def words(request: pytest.FixtureRequest) -> str:
    return hostile.PIECES[request.param]


@pytest.fixture
async def payload(
    timeline: Timeline, tells: Tells, caplog: pytest.LogCaptureFixture, way: Way, words: str
) -> dict[str, Any]:
    """Let a program say the words, and return what a webhook is told."""
    caplog.set_level(logging.WARNING)  # the mail server's own log is not ours
    caplog.set_level(logging.DEBUG, "rollcall")
    team = tells("team")
    await timeline.live(until="12:30", policy=way(timeline, words))
    (request, *_) = team.hook.requests
    assert request.body.decode().isprintable()
    payload: dict[str, Any] = json.loads(request.body)
    assert hostile.ARRIVED in json.dumps(payload)
    return payload


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def mails(certificate: tuple[Path, Path]) -> AsyncIterator[mailserver.MailServer]:
    async with mailserver.running(*certificate, tls=False, login=False) as running:
        yield running


async def test_no_receiver_is_told_more_than_text(
    payload: dict[str, Any],
    mails: mailserver.MailServer,
    certificate: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    note = payloads.notification(payload)
    digest = payloads.notification(messages.together([payload, payload]))
    server = {"host": "localhost", "port": str(mails.port), "ca": certificate[0].read_text()}
    client = http.Client(now=delivering.now, allowed=receiver.LOOPBACK)
    async with client:
        kinds = registry.factories(client, delivering.now)
        with receiver.running() as sink:
            sink.otherwise = lambda _: TAKEN
            for form, kind, config in SINKS.values():
                given = {key: value or sink.url for key, value in config.items()}
                senders = [kinds[kind](given, templates) for templates in _templates(kind)]
                sent = [(one, note) for one in senders]
                sent += [(senders[0], digest)] if kind not in registry.STAYS else []
                for sender, notification in sent:
                    assert (await sender.send(notification)).delivered
                    hostile.judge(form, sink.requests[-1].body)
        for templates in _templates("email"):
            assert (await kinds["email"](FROM_TO | server, templates).send(note)).delivered
    for mail in mails.taken:
        hostile.judge("email", http.encode(hostile.judge_mime(mail.message)))
    for record in caplog.records:
        line = logs.JsonFormatter().format(record)
        hostile.judge_logged(line)
        assert json.loads(line)["logger"].startswith("rollcall.")


def test_words_forge_no_line_of_the_log(words: str, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("rollcall.tests")
    log.error("said: %s", words, extra={"item": words}, exc_info=ValueError(words))
    (record,) = caplog.records
    line = logs.JsonFormatter().format(record)
    hostile.judge_logged(line)
    assert (json.loads(line)["message"], json.loads(line)["item"]) == (f"said: {words}", words)


def _templates(kind: str) -> list[dict[str, str]]:
    """Return none, and, of a kind that has words, ones that quote a program wherever they can."""
    return [{}] if kind == "alertmanager" else [{}, OF_ITS_OWN]


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
