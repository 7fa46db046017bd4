"""What programs report, from the request to the rows in Postgres; and what attackers try."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollcall.api import app
from rollcall.core.dead_letters import Act
from rollcall.services import dead_letters, ingest
from rollcall.store import engine
from support import builders, kube, reporting, said

JOB = builders.job()
RUN = builders.execution(JOB)
OTHER = builders.job("other", namespace="finance")
OTHER_RUN = builders.execution(OTHER)
BOOT = "0123456789abcdef"
AT = "2026-03-02T12:00:10Z"
ERROR = {"kind": "error", "seq": 1, "at": AT, "type": "timeout", "message": "no answer"}
CHECKPOINT = {"kind": "checkpoint", "seq": 2, "at": AT, "value": {"row": 7}}
LETTER = {"kind": "deadLetter", "seq": 3, "at": AT, "item": "order-1", "payload": {"id": 1}}
RESULT = {"kind": "result", "seq": 4, "at": AT, "result": "partial", "message": "half"}
ITEMS = [ERROR, CHECKPOINT, LETTER, RESULT]

Post = Callable[..., Any]


@pytest.fixture
async def http(store: engine.Database) -> AsyncIterator[httpx.AsyncClient]:
    """Make a client of the api, with a run of each of two jobs in two namespaces."""
    await said.prepare(store, "pod-1", "pod-2", run=RUN, job=JOB)
    await said.prepare(store, "pod-o", run=OTHER_RUN, job=OTHER)
    use_case = ingest.Ingest(
        store=store,
        reviewer=reporting.Reviewer(
            one=reporting.caller("pod-1"),
            two=reporting.caller("pod-2"),
            other=reporting.caller("pod-o", namespace="finance"),
            gone=reporting.caller("pod-x"),
        ),
        lookup=reporting.Lookup(),
        cluster=builders.CLUSTER,
    )
    async with reporting.client(app.IngestApp(use_case)) as client:
        yield client
    await use_case.close()


@pytest.fixture
def post(http: httpx.AsyncClient) -> Post:
    async def send(bearer: str, *items: object, **changes: object) -> httpx.Response:
        body = reporting.report(**({"boot": BOOT, "items": items} | changes))
        return await reporting.send(http, json.dumps(body).encode(), bearer=bearer)

    return send


async def count(store: engine.Database, table: str) -> int:
    return int((await said.rows(store, f"SELECT count(*) FROM {table}"))[0][0])  # noqa: S608


async def test_a_report_is_kept_and_acknowledged_item_by_item(
    post: Post, store: engine.Database
) -> None:
    bad = {"kind": "error", "seq": 5, "at": AT, "type": "x" * 201}
    progress = {"seq": 1, "at": AT, "done": 4, "total": 9, "counters": {"rows": 4}}
    response = await post("one", *ITEMS, bad, progress=progress, final=True)

    assert response.status_code == 200
    answer = response.json()["items"]
    assert answer["through"] == 5
    assert [(one["seq"], one["status"]) for one in answer["refused"]] == [(5, 422)]
    async with store.transaction() as unit:
        one, two = await unit.reports.of(RUN.id)
    assert (one.progress, one.errors, one.dead_letters) == (
        said.progress(1, done=4, total=9, counters={"rows": 4}), 1, 1,
    )  # fmt: skip
    assert (one.result, one.result_message, one.final_at is not None) == ("partial", "half", True)
    assert (two.progress, two.errors, two.result, two.last_heartbeat_at) == (None, 0, None, None)


async def test_what_is_sent_twice_is_answered_twice_and_kept_once(
    post: Post, store: engine.Database
) -> None:
    first = await post("one", *ITEMS, lost={"error": 2})
    before = await said.everything(store)
    second = await post("one", *ITEMS, lost={"error": 2})

    assert second.json() == first.json()
    assert await said.everything(store) == before


async def test_the_next_run_is_told_where_to_go_on_and_what_to_try_again(
    post: Post, store: engine.Database
) -> None:
    await post("one", *ITEMS)
    key = UUID(str((await said.rows(store, "SELECT id FROM dead_letters"))[0][0]))
    async with store.transaction() as unit:
        wish = dead_letters.Wish(act=Act.REQUEUE, actor="ada")
        await dead_letters.carry_out(unit, builders.CLUSTER, key, wish)

    response = await post("two", want=["run"])
    run = response.json()["run"]
    assert run["checkpoint"]["value"] == {"row": 7}
    assert run["checkpoint"]["execution"] == str(RUN.id)
    assert [(one["id"], one["payload"]) for one in run["requeued"]] == [(str(key), {"id": 1})]
    assert (run["complete"], run["window"], run["windowHeldBy"]) == (True, None, None)

    handled = {"kind": "handled", "seq": 1, "at": AT, "id": str(key)}
    assert (await post("two", handled)).json()["items"]["refused"] == []
    assert (await said.rows(store, "SELECT state FROM dead_letters")) == [("resolved",)]


async def test_who_asks_only_when_the_run_may_end_is_given_nothing_to_process(
    post: Post, store: engine.Database
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(builders.job(policy={"window": {"initial": "1h"}}))
        await unit.registry.applied(JOB.id, builders.applied())
    answer = (await post("one", want=["expectedEnd"])).json()
    assert (answer["expectedEnd"], "run" in answer) == (None, False)
    assert await said.rows(store, "SELECT 1 FROM windows") == []
    answer = (await post("one", want=["run", "expectedEnd"])).json()
    assert (answer["expectedEnd"], "run" in answer) == (None, True)
    assert await said.rows(store, "SELECT 1 FROM windows") == [(1,)]


async def test_news_asks_for_a_look_at_the_job_and_heartbeats_do_not(
    post: Post, store: engine.Database
) -> None:
    later = "UPDATE cronjobs SET next_check_at = now() + interval '1 day' RETURNING 1"
    due = "SELECT name FROM cronjobs WHERE next_check_at <= now()"
    await said.rows(store, later)
    await post("one", CHECKPOINT, progress={"seq": 1, "at": AT, "done": 4})
    await asyncio.sleep(0.2)
    assert await said.rows(store, due) == []

    await post("one", ERROR | {"seq": 3})
    found = await kube.eventually(lambda: said.rows(store, due), 20, what="a look")
    assert found == [("report",)]


# S1, S3: whose a report is follows from the token alone.
LIES = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(
            ["pod-o", "finance", "other", str(OTHER_RUN.id), str(OTHER.id), OTHER_RUN.job_name]
        )
        | st.integers()
        | st.none()
        for name in (
            "pod_uid", "podUid", "execution", "executionId", "execution_id", "cronjob", "jobName",
            "cronjob_id", "cronjobId", "namespace", "slot_at", "slotTime", "attempt", "index",
            "token", "cluster", "uid",
        )
    },
)  # fmt: skip


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(LIES, LIES, st.integers(0, 2**40))
async def test_whatever_names_a_body_forges_it_speaks_for_its_own_pod(
    post: Post, store: engine.Database, lies: dict[str, Any], more: dict[str, Any], salt: int
) -> None:
    limits = (ERROR, CHECKPOINT, LETTER, RESULT)
    items = [item | more | {"kind": item["kind"]} for item in limits]
    boot = f"{salt:016x}"
    response = await post("one", *items, **(lies | {"boot": boot, "namespace": "finance"}))
    assert response.status_code in {200, 429}
    for table in ("checkpoints", "execution_errors", "dead_letters"):
        strange = f"SELECT 1 FROM {table} WHERE execution_id <> '{RUN.id}'"  # noqa: S608
        assert await said.rows(store, strange) == []
    async with store.transaction() as unit:
        (other,) = await unit.reports.of(OTHER_RUN.id)
    assert (other.errors, other.result, other.last_heartbeat_at) == (0, None, None)


async def test_one_jobs_run_cannot_confirm_anothers_dead_letter(
    post: Post, store: engine.Database
) -> None:
    await post("one", LETTER)
    key = (await said.rows(store, "SELECT id FROM dead_letters"))[0][0]
    async with store.transaction() as unit:
        wish = dead_letters.Wish(act=Act.REQUEUE, actor="ada")
        await dead_letters.carry_out(unit, builders.CLUSTER, key, wish)

    assert (await post("other", want=["run"])).json()["run"]["requeued"] == []
    handled = {"kind": "handled", "seq": 1, "at": AT, "id": str(key)}
    answer = (await post("other", handled)).json()["items"]
    assert [one["status"] for one in answer["refused"]] == [422]
    assert await said.rows(store, "SELECT state FROM dead_letters") == [("requeued",)]


async def test_a_token_of_no_run_of_ours_leaves_nothing(post: Post, store: engine.Database) -> None:
    before = await said.everything(store)
    assert reporting.is_problem(await post("gone", *ITEMS, want=["run"]), 403)
    assert reporting.is_problem(await post("forged", *ITEMS, want=["run"]), 401)
    assert await said.everything(store) == before


# S4: bodies that are to cost more than they weigh; they are made when their test runs.
BODIES: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "10 MB": (lambda: b" " * 10_000_000, {413}),
    "a million keys": (
        lambda: b"{" + b",".join(b'"%d":1' % number for number in range(1_000_000)) + b"}",
        {413},
    ),
    "a gzip bomb": (lambda: gzip.compress(b"[" * 100_000_000), {400}),
    "depth 5,000": (lambda: b'{"v":1,"items":[' + b"[" * 5000 + b"]" * 5000 + b"]}", {400}),
    "as many keys as fit": (
        lambda: json.dumps(
            reporting.report(
                boot=BOOT, items=[CHECKPOINT | {"value": dict.fromkeys(map(str, range(9_000)), 1)}]
            )
        ).encode(),
        {200},
    ),
}


@pytest.mark.parametrize(("make", "statuses"), BODIES.values(), ids=BODIES)
async def test_a_hostile_body_is_answered_soon_and_others_go_on(
    http: httpx.AsyncClient, post: Post, make: Callable[[], bytes], statuses: set[int]
) -> None:
    body = make()
    started = time.monotonic()
    hostile, other = await asyncio.gather(
        reporting.send(http, body, bearer="one"), post("two", ERROR)
    )
    assert hostile.status_code in statuses
    assert other.status_code == 200
    assert time.monotonic() - started < 10


# D8: what the database cannot keep, although the edge let it through.
async def test_a_poisoned_item_is_refused_alone_by_the_database(
    post: Post, store: engine.Database
) -> None:
    await said.rows(store, "ALTER TABLE execution_errors ADD CHECK (type <> 'poison')")
    poison = ERROR | {"seq": 2, "type": "poison"}
    items = (ERROR, poison, CHECKPOINT | {"seq": 3})
    hit, other = await asyncio.gather(post("one", *items), post("two", ERROR))

    answer = hit.json()["items"]
    assert answer["through"] == 3
    assert [(one["seq"], one["status"]) for one in answer["refused"]] == [(2, 422)]
    assert other.json()["items"]["refused"] == []
    assert (await count(store, "execution_errors"), await count(store, "checkpoints")) == (2, 1)


async def test_a_poisoned_pod_alone_is_told_4xx(post: Post, store: engine.Database) -> None:
    await said.rows(store, "ALTER TABLE attempts ADD CHECK (stage <> 'poison')")
    bad = {"seq": 1, "at": AT, "stage": "poison"}
    hit, other = await asyncio.gather(post("one", progress=bad), post("two", ERROR))

    assert reporting.is_problem(hit, 422)
    assert other.status_code == 200
    assert (await reporting.beats(store, "pod-1"), await count(store, "execution_errors")) == (
        (None, 0), 1,
    )  # fmt: skip


async def break_letters(store: engine.Database, code: str) -> None:
    """Have the database fail with this code where it is to keep a dead letter."""
    await said.rows(
        store,
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = '{code}'; END $$
        """,
    )
    trigger = "CREATE TRIGGER broken BEFORE INSERT ON dead_letters EXECUTE FUNCTION fail()"
    await said.rows(store, trigger)


@pytest.mark.parametrize("code", ["22P02", "22030", "23502"])
async def test_a_value_that_the_database_can_never_keep_is_refused_for_good(
    post: Post, store: engine.Database, code: str
) -> None:
    await break_letters(store, code)
    answer = (await post("one", ERROR, LETTER)).json()["items"]
    assert [(one["seq"], one["status"]) for one in answer["refused"]] == [(3, 422)]


@pytest.mark.parametrize(
    "code", ["42501", "XX001", "42703"], ids=["no grant", "corruption", "no such column"]
)
async def test_a_fault_of_the_database_refuses_no_item_and_is_made_good_later(
    post: Post, store: engine.Database, code: str
) -> None:
    await break_letters(store, code)
    assert reporting.is_problem(await post("one", ERROR, LETTER, RESULT), 500)

    await said.rows(store, "DROP TRIGGER broken ON dead_letters")
    assert (await post("one", ERROR, LETTER, RESULT)).json()["items"]["refused"] == []
    assert (await count(store, "dead_letters"), await count(store, "execution_errors")) == (1, 1)


# S5: one pod that sends without end.
async def test_a_pod_over_its_limit_is_refused_and_heard_and_others_go_on(
    post: Post, store: engine.Database
) -> None:
    answers = await asyncio.gather(*(post("one", ERROR) for _ in range(200)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 200 - len(refused) >= ingest.BURST
    assert len(refused) > 20
    assert all(reporting.is_problem(one, 429) for one in refused)
    assert all(1 <= int(one.headers["retry-after"]) <= 10 for one in refused)
    assert (await post("two", ERROR)).status_code == 200

    async def heard() -> int:
        return (await reporting.beats(store, "pod-1"))[1]

    await kube.eventually(heard, 20, what="200 heartbeats", good=lambda count: count == 200)


# S6: characters that mean something elsewhere are text here.
async def test_text_that_means_something_elsewhere_is_kept_as_text(
    post: Post, store: engine.Database
) -> None:
    strange = "\x1b[31m\r\n\0<script>alert(1)</script> **b** @channel %s {0} '; DROP TABLE x; --"
    items = [
        ERROR | {"type": strange[:60], "message": strange, "item": strange},
        LETTER | {"seq": 2, "item": strange, "error": strange, "payload": {strange: strange}},
    ]
    assert (await post("one", *items)).json()["items"]["refused"] == []
    kept = strange.replace("\0", "\ufffd")
    (row,) = await said.rows(store, "SELECT message, item FROM execution_errors")
    assert tuple(row) == (kept, kept)
    (row,) = await said.rows(store, "SELECT item, error, payload FROM dead_letters")
    assert tuple(row) == (kept, kept, {kept: kept})


async def test_a_run_that_cannot_be_told_is_acknowledged_all_the_same(
    post: Post, store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "TELL_WITHIN", 0.2)
    async with store.transaction() as unit:
        await unit.registry.register(builders.job(policy={"window": {"initial": "1h"}}))
        await unit.registry.applied(JOB.id, builders.applied())
    async with store.transaction() as unit:
        await unit.schedule.lock(JOB.id)  # somebody decides about the job, for long
        response = await post("one", ERROR, want=["run"])
    assert response.status_code == 200
    assert "run" not in response.json()
    assert response.json()["items"]["through"] == 1
