"""What is about a cluster as a whole, or one of its channels, found and told by the real code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import renderings

from rollcall.core import (
    blindness,
    incident_steps,
    incidents,
    messages,
    policies,
    undelivered,
    unseen,
    wide,
)
from rollcall.core.policies import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 3, 2, 2, 35, tzinfo=UTC)
OVER_AT = AT + timedelta(minutes=42)
DEFAULTS = policies.defaults()
NAMES = ("backup", "invoices", "newsletter", "orders", "prices", "reminders", "stock")
WHAT: dict[Kind, str] = {
    Kind.BLIND: "The API server does not answer, and then it does",
    Kind.MISSED_WIDELY: "A quota keeps most jobs of an hour from starting",
    Kind.CANNOT_PULL: "A registry is away",
    Kind.CANNOT_DELIVER: "PagerDuty has revoked a key; this is what the mail channel says",
}
ELSEWHERE = ("Slack", "PagerDuty", "Alertmanager")


def page() -> str:
    """Write each as a mail, and one of them as the other kinds of channels get it."""
    lines = ["## About the cluster", ""]
    renders = {title: (language, render) for title, language, render in renderings.CHANNELS}
    for kind, what in WHAT.items():
        lines += [f"### `{kind}`", "", f"{what}.", ""]
        for about, payload in zip(("Opened", "Resolved"), payloads(kind), strict=True):
            lines += [f"{about}:", "", *_fenced(*renders["E-mail"], payload)]
    opened = next(payloads(Kind.MISSED_WIDELY))
    for title in ELSEWHERE:
        lines += [f"{title}, `{Kind.MISSED_WIDELY}` opened:", "", *_fenced(*renders[title], opened)]
    return "\n".join(lines)


def payloads(kind: Kind) -> Iterator[dict[str, Any]]:
    """Yield the message of its beginning and that of its end."""
    before = None
    for answer, at in ((_answer(kind), AT), (wide.OVER, OVER_AT)):
        if before and kind is Kind.BLIND:
            before = unseen.with_gap(before, _gap())
        step = incident_steps.decide(
            before,
            answer.finding,
            cronjob_id=None,
            cluster="prod",
            channel="pager" if kind is Kind.CANNOT_DELIVER else None,
            inhibited_by=None,
            alerts=policies.of_cluster(DEFAULTS),
            recovered=answer.is_over,
            now=at,
        )
        if step and step.transition:
            before = step.incident
            yield _payload(step, step.transition, at)


def _payload(
    step: incidents.Step, transition: incidents.Transition, at: datetime
) -> dict[str, Any]:
    jobs = step.incident.evidence.get("jobs", ()) if step.incident.is_open else ()
    return messages.of_cluster(step.incident, transition, at=at, cluster="prod", jobs=jobs[:20])


def _answer(kind: Kind) -> wide.Answer:
    rule = DEFAULTS.rules[kind]
    if kind is Kind.BLIND:
        why = "the API server does not answer: connect timeout"
        return unseen.blind(
            rule, seen_at=AT - timedelta(minutes=2), gap=None, told_at=None, why=why, now=AT
        )
    if kind is Kind.MISSED_WIDELY:
        return wide.missed_widely(rule, _cases("QuotaExceeded", 28), started=12, before=None)
    if kind is Kind.CANNOT_PULL:
        return wide.cannot_pull(rule, _cases("ImagePullBackOff", 12, "registry.example.com"), None)
    unready = undelivered.Unready(
        since=AT, why="events.pagerduty.com answered 400 Bad Request: Invalid routing key"
    )
    loss = undelivered.Loss(
        count=3, last_at=AT, why=unready.why, jobs=["shop/backup", "shop/invoices"]
    )
    return undelivered.cannot_deliver(
        rule, "pager", unready=unready, loss=loss, before=None, now=AT
    )


def _cases(reason: str, count: int, registry: str | None = None) -> list[wide.Case]:
    slot_at = AT - timedelta(minutes=5)
    names = [f"shop/{NAMES[number % 7]}-{number // 7 + 1}" for number in range(count)]
    return [
        wide.Case(job=name, slot_at=slot_at, reason=reason, registry=registry) for name in names
    ]


def _gap() -> unseen.Gap:
    period = blindness.Blind(from_at=AT - timedelta(minutes=2), until_at=OVER_AT)
    return unseen.Gap(period=period, jobs=9)


def _fenced(language: str, render: renderings.Render, payload: dict[str, Any]) -> list[str]:
    return [f"```{language}", render(payload), "```", ""]
