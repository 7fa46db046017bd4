"""TokenReview: who a token belongs to, and what is remembered of it."""

import pytest

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
