"""Statistics of alerts, counted where they lie; only people ask for them."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import incidents, policies
from rollcall.services import alert_numbers, alerts
from rollcall.store import models
from rollcall.store.alerts import conditions

_jobs = models.table(models.CronJob)
_rows = models.table(models.Incident)
_steps = models.table(models.IncidentTransition)
_sent = models.table(models.Notification)

_count = sa.func.count()
# The first time counts: an acknowledgement can be taken back, and end with news.
_acknowledged_at = (
    sa.select(sa.func.min(_steps.c.at))
    .where(
        _steps.c.incident_id == _rows.c.id,
        _steps.c.transition == incidents.Transition.ACKNOWLEDGED.value,
    )
    .correlate(_rows)
    .scalar_subquery()
)
_is_withdrawn = (
    sa.exists()
    .where(
        _steps.c.incident_id == _rows.c.id,
        _steps.c.transition == incidents.Transition.WITHDRAWN.value,
    )
    .correlate(_rows)
)


@dataclass(slots=True)
class AlertNumbers:
    """Reads of one connection."""

    connection: AsyncConnection

    async def of(self, choice: alerts.Choice) -> alert_numbers.Numbers:
        """Count the chosen alerts, their steps and their messages."""
        chosen = sa.select(_rows.c.id).outerjoin(_jobs, _jobs.c.id == _rows.c.cronjob_id)
        chosen = chosen.where(*conditions(choice)).correlate(None)
        quiet = await self._steps(chosen)
        told = quiet.pop("", 0)
        return alert_numbers.Numbers(
            kinds=[_of_kind(row) for row in await self.connection.execute(_kinds(chosen))],
            steps_told=told,
            steps_quiet=quiet,
            channels=await self._channels(chosen),
        )

    async def _steps(self, chosen: sa.Select[Any]) -> dict[str, int]:
        """Count steps by why they were not told; those that were have none."""
        why = sa.case((_steps.c.notify, ""), else_=sa.func.split_part(_steps.c.why, ":", 1))
        rows = await self.connection.execute(
            sa.select(why.label("because"), _count)
            .where(_steps.c.incident_id.in_(chosen))
            .group_by(sa.text("because"))
            .order_by(sa.text("because"))
        )
        return {row.because: row[1] for row in rows}

    async def _channels(self, chosen: sa.Select[Any]) -> list[alert_numbers.OfChannel]:
        rows = await self.connection.execute(
            sa.select(_sent.c.channel, _sent.c.status, _count)
            .where(_sent.c.incident_id.in_(chosen))
            .group_by(_sent.c.channel, _sent.c.status)
            .order_by(_sent.c.channel, _sent.c.status)
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for channel, status, count in rows:
            found[channel][status] = count
        return [
            alert_numbers.OfChannel(channel=channel, by_status=by_status)
            for channel, by_status in found.items()
        ]


def _kinds(chosen: sa.Select[Any]) -> sa.Select[Any]:
    one = (
        sa.select(
            _rows.c.kind,
            _rows.c.announced_at,
            _rows.c.false_alarm,
            (_acknowledged_at - _rows.c.opened_at).label("acknowledged_after"),
            sa.case((~_is_withdrawn, _rows.c.resolved_at - _rows.c.opened_at)).label(
                "resolved_after"
            ),
        )
        .where(_rows.c.id.in_(chosen))
        .subquery()
    )
    return (
        sa.select(
            one.c.kind,
            _count.label("opened"),
            sa.func.count(one.c.announced_at).label("told"),
            sa.func.count(one.c.resolved_after).label("resolved"),
            sa.func.count(one.c.acknowledged_after).label("acknowledged"),
            _count.filter(one.c.false_alarm).label("false_alarms"),
            _median(one.c.acknowledged_after).label("acknowledged_median"),
            _median(one.c.resolved_after).label("resolved_median"),
        )
        .group_by(one.c.kind)
        .order_by(one.c.kind)
    )


def _median(values: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.percentile_cont(0.5).within_group(values)


def _of_kind(row: sa.Row[Any]) -> alert_numbers.OfKind:
    return alert_numbers.OfKind(
        kind=policies.Kind(row.kind),
        opened=row.opened,
        told=row.told,
        resolved=row.resolved,
        acknowledged=row.acknowledged,
        false_alarms=row.false_alarms,
        acknowledged_after=row.acknowledged_median,
        resolved_after=row.resolved_median,
    )
