"""`rollcall silences …`: what keeps alerts quiet, for how long, and who said so and why."""

import argparse
import asyncio
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rollcall import config
from rollcall.cli import actors, arguments, database, output
from rollcall.core import errors, policies
from rollcall.services import ports
from rollcall.services import silences as services
from rollcall.store import engine

_EXAMPLE = """examples, in a pod of the operator:
  rollcall silences add -n shop --for 2h --by ada --reason 'the database moves'
  rollcall silences add -l team=data,tier!=gold --kind late --for 1d --by ada --reason 'slow week'
  rollcall silences add --all --for 30m --by ada --reason 'the network is replaced'
  rollcall silences end 6f0c2b1e-7a55-4c0e-9d0b-2f6d1c7e8a90 --by ada"""
_NOTHING = ("no silences",)
_PAIR = re.compile(r"([^!=\s]+)\s*(!=|==?)\s*([^!=\s]*)")
_KEY = re.compile(r"(!?)([^!=\s]+)")


def add_parser(add: arguments.Add) -> None:
    """Add the commands to the command line's parser."""
    parser = arguments.command(add, "silences", "keep alerts quiet until a time", _EXAMPLE)
    actions = parser.add_subparsers(dest="silences_command", required=True, metavar="ACTION")
    command = functools.partial(arguments.command, actions.add_parser)
    _add_list(command("list", "list silences that are in force or to come"))
    _add_add(command("add", "begin a silence; what is told already is still told to be over"))
    end = command("end", "end a silence before its time; what lasts is told then")
    arguments.add_id(end, "a silence")
    actors.add(end)
    for action in actions.choices.values():
        arguments.add_output(action)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--past", action="store_true", help="those that are over as well")
    parser.add_argument(
        "--limit", type=arguments.number, default=50, metavar="N",
        help="how many, those that end last first (default %(default)s)",
    )  # fmt: skip


def _add_add(parser: argparse.ArgumentParser) -> None:
    arguments.add_job(parser)
    parser.add_argument(
        "-l", "--labels", type=_labels, metavar="SELECTOR",
        help="labels of the jobs, as kubectl has it: team=data,tier!=gold,nightly,!test",
    )  # fmt: skip
    arguments.add_words(parser, "kind", policies.Kind)
    parser.add_argument("--all", action="store_true", help="all alerts of the cluster")
    ends = parser.add_mutually_exclusive_group(required=True)
    ends.add_argument(
        "--for", dest="lasting", type=arguments.duration, metavar="DURATION",
        help="how long from its start, such as 2h",
    )  # fmt: skip
    ends.add_argument("--until", type=_instant, metavar="TIME", help="such as 2026-03-02T18:00Z")
    parser.add_argument(
        "--from", dest="start", type=_instant, metavar="TIME", help="when it begins (default now)"
    )
    actors.add(parser, needs_reason=True)


def run(options: argparse.Namespace, settings: config.Settings, now: datetime) -> None:
    """Do and print what was asked for.

    Raises errors.NotFound, Conflict, InvalidSpec, StoreUnavailable.
    """
    output.show(asyncio.run(_answer(options, settings, now)))


async def _answer(
    options: argparse.Namespace, settings: config.Settings, now: datetime
) -> Sequence[str]:
    ask = {"list": _list, "add": _add, "end": _end}[options.silences_command]
    async with database.opened(settings) as store:
        return await ask(store, options, settings.cluster, now)


async def _list(
    store: engine.Database, options: argparse.Namespace, cluster: str, now: datetime
) -> Sequence[str]:
    found = await store.run(
        lambda unit: unit.silence_pages.listed(cluster, limit=options.limit, past=options.past)
    )
    if options.output == "json":
        return output.as_json({"items": [_as_json(one, now) for one in found]})
    return list(_table_of(found, now)) if found else _NOTHING


async def _add(
    store: engine.Database, options: argparse.Namespace, cluster: str, now: datetime
) -> Sequence[str]:
    wish = services.Wish(
        chosen=_chosen(options),
        starts_at=options.start,
        ends_at=options.until or (options.start or now) + options.lasting,
        author=actors.of(options),
        reason=options.reason,
    )
    silence = await store.run(lambda unit: services.add(unit, cluster, wish))
    if options.output == "json":
        return output.as_json({"id": str(silence.id), "endsAt": output.utc(silence.ends_at)})
    return (f"{silence.id} keeps quiet until {output.utc(silence.ends_at)}",)


async def _end(
    store: engine.Database, options: argparse.Namespace, cluster: str, now: datetime
) -> Sequence[str]:
    del now
    actor = actors.of(options)
    await store.run(
        lambda unit: services.end(unit, cluster, options.id, actor=actor, reason=options.reason)
    )
    if options.output == "json":
        return output.as_json({"id": str(options.id), "state": "over"})
    return (f"{options.id} is over",)


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Write down what is selected; nothing at all must be meant."""
    wanted = {
        "namespace": options.namespace,
        "cronjob": options.cronjob,
        "labels": options.labels,
        "kinds": options.kind,
    }
    chosen = {name: value for name, value in wanted.items() if value}
    if bool(chosen) == options.all:
        raise errors.InvalidSpec(
            "InvalidSilence", "choose alerts with -n, --cronjob, -l or --kind, or say --all"
        )
    return chosen


def _labels(text: str) -> dict[str, Any]:
    return {"matchExpressions": [_requirement(part.strip()) for part in text.split(",")]}


def _requirement(text: str) -> dict[str, Any]:
    pair, key = _PAIR.fullmatch(text), _KEY.fullmatch(text)
    if pair:
        operator = "NotIn" if pair[2] == "!=" else "In"
        return {"key": pair[1], "operator": operator, "values": [pair[3]]}
    if key:
        return {"key": key[2], "operator": "DoesNotExist" if key[1] else "Exists"}
    raise argparse.ArgumentTypeError(f"{text!r}: write key=value, key!=value, key or !key")


def _instant(text: str) -> datetime:
    at = arguments.moment(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _table_of(found: Sequence[ports.ListedSilence], now: datetime) -> Iterator[str]:
    header = ["STATE", "FROM", "UNTIL", "SELECTS", "BY", "ID", "REASON"]
    yield from output.aligned([header, *([*_cells(one, now)] for one in found)])


def _cells(one: ports.ListedSilence, now: datetime) -> list[str]:
    silence = one.silence
    return [
        _state(one, now),
        output.utc(silence.starts_at),
        output.utc(silence.ends_at),
        _selection(silence.chosen),
        silence.author,
        str(silence.id),
        silence.reason,
    ]


def _state(one: ports.ListedSilence, now: datetime) -> str:
    if one.silence.ends_at <= now:
        return "over"
    return "in-force" if one.silence.starts_at <= now else "to-come"


def _selection(chosen: Mapping[str, Any]) -> str:
    parts = [f"{name}={chosen[name]}" for name in ("namespace", "cronjob") if name in chosen]
    parts += [_written(one) for one in chosen.get("labels", {}).get("matchExpressions", ())]
    if chosen.get("kinds"):
        parts.append("kind=" + "|".join(chosen["kinds"]))
    return ",".join(parts) or "all"


def _written(requirement: Mapping[str, Any]) -> str:
    key = f"label:{requirement['key']}"
    values = "|".join(requirement.get("values") or ())
    return {
        "In": f"{key}={values}",
        "NotIn": f"{key}!={values}",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }[requirement["operator"]]


def _as_json(one: ports.ListedSilence, now: datetime) -> dict[str, Any]:
    silence = one.silence
    return {
        "id": str(silence.id),
        "state": _state(one, now),
        "selector": silence.chosen,
        "startsAt": output.utc(silence.starts_at),
        "endsAt": output.utc(silence.ends_at),
        "author": silence.author,
        "reason": silence.reason,
        "createdAt": output.utc(one.created_at),
        "endedBy": one.ended_by,
    }
