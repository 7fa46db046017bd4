"""What programs report from their pods, and what the next run is given."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from support import kube as kubes
from support import ledger as ledgers
from support import programs

MINUTE = timedelta(minutes=1)
# Told to end it takes ten seconds, and leaves its result where it needs no HTTP.
SLOW_TO_END = """
end() {
  sleep 10
  printf '{"rollcall": {"result": "partial", "message": "3 of 5 files"}}' > /dev/termination-log
  exit 0
}
trap end TERM
sleep 600 & wait"""
LEASES = """
SELECT w.from_at, w.until_at, w.state, w.opened_at,
    (SELECT max(least(a.final_at, a.ended_at)) FROM attempts a
     WHERE a.execution_id = w.execution_id) AS gone_at
FROM windows w JOIN cronjobs c ON c.id = w.cronjob_id
WHERE c.namespace = %s ORDER BY w.slot_at LIMIT 2"""


@pytest.mark.parametrize("script", [programs.PYTHON, programs.SHELL], ids=["python", "shell"])
async def test_a_run_that_fails_half_way_is_taken_up_by_the_next_one(
    namespace: kubes.Place, ledger: ledgers.Ledger, script: str
) -> None:
    await namespace.apply_job(
        "loading", script, concurrencyPolicy="Forbid", window={"initial": "1h"}
    )
    rows = await ledger.wait(
        namespace, "loading", 240, what="a failure and a success", good=_ended_twice
    )
    failed, succeeded = rows[:2]
    assert (failed.status, failed.exit_code, succeeded.status) == ("failed", 3, "succeeded")
    assert succeeded.message == "from 2 to 4"
    told = await ledger.reports(namespace, "loading")
    assert (told[0].done, told[0].total, told[0].counters) == (2, 4, {"rows": 20})
    assert (told[0].errors, told[0].result) == (1, None)
    assert (told[1].done, told[1].stage, told[1].result) == (4, "load", "succeeded")
    assert [one.lost for one in told[:2]] == [None, None]
    first, second = (await ledger.windows(namespace, "loading"))[:2]
    assert (first.from_at, first.until_at) == (failed.slot_at - 60 * MINUTE, failed.slot_at)
    assert first.state == "released"
    assert (second.from_at, second.until_at) == (first.from_at, succeeded.slot_at)


async def test_the_next_run_is_told_what_it_goes_on_from(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job(
        "resumed", programs.PYTHON, concurrencyPolicy="Forbid", window={"initial": "1h"}
    )
    rows = await ledger.wait(
        namespace, "resumed", 240, what="a failure and a success", good=_ended_twice
    )
    told = await ledger.reports(namespace, "resumed")
    metadata = told[1].metadata or {}
    assert metadata["resumed"] == str(rows[0].id)
    assert metadata["window"]["to"].startswith(rows[1].slot_at.strftime("%Y-%m-%dT%H:%M"))


async def test_a_program_without_http_says_partial_in_its_termination_message(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    said = '{"rollcall": {"result": "partial", "message": "3 of 5 files"}}'
    await namespace.apply_job("half", f"printf '%s' '{said}' > /dev/termination-log")
    row = await ledger.reached(namespace, "half", "partial", 150)
    assert (row.reason, row.message, row.exit_code) == ("PartialResult", "3 of 5 files", 0)
    status = await kubes.eventually(
        lambda: namespace.status("half"),
        30,
        what="a partial run in the status",
        good=lambda seen: (seen.get("lastExecution") or {}).get("status") == "partial",
    )
    assert status.get("lastSuccessfulTime") is None
    assert status["consecutiveFailures"] == 0
    assert await receiver.of(namespace, "half") == []


async def test_a_run_that_is_replaced_has_its_window_until_its_pod_has_ended_and_said_so(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    job = kubes.job_template(namespace.image, SLOW_TO_END)
    job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    await namespace.apply_job(
        "slow", jobTemplate=job, concurrencyPolicy="Replace", window={"initial": "1h"}
    )
    replaced = await ledger.reached(namespace, "slow", "replaced", 200)
    told = await kubes.eventually(
        lambda: ledger.reports(namespace, "slow"),
        60,
        what="the last words of a pod that outlives its Job",
        good=lambda told: told and told[0].result,
    )
    assert (told[0].result, told[0].result_message) == ("partial", "3 of 5 files")
    first, second = await kubes.eventually(
        lambda: ledger.ask(LEASES, namespace.name), 60, what="two windows", good=_are_two
    )
    assert (first["from_at"], first["state"]) == (second["from_at"], "released")
    assert first["until_at"] == replaced.slot_at
    assert first["gone_at"] <= second["opened_at"]


def _are_two(windows: Sequence[dict[str, Any]]) -> bool:
    return len(windows) > 1


def _ended_twice(rows: Sequence[ledgers.Row]) -> bool:
    return len([row for row in rows if row.status not in ledgers.OPEN]) > 1
