"""The port that kubelet and Prometheus ask."""

from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge

from rollcall.metrics import server
from support import loopback


class Process:
    """What is asked; `wrong` is what is wrong with it, an exception is raised."""

    def __init__(self) -> None:
        self.wrong: str | Exception | None = None
        self.looks = 0

    async def is_well(self) -> str | None:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong

    def look(self) -> None:
        self.looks += 1


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
async def http(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    registry, port = CollectorRegistry(), loopback.free_port()
    Gauge("answer", "To everything", registry=registry).set(42)
    health = server.HealthServer(
        port=port,
        registry=registry,
        live=process.is_well,
        ready=process.is_well,
        before_metrics=process.look,
    )
    await health.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    await health.close()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_probe_says_what_is_wrong(
    http: httpx.AsyncClient, process: Process, path: str
) -> None:
    assert (await http.get(path)).text == "ok\n"
    process.wrong = "the loop does not come round"
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (503, "the loop does not come round\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_probe_that_fails_fails_and_the_log_says_why(
    http: httpx.AsyncClient, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    process.wrong = ValueError("secret")
    answer = await http.get("/livez")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_metrics_are_those_of_now(http: httpx.AsyncClient, process: Process) -> None:
    answer = await http.get("/metrics?name[]=x")
    assert "\nanswer 42.0\n" in answer.text
    assert answer.headers["content-type"] == CONTENT_TYPE_LATEST
    assert process.looks == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [("HEAD", "/livez", 200, b""), ("POST", "/livez", 405, b"x"), ("GET", "/", 404, b"")],
)
async def test_it_is_for_reading(
    http: httpx.AsyncClient, method: str, path: str, status: int, body: bytes
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    if body:
        assert answer.headers["allow"] == "GET, HEAD"
        assert (await http.request(method, path, content=body)).status_code == 413
