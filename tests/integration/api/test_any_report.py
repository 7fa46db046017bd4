"""Whatever programs say, the real store takes or refuses it by itself, and keeps what it took."""

import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollcall.core import ids
from rollcall.core import reporting as values
from rollcall.store import engine
from support import builders, reporting, said

RUN = builders.execution()
BOOTS = map("{:016x}".format, itertools.count(1))  # each report is that of another start

TEXTS = st.text(st.characters(), max_size=30)
NUMBERS = st.integers(0, values.LARGEST_NUMBER) | st.floats(0, values.LARGEST_NUMBER)
COUNTERS = st.dictionaries(st.from_regex(values.COUNTER_NAME, fullmatch=True), NUMBERS, max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
AT = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
UUIDS = st.uuids().map(str)


Strategy: TypeAlias = st.SearchStrategy[Any]
ERRORS = "SELECT boot, seq FROM execution_errors ORDER BY seq"
CHECKPOINTS = "SELECT boot, seq FROM checkpoints ORDER BY seq"


def item(
    kind: str, needed: dict[str, Strategy], **more: Strategy
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw items of a kind; what is not in `needed` may be absent."""
    return st.fixed_dictionaries({"kind": st.just(kind), "at": AT} | needed, optional=more)


ITEMS = st.one_of(
    item(
        "error", {"type": TEXTS}, message=TEXTS, item=TEXTS, retryAfter=st.floats(0, 86_400),
        **{"class": st.sampled_from(["transient", "permanent"])},
    ),
    item("checkpoint", {"value": JSON}),
    item("deadLetter", {"item": TEXTS}, payload=JSON, error=TEXTS, requeueOf=UUIDS),
    item(
        "result", {"result": st.sampled_from(list(values.Verdict))}, message=TEXTS,
        counters=COUNTERS, metadata=st.dictionaries(TEXTS, JSON, max_size=3),
    ),
    item("handled", {"id": UUIDS}),
    item("error", {"type": JSON}, message=JSON),  # most of these do not fit
)  # fmt: skip
PROGRESS = st.fixed_dictionaries(
    {"seq": st.integers(1, 9), "at": AT},
    optional={"done": NUMBERS, "total": NUMBERS, "stage": TEXTS, "message": TEXTS,
              "counters": COUNTERS},
)  # fmt: skip


@pytest.fixture
async def http(store: engine.Database) -> AsyncIterator[httpx.AsyncClient]:
    """Make a client of the api, with a run of one pod."""
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    async with reporting.api(store) as client:
        yield client


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(ITEMS, min_size=1, max_size=6), PROGRESS)
async def test_whatever_is_said_nothing_fails_and_what_is_acknowledged_is_there(
    http: httpx.AsyncClient,
    store: engine.Database,
    items: list[dict[str, Any]],
    progress: dict[str, Any],
) -> None:
    boot = next(BOOTS)
    numbered = [one | {"seq": seq} for seq, one in enumerate(items, 1)]
    report = reporting.report(boot=boot, items=numbered, progress=progress)
    for _ in range(2):  # what is said twice is there once
        response = await reporting.send(http, json.dumps(report).encode(), bearer="good")
        assert response.status_code == 200
    answer = response.json()["items"]
    refused = {one["seq"] for one in answer["refused"]}
    assert answer["through"] == len(items)

    acknowledged: dict[str, list[int]] = {one["kind"]: [] for one in numbered}
    for one in numbered:
        if one["seq"] not in refused:
            acknowledged[one["kind"]].append(one["seq"])
    assert await kept(store, ERRORS, boot) == acknowledged.get("error", [])
    newest = acknowledged.get("checkpoint", [])[-values.CHECKPOINTS_KEPT :]
    assert await kept(store, CHECKPOINTS, boot) == newest
    assert await letters(store, boot) == set(acknowledged.get("deadLetter", []))
    if results := acknowledged.get("result"):
        assert (await said.heard(store, RUN)).result == items[results[-1] - 1]["result"]


async def kept(store: engine.Database, statement: str, boot: str) -> list[int]:
    """Return the numbers of the items of one start that are there."""
    return [row.seq for row in await said.rows(store, statement) if row.boot == boot]


async def letters(store: engine.Database, boot: str) -> set[int]:
    """Return the same of dead letters, whose ids follow from them."""
    there = {row.id for row in await said.rows(store, "SELECT id FROM dead_letters")}
    known = {seq: ids.dead_letter_id(pod_uid="pod-1", boot=boot, seq=seq) for seq in range(1, 10)}
    return {seq for seq, letter in known.items() if letter in there}
