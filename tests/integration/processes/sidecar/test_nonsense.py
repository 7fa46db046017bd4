"""Requests of all kinds to a real process: every answer is ours, and none is a 5xx."""

import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollcall_sidecar import kinds
from support import sidecars

PATHS = [*kinds.KINDS, "/", "/run", "/healthz", "/nowhere"]
FIELDS = sorted({name for kind in kinds.KINDS.values() for name in kind.fields})
KINDS_OF_BODY = ["application/json", "application/x-www-form-urlencoded", "text/plain", "x"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FORMS = st.lists(
    st.tuples(st.sampled_from([*FIELDS, "counters.a", "metadata.b"]) | st.text(), st.text())
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
BODIES = st.binary() | st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), VALUES).map(json.dumps), FORMS
).map(lambda text: text.encode("utf-8", "surrogatepass"))
ONE_PROCESS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)


@pytest.fixture
def sidecar(start: sidecars.Start) -> sidecars.Sidecar:
    """Start one that reports to nobody: the loopback API is the same."""
    return start(ingest_url="")


@ONE_PROCESS
@given(
    path=st.sampled_from(PATHS),
    query=st.sampled_from(["", "?wait=0s", "?wait=", "?wait=-5s", "?x=1", "?", "?%", "??"]),
    method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "BREW"]),
    kind=st.sampled_from(KINDS_OF_BODY),
    body=BODIES,
)
def test_no_request_is_answered_with_a_5xx(
    sidecar: sidecars.Sidecar, *, path: str, query: str, method: str, kind: str, body: bytes
) -> None:
    answer = sidecar.ask(path + query, method=method, body=body, headers={"Content-Type": kind})
    assert 200 <= answer.status < 500
    assert answer.body
    if answer.status >= 400:
        assert answer.json["detail"]


@ONE_PROCESS
@given(path=st.sampled_from(sorted(kinds.KINDS)), fields=st.dictionaries(st.text(), VALUES))
def test_every_post_is_taken_or_refused_with_a_reason(
    sidecar: sidecars.Sidecar, path: str, fields: dict[str, object]
) -> None:
    answer = sidecar.post(path, **fields)
    assert answer.status in {202, 400, 413, 422, 429}
    assert "unexpected" not in sidecar.stderr


@ONE_PROCESS
@given(content=st.binary(min_size=1) | st.text(min_size=1).map(str.encode))
def test_what_is_not_even_http_is_answered_or_closed(
    sidecar: sidecars.Sidecar, content: bytes
) -> None:
    with sidecar.connect() as stream:
        stream.sendall(content)
        stream.shutdown(socket.SHUT_WR)
        answer = stream.recv(65536)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert "unexpected" not in sidecar.stderr


@ONE_PROCESS
@given(
    head=st.lists(
        st.sampled_from(
            [
                "Content-Length: 5",
                "Content-Length: -5",
                "Content-Length: 5\r\nContent-Length: 6",
                "Content-Length: 99999999999999999999",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: gzip, chunked",
                "Expect: 100-continue",
                "Expect: miracles",
                "Content-Encoding: gzip",
                "Content-Type: multipart/form-data; boundary=x",
                "Content-Type: application/json; charset=utf-16",
                ": no name",
                "folded:\r\n more",
            ]
        ),
        max_size=4,
    ),
    body=st.sampled_from([b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"-1\r\n", b"ffffffff\r\n"]),
)
def test_no_framing_of_a_body_is_too_odd(
    sidecar: sidecars.Sidecar, head: list[str], body: bytes
) -> None:
    lines = ["POST /error HTTP/1.1", "Host: x", *head, "", ""]
    with sidecar.connect() as stream:
        stream.sendall("\r\n".join(lines).encode() + body)
        stream.shutdown(socket.SHUT_WR)
        answer = stream.recv(65536)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 202 ", b"HTTP/1.1 100 "))
    assert "unexpected" not in sidecar.stderr
