"""`rollcall executions …`: the ledger, as it stands in the database."""

import argparse
import asyncio
import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rollcall import config
from rollcall.cli import arguments, database, output, reported, setups
from rollcall.core import durations, errors, executions, rollups
from rollcall.core.setups import Pair
from rollcall.services import account
from rollcall.services.listing import Choice, Listed
from rollcall.store import engine

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_EXAMPLE = """examples, in a pod of the operator:
  rollcall executions list -n shop --status failed --since 7d
  rollcall executions show 019cae6b-6600-831c-b6d6-46119678cb55
  rollcall executions stats --days 30"""
_HEADER = ("NAMESPACE", "CRONJOB", "SLOT", "STATUS", "REASON", "TRIGGER", "DURATION", "ID")
_NOTHING = "no executions"

Job = tuple[str, str]  # namespace, name


def add_parser(add: arguments.Add) -> None:
    """Add the commands to the command line's parser."""
    parser = arguments.command(add, "executions", "show what became of each slot and run", _EXAMPLE)
    actions = parser.add_subparsers(dest="executions_command", required=True, metavar="ACTION")
    command = functools.partial(arguments.command, actions.add_parser)
    _add_list(command("list", "list executions, newest slot first, a page at a time"))
    show = command("show", "show one execution, and what happened in it")
    arguments.add_id(show, "an execution")
    stats = command("stats", "count executions by job and status, and say how long runs took")
    arguments.add_job(stats)
    stats.add_argument(
        "--days",
        type=arguments.number,
        default=30,
        help="how many days, today included, in UTC (default %(default)s)",
    )
    for action in actions.choices.values():
        arguments.add_output(action)


def _add_list(parser: argparse.ArgumentParser) -> None:
    arguments.add_job(parser)
    arguments.add_words(parser, "status", executions.Status)
    parser.add_argument(
        "--trigger", metavar="TRIGGER",
        choices=[trigger.value for trigger in executions.Trigger],
        help="one of " + ", ".join(executions.Trigger),
    )  # fmt: skip
    parser.add_argument(
        "--since", type=arguments.duration, metavar="DURATION",
        help="slots of so long a time until now, such as 7d",
    )  # fmt: skip
    arguments.add_pages(parser)


def run(options: argparse.Namespace, settings: config.Settings, now: datetime) -> None:
    """Print what was asked for; raises errors.NotFound, InvalidSpec, StoreUnavailable."""
    output.show(asyncio.run(_answer(options, settings, now)))


async def _answer(
    options: argparse.Namespace, settings: config.Settings, now: datetime
) -> Sequence[str]:
    ask = {"list": _list, "show": _show, "stats": _stats}[options.executions_command]
    async with database.opened(settings) as store:
        return await ask(store, options, settings.cluster, now)


async def _list(
    store: engine.Database, options: argparse.Namespace, cluster: str, now: datetime
) -> Sequence[str]:
    choice = Choice(
        cluster=cluster,
        namespace=options.namespace,
        cronjob=options.cronjob,
        statuses=frozenset(map(executions.Status, options.status)),
        trigger=executions.Trigger(options.trigger) if options.trigger else None,
        since=now - options.since if options.since else None,
    )
    page = await store.run(
        lambda unit: unit.listing.page(choice, limit=options.limit, cursor=options.cursor)
    )
    return output.listed(
        page,
        options.output,
        fields=_as_json,
        header=_HEADER,
        cells=_cells,
        nothing=_NOTHING,
    )


async def _show(
    store: engine.Database, options: argparse.Namespace, cluster: str, now: datetime
) -> Sequence[str]:
    async def read(
        unit: engine.Transaction,
    ) -> tuple[Listed, Sequence[executions.Event], account.Account, Pair | None]:
        found = await unit.listing.find(cluster, options.id)
        if found is None:
            raise errors.NotFound(f"there is no execution {options.id}")
        events = await unit.events.of(options.id)
        said = await account.read(unit, found.execution, events)
        return found, events, said, await unit.setups.of(found.execution)

    item, events, said, pair = await store.run(read)
    told = [_event_as_json(one) for one in events]
    if options.output == "json":
        more = reported.as_json(said, now) | setups.as_json(pair) | {"events": told}
        return output.as_json(_as_json(item) | more)
    rows = [(name, str(value)) for name, value in _as_json(item).items() if value is not None]
    lines = list(output.aligned([*rows, *reported.rows(said, now), *setups.rows(pair)]))
    if told:
        lines += ["", "events", *output.aligned([list(one.values()) for one in told])]
    return lines


async def _stats(
    store: engine.Database, options: argparse.Namespace, cluster: str, now: datetime
) -> Sequence[str]:
    choice = Choice(cluster=cluster, namespace=options.namespace, cronjob=options.cronjob)
    since = now.astimezone(UTC).date() - timedelta(days=options.days - 1)

    async def read(unit: engine.Transaction) -> Mapping[Job, rollups.Statistics]:
        jobs = await unit.listing.jobs(choice)
        numbers = await unit.numbers.of(list(jobs), since)
        of_name: dict[Job, list[rollups.Statistics]] = defaultdict(list)
        for cronjob_id, found in numbers.items():
            of_name[jobs[cronjob_id]].append(found)
        return {job: rollups.together(parts) for job, parts in sorted(of_name.items())}

    found = await store.run(read)
    if options.output == "json":
        items = [_numbers_as_json(job, numbers) for job, numbers in found.items()]
        return output.as_json({"since": since.isoformat(), "items": items})
    return list(output.aligned(list(_numbers_table(found)))) if found else (_NOTHING,)


def _cells(item: Listed) -> list[str]:
    run = item.execution
    return [
        item.namespace,
        item.cronjob,
        output.utc(run.slot_at),
        run.status,
        run.reason or "-",
        run.trigger,
        _text(run.duration),
        str(run.id),
    ]


def _numbers_table(found: Mapping[Job, rollups.Statistics]) -> Iterator[list[str]]:
    statuses = sorted({status for numbers in found.values() for status in numbers.counts})
    yield ["NAMESPACE", "CRONJOB", "SUCCESS", *map(str.upper, statuses),
           *map(str.upper, _PERCENTILES), "LONGEST"]  # fmt: skip
    for job, numbers in found.items():
        rate = numbers.success_rate
        yield [
            *job,
            "-" if rate is None else f"{rate:.1%}",
            *(str(numbers.counts.get(status, 0)) for status in statuses),
            *(_text(numbers.duration(fraction)) for fraction in _PERCENTILES.values()),
            _text(numbers.longest),
        ]


def _as_json(item: Listed) -> dict[str, Any]:
    run = item.execution
    return {
        "id": str(run.id),
        "namespace": item.namespace,
        "cronjob": item.cronjob,
        "slotTime": output.utc(run.slot_at),
        "trigger": run.trigger,
        "status": run.status,
        "reason": run.reason,
        "message": run.message,
        "exitCode": run.exit_code,
        "jobName": run.job_name,
        "startTime": output.utc_if(run.started_at),
        "completionTime": output.utc_if(run.ended_at),
        "attempts": run.attempts,
    }


def _event_as_json(event: executions.Event) -> dict[str, str]:
    return {
        "at": output.utc(event.at),
        "source": event.source,
        "reason": event.reason,
        "message": event.message,
    }


def _numbers_as_json(job: Job, numbers: rollups.Statistics) -> dict[str, Any]:
    durations_of = {
        f"{name}Seconds": _seconds(numbers.duration(fraction))
        for name, fraction in _PERCENTILES.items()
    }
    return {
        "namespace": job[0],
        "cronjob": job[1],
        "counts": dict(sorted(numbers.counts.items())),
        "successRate": numbers.success_rate,
        **durations_of,
        "longestSeconds": _seconds(numbers.longest),
    }


def _text(duration: timedelta | None) -> str:
    if duration is None:
        return "-"
    return durations.text(timedelta(seconds=round(duration.total_seconds())))


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)
