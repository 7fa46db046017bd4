"""What the API server's answers mean."""

import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest

from rollcall.cluster import client, credentials
from rollcall.core import errors
from support import nowhere, rawserver


def decode(status: int, body: object = None, **headers: str) -> client.Object:
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.decode("GET", "/api", status, renamed, data)


def failure(message: str = "no", reason: str = "") -> dict[str, str]:
    return {"kind": "Status", "message": message, "reason": reason}


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (404, "not found", errors.NotFound),
        (409, "already exists", errors.Conflict),
        (422, 'metadata.uid: Invalid value: "x": field is immutable', errors.Conflict),
        (422, "spec.schedule: Invalid value", errors.Refused),
        (400, "strict decoding error", errors.Refused),
        (403, "forbidden", errors.Refused),
        (401, "Unauthorized", errors.ClusterUnavailable),
        (410, "the provided continue parameter is too old", errors.ClusterUnavailable),
        (429, "too many requests", errors.ClusterUnavailable),
        (500, "etcdserver: leader changed", errors.ClusterUnavailable),
        (
            500,
            "failed to create typed patch object (…): .spec.x: field not declared",
            errors.Refused,
        ),
        (500, "failed to convert new object (…): quantities must match", errors.Refused),
        (503, "the server is currently unable", errors.ClusterUnavailable),
        (504, "timeout", errors.ClusterUnavailable),
    ],
)
def test_a_status_becomes_our_error_with_the_servers_words(
    status: int, message: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        decode(status, failure(message))
    assert type(raised.value) is error
    assert message in str(raised.value)


def test_a_refusal_keeps_status_and_reason() -> None:
    with pytest.raises(errors.Refused) as raised:
        decode(403, failure("no", "Forbidden"))
    assert (raised.value.status, raised.value.reason) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)]
)
def test_the_pause_that_a_server_asks_for_is_kept(header: str, seconds: float | None) -> None:
    with pytest.raises(errors.ClusterUnavailable) as raised:
        decode(429, failure(), Retry_After=header)
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"\xff\xfe", b"", b"[1]", b'"x"'])
@pytest.mark.parametrize("status", [200, 404, 502])
def test_an_answer_that_is_no_object_never_breaks_us(status: int, body: bytes) -> None:
    if status == 200:
        assert isinstance(decode(status, body), dict)
    else:
        with pytest.raises(errors.RollcallError):
            decode(status, body)


def test_the_servers_clock_is_read_from_its_answers() -> None:
    said = client.date_of({"Date": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert said == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "yesterday", "Wed, 21 Oct 2026 07:28:00"])
def test_a_clock_that_cannot_be_read_is_none(value: str) -> None:
    assert client.date_of({"Date": value}) is None
    assert client.date_of({}) is None


DENIED = errors.Refused('jobs is forbidden: User "we" cannot list resource "jobs"', status=403)
NOT_READY = errors.ClusterUnavailable("GET /readyz: HTTP 500")


class Scripted(client.KubeClient):
    """Gets these answers, one after the other."""

    def __init__(self, *answers: client.Object | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def _send(self, method: str, path: str, *_: object, **__: object) -> client.Object:
        self.asked.append(f"{method} {path}")
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_an_api_server_that_is_not_ready_denies_no_right() -> None:
    kube = Scripted(DENIED, NOT_READY)
    with pytest.raises(errors.ClusterUnavailable):
        await kube.get("/jobs")
    kube = Scripted(DENIED, {}, {"items": []})
    assert await kube.get("/jobs") == {"items": []}
    assert kube.asked == ["GET /jobs", "GET /readyz", "GET /jobs"]


async def test_a_right_that_a_ready_api_server_denies_is_refused() -> None:
    with pytest.raises(errors.Refused):
        await Scripted(DENIED, {}, DENIED).get("/jobs")


async def test_a_quota_is_no_right_and_is_asked_once() -> None:
    kube = Scripted(errors.Refused("pods is forbidden: exceeded quota: none", status=403))
    with pytest.raises(errors.Refused):
        await kube.create("/pods", {})
    assert kube.asked == ["POST /pods"]


async def test_each_request_is_counted_also_one_that_fails() -> None:
    asked: list[str] = []
    async with client.KubeClient(nowhere.access(), on_request=asked.append) as api:
        with pytest.raises(errors.ClusterUnavailable):
            await api.get("/api")
    assert asked == ["GET"]


async def test_a_request_shows_who_we_are_and_says_what_it_carries() -> None:
    async def answer(peer: rawserver.Peer) -> None:
        while request := await peer.request():
            asked.append(request)
            now = "Date: Wed, 21 Oct 2026 07:28:00 GMT"
            await peer.send(rawserver.ok(b'{"kind": "Job"}', now))

    async def secret() -> str | None:
        return "Bearer secret"

    asked: list[rawserver.Request] = []
    async with rawserver.serving(answer) as server:
        for by in (secret, nowhere.nobody):
            access = credentials.Credentials(host=server.access().host, tls=None, authorization=by)
            async with client.KubeClient(access) as kube:
                created = await kube.merge("/jobs/a b", {"spec": "\u00e9"}, manager="a/b")
                assert created == {"kind": "Job"}
                assert kube.server_time == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
    target = "/jobs/a%20b?fieldManager=a%2Fb&fieldValidation=Ignore"
    body = '{"spec":"\u00e9"}'.encode()
    assert [(one.method, one.target, one.body) for one in asked] == [("PATCH", target, body)] * 2
    assert {one.headers["content-type"] for one in asked} == {client.MERGE}
    assert [one.headers.get("authorization") for one in asked] == ["Bearer secret", None]


@pytest.mark.parametrize("path", ["/a\r\nX: y", "/a b", "/\u00e4", "/a#b", '/"<>`'], ids=ascii)
async def test_no_path_breaks_a_request(path: str) -> None:
    asked: list[str] = []

    async def answer(peer: rawserver.Peer) -> None:
        while request := await peer.request():
            assert "x" not in request.headers
            asked.append(unquote(request.target))
            await peer.send(rawserver.ok())

    async with rawserver.serving(answer) as server, client.KubeClient(server.access()) as kube:
        assert await kube.get(path) == {}
    assert asked == [path]


@pytest.mark.parametrize("token", ["a\r\nX: y", "a\nb", "\u00e4", "a\x00b"], ids=ascii)
async def test_a_token_that_no_header_can_have_is_not_sent(token: str) -> None:
    async def authorization() -> str | None:
        return f"Bearer {token}"

    async with rawserver.serving(rawserver.always(rawserver.ok())) as server:
        host = server.access().host
        access = credentials.Credentials(host=host, tls=None, authorization=authorization)
        async with client.KubeClient(access) as kube:
            with pytest.raises(errors.ClusterUnavailable, match="our token has characters"):
                await kube.get("/api")
        assert server.peers == []


@pytest.mark.parametrize("location", ["https://login.example", ""])
def test_a_redirect_is_not_followed(location: str) -> None:
    with pytest.raises(errors.Refused, match=location or "nowhere") as raised:
        decode(302, b"<a>Found</a>", Location=location)
    assert raised.value.status == 302
