import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import http1, sockets


def fields(text: bytes) -> http1.Fields:
    return http1.fields(io.BytesIO(text))


def test_a_request_line_is_a_method_and_a_target() -> None:
    assert http1.request_line("GET /run?wait=5s HTTP/1.1") == ("GET", "/run?wait=5s")
    assert http1.request_line("BREW x HTTP/1.0") == ("BREW", "x")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET",
        "GET /run",
        "GET  HTTP/1.1",
        "GET /a b HTTP/1.1",
        "G(T /run HTTP/1.1",
        "GET /run HTTP/9.9",
        "GET /run HTTP/2",
        "GET /run http/1.1",
    ],
)
def test_other_lines_are_no_requests(line: str) -> None:
    with pytest.raises(http1.Malformed):
        http1.request_line(line)


def test_a_status_line_is_a_status() -> None:
    assert http1.status_line("HTTP/1.1 200 OK") == 200
    assert http1.status_line("HTTP/1.0 503") == 503


@pytest.mark.parametrize(
    "line", ["", "HTTP/1.1", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/2 200", "ICY 200 OK", "200"]
)
def test_other_lines_are_no_answers(line: str) -> None:
    with pytest.raises(http1.Malformed):
        http1.status_line(line)


def test_fields_have_small_names_and_plain_values() -> None:
    head = b"Host: x\r\nCONTENT-type:  a; b\t\r\nX:\r\nTwice: 1\nTwice: 2\r\n\r\nbody"
    assert fields(head) == {"host": "x", "content-type": "a; b", "x": "", "twice": "1, 2"}


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Host: x\r\n", id="ended early"),
        pytest.param(b"Host: x", id="half a line"),
        pytest.param(b"Host\r\n\r\n", id="no colon"),
        pytest.param(b": x\r\n\r\n", id="no name"),
        pytest.param(b"Host : x\r\n\r\n", id="a space before the colon"),
        pytest.param(b"Host: x\r\n more\r\n\r\n", id="folded"),
        pytest.param(b"Host: x\x00\r\n\r\n", id="NUL"),
        pytest.param(b"Host: x\ry\r\n\r\n", id="half of a line's end"),
        pytest.param(b"X: " + b"x" * 70_000 + b"\r\n\r\n", id="a line without end"),
    ],
)
def test_what_is_no_header_is_malformed(head: bytes) -> None:
    with pytest.raises(http1.Malformed):
        fields(head)


def test_a_hundred_fields_are_enough() -> None:
    head = b"".join(b"X-%d: y\r\n" % number for number in range(100))
    assert len(fields(head + b"\r\n")) == 100
    with pytest.raises(sockets.TooLarge):
        fields(b"One: more\r\n" + head + b"\r\n")


def test_a_peer_that_leaves_without_a_word_said_nothing_wrong() -> None:
    with pytest.raises(ConnectionError):
        http1.start_line(io.BytesIO())


@given(
    st.sampled_from([http1.start_line, http1.fields, lambda stream: http1.chunks(stream, 100)]),
    st.binary()
    | st.lists(st.sampled_from([b"5\r\n", b"a", b": ", b"\r\n", b"0", b";"])).map(b"".join),
)
def test_nothing_is_too_odd(read: Callable[[io.BytesIO], object], content: bytes) -> None:
    try:
        read(io.BytesIO(content))
    except (http1.Malformed, sockets.TooLarge, ConnectionError) as error:
        assert "\r" not in str(error)  # noqa: PT017 - anything may be refused, in words
