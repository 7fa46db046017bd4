"""TokenReview: who a token belongs to, and what is remembered of it."""

import asyncio
from typing import Any

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import client, tokens
from rollcall.core import errors
from rollcall.services import reporters
from support import reporting

TOKEN = "aaaa.bbbb.cccc"
DOWN = errors.ClusterUnavailable("down")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


EXTRA = reporting.reviewed()["status"]["user"]["extra"]
REFUSED = {"status": {"authenticated": False, "error": "invalid bearer token"}}


def setup(answer: client.Object | Exception) -> tuple[tokens.Tokens, reporting.ReviewServer, Clock]:
    server, clock = reporting.ReviewServer(answer), Clock()
    return tokens.Tokens(kube=server, clock=clock), server, clock


async def test_a_good_token_names_its_pod_and_is_asked_for_our_audience() -> None:
    reviewer, server, _ = setup(reporting.reviewed())
    caller = await reviewer.review(TOKEN)
    assert caller
    assert caller.pod == reporters.Pod(namespace="team", name="nightly-pod-1", uid="pod-1")
    assert server.asked == [{"token": TOKEN, "audiences": ["rollcall.dev/ingest"]}]


@pytest.mark.parametrize(
    "answer",
    [
        REFUSED,
        {},
        {"status": {"authenticated": "true"}},
        reporting.reviewed(audiences=["https://kubernetes.default.svc"]),
        reporting.reviewed(audiences=None),
        reporting.reviewed(audiences="rollcall.dev/ingest"),
    ],
    ids=["refused", "empty", "text", "other-audience", "no-audience", "audience-as-text"],
)
async def test_a_token_that_is_not_good_for_us_is_nobodys(answer: client.Object) -> None:
    reviewer, _, _ = setup(answer)
    assert await reviewer.review(TOKEN) is None


@pytest.mark.parametrize(
    "user",
    [
        {"username": "system:serviceaccount:team:default"},
        {"username": "alice", "extra": EXTRA},
        {"username": "system:serviceaccount:team", "extra": EXTRA},
        {
            "username": "system:serviceaccount:team:default",
            "extra": {
                "authentication.kubernetes.io/pod-name": ["a", "b"],
                "authentication.kubernetes.io/pod-uid": ["1", "2"],
            },
        },
        {"username": "system:serviceaccount:team:default", "extra": None},
    ],
    ids=["unbound", "a-person", "no-account", "two-pods", "null"],
)
async def test_a_token_without_a_pod_is_genuine_but_no_pods(user: client.Object) -> None:
    reviewer, _, _ = setup(reporting.reviewed(user=user))
    caller = await reviewer.review(TOKEN)
    assert caller
    assert caller.pod is None


@pytest.mark.parametrize(
    "token",
    ["", "abc", "a.b", "a.b.c.d", "a.b.c ", "a..c", "a.b.é", "a.b." + "c" * 20_000],
    ids=["empty", "one", "two", "four", "space", "hole", "letters", "huge"],
)
async def test_what_cannot_be_a_token_is_not_asked_about(token: str) -> None:
    reviewer, server, _ = setup(reporting.reviewed())
    assert await reviewer.review(token) is None
    assert server.asked == []


@pytest.fixture
def unspread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first answer of every token count for as long as those after it."""
    monkeypatch.setattr(tokens, "SPREAD", 0.0)


@pytest.mark.usefixtures("unspread")
async def test_an_answer_counts_for_a_minute() -> None:
    reviewer, server, clock = setup(reporting.reviewed())
    await reviewer.review(TOKEN)
    clock.now += 60
    assert await reviewer.review(TOKEN)
    assert len(server.asked) == 1
    clock.now += 1
    server.answer = REFUSED
    assert await reviewer.review(TOKEN) is None
    assert len(server.asked) == 2


async def test_those_who_are_first_heard_together_are_asked_about_at_different_times() -> None:
    server, clock = reporting.ReviewServer(reporting.reviewed()), Clock()
    reviewer = tokens.Tokens(kube=server, clock=clock)
    all_of_them = [f"aaaa.bbbb.{number}" for number in range(1000)]
    asked = []
    for _ in range(60):  # two minutes in which each reports every two seconds
        before = len(server.asked)
        for token in all_of_them:
            await reviewer.review(token)
        asked.append(len(server.asked) - before)
        clock.now += 2
    first, *later = asked
    assert first == len(all_of_them)
    assert later[:7] == [0] * 7  # the first answer counts for a quarter of a minute at least
    assert max(later) < 100
    assert sum(later[-31:]) == len(all_of_them)  # then each once a minute


async def test_a_refusal_counts_for_five_seconds() -> None:
    reviewer, server, clock = setup(REFUSED)
    await reviewer.review(TOKEN)
    clock.now += 5
    assert await reviewer.review(TOKEN) is None
    assert len(server.asked) == 1
    clock.now += 0.1
    server.answer = reporting.reviewed()
    assert await reviewer.review(TOKEN)


@pytest.mark.parametrize(
    "fault",
    [DOWN, errors.Refused("may not", status=403), errors.NotFound("no such API")],
    ids=["down", "forbidden", "absent"],
)
@pytest.mark.usefixtures("unspread")
async def test_in_an_outage_known_tokens_stay_good_for_ten_minutes(fault: Exception) -> None:
    reviewer, server, clock = setup(reporting.reviewed())
    caller = await reviewer.review(TOKEN)
    server.answer = fault
    clock.now += 599
    assert await reviewer.review(TOKEN) == caller
    clock.now += 2
    with pytest.raises(errors.ClusterUnavailable):
        await reviewer.review(TOKEN)


async def test_in_an_outage_a_new_token_is_not_judged() -> None:
    reviewer, _, _ = setup(DOWN)
    with pytest.raises(errors.ClusterUnavailable) as raised:
        await reviewer.review(TOKEN)
    assert raised.value.retry_after == 5


async def test_after_a_failure_the_server_is_left_alone_for_a_moment() -> None:
    reviewer, server, clock = setup(DOWN)
    for number in range(20):
        with pytest.raises(errors.ClusterUnavailable):
            await reviewer.review(f"a.b.{number}")
    assert len(server.asked) == 1
    server.answer = reporting.reviewed()
    clock.now += 2
    assert await reviewer.review(TOKEN)


async def test_garbage_does_not_push_out_good_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "SIZE", 10)
    reviewer, server, _ = setup(reporting.reviewed())
    await reviewer.review(TOKEN)
    server.answer = REFUSED
    for number in range(50):
        await reviewer.review(f"a.b.{number}")
    assert await reviewer.review(TOKEN)
    assert len(server.asked) == 51


async def test_all_who_ask_for_one_token_at_once_are_one_question() -> None:
    reviewer, server, _ = setup(reporting.reviewed())
    callers = await asyncio.gather(*(reviewer.review(TOKEN) for _ in range(100)))
    assert len(server.asked) == 1
    assert all(caller == callers[0] for caller in callers)


class Held(reporting.ReviewServer):
    """Keeps garbage waiting until it is let go; all else is answered at once."""

    def __init__(self) -> None:
        super().__init__(reporting.reviewed())
        self.go = asyncio.Event()
        self.inside = self.most = 0

    @override
    async def request(
        self, method: str, path: str, *, body: client.Object | None = None, **more: Any
    ) -> client.Object:
        answer = await super().request(method, path, body=body, **more)
        if body and body["spec"]["token"] == TOKEN:
            return answer
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.go.wait()
        self.inside -= 1
        return REFUSED


async def test_a_known_token_is_reviewed_again_while_garbage_waits() -> None:
    server, clock = Held(), Clock()
    reviewer = tokens.Tokens(kube=server, clock=clock)
    await reviewer.review(TOKEN)
    clock.now += tokens.FRESH + 1
    garbage = [asyncio.create_task(reviewer.review(f"a.b.{number}")) for number in range(100)]
    await asyncio.sleep(0.01)
    assert server.inside == tokens.STRANGERS

    before = len(server.asked)
    async with asyncio.timeout(tokens.WAIT / 2):
        assert await reviewer.review(TOKEN)
    assert len(server.asked) == before + 1
    server.go.set()
    assert set(await asyncio.gather(*garbage)) == {None}
    assert server.most == tokens.STRANGERS


async def test_garbage_that_waits_too_long_is_told_when_to_come_back() -> None:
    server = Held()
    reviewer = tokens.Tokens(kube=server, clock=Clock())
    garbage = [asyncio.create_task(reviewer.review(f"a.b.{number}")) for number in range(20)]
    done, held = await asyncio.wait(garbage, timeout=tokens.WAIT + 0.5)
    assert len(held) == tokens.STRANGERS
    for one in done:
        refused = one.exception()
        assert isinstance(refused, errors.Unavailable)
        assert refused.retry_after == tokens.RETRY_AFTER
    server.go.set()
    await asyncio.gather(*held)


async def test_garbage_is_reviewed_so_often_a_second_however_fast_reviews_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "STRANGERS_IN_A_BURST", 50)
    reviewer, server, clock = setup(REFUSED)

    async def send(first: int) -> int:
        asked = len(server.asked)
        garbage = (reviewer.review(f"a.b.{number}") for number in range(first, first + 100))
        answers = await asyncio.gather(*garbage, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, errors.Unavailable)]
        assert len(refused) == 100 - (len(server.asked) - asked)
        assert {one.retry_after for one in refused} == {tokens.RETRY_AFTER}
        return len(server.asked) - asked

    assert await send(0) == 50
    clock.now += 0.02
    assert await send(100) == 0.02 * tokens.STRANGERS_EACH_SECOND


async def test_a_pause_that_garbage_brought_about_is_garbages_alone() -> None:
    reviewer, server, clock = setup(reporting.reviewed())
    await reviewer.review(TOKEN)
    clock.now += tokens.FRESH + 1
    server.answer = DOWN
    with pytest.raises(errors.ClusterUnavailable):
        await reviewer.review("a.b.c")
    server.answer = REFUSED
    assert await reviewer.review(TOKEN) is None, "its pod is gone, and it is asked about"


async def test_whose_token_it_is_is_known_for_a_minute_and_then_asked_again() -> None:
    reviewer, server, clock = setup(reporting.reviewed())
    assert reviewer.known(TOKEN) is None
    caller = await reviewer.review(TOKEN)
    assert reviewer.known(TOKEN) == caller
    clock.now += tokens.FRESH + 1
    assert reviewer.known(TOKEN) is None
    assert len(server.asked) == 1


async def test_a_token_that_was_refused_is_nobodys_that_is_known() -> None:
    reviewer, _, _ = setup(REFUSED)
    await reviewer.review(TOKEN)
    assert reviewer.known(TOKEN) is None
