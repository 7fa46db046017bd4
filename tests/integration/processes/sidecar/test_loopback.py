"""The loopback API of a real process, asked well and badly."""

import contextlib
import socket
import threading
import time

import pytest

from support import scriptedapi, sidecars

pytestmark = pytest.mark.usefixtures("api")


def read_all(stream: socket.socket) -> bytes:
    """Read until the sidecar closes."""
    content = b""
    while part := stream.recv(65536):
        content += part
    return content


def test_run_tells_what_the_pod_and_the_api_know(start: sidecars.Start) -> None:
    sidecar = start(namespace="billing", pod_name="nightly-1-abc", pod_uid="u-1")
    sidecar.run_when(lambda run: run["complete"])
    answer = sidecar.ask("/run")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    beats = answer.json.pop("heartbeat")
    kept = answer.json["buffer"]
    known = {k: v for k, v in answer.json.items() if k not in {"heartbeat", "buffer"}}
    assert known == scriptedapi.RUN | {
        "expectedEnd": None,
        "executionId": scriptedapi.EXECUTION["id"],
        "namespace": "billing",
        "podName": "nightly-1-abc",
        "podUid": "u-1",
        "execution": scriptedapi.EXECUTION,
    }
    assert (kept["items"], kept["bytes"], set(kept["lost"].values())) == (0, 0, {0})
    assert beats["intervalSeconds"] == 1
    assert beats["sent"] >= beats["acknowledged"] >= 1
    assert beats["lastAcknowledgedAt"].endswith("Z")
    assert beats["lastError"] is None


def test_run_answers_at_once_while_the_api_hangs(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.reply(scriptedapi.hang)
    sidecar = start()
    api.wait_for(1)
    answer = sidecar.ask("/run")
    assert answer.seconds < 1
    assert answer.json["complete"] is False
    assert answer.json["execution"] is None


def test_run_waits_for_the_execution_when_asked_to(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    answer_now = threading.Event()

    def later(exchange: scriptedapi.Exchange, report: scriptedapi.Report) -> None:
        answer_now.wait(sidecars.PATIENCE)
        scriptedapi.acknowledge(exchange, report)

    api.reply(later)
    sidecar = start()
    api.wait_for(1)
    threading.Timer(1.0, answer_now.set).start()
    answer = sidecar.ask("/run?wait=20s")
    assert answer.json["complete"] is True
    assert 0.5 < answer.seconds < 15


def test_a_run_that_the_api_was_too_busy_to_tell_of_is_waited_for(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.reply(scriptedapi.untold)
    answer = start().ask("/run?wait=20s")
    assert answer.json["complete"] is True
    assert answer.json["window"] == scriptedapi.RUN["window"]
    assert len(api.reports) == 2


def test_a_window_that_another_run_holds_is_waited_for_however_long_the_interval_is(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    held = {**scriptedapi.RUN, "window": None, "complete": False}
    api.reply(*[scriptedapi.answering(run=held)] * 3)
    answer = start(heartbeat_seconds="3600").ask("/run?wait=60s")
    assert answer.json["complete"] is True
    # Were nobody waiting, it would be asked after 2.5 to 5, then 5 to 10 and 10 to 20 seconds.
    assert 10 <= answer.seconds <= 17


def test_run_stops_waiting_when_asked_to(start: sidecars.Start, api: scriptedapi.Api) -> None:
    api.reply(*[scriptedapi.status(403)] * 9)
    answer = start().ask("/run?wait=2s")
    assert answer.json["complete"] is False
    assert 2 <= answer.seconds < 3


def test_an_acknowledgement_without_an_execution_does_not_complete(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.reply(
        scriptedapi.status(200, b'{"v": 1, "acknowledged": 1, "execution": null}'),
        scriptedapi.status(200, b'{"v": 1, "acknowledged": 2, "execution": {"id": NaN}}'),
        scriptedapi.status(403),
    )
    sidecar = start()
    known = sidecar.run_when(lambda run: "403" in (run["heartbeat"]["lastError"] or ""))
    assert known["complete"] is False
    assert known["heartbeat"]["acknowledged"] == 1


def test_health_is_told(start: sidecars.Start) -> None:
    answer = start().ask("/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "status", "names"),
    [
        pytest.param("GET", "/usage", 404, "GET /run", id="nothing there"),
        pytest.param("POST", "/heartbeat", 404, "/dead-letter", id="a path of nobody"),
        pytest.param("POST", "/run", 405, "GET only", id="posting to run"),
        pytest.param("GET", "/progress", 405, "POST only", id="reading the progress"),
        pytest.param("PUT", "/checkpoint", 405, "POST only", id="putting a checkpoint"),
        pytest.param("DELETE", "/healthz", 405, "GET only", id="deleting health"),
        pytest.param("BREW", "/run", 405, "GET only", id="a verb of nobody"),
        pytest.param("GET", "/run?wait=soon", 400, "30s", id="a wait in words"),
        pytest.param("GET", "/run?wait=", 400, "30s", id="an empty wait"),
        pytest.param("GET", "/run?wait=1s&wait=2s", 400, "30s", id="two waits"),
        pytest.param("GET", "/run?wiat=1s", 400, "wiat", id="a typing error"),
        pytest.param("GET", "/run?" + "a&" * 99, 400, "", id="too many fields"),
    ],
)
def test_what_does_not_exist_is_a_problem_that_names_what_does(
    start: sidecars.Start, method: str, path: str, status: int, names: str
) -> None:
    answer = start().ask(path, method=method, body=b"{}" if method == "POST" else None)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert names in answer.json["detail"]
    assert answer.headers.get("allow") == (names.split(maxsplit=1)[0] if status == 405 else None)


def test_head_gets_no_body(start: sidecars.Start) -> None:
    answer = start().ask("/run", method="HEAD")
    assert (answer.status, answer.body) == (405, b"")


def test_a_body_nobody_asked_for_does_not_hide_the_answer(start: sidecars.Start) -> None:
    sidecar = start()
    for _ in range(20):
        assert sidecar.ask("/nowhere", method="POST", body=b"x" * 50_000).status == 404


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 431, id="a long line"),
        pytest.param(b"GET /run HTTP/1.1\r\n" + b"X: y\r\n" * 5_000, 431, id="many headers"),
        pytest.param(b"GET /run HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, id="200 headers"),
        pytest.param(b"complete garbage here and there\r\n\r\n", 400, id="garbage"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\r\n", 400, id="TLS"),
        pytest.param(b"GET /run HTTP/9.9\r\n\r\n", 400, id="HTTP of the future"),
        pytest.param(b"GET /run\r\n\r\n", 400, id="HTTP of the past"),
        pytest.param(b"GET /run HTTP/1.1\r\nX: y\r\n z\r\n\r\n", 400, id="a folded header"),
    ],
)
def test_a_request_that_is_none_is_refused(
    start: sidecars.Start, request_bytes: bytes, status: int
) -> None:
    sidecar = start()
    with sidecar.connect() as stream:
        stream.sendall(request_bytes)
        head, _, body = read_all(stream).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"GET /run" in body
    assert sidecar.ask("/run").status == 200


def test_a_request_that_never_ends_is_closed(start: sidecars.Start) -> None:
    sidecar = start()
    answer = sidecar.answer_to_dripping(b"GET /run HTTP/1.1\r\n", b"X: y\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")


def take_all_places(sidecar: sidecars.Sidecar, stack: contextlib.ExitStack) -> None:
    """Let as many clients wait as there are places."""
    for _ in range(16):
        stream = stack.enter_context(sidecar.connect())
        stream.sendall(b"GET /run?wait=60s HTTP/1.1\r\nHost: x\r\n\r\n")


def test_more_than_sixteen_at_a_time_are_turned_away(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.reply(scriptedapi.status(403))
    sidecar = start(heartbeat_seconds="3600")
    with contextlib.ExitStack() as stack:
        take_all_places(sidecar, stack)
        with sidecar.connect() as one_more:
            turned_away = read_all(one_more)
        assert turned_away.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: 1" in turned_away
    # The sixteen left without an answer: their places must come free long before 60 seconds.
    for _ in range(100):
        with contextlib.suppress(OSError):
            if sidecar.ask("/run").status == 200:
                return
        threading.Event().wait(0.1)
    pytest.fail("the places of clients that left stay taken")


def test_many_more_than_sixteen_are_turned_away_without_waiting_for_one_another(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.always(scriptedapi.status(403))
    sidecar = start(heartbeat_seconds="3600")
    with contextlib.ExitStack() as stack:
        take_all_places(sidecar, stack)
        started = time.monotonic()
        more = [stack.enter_context(sidecar.connect()) for _ in range(40)]
        answers = [read_all(stream) for stream in more]
        assert time.monotonic() - started < 1
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 429 "}


def test_clients_that_leave_are_no_news(start: sidecars.Start) -> None:
    sidecar = start()
    for content in (b"", b"GET", b"GET /run HTTP/1.1\r\n\r\n", b"POST /run HTTP/1.1\r\n"):
        for _ in range(5):
            with sidecar.connect() as stream:
                stream.sendall(content)
    assert sidecar.ask("/run").status == 200
    assert "unexpected" not in sidecar.stderr
