"""Reading answers, whatever pieces they come in."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.cluster import http11

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: now\r\n\r\n"
    b'6;x=y\r\n{"a": \r\n2\r\n1}\r\n0\r\nDate: later\r\n\r\n'
)
SIZED = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nX-Other: 1\r\nEmpty:\r\n\r\n{}"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nDate: 103\r\n\r\n" + SIZED
EMPTY = b"HTTP/1.1 204 No Content\r\nRetry-After: 7\r\n\r\n"
LAST = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"
TILL_THE_END = b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>bad</html>"

EXPECTED = {
    CHUNKED: (200, {"Transfer-Encoding": "chunked", "Date": "now"}, b'{"a": 1}'),
    SIZED: (404, {"Content-Length": "2"}, b"{}"),
    INTERIM: (404, {"Content-Length": "2"}, b"{}"),
    EMPTY: (204, {"Retry-After": "7"}, b""),
    LAST: (503, {"Content-Length": "4"}, b"busy"),
}


def read(reader: http11.Reader, *pieces: bytes) -> http11.Answer | None:
    answer = None
    for piece in pieces:
        answer = reader.feed(piece)
    return answer


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({cut % len(data) for cut in cuts} - {0}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(
    answers=st.lists(st.sampled_from([CHUNKED, SIZED, INTERIM, EMPTY]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 500), max_size=12),
)
def test_a_series_of_answers_is_read_the_same_in_whatever_pieces_it_comes(
    answers: list[bytes], cuts: list[int]
) -> None:
    reader = http11.Reader()
    for data in answers:
        reader.begin()
        *first, last = pieces_of(data, cuts)
        assert all(reader.feed(piece) is None for piece in first)
        assert reader.feed(last) == http11.Answer(*EXPECTED[data])
        assert reader.is_reusable


@pytest.mark.parametrize("data", EXPECTED)
def test_an_answer_is_read_byte_by_byte(data: bytes) -> None:
    answer = read(http11.Reader(), *(data[i : i + 1] for i in range(len(data))))
    assert answer == http11.Answer(*EXPECTED[data])


def test_a_server_that_will_close_is_not_asked_again() -> None:
    reader = http11.Reader()
    assert read(reader, LAST)
    assert not reader.is_reusable


@pytest.mark.parametrize("more", [SIZED, b"HTTP/1.1 2", b"garbage"])
def test_what_follows_an_answer_unasked_does_not_change_it_and_ends_the_connection(
    more: bytes,
) -> None:
    reader = http11.Reader()
    assert read(reader, SIZED + more) == http11.Answer(*EXPECTED[SIZED])
    assert not reader.is_reusable


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = http11.Reader()
    assert read(reader, TILL_THE_END) is None
    assert reader.end() == http11.Answer(502, {}, b"<html>bad</html>")
    assert not reader.is_reusable


@pytest.mark.parametrize("data", [CHUNKED, SIZED, TILL_THE_END[:20]])
def test_a_body_that_has_a_length_does_not_end_before_it(data: bytes) -> None:
    reader = http11.Reader()
    read(reader, data[:-1])
    assert reader.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n\x00\x00",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_an_error_at_once(data: bytes) -> None:
    with pytest.raises(http11.Broken, match=r"not HTTP/1\.1"):
        read(http11.Reader(), data)


@pytest.mark.parametrize(
    "piece", [b"X: y\r\n" * 100, b"x" * 1000], ids=["many headers", "one header"]
)
def test_a_head_that_does_not_end_is_an_error(piece: bytes) -> None:
    reader = http11.Reader()
    with pytest.raises(http11.Broken, match="head of its answer is larger than 65536"):
        read(reader, b"HTTP/1.1 200 OK\r\nX: ", *[piece] * 1000)
    assert reader.size <= http11.LARGEST_HEAD + len(piece)


def test_interim_answers_without_end_are_an_error() -> None:
    with pytest.raises(http11.Broken, match="larger"):
        read(http11.Reader(), *[b"HTTP/1.1 100 Continue\r\n\r\n"] * 10_000)


@pytest.mark.parametrize("head", [b"Content-Length: 100000", b"Connection: close"])
def test_a_body_that_is_too_large_is_an_error(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http11, "LARGEST", 5000)
    reader = http11.Reader()
    with pytest.raises(http11.Broken, match="its answer is larger than 5000"):
        read(reader, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", *[b"x" * 100] * 1000)
    assert reader.size < 5200
