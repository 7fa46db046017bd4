"""`rollcall dead-letters …`: items that programs could not process, and what becomes of them."""

import argparse
import asyncio
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from rollcall import config
from rollcall.cli import actors, arguments, database, output
from rollcall.core import dead_letters, errors, texts
from rollcall.services import dead_letters as services
from rollcall.services import ports
from rollcall.store import engine

_EXAMPLE = """examples, in a pod of the operator:
  rollcall dead-letters list -n shop --state open
  rollcall dead-letters show 3a4e6b66-0083-8c1c-b6d6-46119678cb55
  rollcall dead-letters requeue 3a4e6b66-0083-8c1c-b6d6-46119678cb55 --by ada --reason 'fixed'"""
_ABOUT = {
    dead_letters.Act.REQUEUE: "hand one to the job's next run, which confirms it when it is done",
    dead_letters.Act.RESOLVE: "say that one is processed, or mended by hand",
    dead_letters.Act.DISCARD: "say that one will not be processed",
}
_HEADER = ("NAMESPACE", "CRONJOB", "AT", "STATE", "ITEM", "ID", "ERROR")
_ONE = "a dead letter"
_LONGEST_LINE = 120  # of an error in the table


def add_parser(add: arguments.Add) -> None:
    """Add the commands to the command line's parser."""
    about = "show items that programs could not process, and decide about them"
    parser = arguments.command(add, "dead-letters", about, _EXAMPLE)
    actions = parser.add_subparsers(dest="dead_letters_command", required=True, metavar="ACTION")
    command = functools.partial(arguments.command, actions.add_parser)
    _add_list(command("list", "list dead letters, newest first, a page at a time"))
    arguments.add_id(command("show", "show one with its payload, and what was done with it"), _ONE)
    for act, told in _ABOUT.items():
        _add_act(command(act.value, told))
    for action in actions.choices.values():
        arguments.add_output(action)


def _add_list(parser: argparse.ArgumentParser) -> None:
    arguments.add_job(parser)
    arguments.add_words(parser, "state", dead_letters.State)
    arguments.add_pages(parser)


def _add_act(parser: argparse.ArgumentParser) -> None:
    arguments.add_id(parser, _ONE)
    actors.add(parser)


def run(options: argparse.Namespace, settings: config.Settings) -> None:
    """Do and print what was asked for.

    Raises errors.NotFound, Conflict for a step that there is not, InvalidSpec, StoreUnavailable.
    """
    output.show(asyncio.run(_answer(options, settings)))


async def _answer(options: argparse.Namespace, settings: config.Settings) -> Sequence[str]:
    ask = {"list": _list, "show": _show}.get(options.dead_letters_command, _act)
    async with database.opened(settings) as store:
        return await ask(store, options, settings.cluster)


async def _list(store: engine.Database, options: argparse.Namespace, cluster: str) -> Sequence[str]:
    choice = services.Choice(
        cluster=cluster,
        namespace=options.namespace,
        cronjob=options.cronjob,
        states=frozenset(map(dead_letters.State, options.state)),
    )
    page = await store.run(
        lambda unit: unit.letters.page(choice, limit=options.limit, cursor=options.cursor)
    )
    return output.listed(
        page,
        options.output,
        fields=_as_json,
        header=_HEADER,
        cells=_cells,
        nothing="no dead letters",
    )


async def _show(store: engine.Database, options: argparse.Namespace, cluster: str) -> Sequence[str]:
    async def read(
        unit: engine.Transaction,
    ) -> tuple[ports.DeadLetter | None, Sequence[ports.AuditEntry]]:
        found = await unit.letters.find(cluster, options.id)
        return found, await unit.audit.of(dead_letters.target(options.id)) if found else ()

    letter, acts = await store.run(read)
    if letter is None:
        raise errors.NotFound(f"there is no dead letter {options.id}")
    if options.output == "json":
        return output.as_json(_as_json(letter) | {"acts": list(map(actors.as_json, acts))})
    return list(_told(letter, acts))


async def _act(store: engine.Database, options: argparse.Namespace, cluster: str) -> Sequence[str]:
    act = dead_letters.Act(options.dead_letters_command)
    wish = services.Wish(act=act, actor=actors.of(options), reason=options.reason)
    state = await store.run(lambda unit: services.carry_out(unit, cluster, options.id, wish))
    if options.output == "json":
        return output.as_json({"id": str(options.id), "state": state.value})
    return (f"{options.id} is {state}",)


def _cells(letter: ports.DeadLetter) -> list[str]:
    return [
        letter.namespace,
        letter.cronjob,
        output.utc(letter.at),
        letter.state,
        letter.item,
        str(letter.id),
        _line(letter),
    ]


def _line(letter: ports.DeadLetter) -> str:
    first, *_ = letter.error.splitlines() or [""]
    return texts.shortened(first, _LONGEST_LINE)


def _told(letter: ports.DeadLetter, acts: Sequence[ports.AuditEntry]) -> Iterator[str]:
    fields = _as_json(letter)
    fields["payload"] = json.dumps(letter.payload, indent=2, ensure_ascii=False)
    yield from output.aligned(
        [(name, str(value)) for name, value in fields.items() if value is not None]
    )
    yield from actors.told(acts)


def _as_json(letter: ports.DeadLetter) -> dict[str, Any]:
    return {
        "id": str(letter.id),
        "namespace": letter.namespace,
        "cronjob": letter.cronjob,
        "execution": str(letter.execution_id),
        "at": output.utc(letter.at),
        "state": letter.state.value,
        "stateTime": output.utc(letter.state_at),
        "actor": letter.actor,
        "note": letter.note,
        "handedTo": letter.handed_to and str(letter.handed_to),
        "handedTime": output.utc_if(letter.handed_at),
        "item": letter.item,
        "error": letter.error,
        "payload": letter.payload,
    }
