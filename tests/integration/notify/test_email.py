"""E-mails to a real SMTP server with TLS, and to a receiver that behaves as Resend says."""

import hashlib
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollcall.notify import http, registry
from rollcall.notify.email import smtp
from rollcall.services import ports
from support import certificates, loopback, mailserver, payloads, receiver
from support.delivering import now
from support.receiver import Answer, Request

HOUR = timedelta(hours=1)
FROM, TO = "Rollcall <rollcall@example.com>", "team@example.com, Böb <bob@example.com>"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(certificate: tuple[Path, Path]) -> AsyncIterator[mailserver.MailServer]:
    async with mailserver.running(*certificate, tls=False, login=True) as running:
        yield running


def by_smtp(
    client: http.Client, server: mailserver.MailServer, certificate: tuple[Path, Path], **more: str
) -> ports.Sender:
    config = {
        "host": "localhost",
        "port": str(server.port),
        "from": FROM,
        "to": TO,
        "ca": certificate[0].read_text(),
        "username": mailserver.USERNAME,
        "password": mailserver.PASSWORD,
    }
    return registry.factories(client, now)["email"](config | more)


@pytest.fixture
def sender(
    client: http.Client, server: mailserver.MailServer, certificate: tuple[Path, Path]
) -> ports.Sender:
    return by_smtp(client, server, certificate)


def opened(**found: object) -> ports.Notification:
    body = payloads.Timeline().problem(execution=payloads.failed("disk full"), **found)
    return payloads.notification(body)


# By SMTP.


async def test_an_incident_is_a_thread_of_mails_from_opened_to_resolved(
    server: mailserver.MailServer, sender: ports.Sender
) -> None:
    story = payloads.Timeline()
    bodies = [
        story.problem(execution=payloads.failed("disk full")),
        story.problem(6 * HOUR),
        story.solved(HOUR),
    ]
    for number, body in enumerate(bodies, 1):
        key = f"{body['incident']['id']}.{number}"
        assert await sender.send(payloads.notification(body, key)) == ports.Delivery(delivered=True)
    first, second, third = server.taken
    assert [mail.message["Subject"] for mail in server.taken] == [
        "WARNING: shop/backup is failing",
        "STILL WARNING: shop/backup is failing",
        "RESOLVED: shop/backup (was failing)",
    ]
    assert first.message["References"] == third.message["References"]
    assert len({mail.message["Message-ID"] for mail in server.taken}) == 3
    assert first.encrypted
    assert first.username == mailserver.USERNAME
    assert first.sender == "rollcall@example.com"
    assert first.recipients == ["team@example.com", "bob@example.com"]
    assert first.message["From"] == "Rollcall <rollcall@example.com>"
    assert first.message["To"] == "team@example.com, Böb <bob@example.com>"
    assert "disk full" in _part(first, "plain")
    assert "disk full" in _part(first, "html")
    assert "solved after 7h" in _part(third, "plain")
    assert "disk full" not in _part(third, "plain")
    assert second.message["Auto-Submitted"] == "auto-generated"


async def test_a_message_that_is_sent_twice_is_the_same_message(
    server: mailserver.MailServer, sender: ports.Sender
) -> None:
    await sender.send(opened())
    await sender.send(opened())
    first, second = server.taken
    assert first.message["Message-ID"] == second.message["Message-ID"]


async def test_tls_from_the_first_byte(client: http.Client, certificate: tuple[Path, Path]) -> None:
    async with mailserver.running(*certificate, tls=True, login=False) as server:
        sender = by_smtp(client, server, certificate, security="TLS", username="", password="")
        assert (await sender.send(opened())).delivered
        assert len(server.taken) == 1


async def test_a_server_that_nobody_vouches_for_is_told_nothing(
    client: http.Client, server: mailserver.MailServer, certificate: tuple[Path, Path]
) -> None:
    delivery = await by_smtp(client, server, certificate, ca="").send(opened())
    assert (delivery.delivered, delivery.permanent) == (False, False)
    assert delivery.error is not None
    assert "CERTIFICATE_VERIFY_FAILED" in delivery.error
    assert server.taken == []


async def test_a_server_without_starttls_is_told_nothing(
    client: http.Client, certificate: tuple[Path, Path]
) -> None:
    async with mailserver.running(None, None, tls=False, login=False) as server:
        delivery = await by_smtp(client, server, certificate).send(opened())
        assert server.taken == []
    assert (delivery.delivered, delivery.permanent) == (False, False)
    assert delivery.error is not None
    assert "STARTTLS" in delivery.error


async def test_a_wrong_password_is_refused_for_good_and_not_repeated(
    client: http.Client, server: mailserver.MailServer, certificate: tuple[Path, Path]
) -> None:
    sender = by_smtp(client, server, certificate, password="hunter2hunter2")
    delivery = await sender.send(opened())
    assert delivery.permanent
    assert delivery.error == "localhost answered 535: 5.7.8 not known: *** *** ***"


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        pytest.param("421 4.3.2 shutting down", False, id="going-down"),
        pytest.param("451 4.7.1 greylisted, try again", False, id="greylisted"),
        pytest.param("452 4.3.1 mailbox is full", False, id="full"),
        pytest.param("550 5.7.1 spam", True, id="refused"),
        pytest.param("552 5.3.4 message too big", True, id="too-big"),
    ],
)
async def test_the_first_digit_says_whether_trying_again_can_help(
    server: mailserver.MailServer, sender: ports.Sender, answer: str, *, permanent: bool
) -> None:
    server.answers = [answer]
    delivery = await sender.send(opened())
    assert (delivery.delivered, delivery.permanent) == (False, permanent)
    assert delivery.error == f"localhost answered {answer[:3]}: {answer[4:]}"
    assert (await sender.send(opened())).delivered


async def test_one_refused_recipient_keeps_the_others_from_nothing_and_is_said(
    server: mailserver.MailServer, sender: ports.Sender
) -> None:
    server.refused = {"bob@example.com": "550 5.1.1 no such user"}
    delivery = await sender.send(opened())
    assert delivery.delivered
    assert delivery.error == "bob@example.com: 550 5.1.1 no such user"
    assert [mail.recipients for mail in server.taken] == [["team@example.com"]]


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        pytest.param(("550 5.1.1 gone", "550 5.1.1 gone"), True, id="for-good"),
        pytest.param(("550 5.1.1 gone", "450 4.2.1 later"), False, id="one-may-come-back"),
    ],
)
async def test_all_recipients_refused_is_a_failure(
    server: mailserver.MailServer,
    sender: ports.Sender,
    answers: tuple[str, str],
    *,
    permanent: bool,
) -> None:
    server.refused = dict(zip(("team@example.com", "bob@example.com"), answers, strict=True))
    delivery = await sender.send(opened())
    assert (delivery.delivered, delivery.permanent) == (False, permanent)


async def test_a_server_that_never_answers_costs_the_time_limit(
    server: mailserver.MailServer, sender: ports.Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT", 1.0)  # stands for the fifteen seconds of production
    server.silent = True
    began = time.monotonic()
    delivery = await sender.send(opened())
    assert time.monotonic() - began < 5
    assert (delivery.delivered, delivery.permanent) == (False, False)
    assert delivery.error == "localhost: no answer within 1s"


async def test_nobody_listens(client: http.Client, certificate: tuple[Path, Path]) -> None:
    server = mailserver.MailServer(port=loopback.free_port())
    delivery = await by_smtp(client, server, certificate).send(opened())
    assert (delivery.delivered, delivery.permanent) == (False, False)


async def test_any_text_arrives_and_none_forges_a_header(
    server: mailserver.MailServer, sender: ports.Sender
) -> None:
    evil = "ü🔴\r\nBcc: all@example.com\r\n.\r\n\x1b[31m\0\ud800 <b>bold</b>" + "x" * 5000
    body = payloads.Timeline().problem(execution=payloads.failed(evil), message=evil, reason=evil)
    body["cronjob"] |= {"name": evil}
    assert (await sender.send(payloads.notification(body))).delivered
    (mail,) = server.taken
    assert mail.message["Bcc"] is None
    assert mail.recipients == ["team@example.com", "bob@example.com"]
    assert len(str(mail.message["Subject"])) <= 200
    assert "<b>bold" not in _part(mail, "html")
    assert "&lt;b&gt;bold" in _part(mail, "html")
    assert "\x1b" not in _part(mail, "plain")
    assert "ü🔴" in _part(mail, "plain")


# By Resend.


class Resend:
    """The API as documented: a key that was used gives the same answer, for another body 409."""

    KEY = "re_123456789"

    def __init__(self) -> None:
        self.mails: list[dict[str, Any]] = []
        self._keys: dict[str, tuple[str, str]] = {}

    def answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.KEY}":
            return _problem(401, "restricted_api_key")
        key = request.headers["idempotency-key"]
        if not 1 <= len(key) <= 256:
            return _problem(400, "invalid_idempotency_key")
        digest = hashlib.sha256(request.body).hexdigest()
        if key not in self._keys:
            self.mails.append(json.loads(request.body))
            self._keys[key] = (digest, f"mail-{len(self.mails)}")
        known, identifier = self._keys[key]
        if known != digest:
            return _problem(409, "invalid_idempotent_request")
        return Answer(status=200, body=json.dumps({"id": identifier}).encode())


def _problem(status: int, name: str) -> Answer:
    body = {"statusCode": status, "name": name, "message": f"{name}."}
    return Answer(status=status, body=json.dumps(body).encode())


@pytest.fixture
def resend(hook: receiver.Receiver) -> Resend:
    service = Resend()
    hook.otherwise = service.answer
    return service


def by_resend(client: http.Client, hook: receiver.Receiver, key: str = Resend.KEY) -> ports.Sender:
    config = {"resendKey": key, "resendURL": hook.url, "from": FROM, "to": TO}
    return registry.factories(client, now)["email"](config)


async def test_resend_sends_each_message_once_however_often_it_is_tried(
    client: http.Client, hook: receiver.Receiver, resend: Resend
) -> None:
    sender = by_resend(client, hook)
    for _ in range(2):
        assert (await sender.send(opened())).delivered
    (mail,) = resend.mails
    assert mail["from"] == FROM
    assert mail["to"] == ["team@example.com", "Böb <bob@example.com>"]
    assert mail["subject"] == "WARNING: shop/backup is failing"
    assert "disk full" in mail["text"]
    assert "disk full" in mail["html"]
    assert mail["headers"].keys() == {"References", "Auto-Submitted"}


async def test_two_channels_of_one_account_send_a_mail_each(
    client: http.Client, hook: receiver.Receiver, resend: Resend
) -> None:
    body = payloads.Timeline().problem()
    sender = by_resend(client, hook)
    for channel in ("team", "boss"):
        row = payloads.notification(body, channel=channel)
        assert (await sender.send(row)).delivered
    assert len(resend.mails) == 2


@pytest.mark.parametrize(
    ("answer", "permanent", "pause"),
    [
        pytest.param(_problem(409, "concurrent_idempotent_requests"), False, None, id="under-way"),
        pytest.param(_problem(409, "invalid_idempotent_request"), True, None, id="other-text"),
        pytest.param(_problem(403, "invalid_api_key"), True, None, id="key"),
        pytest.param(_problem(422, "validation_error"), True, None, id="invalid"),
        pytest.param(
            Answer(status=429, headers={"retry-after": "1", "ratelimit-limit": "5"}),
            False,
            timedelta(seconds=1),
            id="limited",
        ),
        pytest.param(_problem(500, "application_error"), False, None, id="down"),
    ],
)
async def test_what_resend_answers_is_understood(
    client: http.Client,
    hook: receiver.Receiver,
    answer: Answer,
    pause: timedelta | None,
    *,
    permanent: bool,
) -> None:
    hook.answers(answer)
    delivery = await by_resend(client, hook).send(opened())
    assert (delivery.delivered, delivery.permanent) == (False, permanent)
    assert delivery.retry_after == pause


async def test_a_key_that_is_repeated_by_the_answer_is_not_shown(
    client: http.Client, hook: receiver.Receiver
) -> None:
    hook.answers(Answer(status=401, body=b"re_123456789 is unknown"))
    delivery = await by_resend(client, hook).send(opened())
    assert delivery.error == "127.0.0.1 answered 401 Unauthorized: *** is unknown"


def _part(mail: mailserver.Mail, kind: str) -> str:
    part = mail.message.get_body((kind,))
    assert part is not None
    return str(part.get_content())
