"""What the ingest API answers, with the use case told what to do."""

import asyncio
import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

import httpx
import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.api import app
from rollcall.core import errors, executions
from rollcall.core import reporting as values
from rollcall.services import ingest, limits, ports, reporters, told
from rollcall.serving import messages
from support import builders, reporting, said, wire

ID = UUID("019a0000-0000-8000-8000-000000000001")


def identity(**changes: object) -> ports.Identity:
    values: dict[str, object] = {"execution_id": ID, "job_name": "report-1", "attempt": 2}
    return said.identity(builders.execution(), **(values | changes))


class Told(ingest.Ingest):
    """Answers what it was told; keeps the tokens and the outcomes."""

    def __init__(
        self, answer: ports.Identity | Exception | None = None, *, is_known: bool = False
    ) -> None:
        self.answer = answer or identity()
        self.is_known = is_known
        self.tokens: list[str] = []
        self.outcomes: list[str] = []
        self.on_outcome = self.outcomes.append

    @override
    def known(self, token: str) -> ports.Identity | None:
        if not self.is_known:
            return None
        self.tokens.append(token)
        return self.answer if isinstance(self.answer, ports.Identity) else identity()

    @override
    def submit(self, identity: ports.Identity, told: told.Told, hear: told.Hear) -> None:
        hear(self.answer if isinstance(self.answer, Exception) else values.Kept())

    @override
    async def report(
        self, token: str, told: told.Told, wants: Collection[values.Want] = ()
    ) -> ingest.Answer:
        self.tokens.append(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        return ingest.Answer(identity=self.answer)


async def post(told: Told, content: bytes | None = None, **changes: object) -> httpx.Response:
    body = json.dumps(reporting.report(**changes)).encode() if content is None else content
    async with reporting.client(app.IngestApp(told)) as http:
        return await reporting.send(http, body)


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
async def test_a_report_is_acknowledged_with_its_run(*, is_known: bool) -> None:
    told = Told(is_known=is_known)
    response = await post(told, seq=41)
    assert response.status_code == 200
    assert response.json() == {
        "v": 1,
        "acknowledged": 41,
        "execution": {
            "id": str(ID),
            "cronjob": "report",
            "namespace": "shop",
            "jobName": "report-1",
            "slotTime": "2026-03-02T12:00:00Z",
            "trigger": "schedule",
            "attempt": 2,
        },
    }
    assert (told.tokens, told.outcomes) == (["good"], ["acknowledged"])


async def test_a_run_by_hand_belongs_to_no_slot() -> None:
    response = await post(Told(identity(trigger=executions.Trigger.MANUAL)))
    assert response.json()["execution"]["slotTime"] is None


async def test_a_newer_sidecar_may_say_more() -> None:
    response = await post(Told(), final=True, mood={"good": 1, "of": [2, 3]})
    assert response.json()["acknowledged"] == 7


NAN = b'{"v":1,"seq":NaN,"sentAt":"x","startedAt":"y","heartbeat":{}}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"{",
        b"seq=1&v=1",
        b'{"v":1}{"v":1}',
        NAN,
        b"[" * 100_000,
        b'{"v":1,"x":' + b"[" * 60_000,
        b'{"v":1,"seq":"\xed\xa0\x80"}',
    ],
    ids=["empty", "bytes", "cut", "form", "two", "nan", "deep", "deep-unknown", "surrogate"],
)
async def test_what_is_not_json_is_refused(content: bytes) -> None:
    told = Told()
    response = await post(told, content)
    assert response.status_code in {400, 422}
    assert reporting.is_problem(response, response.status_code)
    assert (told.tokens, told.outcomes) == ([], ["invalid"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seq": 0}, "$.seq"),
        ({"seq": "7"}, "$.seq"),
        ({"seq": 7.5}, "$.seq"),
        ({"seq": True}, "$.seq"),
        ({"seq": 2**53}, "$.seq"),
        ({"seq": 10**400}, ""),
        ({"sentAt": "yesterday"}, "$.sentAt"),
        ({"sentAt": "2026-03-02T12:00:00"}, "$.sentAt"),
        ({"startedAt": 5}, "$.startedAt"),
        ({"heartbeat": None}, "$.heartbeat"),
        ({"heartbeat": {}}, "uptimeSeconds"),
        ({"heartbeat": {"uptimeSeconds": -1}}, "$.heartbeat.uptimeSeconds"),
        ({"final": "yes"}, "$.final"),
        ({"v": None}, "$.v"),
        ({"v": "1"}, "$.v"),
    ],
    ids=str,
)
async def test_a_field_that_does_not_fit_is_named(changes: dict[str, Any], says: str) -> None:
    response = await post(Told(), **changes)
    assert response.status_code in {400, 422}
    assert reporting.is_problem(response, response.status_code)
    assert says in response.json()["detail"]


@pytest.mark.parametrize("content", [b"null", b"[]", b"7", b'"x"', b"{}"], ids=str)
async def test_what_is_no_report_is_refused(content: bytes) -> None:
    assert reporting.is_problem(await post(Told(), content), 422)


@pytest.mark.parametrize("version", [0, 2, -1, 99])
async def test_another_version_is_told_which_one_is_accepted(version: int) -> None:
    body = json.dumps({"v": version, "whatever": "it has"}).encode()
    response = await post(Told(), body)
    assert reporting.is_problem(response, 400)
    assert f"v {version} is not supported; this api accepts v 1" == response.json()["detail"]


async def test_a_body_of_256_kib_is_the_largest() -> None:
    told = Told()
    largest = json.dumps(reporting.report()).encode().ljust(256 * 1024)
    assert (await post(told, largest)).status_code == 200
    assert reporting.is_problem(await post(told, largest + b" "), 413)
    assert told.outcomes == ["acknowledged", "too_large"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Basic Z29vZA==")],
        [("Authorization", "good")],
        [("Authorization", "Bearer good"), ("Authorization", "Bearer other")],
    ],
    ids=["none", "empty", "scheme-only", "basic", "no-scheme", "two"],
)
async def test_who_shows_no_token_is_asked_for_one(headers: list[tuple[str, str]]) -> None:
    told = Told()
    async with reporting.client(app.IngestApp(told)) as http:
        response = await http.post(reporting.PATH, json=reporting.report(), headers=headers)
    assert reporting.is_problem(response, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="rollcall"'
    assert (told.tokens, told.outcomes) == ([], ["unauthenticated"])


async def test_blanks_are_no_token() -> None:
    told = Told()
    peer = wire.Peer(wire.Room(app.IngestApp(told), app.LIMITS))
    peer.sends(b"POST /ingest/v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer   \r\n\r\n")
    assert [status for status, _ in peer.answers()] == [401]


FAULTS: list[Any] = [
    (reporters.Unauthenticated("not valid"), 401, None, "unauthenticated"),
    (reporters.Forbidden("no pod of ours"), 403, None, "forbidden"),
    (errors.StoreUnavailable("password of host db"), 503, "5", "unavailable"),
    (errors.ClusterUnavailable("down", retry_after=0.2), 503, "1", "unavailable"),
    (errors.Unavailable("not yet", retry_after=1.5), 503, "2", "unavailable"),
    (TimeoutError(), 503, "5", "unavailable"),
    (limits.TooMany("20 reports a second", retry_after=2.5), 429, "3", "too_many"),
    (errors.Unstorable("secret"), 422, None, "invalid"),
    (ValueError("secret"), 500, None, "error"),
]


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize(("fault", "status", "retry_after", "outcome"), FAULTS, ids=str)
async def test_each_fault_has_its_answer(
    fault: Exception, status: int, retry_after: str | None, outcome: str, *, is_known: bool
) -> None:
    told = Told(fault, is_known=is_known)
    response = await post(told)
    assert reporting.is_problem(response, status)
    assert response.headers.get("retry-after") == retry_after
    assert told.outcomes == [outcome]
    assert "password" not in response.text
    assert "secret" not in response.text


async def test_who_sends_too_much_is_told_later_and_listened_to_no_more_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "TOO_MANY_AFTER", 0.02)
    told = Told(limits.TooMany("20 reports a second", retry_after=1), is_known=True)
    body = json.dumps(reporting.report()).encode()
    head = b"POST /ingest/v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n"
    peer = wire.Peer(wire.Room(app.IngestApp(told), app.LIMITS))
    peer.sends(2 * (head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)))
    assert (peer.answers(), told.tokens) == ([], ["good"])
    await asyncio.sleep(0.2)
    assert [status for status, _ in peer.answers()] == [429, 429]
    assert told.tokens == ["good", "good"]


async def test_a_refused_token_is_called_invalid() -> None:
    response = await post(Told(reporters.Unauthenticated("not valid")))
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_an_outage_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(errors.StoreUnavailable("down"))
    async with reporting.client(app.IngestApp(told)) as http:
        for _ in range(30):
            await reporting.send(http)
    lines = [one for one in caplog.records if one.getMessage() == "reports not kept"]
    assert len(lines) == 1


async def test_health_needs_no_token() -> None:
    async with reporting.client(app.IngestApp(Told())) as http:
        response = await http.get("/healthz")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert (await http.head("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/ingest/v1/reports", 405, "POST"),
        ("POST", "/healthz", 405, "GET, HEAD"),
        ("POST", "/ingest/v2/reports", 404, None),
        ("GET", "/", 404, None),
    ],
)
async def test_what_does_not_exist_is_a_problem_too(
    method: str, path: str, status: int, allowed: str | None
) -> None:
    async with reporting.client(app.IngestApp(Told())) as http:
        response = await http.request(method, path)
    assert reporting.is_problem(response, status)
    assert "POST /ingest/v1/reports" in response.json()["detail"]
    assert response.headers.get("allow") == allowed


class Never(Told):
    """Knows what became of a report only when it is too late."""

    def __init__(self, *, is_known: bool) -> None:
        super().__init__(is_known=is_known)
        self.hear: told.Hear = str
        self.was_given_up = False

    @override
    def submit(self, identity: ports.Identity, told: told.Told, hear: told.Hear) -> None:
        self.hear = hear

    @override
    async def report(
        self, token: str, told: told.Told, wants: Collection[values.Want] = ()
    ) -> ingest.Answer:
        try:
            await asyncio.sleep(60)
        finally:
            self.was_given_up = True
        raise AssertionError


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
async def test_what_is_not_kept_in_time_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    monkeypatch.setattr(app, "ANSWER_WITHIN", 0.05)
    told = Never(is_known=is_known)
    response = await post(told)
    assert reporting.is_problem(response, 503)
    assert response.headers["retry-after"] == "5"
    told.hear(values.Kept())  # too late
    await asyncio.sleep(0)
    assert told.outcomes == ["unavailable"]
    assert told.was_given_up is not is_known


class Asked(Told):
    """Keeps on which way reports came."""

    def __init__(self) -> None:
        super().__init__(is_known=True)
        self.ways: list[str] = []

    @override
    def submit(self, identity: ports.Identity, told: told.Told, hear: told.Hear) -> None:
        self.ways.append("at once")
        super().submit(identity, told, hear)

    @override
    async def report(
        self, token: str, told: told.Told, wants: Collection[values.Want] = ()
    ) -> ingest.Answer:
        self.ways.append("with a task")
        return await super().report(token, told, wants)


async def test_only_who_asks_for_more_waits_for_itself() -> None:
    told = Asked()
    await post(told)
    await post(told, want=["run"])
    assert told.ways == ["at once", "with a task"]


async def test_a_fault_of_a_connection_is_a_problem_and_counts_where_reports_go() -> None:
    told = Told()
    async with reporting.client(app.IngestApp(told)) as http:
        response = await http.post("/elsewhere", content=b" " * (256 * 1024 + 1))
    assert reporting.is_problem(response, 413)
    assert told.outcomes == []


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
async def test_an_answer_that_cannot_be_written_is_a_fault_of_ours(*, is_known: bool) -> None:
    told = Told(identity(attempt=object()), is_known=is_known)
    assert reporting.is_problem(await post(told), 500)
    assert told.outcomes == ["error"]


def test_a_report_that_waits_is_not_kept_as_it_came_as_well() -> None:
    held: list[messages.Exchange] = []

    class Keeping(app.IngestApp):
        @override
        def answer(self, exchange: messages.Exchange) -> None:
            super().answer(exchange)
            held.append(exchange)

    asyncio.run(_send_one(Keeping(Never(is_known=True))))
    assert [exchange.body for exchange in held] == [b""]
    assert not held[0].is_answered


async def _send_one(served: app.IngestApp) -> None:
    peer = wire.Peer(wire.Room(served, app.LIMITS))
    body = json.dumps(reporting.report()).encode()
    head = b"POST /ingest/v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n"
    peer.sends(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


def test_who_sends_while_too_much_is_coming_is_told_when_to_come_back() -> None:
    room = wire.Room(app.IngestApp(Told()), app.LIMITS)
    room.held = app.LIMITS.most_held
    peer = wire.Peer(room)
    peer.sends(b"POST /ingest/v1/reports HTTP/1.1\r\nHost: a\r\n")
    assert [status for status, _ in peer.answers()] == [503]
    assert b"retry-after: 5\r\n" in peer.pipe.written
