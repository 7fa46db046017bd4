"""The audit of the ledger finds each sort of untruth, and nothing in a true one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from support import audit, ledger, recorder

MINUTE = timedelta(minutes=1)
CREATED_AT = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)
FIRST = datetime(2026, 11, 25, 12, 2, tzinfo=UTC)  # slot that is promised
UNTIL = FIRST + 2 * MINUTE


def cronjob(concurrency: str = "Allow", **fields: object) -> recorder.CronJob:
    rhythm = recorder.Rhythm(
        seen_at=CREATED_AT,
        schedule="* * * * *",
        suspended=False,
        concurrency=concurrency,
        deadline=30,
    )
    rhythms = [replace(rhythm, **fields)]  # type: ignore[arg-type]
    return recorder.CronJob(
        uid="cronjob", namespace="team", name="report", created_at=CREATED_AT, rhythms=rhythms
    )


def job(number: int, end: str | None = "succeeded", lasts: int = 5) -> recorder.Job:
    slot_at = FIRST + number * MINUTE
    return recorder.Job(
        uid=f"job-{number}",
        name=f"report-{number}",
        cronjob_uid="cronjob",
        slot_at=slot_at,
        created_at=slot_at,
        end=end,
        finished_at=slot_at + timedelta(seconds=lasts) if end else None,
    )


def row(number: int, status: str = "succeeded", *, ran: bool = True) -> ledger.Row:
    return ledger.Row(
        cronjob="report",
        cronjob_uid="tracked",
        id=number,
        slot_at=FIRST + number * MINUTE,
        trigger="schedule",
        status=status,
        reason=None,
        message=None,
        exit_code=None,
        job_name=f"report-{number}" if ran else None,
        job_uid=f"job-{number}" if ran else None,
        created_at=None,
        started_at=None,
        ended_at=None,
        attempts=1,
    )


def gap(first: int, last: int, count: int) -> ledger.Gap:
    return ledger.Gap(
        cronjob="report",
        from_at=FIRST + first * MINUTE,
        until_at=FIRST + last * MINUTE,
        status="missed",
        reason="QuotaExceeded",
        count=count,
    )


def found(
    jobs: Sequence[recorder.Job],
    rows: Sequence[ledger.Row],
    *,
    of: recorder.CronJob | None = None,
    gaps: Sequence[ledger.Gap] = (),
    away: Sequence[audit.Span] = (),
) -> list[str]:
    case = audit.Case(cronjob=of or cronjob(), jobs=jobs, rows=rows, gaps=gaps, away=away)
    return audit.audit(case, UNTIL)


THREE = [job(0), job(1), job(2)]
AWAY = (FIRST, FIRST + 3 * MINUTE)


def test_a_true_ledger_has_nothing_against_it() -> None:
    assert found(THREE, [row(0), row(1), row(2)]) == []


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([row(0), row(1)], "Job report-2 ran, and the ledger says nothing"),
        ([row(0), row(1), row(2, "missed", ran=False)], "ran, and the ledger says missed"),
        ([row(0), row(1), row(2, "failed")], "is failed (None), not succeeded"),
        ([row(0), row(1), row(2), row(2)], "12:04 has 2 rows"),
        ([row(0), row(1), row(2), row(9)], "names report-9, which never was"),
        ([row(0), row(1), row(2), row(-3, "missed", ran=False)], "missed and was not due"),
    ],
)
def test_an_untrue_row_is_found(rows: Sequence[ledger.Row], complaint: str) -> None:
    assert complaint in "\n".join(found(THREE, rows))


def test_a_slot_without_a_job_needs_a_row_or_a_gap() -> None:
    rows = [row(0), row(1, "missed", ran=False)]
    assert found([job(0)], [*rows, row(2, "missed", ran=False)]) == []
    assert found([job(0)], rows, gaps=[gap(2, 2, 1)]) == []
    assert "12:04 was due" in "".join(found([job(0)], rows))
    assert "counts 7 slots, not 1" in "".join(found([job(0)], rows, gaps=[gap(2, 2, 7)]))


def test_skipped_is_true_only_of_a_slot_with_a_run_in_its_way() -> None:
    rows = [row(0), row(1, "skipped", ran=False), row(2)]
    long, short = job(0, lasts=115), job(0, lasts=65)
    assert found([long, job(2)], rows, of=cronjob("Forbid")) == []
    assert "no run was in its way" in "".join(found([short, job(2)], rows, of=cronjob("Forbid")))
    assert "no run was in its way" in "".join(found([long, job(2)], rows))
    missed = [row(0), row(1, "missed", ran=False), row(2)]
    assert "a run was in its way" in "".join(found([long, job(2)], missed, of=cronjob("Forbid")))


def test_unknown_is_true_only_while_rollcall_was_away_for_long() -> None:
    rows = [row(0), row(1, "unknown", ran=False), row(2)]
    briefly = (FIRST + MINUTE, FIRST + MINUTE + timedelta(seconds=20))
    assert found([job(0), job(2)], rows, away=[AWAY]) == []
    assert "was not away" in "".join(found([job(0), job(2)], rows, away=[briefly]))


def test_a_job_that_went_is_replaced_by_its_follower_or_else_cancelled() -> None:
    gone_at = FIRST + MINUTE
    went = replace(job(0, end=None), gone_after=gone_at, gone_before=gone_at)
    after = [row(1), row(2)]
    jobs = [went, job(1), job(2)]
    replacing = cronjob("Replace")
    assert found(jobs, [row(0, "replaced"), *after], of=replacing) == []
    assert found(jobs, [row(0, "cancelled"), *after]) == []
    assert "not cancelled" in "".join(found(jobs, [row(0, "replaced"), *after]))
    assert "not cancelled" in "".join(found(jobs, [row(0, "unknown"), *after]))
    assert found(jobs, [row(0, "unknown"), *after], away=[AWAY]) == []
    assert found(jobs, [row(0, "unknown", ran=False), *after], away=[AWAY]) == []


def test_nothing_is_promised_of_a_suspension_and_of_its_edges() -> None:
    paused = cronjob()
    paused.rhythms.append(replace(paused.rhythms[0], seen_at=FIRST + MINUTE, suspended=True))
    assert found([], [], of=paused) == []
    assert "was not due" in "".join(
        found([], [row(1, "missed", ran=False)], of=cronjob(suspended=True))
    )
