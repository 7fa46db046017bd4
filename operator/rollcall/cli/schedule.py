"""`rollcall schedule explain`: what a schedule does, before it does it."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from rollcall.cli import arguments, output
from rollcall.core import cron_changes, durations, errors, explain, schedule, zones

_MOST_TIMES = 3  # of one change that are told one by one
_MINUTE = "%a %Y-%m-%d %H:%M"
_EXAMPLE = """example:
  rollcall schedule explain "30 2 * * 1-5" --zone Europe/Berlin

Quote the expression; else the shell takes its stars for file names."""


def add_parser(add: arguments.Add) -> None:
    """Add the command to the command line's parser."""
    actions = arguments.command(add, "schedule", "say what a schedule does").add_subparsers(
        dest="schedule_command", required=True, metavar="ACTION"
    )
    about = "show when a schedule runs, and what may surprise about it; needs no cluster"
    parser = arguments.command(actions.add_parser, "explain", about, _EXAMPLE)
    parser.add_argument("expression", help="as in spec.schedule, in quotes")
    parser.add_argument(
        "--zone", default="Etc/UTC", help="as in spec.timeZone (default %(default)s)"
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=arguments.moment,
        metavar="TIME",
        help="from when on, such as 2026-03-28T12:00Z; without an offset in the zone (default now)",
    )
    parser.add_argument(
        "-n",
        dest="count",
        type=arguments.number,
        default=10,
        help="how many slots, 1 to 1000 (default %(default)s)",
    )
    arguments.add_output(parser)


def run(options: argparse.Namespace, now: datetime) -> None:
    """Print the explanation; raises InvalidSpec if the schedule or the zone is refused."""
    try:
        ticks = schedule.parse(options.expression, options.zone)
    except schedule.ScheduleError as error:
        raise errors.InvalidSpec("InvalidSchedule", str(error)) from error
    start = options.start or now.replace(microsecond=0)
    if start.tzinfo is None:
        start = start.replace(tzinfo=zones.load(options.zone).info)
    explained = explain.explain(ticks, start, options.count)
    if options.output == "json":
        output.show(output.as_json(_as_json(explained)))
    else:
        output.show(_as_text(explained))


def _as_text(explained: explain.Explanation) -> Iterator[str]:
    ticks = explained.ticks
    yield f"{ticks.expression} in {ticks.zone}, after {explained.start:{_MINUTE}} UTC"
    yield from ("", "Next slots", f"  {'UTC':22}{ticks.zone}")
    for slot in explained.slots:
        local = _local(slot, ticks.zone)
        yield f"  {slot:{_MINUTE}}  {local:{_MINUTE}} UTC{local.isoformat()[19:]}"
    if not explained.slots:
        yield "  none"
    if explained.gaps:
        shortest, longest = map(durations.text, (explained.gaps.shortest, explained.gaps.longest))
        apart = shortest if shortest == longest else f"{shortest} to {longest}"
        yield from ("", f"In the coming year neighbouring slots are {apart} apart.")
    yield from ("", "Changes of clocks in the coming year")
    yield from (f"  {_change(change)}" for change in explained.changes)
    if not explained.changes:
        yield "  none"
    yield from ("", "Warnings")
    yield from (f"  {advice.message}" for advice in explained.advice)
    if not explained.advice:
        yield "  none"


def _change(change: cron_changes.ClockChange) -> str:
    old, new = _on_the_wall(change.at, change.before), _on_the_wall(change.at, change.after)
    effects = "; ".join(_effects(change, old)) or "no run is lost, doubled or moved"
    return f"{old:{_MINUTE}} becomes {new:%H:%M}: {effects}"


def _effects(change: cron_changes.ClockChange, old: datetime) -> Iterator[str]:
    if change.keeps_pace and change.across:
        yield f"runs go on {durations.text(change.across)} apart"
        return
    if change.left_out:
        jumped = all(map(change.skips, change.left_out))
        why = "clocks do not show it" if jumped else "Kubernetes' search passes over it"
        yield f"no run at {_times(change.left_out, old)}: {why}"
    if change.doubled:
        yield f"two runs at {_times(change.doubled, old)}{_utc_of_single(change)}"
    if change.unplanned:
        yield f"a run at {_times(change.unplanned, old)}, which does not match"


def _utc_of_single(change: cron_changes.ClockChange) -> str:
    if len(change.doubled) > 1:
        return ", each"
    first, second = (change.doubled[0] - offset for offset in (change.before, change.after))
    return f": {first:%H:%M} and {second:%H:%M} UTC"


def _times(walls: Sequence[datetime], day: datetime) -> str:
    shown = [
        f"{wall:%H:%M}" if wall.date() == day.date() else f"{wall:{_MINUTE}}" for wall in walls
    ]
    if len(shown) > _MOST_TIMES:
        return f"{len(shown)} times from {shown[0]} to {shown[-1]}"
    return ", ".join(shown)


def _as_json(explained: explain.Explanation) -> dict[str, Any]:
    ticks, gaps = explained.ticks, explained.gaps
    return {
        "schedule": ticks.expression,
        "timeZone": ticks.zone,
        "from": output.utc(explained.start),
        "slots": [
            {"utc": output.utc(slot), "local": _local(slot, ticks.zone).isoformat()}
            for slot in explained.slots
        ],
        "shortestGapSeconds": gaps and int(gaps.shortest.total_seconds()),
        "longestGapSeconds": gaps and int(gaps.longest.total_seconds()),
        "clockChanges": [_change_as_json(change) for change in explained.changes],
        "warnings": [
            {"code": advice.code, "message": advice.message} for advice in explained.advice
        ],
    }


def _change_as_json(change: cron_changes.ClockChange) -> dict[str, Any]:
    return {
        "at": output.utc(change.at),
        "localBefore": _on_the_wall(change.at, change.before).isoformat(),
        "localAfter": _on_the_wall(change.at, change.after).isoformat(),
        "leftOut": [wall.isoformat() for wall in change.left_out],
        "doubled": [wall.isoformat() for wall in change.doubled],
        "unplanned": [wall.isoformat() for wall in change.unplanned],
        "gapSeconds": change.across and int(change.across.total_seconds()),
        "keepsPace": change.keeps_pace,
    }


def _on_the_wall(at: datetime, offset: timedelta) -> datetime:
    return at.astimezone(timezone(offset))


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(zones.load(zone).info)
