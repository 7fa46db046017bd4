"""`rollcall errors …`: what programs reported that went wrong, by group and one by one."""

import argparse
import asyncio
import functools
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from rollcall import config
from rollcall.cli import arguments, database, output, reported
from rollcall.core import durations, errors
from rollcall.services import error_groups, paging, ports
from rollcall.store import engine

_EXAMPLE = """examples, in a pod of the operator:
  rollcall errors list -n shop
  rollcall errors show 2f7d1a9c04be6e35
  rollcall errors show 019cae6b-6600-831c-b6d6-46119678cb55"""
_HEADER = ("NAMESPACE", "CRONJOB", "TYPE", "COUNT", "RUNS", "FIRST", "LAST", "FINGERPRINT",
           "EXAMPLE")  # fmt: skip
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_MOST_GROUPS = 100  # of jobs that have the same group


def add_parser(add: arguments.Add) -> None:
    """Add the commands to the command line's parser."""
    about = "show the errors that programs reported, in groups of the same, with an example"
    parser = arguments.command(add, "errors", about, _EXAMPLE)
    actions = parser.add_subparsers(dest="errors_command", required=True, metavar="ACTION")
    command = functools.partial(arguments.command, actions.add_parser)
    listing = command("list", "list groups of errors, the last seen first, a page at a time")
    show = command("show", "show the errors of a group or of an execution, newest first")
    show.add_argument(
        "of", type=_of, metavar="FINGERPRINT|ID",
        help="a group as the list shows it, or the id of an execution",
    )  # fmt: skip
    for action in (listing, show):
        arguments.add_job(action)
        arguments.add_pages(action)
        arguments.add_output(action)


def _of(text: str) -> str | UUID:
    if _FINGERPRINT.fullmatch(text):
        return text
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a fingerprint (16 hex digits) nor the id of an execution"
        ) from None


def run(options: argparse.Namespace, settings: config.Settings) -> None:
    """Print what was asked for; raises errors.NotFound, InvalidSpec, StoreUnavailable."""
    output.show(asyncio.run(_answer(options, settings)))


async def _answer(options: argparse.Namespace, settings: config.Settings) -> Sequence[str]:
    ask = {"list": _list, "show": _show}[options.errors_command]
    async with database.opened(settings) as store:
        return await ask(store, options, settings.cluster)


async def _list(store: engine.Database, options: argparse.Namespace, cluster: str) -> Sequence[str]:
    choice = _choice(options, cluster)
    page = await store.run(
        lambda unit: unit.error_pages.groups(choice, limit=options.limit, cursor=options.cursor)
    )
    return output.listed(
        page,
        options.output,
        fields=_group_as_json,
        header=_HEADER,
        cells=_group_cells,
        nothing="no errors",
    )


async def _show(store: engine.Database, options: argparse.Namespace, cluster: str) -> Sequence[str]:
    choice = _choice(options, cluster, options.of)

    async def read(
        unit: engine.Transaction,
    ) -> tuple[Sequence[error_groups.Group], paging.Page[ports.ReportedError]]:
        groups: Sequence[error_groups.Group] = ()
        if choice.fingerprint:
            groups = (await unit.error_pages.groups(choice, limit=_MOST_GROUPS)).items
        elif await unit.listing.find(cluster, options.of) is None:
            raise errors.NotFound(f"there is no execution {options.of}")
        page = await unit.error_pages.errors(choice, limit=options.limit, cursor=options.cursor)
        return groups, page

    groups, page = await store.run(read)
    if choice.fingerprint and not groups:
        raise errors.NotFound(f"there is no group of errors {choice.fingerprint}")
    if options.output == "json":
        return output.as_json(
            {
                "groups": [_group_as_json(one) for one in groups],
                "items": [reported.error_as_json(one) for one in page.items],
                "nextCursor": page.next_cursor,
            }
        )
    return list(_told(groups, page))


def _choice(
    options: argparse.Namespace, cluster: str, of: str | UUID | None = None
) -> error_groups.Choice:
    return error_groups.Choice(
        cluster=cluster,
        namespace=options.namespace,
        cronjob=options.cronjob,
        fingerprint=of if isinstance(of, str) else None,
        execution_id=of if isinstance(of, UUID) else None,
    )


def _group_cells(group: error_groups.Group) -> list[str]:
    return [
        group.namespace,
        group.cronjob,
        reported.first_line(group.type),
        str(group.count),
        str(group.runs),
        output.utc(group.first_at),
        output.utc(group.last_at),
        group.fingerprint,
        reported.first_line(group.sample),
    ]


def _told(
    groups: Sequence[error_groups.Group], page: paging.Page[ports.ReportedError]
) -> Iterator[str]:
    for one in groups:
        fields = _group_as_json(one)
        yield from output.aligned([(name, str(value)) for name, value in fields.items()])
        yield ""
    if page.items:
        header = ["AT", "EXECUTION", "POD", "TYPE", "CLASS", "ITEM", "MESSAGE"]
        yield from output.aligned([header, *map(_cells, page.items)])
    else:
        yield "no errors are kept"
    yield from output.more(page.next_cursor)


def _cells(error: ports.ReportedError) -> list[str]:
    return [
        output.utc(error.at),
        str(error.execution_id),
        error.pod_name,
        reported.first_line(error.type),
        _class(error),
        reported.first_line(error.item) if error.item else "-",
        error.message,
    ]


def _class(error: ports.ReportedError) -> str:
    again = error.retry_after
    wait = durations.text(timedelta(seconds=again)) if again is not None else None
    return ", ".join(filter(None, [error.error_class, wait and f"again after {wait}"])) or "-"


def _group_as_json(group: error_groups.Group) -> dict[str, Any]:
    return {
        "namespace": group.namespace,
        "cronjob": group.cronjob,
        "fingerprint": group.fingerprint,
        "type": group.type,
        "sample": group.sample,
        "count": group.count,
        "runs": group.runs,
        "firstTime": output.utc(group.first_at),
        "lastTime": output.utc(group.last_at),
    }
