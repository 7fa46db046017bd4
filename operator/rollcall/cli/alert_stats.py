"""`rollcall alerts stats`: alerts in numbers."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from rollcall import config
from rollcall.cli import arguments, output
from rollcall.core import durations
from rollcall.services import alert_numbers, alerts
from rollcall.store import engine

_STATUSES = ("delivered", "dead", "suppressed", "pending")


def add(parser: argparse.ArgumentParser) -> None:
    """Let people choose of what."""
    arguments.add_job(parser)
    parser.add_argument(
        "--since", type=arguments.duration, metavar="DURATION", default=timedelta(days=30),
        help="alerts that were opened so long a time until now (default 30d)",
    )  # fmt: skip


async def answer(
    store: engine.Database, options: argparse.Namespace, settings: config.Settings, now: datetime
) -> Sequence[str]:
    """Say how many there were, how many were told, and what became of the messages."""
    choice = alerts.Choice(
        cluster=settings.cluster,
        namespace=options.namespace,
        cronjob=options.cronjob,
        opened_since=now - options.since,
    )
    numbers = await store.run(lambda unit: unit.alert_numbers.of(choice))
    if options.output == "json":
        since = output.utc(now - options.since)
        return output.as_json({"since": since} | _as_json(numbers))
    return list(_table(numbers)) if numbers.kinds else ("no alerts",)


def _table(numbers: alert_numbers.Numbers) -> Iterator[str]:
    header = ["KIND", "OPENED", "TOLD", "FALSE", "ACKED", "ACKED-AFTER", "RESOLVED", "LASTED"]
    yield from output.aligned([header, *map(_cells, numbers.kinds)])
    yield from ("", "steps")
    steps = {"told": numbers.steps_told} | {
        f"not told ({why})": count for why, count in numbers.steps_quiet.items()
    }
    yield from output.aligned([(name, str(count)) for name, count in steps.items()])
    if numbers.channels:
        yield ""
        header = ["CHANNEL", *map(str.upper, _STATUSES)]
        rows = [
            [one.channel, *(str(one.by_status.get(status, 0)) for status in _STATUSES)]
            for one in numbers.channels
        ]
        yield from output.aligned([header, *rows])


def _cells(one: alert_numbers.OfKind) -> list[str]:
    return [
        one.kind,
        str(one.opened),
        str(one.told),
        str(one.false_alarms),
        str(one.acknowledged),
        _text(one.acknowledged_after),
        str(one.resolved),
        _text(one.resolved_after),
    ]


def _as_json(numbers: alert_numbers.Numbers) -> dict[str, Any]:
    return {
        "kinds": [
            {
                "kind": one.kind.value,
                "opened": one.opened,
                "told": one.told,
                "falseAlarms": one.false_alarms,
                "acknowledged": one.acknowledged,
                "acknowledgedAfterSeconds": _seconds(one.acknowledged_after),
                "resolved": one.resolved,
                "resolvedAfterSeconds": _seconds(one.resolved_after),
            }
            for one in numbers.kinds
        ],
        "stepsTold": numbers.steps_told,
        "stepsNotTold": dict(numbers.steps_quiet),
        "channels": [
            {"channel": one.channel, "messages": dict(one.by_status)} for one in numbers.channels
        ],
    }


def _text(duration: timedelta | None) -> str:
    return "-" if duration is None else durations.text(duration)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)
