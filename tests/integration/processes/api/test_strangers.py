"""Who is nobody of ours, in any number, at the process."""

import asyncio
import collections
import json
import time
from collections.abc import Iterator

import pytest

from rollcall.cluster import tokens
from support import apiprocess, lines

CROWD = 300
SLOW = 0.3  # seconds that a review takes


@pytest.fixture
def slow(api: apiprocess.Api, reviews: apiprocess.Reviews) -> Iterator[apiprocess.Reviews]:
    """Let the API server take its time, and count anew; the process runs already."""
    assert api.process.poll() is None
    reviews.seconds, reviews.asked, reviews.most_at_once = SLOW, 0, 0
    yield reviews
    reviews.seconds = 0


async def test_garbage_does_not_keep_known_pods_waiting(
    api: apiprocess.Api, slow: apiprocess.Reviews
) -> None:
    assert (await lines.ask(api.port, lines.post("pod-1"))).status == 200
    started = time.monotonic()
    async with lines.unaffected(api.port, "pod-1"):
        answers = await asyncio.gather(
            *(lines.ask(api.port, lines.post("nobody", number=number)) for number in range(CROWD))
        )
    assert time.monotonic() - started < 10
    statuses = collections.Counter(answer.status for answer in answers)
    assert set(statuses) == {401, 503}
    assert slow.most_at_once <= tokens.STRANGERS
    assert statuses[401] <= slow.asked <= CROWD // 2
    assert all(one.headers["retry-after"] == "5" for one in answers if one.status == 503)

    slow.seconds = 0
    assert (await lines.ask(api.port, lines.post("pod-2"))).status == 200


async def test_one_token_over_many_connections_is_one_question(
    api: apiprocess.Api, slow: apiprocess.Reviews
) -> None:
    answers = await asyncio.gather(*(lines.ask(api.port, lines.post("pod-3")) for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert slow.asked == 1


async def test_a_pod_that_is_not_tracked_is_named_in_the_log_once_and_its_token_never(
    api: apiprocess.Api,
) -> None:
    for number in range(5):
        answer = await lines.ask(api.port, lines.post("stranger", number=number))
        assert answer.status == 403
    log = api.log.read_text()
    (line,) = [line for line in log.splitlines() if "report-stranger" in line]
    said = json.loads(line)
    assert {name: said[name] for name in ("message", "namespace", "pod", "user", "why")} == {
        "message": "report refused",
        "namespace": "shop",
        "pod": "report-stranger",
        "user": "system:serviceaccount:shop:default",
        "why": "the pod is not one of a TrackedCronJob",
    }
    assert apiprocess.token("stranger", 0) not in log
    assert "signature" not in log
