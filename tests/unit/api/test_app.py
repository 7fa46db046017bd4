"""What the ingest API answers, with the use case told what to do."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.api import app
from rollcall.core import errors, executions
from rollcall.services import ingest, limits, ports, reporters, told
from support import builders, reporting, said

ID = UUID("019a0000-0000-8000-8000-000000000001")


def identity(**changes: object) -> ports.Identity:
    values: dict[str, object] = {"execution_id": ID, "job_name": "report-1", "attempt": 2}
    return said.identity(builders.execution(), **(values | changes))


class Told(ingest.Ingest):
    """Answers what it was told; keeps the tokens and the outcomes."""

    def __init__(self, answer: ports.Identity | Exception | None = None) -> None:
        self.answer = answer or identity()
        self.tokens: list[str] = []
        self.outcomes: list[str] = []
        self.on_outcome = self.outcomes.append

    @override
    async def report(
        self, token: str, told: told.Told, *, wants_run: bool = False
    ) -> ingest.Answer:
        self.tokens.append(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        return ingest.Answer(identity=self.answer)


async def post(told: Told, content: bytes | None = None, **changes: object) -> httpx.Response:
    body = json.dumps(reporting.report(**changes)).encode() if content is None else content
    async with reporting.client(app.ingest_app(told)) as http:
        return await reporting.send(http, body)


async def test_a_report_is_acknowledged_with_its_run() -> None:
    told = Told()
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


async def test_a_body_of_unknown_length_is_cut_off_where_it_is_too_large() -> None:
    told, sent = Told(), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 64 * 1024

    # The transport would read all of it before the application starts.
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    answers: list[Any] = []

    async def collect(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
        answers.append(message)

    chunks = endless()
    await app.ingest_app(told)(_scope(), receive, collect)
    assert answers[0]["status"] == 413
    assert sent == 5


async def test_a_body_that_does_not_come_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "READ_WITHIN", 0.01)
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def collect(message: Any) -> None:  # noqa: ANN401
        answers.append(message)

    told = Told()
    await app.ingest_app(told)(_scope(), receive, collect)
    assert (answers[0]["status"], told.outcomes) == (408, ["invalid"])


async def test_who_hangs_up_is_no_fault_of_ours() -> None:
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def collect(message: Any) -> None:  # noqa: ANN401
        answers.append(message)

    told = Told()
    await app.ingest_app(told)(_scope(), receive, collect)
    assert (answers[0]["status"], told.outcomes) == (400, ["invalid"])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer  ")],
        [("Authorization", "Basic Z29vZA==")],
        [("Authorization", "good")],
        [("Authorization", "Bearer good"), ("Authorization", "Bearer other")],
    ],
    ids=["none", "empty", "scheme-only", "blank", "basic", "no-scheme", "two"],
)
async def test_who_shows_no_token_is_asked_for_one(headers: list[tuple[str, str]]) -> None:
    told = Told()
    async with reporting.client(app.ingest_app(told)) as http:
        response = await http.post(reporting.PATH, json=reporting.report(), headers=headers)
    assert reporting.is_problem(response, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="rollcall"'
    assert (told.tokens, told.outcomes) == ([], ["unauthenticated"])


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


@pytest.mark.parametrize(("fault", "status", "retry_after", "outcome"), FAULTS, ids=str)
async def test_each_fault_has_its_answer(
    fault: Exception, status: int, retry_after: str | None, outcome: str
) -> None:
    told = Told(fault)
    response = await post(told)
    assert reporting.is_problem(response, status)
    assert response.headers.get("retry-after") == retry_after
    assert told.outcomes == [outcome]
    assert "password" not in response.text
    assert "secret" not in response.text


async def test_a_refused_token_is_called_invalid() -> None:
    response = await post(Told(reporters.Unauthenticated("not valid")))
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_an_outage_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(errors.StoreUnavailable("down"))
    async with reporting.client(app.ingest_app(told)) as http:
        for _ in range(30):
            await reporting.send(http)
    lines = [one for one in caplog.records if one.getMessage() == "reports not kept"]
    assert len(lines) == 1


async def test_health_needs_no_token() -> None:
    async with reporting.client(app.ingest_app(Told())) as http:
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
    async with reporting.client(app.ingest_app(Told())) as http:
        response = await http.request(method, path)
    assert reporting.is_problem(response, status)
    assert "POST /ingest/v1/reports" in response.json()["detail"]
    assert response.headers.get("allow") == allowed


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": reporting.PATH,
        "headers": [(b"authorization", b"Bearer good")],
        "query_string": b"",
    }
