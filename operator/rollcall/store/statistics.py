"""Numbers over many days: from the roll-ups, and from the executions of days not rolled up yet."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core.executions import Status
from rollcall.core.rollups import Statistics
from rollcall.store import daily_counts, models

_days = models.table(models.RolledDay)

_ROLLED = sa.select(_days.c.day).where(_days.c.day >= sa.bindparam("since")).order_by(_days.c.day)
# One row per job and status, one per job and bucket of its successes.
_NUMBERS = sa.text(
    f"""
    WITH parts AS MATERIALIZED (
        SELECT cronjob_id, status, count, longest, buckets, counts
        FROM rollup_day
        WHERE cronjob_id = ANY(:cronjob_ids) AND day >= :since AND day < :live_from
        UNION ALL
        SELECT cronjob_id, status, count, longest, buckets, counts
        FROM ({daily_counts.OF_JOBS}) AS live
    )
    SELECT cronjob_id, status, NULL AS bucket, sum(count) AS runs, max(longest) AS longest
    FROM parts GROUP BY cronjob_id, status
    UNION ALL
    SELECT cronjob_id, NULL, bucket, sum(runs), NULL
    FROM parts, unnest(buckets, counts) AS histogram (bucket, runs)
    WHERE status = '{Status.SUCCEEDED}'
    GROUP BY cronjob_id, bucket
    """  # noqa: S608 - no value in it comes from outside
)


@dataclass(slots=True)
class Numbers:
    """Reads of one connection."""

    connection: AsyncConnection
    now: datetime

    async def of(self, cronjob_ids: Sequence[UUID], since: date) -> Mapping[UUID, Statistics]:
        """Return the numbers of each job from this UTC day on; jobs without any are left out."""
        live_from = await self._live_from(since)
        parameters = {
            "cronjob_ids": list(cronjob_ids),
            "since": since,
            "live_from": live_from,
            "begin_at": daily_counts.midnight(live_from),
            "end_at": self.now + timedelta(days=1),
        }
        rows = await self.connection.execute(_NUMBERS, parameters)
        of_job: dict[UUID, list[sa.Row[Any]]] = defaultdict(list)
        for row in rows:
            of_job[row.cronjob_id].append(row)
        return {cronjob_id: _statistics(parts) for cronjob_id, parts in of_job.items()}

    async def _live_from(self, since: date) -> date:
        """Return the first day whose executions are read: before it, roll-ups are complete."""
        rolled = list((await self.connection.execute(_ROLLED, {"since": since})).scalars())
        day = rolled[0] if rolled else since
        for known in rolled:
            if known != day:
                break
            day += timedelta(days=1)
        return day


def _statistics(rows: Sequence[sa.Row[Any]]) -> Statistics:
    counts = {Status(row.status): int(row.runs) for row in rows if row.status}
    histogram = {row.bucket: int(row.runs) for row in rows if row.bucket is not None}
    longest = next((row.longest for row in rows if row.status == Status.SUCCEEDED.value), None)
    return Statistics(
        counts=counts,
        histogram=histogram,
        longest=None if longest is None else timedelta(seconds=longest),
    )
