"""The command line: `rollcall operator | api | db … | executions … | schedule …`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta

from rollcall import __version__, clock, config
from rollcall.cli import arguments, executions, logs, schedule
from rollcall.core import errors

PROGRAM = "rollcall"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 well, 1 it failed, 2 it was called or configured wrongly."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "schedule":
            schedule.run(options, clock.now())
            sys.exit(0)
        settings = config.load(needs_database=not _is_secret(options))
        logs.configure(settings.log_level)
        sys.exit(_run(options, settings))
    except errors.InvalidSpec as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(2)
    except errors.RollcallError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(options: argparse.Namespace, settings: config.Settings) -> int:
    match options.command:
        case "operator":
            from rollcall.wiring import processes

            asyncio.run(processes.operator(settings))
        case "api":
            from rollcall.wiring import processes

            asyncio.run(processes.api(settings))
        case "executions":
            executions.run(options, settings, clock.now())
        case _:
            return _db(options, settings)
    return 0


def _db(options: argparse.Namespace, settings: config.Settings) -> int:
    if _is_secret(options):
        from rollcall.cluster import secrets

        asyncio.run(
            secrets.create_once(
                context=settings.kube_context, namespace=settings.namespace, name=options.name
            )
        )
        return 0
    from rollcall.store import upgrade

    password = config.database_password()
    if options.db_command == "check":
        asyncio.run(upgrade.check(settings.database_dsn, password=password))
    else:
        work = upgrade.upgrade(settings.database_dsn, password=password, patience=options.wait)
        asyncio.run(work)
    return 0


def _is_secret(options: argparse.Namespace) -> bool:
    return bool(options.command == "db" and options.db_command == "secret")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Scheduled jobs on Kubernetes that answer the roll call.",
        epilog="Settings come from ROLLCALL_… environment variables.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("operator", help="watch, reconcile, judge and alert (the leader does)")
    commands.add_parser("api", help="take reports of sidecars")
    db = commands.add_parser("db", help="the database")
    actions = db.add_subparsers(dest="db_command", required=True, metavar="ACTION")
    upgrade = actions.add_parser(
        "upgrade", help="wait for Postgres and bring its tables up to date"
    )
    upgrade.add_argument(
        "--wait",
        type=arguments.duration,
        default=timedelta(minutes=5),
        metavar="DURATION",
        help="how long to wait for Postgres (default 5m)",
    )
    actions.add_parser("check", help="say whether the tables are up to date")
    secret = actions.add_parser(
        "secret", help="create the embedded Postgres' password Secret, unless it exists"
    )
    secret.add_argument("--name", required=True, help="of the Secret, in ROLLCALL_NAMESPACE")
    executions.add_parser(commands)
    schedule.add_parser(commands)
    return parser
