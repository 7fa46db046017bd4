"""Pages of history."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from rollcall.core import errors, executions
from rollcall.core.executions import Status, Trigger
from rollcall.services.listing import Choice, Listed
from rollcall.store import engine, listing, models
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
EVERYTHING = Choice(cluster=builders.CLUSTER)
BILLING = builders.job("billing")
REPORT = builders.job("report")
ELSEWHERE = builders.job("report", uid="another", namespace="kitchen")


async def fill(store: engine.Database, runs: Sequence[executions.Execution]) -> None:
    async with store.transaction() as unit:
        for job in (BILLING, REPORT, ELSEWHERE):
            await unit.registry.register(job)
        for run in runs:
            await unit.ledger.save(run)


async def pages(
    store: engine.Database, choice: Choice = EVERYTHING, limit: int = 3
) -> list[list[Listed]]:
    found, cursor = [], None
    async with store.transaction() as unit:
        while True:
            page = await unit.listing.page(choice, limit=limit, cursor=cursor)
            found.append(list(page.items))
            cursor = page.next_cursor
            if cursor is None:
                return found


async def listed(store: engine.Database, choice: Choice) -> list[executions.Execution]:
    return [item.execution for page in await pages(store, choice) for item in page]


def newest_first(runs: Sequence[executions.Execution]) -> list[executions.Execution]:
    return sorted(runs, key=lambda run: (run.slot_at, run.id), reverse=True)


def some_runs() -> list[executions.Execution]:
    """Build runs over three weeks, several in each slot."""
    return [
        builders.execution(job, slot_at=AT + number * timedelta(days=3))
        for job in (BILLING, REPORT, ELSEWHERE)
        for number in range(7)
    ]


@pytest.mark.parametrize("limit", [1, 3, 20, 21, 22])
async def test_pages_together_are_everything_once_newest_first(
    store: engine.Database, limit: int
) -> None:
    runs = some_runs()
    await fill(store, runs)

    found = await pages(store, limit=limit)

    assert [item.execution for page in found for item in page] == newest_first(runs)
    assert all(len(page) == limit for page in found[:-1])
    assert found[-1]


async def test_an_empty_ledger_is_one_empty_page(store: engine.Database) -> None:
    assert await pages(store) == [[]]


async def test_rows_that_come_in_meanwhile_move_no_page(store: engine.Database) -> None:
    runs = some_runs()
    await fill(store, runs)
    async with store.transaction() as unit:
        first = await unit.listing.page(EVERYTHING, limit=5)
        await unit.ledger.save(builders.execution(BILLING, slot_at=AT + timedelta(days=30)))
        second = await unit.listing.page(EVERYTHING, limit=5, cursor=first.next_cursor)

    found = [item.execution for item in (*first.items, *second.items)]
    assert found == newest_first(runs)[:10]


async def test_each_names_its_job(store: engine.Database) -> None:
    await fill(store, [builders.execution(ELSEWHERE)])

    [[item]] = await pages(store)

    assert (item.namespace, item.cronjob) == ("kitchen", "report")


CHOICES = {
    "a namespace": ({"namespace": "shop"}, lambda run: run.cronjob_id != ELSEWHERE.id),
    "a name in all namespaces": ({"cronjob": "report"}, lambda run: run.cronjob_id != BILLING.id),
    "one job": (
        {"namespace": "shop", "cronjob": "report"},
        lambda run: run.cronjob_id == REPORT.id,
    ),
    "no such job": ({"cronjob": "nobody"}, lambda _run: False),
    "a status": (
        {"statuses": frozenset({Status.FAILED})},
        lambda run: run.status is Status.FAILED,
    ),
    "two statuses": (
        {"statuses": frozenset({Status.FAILED, Status.SUCCEEDED})},
        lambda run: run.status is not Status.RUNNING,
    ),
    "two statuses of one job": (
        {"cronjob": "billing", "statuses": frozenset({Status.FAILED, Status.SUCCEEDED})},
        lambda run: run.cronjob_id == BILLING.id and run.status is not Status.RUNNING,
    ),
    "a trigger": ({"trigger": Trigger.MANUAL}, lambda run: run.trigger is Trigger.MANUAL),
    "from a time on": ({"since": AT + 4 * MINUTE}, lambda run: run.slot_at >= AT + 4 * MINUTE),
    "before a time": ({"until": AT + 4 * MINUTE}, lambda run: run.slot_at < AT + 4 * MINUTE),
}


@pytest.mark.parametrize("few", [True, False], ids=["few jobs", "many jobs"])
@pytest.mark.parametrize(("choice", "belongs"), CHOICES.values(), ids=CHOICES)
async def test_a_choice_restricts(
    store: engine.Database,
    monkeypatch: pytest.MonkeyPatch,
    choice: dict[str, Any],
    belongs: Callable[[executions.Execution], bool],
    *,
    few: bool,
) -> None:
    monkeypatch.setattr(listing, "FEW_JOBS", 100 if few else 0)
    statuses = [Status.SUCCEEDED, Status.FAILED, Status.RUNNING]
    runs = [
        builders.execution(
            job,
            slot_at=AT + number * MINUTE,
            status=statuses[number % 3],
            trigger=Trigger.MANUAL if number == 5 else Trigger.SCHEDULE,
        )
        for job in (BILLING, REPORT, ELSEWHERE)
        for number in range(9)
    ]
    await fill(store, runs)

    found = await listed(store, Choice(cluster=builders.CLUSTER, **choice))

    assert found == newest_first([run for run in runs if belongs(run)])


async def test_another_clusters_executions_are_not_shown(store: engine.Database) -> None:
    await fill(store, [builders.execution(REPORT)])

    assert await pages(store, Choice(cluster="other")) == [[]]


async def test_a_job_that_was_made_anew_shows_the_history_of_its_name(
    store: engine.Database,
) -> None:
    again = builders.job("report", uid="second", created_at=AT)
    runs = [builders.execution(REPORT), builders.execution(again, slot_at=AT + MINUTE)]
    await fill(store, runs[:1])
    async with store.transaction() as unit:
        await unit.registry.register(again)
        await unit.ledger.save(runs[1])

    choice = Choice(cluster=builders.CLUSTER, namespace="shop", cronjob="report")
    assert await listed(store, choice) == newest_first(runs)


async def test_a_forged_cursor_is_refused(store: engine.Database) -> None:
    async with store.transaction() as unit:
        with pytest.raises(errors.InvalidSpec, match="nextCursor"):
            await unit.listing.page(EVERYTHING, limit=5, cursor="forged")


async def test_one_is_found_by_its_id_within_its_cluster(store: engine.Database) -> None:
    run = builders.execution(REPORT)
    await fill(store, [run])
    async with store.transaction() as unit:
        found = await unit.listing.find(builders.CLUSTER, run.id)
        assert found == Listed(execution=run, namespace="shop", cronjob="report")
        assert await unit.listing.find("other", run.id) is None
        assert await unit.listing.find(builders.CLUSTER, builders.execution(BILLING).id) is None


async def explain(unit: engine.Transaction, choice: Choice) -> set[str]:
    """Return the indexes by which the executions of a page are read."""
    query, given = await unit.listing.query(choice, None, 50)
    written = query.params(given).compile(
        dialect=postgresql.dialect(),
        compile_kwargs={"literal_binds": True},  # type: ignore[no-untyped-call]
    )
    plan = await unit.connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {written}")
    return set(_indexes(plan.scalar_one()))


def _indexes(node: object) -> list[str]:
    if isinstance(node, list):
        return [name for child in node for name in _indexes(child)]
    if not isinstance(node, dict):
        return []
    own = [node["Index Name"]] if "Index Name" in node else []
    return own + [name for child in node.values() for name in _indexes(child)]


KINDS_OF_PAGE = {
    "pkey": [{}],
    "status_slot_at_id_idx": [
        {"statuses": frozenset({Status.MISSED})},
        {"statuses": frozenset({Status.FAILED, Status.MISSED})},
    ],
    "trigger_slot_at_id_idx": [{"trigger": Trigger.MANUAL}],
    "cronjob_id_slot_at_id_idx": [{"cronjob": "report"}],
    "cronjob_id_slot_at_id_idx1": [
        {"cronjob": "report", "statuses": frozenset({Status.FAILED, Status.MISSED})}
    ],
}


async def test_each_kind_of_page_is_read_by_its_index(store: engine.Database) -> None:
    await fill(store, [])
    async with store.transaction() as unit:
        await _generate(unit, rows=40_000)
        for index, kinds in KINDS_OF_PAGE.items():
            for kind in kinds:
                used = await explain(unit, Choice(cluster=builders.CLUSTER, **kind))
                of_executions = {name for name in used if name.startswith("executions_")}
                assert of_executions, kind
                assert all(name.endswith(index) for name in of_executions), (kind, used)


async def test_what_all_jobs_did_is_read_in_order_of_time_though_nobody_analyzed_the_jobs(
    store: engine.Database,
) -> None:
    """As where thousands have just come into being: they are believed to be two or three."""
    await fill(store, [builders.execution(BILLING)])
    async with store.transaction() as unit:
        await unit.connection.execute(sa.text(_MANY_JOBS), {"cluster": builders.CLUSTER})
        await unit.connection.execute(sa.text(_THEIR_RUNS))
        await unit.connection.execute(sa.text("ANALYZE executions"))
        used = await explain(unit, EVERYTHING)

    assert {name for name in used if "_cronjob_id_" in name} == set()
    assert any(name.endswith("pkey") for name in used if name.startswith("executions_"))


_MANY_JOBS = """
    INSERT INTO cronjobs (id, cluster, uid, namespace, name, policy, created_at, next_check_at)
    SELECT gen_random_uuid(), :cluster, 'uid' || n, 'team', 'job-' || n,
        '{"rules": {}, "alerts": {}}', now(), now()
    FROM generate_series(1, 1000) AS n
"""
_THEIR_RUNS = """
    INSERT INTO executions (slot_at, id, cronjob_id, trigger, status)
    SELECT now() - n * interval '4 hours', gen_random_uuid(), id, 'schedule', 'succeeded'
    FROM cronjobs, generate_series(1, 20) AS n
"""


async def _generate(unit: engine.Transaction, *, rows: int) -> None:
    """Add runs, one each ten seconds up to now; one in fifty failed."""
    await unit.connection.execute(
        sa.text(
            """
            INSERT INTO executions (slot_at, id, cronjob_id, trigger, status)
            SELECT now() - number * interval '10 seconds', gen_random_uuid(),
                (ARRAY[:a, :b, :c]::uuid[])[1 + number % 3],
                CASE WHEN number % 70 = 0 THEN 'manual' ELSE 'schedule' END,
                CASE WHEN number % 50 = 0 THEN 'failed' ELSE 'succeeded' END
            FROM generate_series(1, :rows) AS number
            """
        ),
        {"a": BILLING.id, "b": REPORT.id, "c": ELSEWHERE.id, "rows": rows},
    )
    await unit.connection.execute(sa.text("ANALYZE executions"))
    await unit.connection.execute(sa.text("ANALYZE cronjobs"))


def test_trouble_is_what_the_partial_indexes_hold() -> None:
    assert set(models.TROUBLE) == set(Status) - executions.OPEN - {Status.SUCCEEDED}
