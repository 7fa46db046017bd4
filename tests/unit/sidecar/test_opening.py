import socket

import pytest

from rollcall_sidecar import opening


@pytest.mark.parametrize(
    ("environ", "port"),
    [({}, 7655), ({"ROLLCALL_PORT": ""}, 7655), ({"ROLLCALL_PORT": "8123"}, 8123)],
)
def test_the_port_may_be_chosen(environ: dict[str, str], port: int) -> None:
    complaints: list[str] = []
    assert opening.port(environ, complaints) == port
    assert complaints == []


@pytest.mark.parametrize("text", ["0", "65536", "http", "7655/tcp"])
def test_a_port_that_is_none_becomes_the_default(text: str) -> None:
    complaints: list[str] = []
    assert opening.port({"ROLLCALL_PORT": text}, complaints) == 7655
    assert complaints == [
        f"ROLLCALL_PORT={text!r} is not a whole number from 1 to 65535: using 7655"
    ]


def test_there_may_be_none() -> None:
    complaints: list[str] = []
    assert opening.port({"ROLLCALL_PORT": "none"}, complaints) is None
    assert complaints == []


def test_who_connects_before_anybody_answers_is_not_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listening = opening.listen(port)
    assert listening is not None
    with socket.create_connection(("127.0.0.1", port), timeout=5) as early:
        early.sendall(b"GET /run")
        with socket.socket(fileno=listening.detach()) as served:
            accepted, _ = served.accept()
            with accepted:
                assert accepted.recv(8) == b"GET /run"


def test_a_taken_port_is_said_and_left(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert opening.listen(port) is None
    assert f"no loopback API on 127.0.0.1:{port} (Address already in use)" in capfd.readouterr().err
