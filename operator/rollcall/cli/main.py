"""The command line: `rollcall operator | api | db | executions | alerts | errors | …`."""

import argparse
import asyncio
import functools
import sys
from collections.abc import Sequence
from datetime import timedelta

from rollcall import __version__, clock, config
from rollcall.cli import (
    alerts,
    arguments,
    channels,
    dead_letters,
    executions,
    logs,
    program_errors,
    schedule,
    silences,
)
from rollcall.core import errors

PROGRAM = "rollcall"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 well, 1 it failed, 2 it was called or configured wrongly."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except errors.InvalidSpec as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(2)
    except errors.RollcallError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _run(options: argparse.Namespace) -> None:
    if options.command == "schedule":
        schedule.run(options, clock.now())
        return
    settings = config.load(needs_database=options.command != "channel" and not _is_secret(options))
    logs.configure(settings.log_level)
    match options.command:
        case "operator":
            from rollcall.wiring import processes

            asyncio.run(processes.operator(settings))
        case "api":
            import uvloop

            from rollcall.wiring import processes

            uvloop.run(processes.api(settings))
        case "executions":
            executions.run(options, settings, clock.now())
        case "alerts":
            alerts.run(options, settings, clock.now())
        case "silences":
            silences.run(options, settings, clock.now())
        case "dead-letters":
            dead_letters.run(options, settings)
        case "errors":
            program_errors.run(options, settings)
        case "channel":
            channels.run(options, settings)
        case _:
            _db(options, settings)


def _db(options: argparse.Namespace, settings: config.Settings) -> None:
    if _is_secret(options):
        from rollcall.cluster import secrets

        asyncio.run(
            secrets.create_once(
                context=settings.kube_context, namespace=settings.namespace, name=options.name
            )
        )
        return
    from rollcall.store import upgrade

    password = config.database_password()
    if options.db_command == "check":
        asyncio.run(upgrade.check(settings.database_dsn, password=password))
        print("the tables are up to date")
    else:
        work = upgrade.upgrade(settings.database_dsn, password=password, patience=options.wait)
        asyncio.run(work)


def _is_secret(options: argparse.Namespace) -> bool:
    return bool(options.command == "db" and options.db_command == "secret")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Scheduled jobs on Kubernetes that answer the roll call.",
        epilog="Settings come from ROLLCALL_… environment variables; docs/reference/settings.md"
        " lists them. In a pod of the operator they are set.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser
    command = functools.partial(arguments.command, add)
    command("operator", "run the operator: watch, reconcile, judge and alert (the leader does)")
    command("api", "run the api process, which takes the reports of sidecars")
    _add_db(command("db", "look after the database"))
    executions.add_parser(add)
    alerts.add_parser(add)
    silences.add_parser(add)
    program_errors.add_parser(add)
    dead_letters.add_parser(add)
    channels.add_parser(add)
    schedule.add_parser(add)
    return parser


def _add_db(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="db_command", required=True, metavar="ACTION")
    command = functools.partial(arguments.command, actions.add_parser)
    command("upgrade", "wait for Postgres and bring its tables up to date").add_argument(
        "--wait",
        type=arguments.duration,
        default=timedelta(minutes=5),
        metavar="DURATION",
        help="how long to wait for Postgres (default 5m)",
    )
    command("check", "say whether the tables are up to date")
    command(
        "secret", "create the Secret with the embedded Postgres' password, unless it exists"
    ).add_argument("--name", required=True, help="of the Secret, in ROLLCALL_NAMESPACE")
