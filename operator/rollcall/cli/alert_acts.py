"""`rollcall alerts ack|unack|resend|resolve|false-alarm|true-alarm`: acts of people on alerts."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rollcall import config
from rollcall.cli import actors, arguments, output
from rollcall.core import acts, errors, incidents, standing
from rollcall.services import acts as services
from rollcall.services import alerts, paging
from rollcall.store import engine

_AT_ONCE = 200  # alerts that are read at once while many are gathered


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """An act by its command, what its help says, and what came of it."""

    act: acts.Act
    about: str
    outcome: Callable[[incidents.Incident], str]


def _state(incident: incidents.Incident) -> str:
    return f"is {standing.of(incident)}"


COMMANDS = {
    "ack": _Command(
        act=acts.Act.ACKNOWLEDGE,
        about="say that somebody looks after it: no reminders until it gets worse",
        outcome=_state,
    ),
    "unack": _Command(
        act=acts.Act.UNACKNOWLEDGE, about="say that nobody does any more", outcome=_state
    ),
    "resend": _Command(
        act=acts.Act.RESEND,
        about="tell channels again, whatever the cooldown",
        outcome=lambda _: "is told again at the next look, within seconds",
    ),
    "resolve": _Command(
        act=acts.Act.RESOLVE,
        about="end it by hand; it comes back when the problem happens again",
        outcome=_state,
    ),
    "false-alarm": _Command(
        act=acts.Act.FALSE_ALARM,
        about="say that there was no problem; statistics count it",
        outcome=lambda _: "is a false alarm",
    ),
    "true-alarm": _Command(
        act=acts.Act.TRUE_ALARM,
        about="take that back",
        outcome=lambda _: "is no false alarm",
    ),
}


def add_parsers(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add a command for each act."""
    for name, one in COMMANDS.items():
        parser = command(name, one.about)
        is_many = one.act is acts.Act.RESOLVE
        arguments.add_ids(parser, "an alert", needed=not is_many)
        if is_many:
            _add_choice(parser)
        actors.add(parser)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    arguments.add_job(parser)
    parser.add_argument("--all", action="store_true", help="all that are open, of these jobs")
    parser.add_argument("--dry-run", action="store_true", help="only say which it would be")


async def answer(
    store: engine.Database, options: argparse.Namespace, settings: config.Settings
) -> Sequence[str]:
    """Do what is asked for, alert by alert, and say what came of each.

    Raises errors.NotFound or errors.Conflict if it was one alert and that was refused.
    """
    command = COMMANDS[options.alerts_command]
    if command.act is acts.Act.RESOLVE:
        _check_choice(options)
    ids = list(dict.fromkeys(options.ids)) or await _chosen(store, options, settings.cluster)
    if getattr(options, "dry_run", False):
        return _rehearsed(ids, options)
    desk = services.Desk(cluster=settings.cluster, defaults=settings.defaults)
    wish = acts.Wish(act=command.act, actor=actors.of(options), reason=options.reason)
    outcomes = {one: await _one(store, desk, one, wish, is_alone=len(ids) == 1) for one in ids}
    if options.output == "json":
        return output.as_json(
            {"items": [{"id": str(one)} | _as_json(outcome) for one, outcome in outcomes.items()]}
        )
    told = [f"{one} {_told(command, outcome)}" for one, outcome in outcomes.items()]
    return told or ("no alerts",)


async def _one(
    store: engine.Database, desk: services.Desk, one: UUID, wish: acts.Wish, *, is_alone: bool
) -> incidents.Incident | str:
    """Return the incident as it is now, or why the act was refused."""
    try:
        return await store.run(lambda unit: desk.carry_out(unit, one, wish))
    except (errors.NotFound, errors.Conflict) as error:
        if is_alone:
            raise
        return str(error)


def _told(command: _Command, outcome: incidents.Incident | str) -> str:
    return f"is left alone: {outcome}" if isinstance(outcome, str) else command.outcome(outcome)


def _rehearsed(ids: Sequence[UUID], options: argparse.Namespace) -> Sequence[str]:
    if options.output == "json":
        return output.as_json({"items": [{"id": str(one)} for one in ids]})
    return [f"{one} would be resolved" for one in ids] or ("no alerts",)


def _check_choice(options: argparse.Namespace) -> None:
    """Refuse what would be left out of account: only `--all` is narrowed, and rehearsed."""
    of_all = options.all or options.namespace or options.cronjob or options.dry_run
    if of_all if options.ids else not options.all:
        raise errors.InvalidSpec(
            "UnclearChoice",
            "name alerts by id, or say --all, with -n and --cronjob to narrow it and --dry-run to"
            " see which these are",
        )


async def _chosen(store: engine.Database, options: argparse.Namespace, cluster: str) -> list[UUID]:
    choice = alerts.Choice(
        cluster=cluster, namespace=options.namespace, cronjob=options.cronjob, is_open=True
    )
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await _page(store, choice, cursor)
        found += [item.incident.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def _page(
    store: engine.Database, choice: alerts.Choice, cursor: str | None
) -> paging.Page[alerts.Listed]:
    return await store.run(lambda unit: unit.alerts.page(choice, limit=_AT_ONCE, cursor=cursor))


def _as_json(outcome: incidents.Incident | str) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"refused": outcome}
    return {"state": standing.of(outcome).value, "falseAlarm": outcome.false_alarm}
