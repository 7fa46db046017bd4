"""Reports, from the request to the row in Postgres."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa

from rollcall.api import app
from rollcall.cluster import tokens
from rollcall.core import errors, executions
from rollcall.services import ingest, reporters
from rollcall.store import engine
from support import builders, postgres, reporting

JOB = builders.job()
RUN = builders.execution(JOB)
JOB_UID = RUN.job_uid or ""
PATIENCE = 20.0  # seconds that anything may take on a slow machine


@pytest.fixture
def reviewer() -> reporting.Reviewer:
    return reporting.Reviewer(
        good=reporting.caller("pod-1"),
        stranger=reporting.caller("pod-x"),
        neighbour=reporting.caller("pod-1", namespace="other"),
        unbound=reporters.Caller(user="system:serviceaccount:shop:default", pod=None),
    )


@pytest.fixture
def lookup() -> reporting.Lookup:
    return reporting.Lookup()


@pytest.fixture
def outcomes() -> list[str]:
    return []


@pytest.fixture
async def http(
    store: engine.Database,
    reviewer: reporting.Reviewer,
    lookup: reporting.Lookup,
    outcomes: list[str],
) -> AsyncIterator[httpx.AsyncClient]:
    use_case = ingest.Ingest(
        store=store,
        reviewer=reviewer,
        lookup=lookup,
        cluster=builders.CLUSTER,
        on_outcome=outcomes.append,
    )
    async with reporting.client(app.IngestApp(use_case)) as client:
        yield client
    await use_case.close()


async def register(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.registry.applied(JOB.id, builders.applied())


async def observe(store: engine.Database, *pods: str) -> None:
    await register(store)
    async with store.transaction() as unit:
        await unit.ledger.save(RUN)
        seen = [builders.attempt(uid, job_uid=JOB_UID) for uid in pods or ("pod-1",)]
        await unit.attempts.observe({RUN: seen})


async def test_a_heartbeat_is_stored_and_acknowledged(
    http: httpx.AsyncClient, store: engine.Database
) -> None:
    await observe(store)
    before = datetime.now(UTC)
    response = await reporting.send(http)

    assert response.status_code == 200
    answer = response.json()
    assert (answer["v"], answer["acknowledged"]) == (1, 7)
    assert answer["execution"] == {
        "id": str(RUN.id),
        "cronjob": "report",
        "namespace": "shop",
        "jobName": RUN.job_name,
        "slotTime": "2026-03-02T12:00:00Z",
        "trigger": "schedule",
        "attempt": 1,
    }
    at, count = await reporting.beats(store)
    assert at
    assert before - timedelta(seconds=1) < at < before + timedelta(seconds=PATIENCE)
    assert count == 1


async def test_reports_at_the_same_time_are_kept_together(
    http: httpx.AsyncClient, store: engine.Database, reviewer: reporting.Reviewer
) -> None:
    pods = [f"pod-{number}" for number in range(40)]
    await observe(store, *pods)
    reviewer.callers |= {uid: reporting.caller(uid) for uid in pods}
    # Who they are is known by now: the second time all come in one batch.
    for _ in range(2):
        answers = await asyncio.gather(*(reporting.send(http, bearer=uid) for uid in pods))
        assert {answer.status_code for answer in answers} == {200}
    assert [(await reporting.beats(store, uid))[1] for uid in pods] == [2] * 40


async def test_the_answer_waits_for_the_commit(
    http: httpx.AsyncClient, store: engine.Database
) -> None:
    await observe(store)
    async with store.transaction() as unit:
        await unit.connection.execute(sa.text("SELECT 1 FROM attempts FOR UPDATE"))
        waiting = asyncio.create_task(reporting.send(http))
        await asyncio.wait({waiting}, timeout=1)
        assert not waiting.done()
    assert (await waiting).status_code == 200
    assert (await reporting.beats(store))[1] == 1


@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        (None, 401),
        ("of-another-audience", 401),
        ("unbound", 403),
        ("stranger", 403),
        ("neighbour", 403),
    ],
)
async def test_who_is_not_a_pod_of_ours_is_turned_away(
    http: httpx.AsyncClient,
    store: engine.Database,
    outcomes: list[str],
    bearer: str | None,
    status: int,
) -> None:
    await observe(store)
    assert reporting.is_problem(await reporting.send(http, bearer=bearer), status)
    assert outcomes == ["unauthenticated" if status == 401 else "forbidden"]
    assert await reporting.beats(store) == (None, 0)


async def test_a_token_speaks_for_its_own_pod_only(
    http: httpx.AsyncClient, store: engine.Database, reviewer: reporting.Reviewer
) -> None:
    await observe(store, "pod-1", "pod-2")
    reviewer.callers["other"] = reporting.caller("pod-2")
    body = b'{"v":1,"seq":1,"sentAt":"2026-03-02T12:00:15Z","startedAt":"2026-03-02T12:00:00Z",'
    body += b'"heartbeat":{"uptimeSeconds":1},"podUid":"pod-1"}'
    response = await reporting.send(http, body, bearer="other")
    assert response.json()["execution"]["attempt"] == 2
    assert await reporting.beats(store, "pod-1") == (None, 0)
    assert (await reporting.beats(store, "pod-2"))[1] == 1


async def test_reports_of_one_pod_at_the_same_time_ask_once(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    await observe(store)
    answers = await asyncio.gather(*(reporting.send(http, bearer="stranger") for _ in range(9)))
    assert {answer.status_code for answer in answers} == {403}
    assert lookup.asked == ["pod-x"]


async def test_a_stranger_that_keeps_trying_costs_one_lookup(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    await observe(store)
    for _ in range(5):
        assert (await reporting.send(http, bearer="stranger")).status_code == 403
    assert lookup.asked == ["pod-x"]


def found(**changes: object) -> reporters.Found:
    """Build what the cluster says of a pod that started just now."""
    now = datetime.now(UTC)
    job = builders.observation(JOB, **({"created_at": now} | changes))
    return reporters.Found(
        job=job, attempt=builders.attempt("pod-1", job_uid=job.job_uid, started_at=now)
    )


async def test_a_pod_that_nobody_has_seen_is_recorded_with_its_run(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    await register(store)
    lookup.found["pod-1"] = found()
    response = await reporting.send(http)
    assert response.status_code == 200
    assert response.json()["execution"]["id"] == str(RUN.id)
    assert (await reporting.beats(store))[1] == 1
    async with store.transaction() as unit:
        (run,) = (await unit.ledger.of_slots([(JOB.id, builders.SLOT_AT)])).values()
    assert run
    assert run.status is executions.Status.RUNNING


@pytest.mark.parametrize(
    ("age", "status", "retry_after"),
    [(timedelta(0), 503, "1"), (timedelta(seconds=70), 403, None)],
    ids=["young", "old"],
)
async def test_a_run_of_a_job_that_is_not_registered_may_be_early(
    http: httpx.AsyncClient,
    lookup: reporting.Lookup,
    age: timedelta,
    status: int,
    retry_after: str | None,
) -> None:
    lookup.found["pod-1"] = found(created_at=datetime.now(UTC) - age)
    response = await reporting.send(http)
    assert reporting.is_problem(response, status)
    assert response.headers.get("retry-after") == retry_after


async def test_an_early_run_is_known_as_soon_as_its_job_is_registered(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    lookup.found["pod-1"] = found()
    assert (await reporting.send(http)).status_code == 503
    await register(store)
    assert (await reporting.send(http)).status_code == 200


async def test_labels_that_name_anothers_job_record_nothing(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    await register(store)
    old = datetime.now(UTC) - timedelta(hours=1)
    lookup.found["pod-1"] = found(owner_uid="a CronJob of their own", created_at=old)
    assert (await reporting.send(http)).status_code == 403
    async with store.transaction() as unit:
        assert not await unit.ledger.of_slots([(JOB.id, builders.SLOT_AT)])


async def test_a_slot_that_cannot_be_kept_is_no_fault_of_the_api(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    await register(store)
    lookup.found["pod-1"] = found(slot_at=datetime(2031, 1, 1, tzinfo=UTC))
    assert (await reporting.send(http)).status_code == 503


async def test_when_pods_cannot_be_looked_up_nobody_is_a_stranger(
    http: httpx.AsyncClient, store: engine.Database, lookup: reporting.Lookup
) -> None:
    await observe(store)
    lookup.fault = errors.ClusterUnavailable("down")
    response = await reporting.send(http, bearer="stranger")
    assert reporting.is_problem(response, 503)
    assert response.headers["retry-after"] == "5"
    assert (await reporting.send(http)).status_code == 200


async def test_when_tokens_cannot_be_checked_the_answer_is_503(
    http: httpx.AsyncClient, store: engine.Database, reviewer: reporting.Reviewer
) -> None:
    await observe(store)
    reviewer.fault = errors.ClusterUnavailable("down", retry_after=5)
    response = await reporting.send(http)
    assert reporting.is_problem(response, 503)
    assert response.headers["retry-after"] == "5"


async def test_while_tokens_cannot_be_reviewed_known_pods_go_on(
    store: engine.Database, lookup: reporting.Lookup
) -> None:
    await observe(store)
    server = reporting.ReviewServer(reporting.reviewed(namespace="shop", pod_uid="pod-1"))
    seconds = itertools.count(0, 61)  # each request finds the last review too old
    reviewer = tokens.Tokens(kube=server, clock=lambda: float(next(seconds)))
    use_case = ingest.Ingest(
        store=store, reviewer=reviewer, lookup=lookup, cluster=builders.CLUSTER
    )
    async with reporting.client(app.IngestApp(use_case)) as http:
        assert (await reporting.send(http, bearer="a.b.known")).status_code == 200
        server.answer = errors.ClusterUnavailable("down")
        known = await reporting.send(http, bearer="a.b.known")
        new = await reporting.send(http, bearer="a.b.new")
    await use_case.close()
    assert known.status_code == 200
    assert reporting.is_problem(new, 503)
    assert new.headers["retry-after"] == "5"


@pytest.fixture(params=[1, 0], ids=["known-pod", "new-pod"])
def before(request: pytest.FixtureRequest) -> int:
    """Say how often the pod was heard while all was well."""
    return int(request.param)


@pytest.fixture
async def fragile(
    own_store: engine.Database, reviewer: reporting.Reviewer, before: int
) -> AsyncIterator[httpx.AsyncClient]:
    """Make a client of an api whose server the test may stop, with one run and its pod."""
    await observe(own_store)
    use_case = ingest.Ingest(
        store=own_store, reviewer=reviewer, lookup=reporting.Lookup(), cluster=builders.CLUSTER
    )
    async with reporting.client(app.IngestApp(use_case)) as http:
        for _ in range(before):
            assert (await reporting.send(http)).status_code == 200
        yield http
    await use_case.close()


async def test_while_postgres_is_stopped_the_answer_is_503_and_then_all_is_well(
    own_server: postgres.Server, own_store: engine.Database, fragile: httpx.AsyncClient, before: int
) -> None:
    own_server.stop()
    for _ in range(2):
        response = await reporting.send(fragile)
        assert reporting.is_problem(response, 503)
        assert response.headers["retry-after"] == "5"
    own_server.start()
    assert (await reporting.send(fragile)).status_code == 200
    assert (await reporting.beats(own_store))[1] == before + 1


@pytest.mark.slow  # waits for a time limit
async def test_while_postgres_hangs_the_answer_comes_before_the_sidecar_gives_up(
    own_server: postgres.Server, fragile: httpx.AsyncClient
) -> None:
    with own_server.frozen():
        started = time.monotonic()
        response = await reporting.send(fragile)
        seconds = time.monotonic() - started
    assert reporting.is_problem(response, 503)
    assert response.headers["retry-after"] == "5"
    assert seconds < 5
    assert (await reporting.send(fragile)).status_code == 200
