"""`rollcall alerts …`: problems of jobs, who was told of them, and what people do about them."""

import argparse
import asyncio
import functools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rollcall import config
from rollcall.cli import actors, alert_acts, alert_stats, arguments, database, output
from rollcall.core import acts, errors, incidents, policies, standing, texts
from rollcall.services import alerts, ports
from rollcall.store import engine

_EXAMPLE = """examples, in a pod of the operator:
  rollcall alerts list --status open
  rollcall alerts list -n shop --kind missed --severity critical --since 7d
  rollcall alerts show 019cab2e-5d63-8a0c-9d1f-0b6f5a3c2e11
  rollcall alerts ack 019cab2e-5d63-8a0c-9d1f-0b6f5a3c2e11 --by ada --reason 'disk is full'
  rollcall alerts stats --since 7d
  rollcall alerts resolve --all -n shop --by ada --reason 'outage is over' --dry-run"""
_STATUSES = {"open": True, "resolved": False}
_HEADER = ("NAMESPACE", "CRONJOB", "KIND", "SEVERITY", "STATE", "SINCE", "TOLD", "ID", "MESSAGE")
_LONGEST_LINE = 120  # of a message in the table


def add_parser(add: arguments.Add) -> None:
    """Add the commands to the command line's parser."""
    about = "show problems of jobs, who was told of them, and do something about them"
    parser = arguments.command(add, "alerts", about, _EXAMPLE)
    actions = parser.add_subparsers(dest="alerts_command", required=True, metavar="ACTION")
    command = functools.partial(arguments.command, actions.add_parser)
    _add_list(command("list", "list open and past alerts, newest first, a page at a time"))
    show = command("show", "show one with its steps and messages")
    arguments.add_id(show, "an alert")
    alert_stats.add(command("stats", "say in numbers what became of alerts and their messages"))
    alert_acts.add_parsers(command)
    for action in actions.choices.values():
        arguments.add_output(action)


def _add_list(parser: argparse.ArgumentParser) -> None:
    arguments.add_job(parser)
    arguments.add_words(parser, "kind", policies.Kind)
    arguments.add_words(parser, "severity", policies.Severity)
    parser.add_argument("--status", choices=_STATUSES, help="open or resolved (default both)")
    parser.add_argument(
        "--since", type=arguments.duration, metavar="DURATION",
        help="opened so long a time until now, such as 48h, or still open",
    )  # fmt: skip
    arguments.add_pages(parser)


def run(options: argparse.Namespace, settings: config.Settings, now: datetime) -> None:
    """Do and print what was asked for.

    Raises errors.NotFound, Conflict, InvalidSpec, StoreUnavailable.
    """
    output.show(asyncio.run(_answer(options, settings, now)))


async def _answer(
    options: argparse.Namespace, settings: config.Settings, now: datetime
) -> Sequence[str]:
    async with database.opened(settings) as store:
        if options.alerts_command == "list":
            return await _list(store, options, settings, now)
        if options.alerts_command == "show":
            return await _show(store, options, settings)
        if options.alerts_command == "stats":
            return await alert_stats.answer(store, options, settings, now)
        return await alert_acts.answer(store, options, settings)


async def _list(
    store: engine.Database, options: argparse.Namespace, settings: config.Settings, now: datetime
) -> Sequence[str]:
    choice = alerts.Choice(
        cluster=settings.cluster,
        namespace=options.namespace,
        cronjob=options.cronjob,
        kinds=frozenset(map(policies.Kind, options.kind)),
        severities=frozenset(map(policies.Severity, options.severity)),
        is_open=_STATUSES[options.status] if options.status else None,
        since=now - options.since if options.since else None,
    )
    page = await store.run(
        lambda unit: unit.alerts.page(choice, limit=options.limit, cursor=options.cursor)
    )
    return output.listed(
        page,
        options.output,
        fields=functools.partial(_as_json, settings=settings),
        header=_HEADER,
        cells=_cells,
        nothing="no alerts",
    )


async def _show(
    store: engine.Database, options: argparse.Namespace, settings: config.Settings
) -> Sequence[str]:
    async def read(
        unit: engine.Transaction,
    ) -> tuple[alerts.Whole | None, Sequence[ports.AuditEntry]]:
        found = await unit.alerts.find(settings.cluster, options.id)
        return found, await unit.audit.of(acts.target(options.id)) if found else ()

    whole, done = await store.run(read)
    if whole is None:
        raise errors.NotFound(f"there is no alert {options.id}")
    fields = _as_json(whole.listed, settings)
    if options.output == "text":
        return list(_told(fields, whole, done))
    parts = {
        "steps": [_step_as_json(one) for one in whole.steps],
        "messages": [_sent_as_json(one) for one in whole.sent],
        "acts": [actors.as_json(one) for one in done],
    }
    return output.as_json(fields | parts)


def _cells(item: alerts.Listed) -> list[str]:
    incident = item.incident
    first, *_ = incident.message.splitlines() or [""]
    return [
        item.namespace or "-",
        item.cronjob or "-",
        incident.kind,
        incident.severity,
        standing.of(incident),
        output.utc(incident.opened_at),
        output.utc_if(incident.notified_at) or "-",
        str(incident.id),
        texts.shortened(first, _LONGEST_LINE),
    ]


def _told(
    fields: dict[str, Any], whole: alerts.Whole, done: Sequence[ports.AuditEntry]
) -> Iterator[str]:
    rows = [(name, _text(value)) for name, value in fields.items() if value is not None]
    yield from output.aligned(rows)
    yield from ("", "steps")
    yield from output.aligned(
        [
            (output.utc(one.at), one.transition, one.severity, _verdict(one), one.message)
            for one in whole.steps
        ]
    )
    if whole.sent:
        yield from ("", "messages")
        yield from output.aligned(
            [
                (output.utc(one.created_at), one.channel, one.type, _outcome(one))
                for one in whole.sent
            ]
        )
    yield from actors.told(done)


def _verdict(step: alerts.PastStep) -> str:
    return f"told ({step.why})" if step.notify else f"not told ({step.why})"


def _outcome(sent: alerts.Sent) -> str:
    parts = [sent.status]
    if sent.delivered_at:
        parts.append(output.utc(sent.delivered_at))
    elif sent.status == "pending":
        parts.append(f"next try {output.utc(sent.next_at)}")
    if sent.attempts:
        parts.append(f"{sent.attempts} tries" if sent.attempts > 1 else "1 try")
    if sent.digest_id is not None:
        parts.append(f"with others as digest {sent.digest_id}")
    if sent.waited_for:
        waits = "waits" if sent.status == "pending" else "waited"
        parts.append(f"{waits} ({sent.waited_for})")
    why = sent.suppressed_by or sent.error
    return ", ".join(parts) + (f": {why}" if why else "")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items()) or "-"
    return str(value)


def _as_json(item: alerts.Listed, settings: config.Settings) -> dict[str, Any]:
    incident, acknowledged = item.incident, item.incident.acknowledged
    wanted = _wanted(item, settings.defaults)
    remind_at = incidents.remind_at(incident, wanted) if incident.is_open else None
    escalate_at = incidents.escalate_at(incident, wanted) if incident.is_open else None
    return {
        "id": str(incident.id),
        "namespace": item.namespace,
        "cronjob": item.cronjob,
        "kind": incident.kind.value,
        "severity": incident.severity.value,
        "state": standing.of(incident).value,
        "reason": incident.reason,
        "message": incident.message,
        "evidence": incident.evidence,
        "execution": incident.execution_id and str(incident.execution_id),
        "openedAt": output.utc(incident.opened_at),
        "resolvedAt": output.utc_if(incident.resolved_at),
        "announcedAt": output.utc_if(incident.announced_at),
        "notifiedAt": output.utc_if(incident.notified_at),
        "nextReminderAt": output.utc_if(remind_at),
        "nextEscalationAt": output.utc_if(escalate_at),
        "escalated": incident.escalated,
        "inhibitedBy": incident.inhibited_by and incident.inhibited_by.value,
        "silencedBy": incident.silenced_by,
        "acknowledgedAt": output.utc(acknowledged.at) if acknowledged else None,
        "acknowledgedBy": acknowledged.by if acknowledged else None,
        "acknowledgeReason": acknowledged.reason if acknowledged else None,
        "flapping": incident.flapping,
        "falseAlarm": incident.false_alarm,
        "suppressed": incident.suppressed,
    }


def _wanted(item: alerts.Listed, defaults: policies.Defaults) -> policies.Alerts:
    if item.policy is None:
        return policies.of_cluster(defaults)
    return policies.read(item.policy, defaults).alerts


def _step_as_json(step: alerts.PastStep) -> dict[str, Any]:
    return {
        "at": output.utc(step.at),
        "transition": step.transition.value,
        "severity": step.severity.value,
        "reason": step.reason,
        "message": step.message,
        "told": step.notify,
        "why": step.why,
    }


def _sent_as_json(sent: alerts.Sent) -> dict[str, Any]:
    return {
        "channel": sent.channel,
        "type": sent.type,
        "status": sent.status,
        "attempts": sent.attempts,
        "writtenAt": output.utc(sent.created_at),
        "nextTryAt": output.utc(sent.next_at) if sent.status == "pending" else None,
        "deliveredAt": output.utc_if(sent.delivered_at),
        "error": sent.error,
        "suppressedBy": sent.suppressed_by,
        "digest": sent.digest_id,
        "waitedFor": sent.waited_for,
    }
