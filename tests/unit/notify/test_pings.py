"""The word of the dead-man switch and the canary, over HTTP."""

from collections.abc import Collection

import pytest

from rollcall.api import app
from rollcall.core import errors, reporting
from rollcall.notify import pings
from rollcall.services import ingest, reporters, told
from support import loopback, receiver, serving
from support.receiver import Answer

SECRET = "https://hc.example/ping/hush"


class Api(ingest.Ingest):
    """Ends every report as it is told, once its body was read."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tokens: list[str] = []
        self.on_outcome = lambda _outcome: None

    def known(self, token: str) -> None:
        del token

    async def report(
        self, token: str, told: told.Told, wants: Collection[reporting.Want] = ()
    ) -> ingest.Answer:
        del told, wants
        self.tokens.append(token)
        raise self.error


async def canary(error: Exception) -> tuple[str | None, list[str]]:
    api = Api(error)
    asks = pings.Pings(
        ingest_url="http://api:8080/",
        deadman_url=SECRET,
        transport=serving.Transport(app.IngestApp(api)),
    )
    answer = await asks.canary()
    await asks.close()
    return answer, api.tokens


async def test_an_api_that_refuses_the_canary_for_its_token_is_well() -> None:
    answer, tokens = await canary(reporters.Unauthenticated("not valid"))
    assert answer is None
    assert tokens == ["rollcall-canary"]  # its body was read, and its token was asked about


async def test_an_api_that_cannot_ask_is_not() -> None:
    answer, _ = await canary(errors.ClusterUnavailable("no answer"))
    assert answer == "answered 503"


async def deadman(url: str) -> str | None:
    asks = pings.Pings(ingest_url="http://127.0.0.1:9", deadman_url=url)
    answer = await asks.deadman()
    await asks.close()
    return answer


@pytest.mark.parametrize(
    ("status", "said"),
    [(200, None), (204, None), (302, "answered 302"), (404, "answered 404"), (500, "answered 500")],
)
async def test_the_word_is_taken_with_any_success(status: int, said: str | None) -> None:
    with receiver.running() as outside:
        outside.answers(Answer(status=status, headers={"Location": "/elsewhere"}))
        assert await deadman(outside.url) == said
        assert [request.path for request in outside.requests] == ["/hook"]


@pytest.mark.parametrize("url", ["https://hc.example/hush\nhush", "https://", "https://xn--a/hush"])
async def test_what_is_no_address_is_said_without_it(url: str) -> None:
    said = await deadman(url)
    assert said is not None
    assert said.startswith("no answer: ")
    assert "hush" not in said


async def test_nobody_there_is_said_without_the_address() -> None:
    said = await deadman(f"http://127.0.0.1:{loopback.free_port()}/hush")
    assert said == "no answer: ConnectError"
