"""One connection: what is asked in whatever way, and what is answered."""

import dataclasses
import gc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.serving import connection, limits, messages
from support import wire

HOST = b"Host: here\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def request(
    path: bytes = b"/a", *, method: bytes = b"GET", more: bytes = b"", body: bytes = b""
) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return b"%s %s HTTP/1.1\r\n%s%s%s\r\n%s" % (method, path, HOST, length, more, body)


def peer(later: str = "/later", **limit: float) -> wire.Peer:
    chosen = dataclasses.replace(limits.Limits(largest_body=1_000), **limit)
    return wire.Peer(wire.Room(wire.Echo(later), chosen))


def seen(one: wire.Peer) -> list[messages.Exchange]:
    assert isinstance(one.room.application, wire.Echo)
    return one.room.application.seen


def test_an_answer_is_whole_and_has_a_date() -> None:
    one = peer()
    assert one.sends(request(b"/a?x=1")) == (
        b"HTTP/1.1 200 OK\r\n"
        b"date: Mon, 02 Mar 2026 12:00:00 GMT\r\n"
        b"content-type: application/json\r\n"
        b"content-length: 7\r\n"
        b"\r\n"
        b"GET /a "
    )
    assert not one.pipe.is_shut


def test_head_is_told_the_length_alone() -> None:
    written = peer().sends(request(method=b"HEAD"))
    assert b"content-length: 8\r\n" in written
    assert written.endswith(b"\r\n\r\n")


def test_a_body_comes_in_one_piece_or_many() -> None:
    chunks = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    for content in (
        request(method=b"POST", body=b"abcde"),
        b"POST /a HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + chunks,
    ):
        assert peer().sends(content).endswith(b"POST /a abcde")
        bytewise = peer()
        bytewise.sends(*(content[at : at + 1] for at in range(len(content))))
        assert bytewise.answers() == [(200, b"POST /a abcde")]


def test_a_header_behind_the_body_is_none_of_any_request() -> None:
    one = peer()
    chunked = b"POST /a HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n0\r\nAuthorization: evil\r\n\r\n"
    one.sends(chunked + request())
    assert [b"authorization" in exchange.headers for exchange in seen(one)] == [False, False]


def test_a_header_that_comes_twice_is_as_good_as_none() -> None:
    one = peer()
    one.sends(request(more=b"X: 1\r\nx: 2\r\nX: 3\r\nY: 4\r\n"))
    assert (seen(one)[0].headers[b"x"], seen(one)[0].headers[b"y"]) == (messages.TWICE, b"4")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"/a%20b?c=d?e", "/a%20b"),
        (b"http://here:80/a?b", "/a"),
        (b"http://here", "/"),
        (b"*", "*"),
    ],
)
def test_a_path_is_what_was_asked_for_without_its_query(target: bytes, path: str) -> None:
    one = peer()
    one.sends(request(target, method=b"OPTIONS"))
    assert seen(one)[0].path == path


@pytest.mark.parametrize(
    "content",
    [
        request(more=b"Connection: close\r\n"),
        b"GET /a HTTP/1.0\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
    ids=["close", "1.0", "1.0-keep-alive"],
)
def test_who_asks_for_one_answer_gets_one_and_the_end(content: bytes) -> None:
    one = peer()
    written = one.sends(content, request())
    assert b"connection: close\r\n" in written
    assert (one.answers(), one.pipe.is_shut) == ([(200, b"GET /a ")], True)
    assert not one.pipe.is_closing()  # what comes is thrown away until the other side closes


def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    one = peer()
    one.sends(request(b"/1") + request(b"/later") + request(b"/2") + request(b"/3"))
    assert [exchange.path for exchange in seen(one)] == ["/1", "/later"]
    assert not one.pipe.is_reading_now
    wire.Echo().reply(seen(one)[1])
    assert [body for _, body in one.answers()] == [
        b"GET /1 ",
        b"GET /later ",
        b"GET /2 ",
        b"GET /3 ",
    ]
    assert one.pipe.is_reading_now


def test_only_so_many_requests_wait() -> None:
    one = peer()
    most = connection.MOST_WAITING
    one.sends(request(b"/later") + b"".join(request(b"/%d" % n) for n in range(3 * most)))
    wire.Echo().reply(seen(one)[0])
    assert len(one.answers()) == 1 + most
    assert one.pipe.is_shut


def test_the_first_answer_counts() -> None:
    one = peer()
    one.sends(request(b"/later"))
    for _ in range(2):
        wire.Echo().reply(seen(one)[0])
    assert len(one.answers()) == 1


EXPECT = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_who_waits_to_send_its_body_is_called_for_it() -> None:
    one = peer()
    assert one.sends(EXPECT) == CONTINUE
    assert one.sends(b"abc").endswith(b"POST /a abc")


@pytest.mark.parametrize(
    "content",
    [
        EXPECT.replace(b": 3", b": 1001"),
        EXPECT.replace(b"/1.1", b"/1.0"),
        EXPECT.replace(b"100-continue", b"miracles"),
        request(b"/later") + EXPECT,
    ],
    ids=["too-large", "1.0", "other", "not-its-turn"],
)
def test_a_body_is_not_called_for_that_is_not_wanted_or_not_yet(content: bytes) -> None:
    assert CONTINUE not in peer().sends(content)


def test_a_body_that_is_too_large_is_refused_before_it_comes() -> None:
    one = peer()
    one.sends(b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n")
    assert (one.answers(), one.pipe.is_shut) == ([(413, b"BODY_TOO_LARGE")], True)


def test_a_body_of_unknown_length_is_cut_off_where_it_is_too_large() -> None:
    one, sent = peer(), 0
    one.sends(b"POST /a HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n")
    while not one.pipe.written:
        one.sends(b"64\r\n" + b"x" * 100 + b"\r\n")
        sent += 100
    assert (one.answers(), sent) == ([(413, b"BODY_TOO_LARGE")], 1_100)


def test_the_largest_body_is_taken() -> None:
    one = peer()
    one.sends(request(method=b"POST", body=b"x" * 1_000))
    assert one.answers()[0][0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(2_500)) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"%d:\r\n" % n for n in range(300)) + b"\r\n",
    ],
    ids=["target", "header", "headers", "small"],
)
@pytest.mark.parametrize("size", [100, 1_000, 100_000])
def test_a_head_that_is_too_large_is_refused(head: bytes, size: int) -> None:
    one = peer()
    one.sends(*(head[at : at + size] for at in range(0, len(head), size)))
    assert one.answers() == [(431, b"HEAD_TOO_LARGE")]


def test_a_head_that_never_ends_is_refused_while_it_comes() -> None:
    one = peer()
    one.sends(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(20):
        one.sends(b"a" * 1_000)
    assert one.answers() == [(431, b"HEAD_TOO_LARGE")]


def test_a_header_behind_the_body_that_never_ends_is_refused_while_it_comes() -> None:
    one, sent = peer(), 0
    one.sends(b"POST /a HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n0\r\nX: ")
    while not one.pipe.written and sent < 100_000:
        one.sends(b"a" * 1_000)
        sent += 1_000
    assert (one.answers(), sent) == ([(413, b"BODY_TOO_LARGE")], 19_000)
    assert one.room.held == 0


def test_a_head_is_not_blamed_for_the_size_of_the_request_before_it() -> None:
    one = peer(largest_body=20_000)
    before = request(b"/1", method=b"POST", body=b"x" * 18_000)
    one.sends(before[:10], before[10:] + request(b"/2")[:10], request(b"/2")[10:])
    assert [status for status, _ in one.answers()] == [200, 200]


BEGUN = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 900\r\n\r\n" + b"x" * 800
BEGINNINGS = [BEGUN, BEGUN[:100], b"GET / HTTP/1.1\r\nX: " + b"a" * 800]


def test_what_all_send_at_once_is_bounded() -> None:
    room = wire.Room(wire.Echo(), limits.Limits(largest_body=1_000, most_held=4_000), places=9)
    first, *others = [wire.Peer(room) for _ in range(5)]
    for one in (first, *others):
        one.sends(BEGUN)
    assert [one.answers() for one in others] == [[], [], [], [(503, b"FULL")]]
    whole = wire.Peer(room)
    whole.sends(request(method=b"POST", body=b"x" * 900))
    assert whole.answers()[0][0] == 200, "what comes in one piece waits for nothing"
    first.sends(b"x" * 100)
    assert first.answers()[0][0] == 200
    assert room.held == 3 * len(BEGUN)


@pytest.mark.parametrize("begun", BEGINNINGS, ids=["body", "head", "header"])
def test_what_has_come_is_held_until_it_is_whole_or_refused_or_its_sender_gone(
    begun: bytes,
) -> None:
    for end in (wire.Peer.goes, wire.Peer.closes, lambda one: one.waits(5.1)):
        one = peer()
        one.sends(begun)
        assert one.room.held == len(begun)
        end(one)
        assert one.room.held == 0


def test_what_waits_behind_other_requests_is_held_as_well() -> None:
    room = wire.Room(wire.Echo(), limits.Limits(largest_body=1_000, most_held=1_500), places=9)
    pipelining = [wire.Peer(room) for _ in range(3)]
    for one in pipelining:
        one.sends(request(b"/later") + request(method=b"POST", body=b"x" * 900))
    assert room.held == 1_800
    assert len(seen(pipelining[0])) == 3
    for exchange in tuple(seen(pipelining[0])):
        wire.Echo().reply(exchange)
    assert [[status for status, _ in one.answers()] for one in pipelining] == [
        [200, 200],
        [200, 200],
        [200, 503],
    ]
    assert room.held == 0


def test_what_waits_is_held_no_longer_when_its_sender_is_gone() -> None:
    one = peer()
    one.sends(request(b"/later") + request(method=b"POST", body=b"x" * 900))
    assert one.room.held == 900
    one.goes()
    assert one.room.held == 0


def test_who_is_gone_in_the_middle_of_a_body_leaves_none_of_it_behind() -> None:
    one = peer()
    one.sends(BEGUN, b"x" * 99)
    one.goes()
    reader = one.connection._reader  # noqa: SLF001
    assert not any(len(held) for held in gc.get_referents(reader) if isinstance(held, bytearray))


@pytest.mark.parametrize(
    "said",
    [b"", request(), request()[:-2], BEGUN, b"nonsense\r\n\r\n", request(b"/later"), request() * 3],
    ids=["nothing", "a request", "half a head", "half a body", "nonsense", "under way", "several"],
)
def test_a_connection_that_is_gone_is_not_left_to_the_garbage_collector(said: bytes) -> None:
    def come_and_go() -> None:
        one = peer()
        one.sends(said)
        one.goes()
        for exchange in seen(one):
            wire.Echo().reply(exchange)
        seen(one).clear()

    def there() -> list[connection.Connection]:
        return [one for one in gc.get_objects() if isinstance(one, connection.Connection)]

    before = there()  # of other tests
    gc.disable()
    try:
        come_and_go()
        left = [one for one in there() if one not in before]
    finally:
        gc.enable()
    assert left == []


POST = b"POST / HTTP/1.1\r\n" + HOST
SMUGGLED = b"\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        POST + b"Content-Length: 3\r\nContent-Length: 3\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 30\r\n",
        POST + b"Content-Length: 3, 3\r\n",
        POST + b"Content-Length: +3\r\n",
        POST + b"Content-Length: -3\r\n",
        POST + b"Content-Length: 0x3\r\n",
        POST + b"Content-Length:\r\n",
        POST + b"Content-Length: 99999999999999999999\r\n",
        POST + b"Content-Length : 3\r\n",
        POST + b"Content-Length: 3\r\n" + CHUNKED,
        POST + CHUNKED + b"Content-Length: 3\r\n",
        POST + CHUNKED + CHUNKED,
        POST + b"Transfer-Encoding: gzip\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n",
        POST + b"Transfer-Encoding : chunked\r\n",
        POST + b" Transfer-Encoding: chunked\r\n",
        POST + b"X: a\r\n b\r\n",
        POST + b"X: a\nTransfer-Encoding: chunked\r\n",
        POST + b"X: a\0b\r\n",
        POST + b"X Y: a\r\n",
        POST.replace(b"\r\n", b"\n"),
        POST.replace(HOST, b""),
        POST.replace(b"1.1", b"2.0"),
        POST.replace(b"1.1", b"0.9"),
        POST.replace(b"POST", b"BREW"),
        POST.replace(b" / ", b" /\xff "),
        POST + b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"CONNECT here:1 HTTP/1.1\r\n" + HOST,
        b"PRI * HTTP/2.0\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=repr,
)
def test_what_may_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read(head: bytes) -> None:
    one = peer()
    one.sends(head + SMUGGLED, request(b"/evil"))
    assert [status for status, _ in one.answers()] == [400]
    assert [bool(exchange.fault) for exchange in seen(one)] == [True]
    assert one.pipe.is_shut


@pytest.mark.parametrize(
    "chunk", [b"3 \r\nabc\r\n", b"3\nabc\n", b"fffffffffffffffff\r\n", b"x\r\n"]
)
def test_a_chunk_that_may_be_read_in_two_ways_is_refused(chunk: bytes) -> None:
    one = peer()
    one.sends(POST + CHUNKED + b"\r\n" + chunk + SMUGGLED)
    assert [status for status, _ in one.answers()] == [400]


def test_what_is_wrong_is_answered_behind_what_was_right() -> None:
    one = peer()
    one.sends(request(b"/later") + request(b"/a") + b"nonsense\r\n\r\n")
    assert one.pipe.written == b""
    wire.Echo().reply(seen(one)[0])
    assert [status for status, _ in one.answers()] == [200, 200, 400]


@pytest.mark.parametrize(
    "begun", [b"GET / HT", EXPECT, EXPECT + b"ab"], ids=["head", "none", "body"]
)
def test_a_request_that_comes_too_slowly_is_given_up(begun: bytes) -> None:
    one = peer(read_within=5)
    one.sends(begun)
    one.waits(4.9)
    assert 408 not in dict(one.answers())
    one.waits(0.2)
    assert one.answers()[-1] == (408, b"TOO_SLOW")
    one.waits(2.1)
    assert one.pipe.is_aborted


def test_a_connection_without_a_request_is_closed() -> None:
    one = peer(idle=5)
    one.waits(4)
    one.sends(request())
    one.waits(4)
    one.sends(b"\r\n")  # that is none
    assert not one.pipe.is_aborted
    one.waits(1.1)
    assert one.pipe.is_aborted


def test_the_application_is_waited_for() -> None:
    one = peer()
    one.sends(request(b"/later"))
    one.waits(60)
    assert not one.pipe.is_aborted
    wire.Echo().reply(seen(one)[0])
    assert one.answers() == [(200, b"GET /later ")]
    one.waits(1)
    assert not one.pipe.is_aborted


def test_who_does_not_fetch_its_answers_is_not_read_and_in_the_end_given_up() -> None:
    one = peer(read_within=5)
    one.sends(request())
    one.connection.pause_writing()
    assert not one.pipe.is_reading_now
    one.waits(4)
    one.connection.resume_writing()
    assert one.pipe.is_reading_now
    one.connection.pause_writing()
    one.waits(5.1)
    assert one.pipe.is_aborted


def test_who_is_gone_is_forgotten_and_what_it_asked_for_ends() -> None:
    one = peer()
    one.sends(request(b"/later") + request(b"/never"))
    one.goes()
    assert one.room.inside == set()
    wire.Echo().reply(seen(one)[0])
    assert ([exchange.path for exchange in seen(one)], one.pipe.written) == (["/later"], b"")


def test_nothing_is_said_on_a_connection_that_is_given_up() -> None:
    one = peer()
    one.sends(request(b"/later") + request(b"/never"))
    one.connection.abort()
    wire.Echo().reply(seen(one)[0])
    one.connection.resume_writing()
    assert (one.pipe.written, one.pipe.is_reading_now) == (b"", False)


def test_who_closes_its_side_gets_the_answers_to_what_is_whole() -> None:
    one = peer()
    one.sends(request(b"/later") + b"GET / HT")
    assert one.closes()
    wire.Echo().reply(seen(one)[0])
    assert [status for status, _ in one.answers()] == [200, 400]
    assert one.pipe.is_closed
    assert not peer().closes()


def test_one_too_many_is_told_so_and_the_others_stay() -> None:
    room = wire.Room(wire.Echo(), places=1)
    first, second = wire.Peer(room), wire.Peer(room)
    second.sends(request())
    assert (second.answers(), second.pipe.is_shut) == ([(503, b"CROWDED")], True)
    first.sends(request())
    assert first.answers() == [(200, b"GET /a ")]


def test_when_the_server_stops_what_has_begun_is_answered() -> None:
    idle, busy, begun = peer(), peer(), peer()
    busy.sends(request(b"/later") + request(b"/a"))
    begun.sends(b"GET /a HTTP/1.1\r\n")
    for one in (idle, busy, begun):
        one.room.is_closing = True
        one.connection.stop()
    assert idle.pipe.is_shut
    wire.Echo().reply(seen(busy)[0])
    begun.sends(HOST + b"\r\n")
    for one, answers in ((busy, 2), (begun, 1)):
        assert [status for status, _ in one.answers()] == [200] * answers
        assert one.pipe.written.count(b"connection: close\r\n") == 1
        assert one.pipe.is_shut


def test_a_connection_that_waits_holds_nothing_of_its_last_request() -> None:
    one = peer()
    one.sends(request(method=b"POST", body=b"x" * 900))
    exchange = seen(one).pop()
    assert exchange not in gc.get_referents(one.connection, one.connection._reader)  # noqa: SLF001


REQUESTS = [
    request(b"/1"),
    request(b"/2", method=b"HEAD", more=b"X-Long: " + b"y" * 300 + b"\r\n"),
    request(b"/3", method=b"POST", body=b"abc"),
    b"POST /4 HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n",
    b"\r\nGET http://here/5?q HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /6 HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n",
    b"GET /7 HTTP/1.0\r\n\r\n",
    b"GET /8\r\n\r\n",
    b"POST /9 HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
]


@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=8),
    st.lists(st.integers(min_value=1, max_value=60), max_size=40),
)
def test_any_split_of_the_bytes_gives_the_same_answers(
    requests: list[bytes], sizes: list[int]
) -> None:
    whole, split, content = peer(), peer(), b"".join(requests)
    expected = whole.sends(content)
    for size in sizes:
        split.sends(content[:size])
        content = content[size:]
    assert split.sends(content) == expected
    assert split.pipe.is_shut == whole.pipe.is_shut


@given(
    st.lists(
        st.binary(max_size=200) | st.sampled_from([*REQUESTS, b"\r\n", b" ", b":"]), max_size=6
    )
)
@example([b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\n"])
def test_garbage_never_raises_and_is_no_fault_of_ours(pieces: list[bytes]) -> None:
    one = peer()
    one.sends(*pieces)
    one.waits(5.1)
    one.closes()
    assert all(status < 500 for status in _statuses(one.pipe.written))
    one.goes()


def _statuses(written: bytes) -> list[int]:
    return [int(part[:3]) for part in written.split(b"HTTP/1.1 ")[1:]]


class Broken(wire.Echo):
    @override
    def answer(self, exchange: messages.Exchange) -> None:
        raise ValueError(exchange.path)


def test_a_mistake_of_ours_is_not_called_theirs() -> None:
    one = wire.Peer(wire.Room(Broken()))
    with pytest.raises(Exception, match="callback") as error:
        one.sends(request())
    assert isinstance(error.value.__context__, ValueError)
    assert one.pipe.written == b""
