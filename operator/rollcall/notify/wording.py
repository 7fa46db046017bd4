"""What every channel says of a payload, in plain words; each writes it in its own form.

The texts hold what came from a cluster, without what terminals obey: whoever writes them escapes
and cuts them.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from rollcall.core import durations, incidents, messages, texts

LONGEST_CHANGES = 1000
LONGEST_OUTPUT = 1500  # of the program's last words: the end of them says what happened

ENDED: Mapping[str, str] = {
    "incident.resolved": "RESOLVED",
    "incident.withdrawn": "WITHDRAWN",
}
PREFIXES: Mapping[str, str] = {
    "incident.changed": "NOW ",
    "incident.reminder": "STILL ",
    "incident.escalated": "NOBODY ACKNOWLEDGED ",
    "incident.acknowledged": "ACKNOWLEDGED ",
    "incident.unacknowledged": "STILL ",
}
# What is wrong with a job while it lasts, and what was once it is over.
KINDS: Mapping[str, tuple[str, str]] = {
    "late": ("has not started", "had not started"),
    "missed": ("did not run", "did not run"),
    "failing": ("is failing", "was failing"),
    "stale": ("has had no success for too long", "had no success for too long"),
    "overrunning": ("is running for too long", "was running for too long"),
    "no_progress": ("makes no progress", "made no progress"),
    "errors": ("reports errors", "reported errors"),
    "skipped": ("is skipped again and again", "was skipped again and again"),
    "suspended": ("is suspended for long", "was suspended for long"),
    "too_fast": ("ended suspiciously fast", "ended suspiciously fast"),
    "cannot_start": ("cannot start", "could not start"),
    "failure_rate": ("fails often", "failed often"),
    "slow": ("was slow", "was slow"),
    "silent": ("is not heard any more", "was not heard any more"),
    "counter": ("reports odd numbers", "reported odd numbers"),
    "blind": ("is not seen", "was not seen"),
    "missed_widely": ("has many jobs that do not start", "had many jobs that did not start"),
    "cannot_pull": (
        "cannot pull the images of many jobs",
        "could not pull the images of many jobs",
    ),
    "cannot_deliver": ("does not deliver", "did not deliver"),
}

# Of the last runs, one for each.
SYMBOLS: Mapping[str, str] = {
    "succeeded": "✓",
    "partial": "◐",
    "failed": "✗",
    "missed": "○",
    "skipped": "·",
    "cancelled": "⊘",
    "replaced": "⊘",
    "unknown": "?",
}
GOING_ON = "…"  # any other status

Payload = Mapping[str, Any]

WORDS = "words"  # of a payload that a channel with templates is to write: its Words
TITLE, BODY = "title", "body"  # its templates


class Words(Protocol):
    """The words of a channel that has templates."""

    def __call__(self, name: str, payload: Payload) -> str | None:
        """Write the title or the body of a message, None where the built-in one stands."""


def has_ended(payload: Payload) -> bool:
    """Whether this is the last message of its incident."""
    return payload["type"] in ENDED


def headline(payload: Payload) -> str:
    """Say in one line how urgent it is, which job, and what is wrong with it."""
    own = title(payload)
    if own:
        return own
    if payload["type"] == messages.TEST:
        return f"TEST: {story(payload)}"
    if has_ended(payload):
        return f"{ENDED[payload['type']]}: {_subject(payload)} ({_words(payload)})"
    severity = str(payload["incident"]["severity"]).upper()
    return f"{PREFIXES.get(payload['type'], '')}{severity}: {problem(payload)}"


def title(payload: Payload) -> str | None:
    """Return the channel's own headline, if it has one."""
    return _own(TITLE, payload)


def body(payload: Payload) -> str | None:
    """Return the channel's own text, which stands for all between headline and footer."""
    return _own(BODY, payload)


def _own(name: str, payload: Payload) -> str | None:
    words: Words | None = payload.get(WORDS)
    return (texts.plain(words(name, payload) or "") or None) if words else None


def problem(payload: Payload) -> str:
    """Say which job, and what is or was wrong with it."""
    return f"{_subject(payload)} {_words(payload)}"


def story(payload: Payload) -> str:
    """Say what happened, or how it ended."""
    incident = payload["incident"]
    message = said(payload) + _flaps(payload)
    if payload["type"] == "incident.resolved":
        return f"{_resolved(incident)}. It was: {message}"
    if payload["type"] == "incident.withdrawn":
        return f"the job was deleted, {_lasted(incident)} after this was reported: {message}"
    if payload["type"] == "incident.acknowledged":
        return f"{_acknowledged(incident.get('acknowledged') or {})}. It is: {message}"
    if payload["type"] == "incident.unacknowledged":
        return f"nobody looks after it any more. It is: {message}"
    return message


def said(payload: Payload) -> str:
    """Return what the rule says, and of a program what it quotes."""
    return texts.plain(str(payload["incident"].get("message") or ""))


def _resolved(incident: Payload) -> str:
    by_hand = incident.get("resolvedBy")
    if not by_hand:
        return f"solved after {_lasted(incident)}"
    return _because(f"{by_hand['by']} resolved it by hand after {_lasted(incident)}", by_hand)


def _acknowledged(given: Payload) -> str:
    return _because(f"{given.get('by') or 'somebody'} looks after it", given)


def _because(words: str, given: Payload) -> str:
    return f"{words}: {given['reason']}" if given.get("reason") else words


def _flaps(payload: Payload) -> str:
    """Say of one that comes and goes what that means for its messages."""
    if not payload["incident"].get("flapping") or has_ended(payload):
        return ""
    return (
        ". It comes and goes: that is told no more, unless it gets worse, until it was gone for "
        + durations.text(incidents.STABLE)
    )


def repeats(payload: Payload) -> str | None:
    """Say how often it came again without being told."""
    suppressed = payload.get("suppressed")
    return f"{suppressed} more since the last message" if suppressed else None


def facts(payload: Payload) -> dict[str, str]:
    """Return what is known, by its name, in the order in which a person asks for it."""
    incident, job = payload["incident"], payload["cronjob"] or {}
    execution = payload.get("execution") or {}
    evidence = incident.get("evidence") or {}
    known = {
        "Reason": incident.get("reason"),
        "Since": _clock(incident.get("openedAt")),
        "Slot": _clock(execution.get("slotTime") or evidence.get("slotTime")),
        "Job": execution.get("jobName") or evidence.get("jobName"),
        "Jobs": _jobs(payload),
        "Exit code": execution.get("exitCode"),
        "Owner": job.get("owner"),
        "Group": job.get("group"),
        "Last runs": _last_runs(payload),
    }
    return {name: texts.plain(str(value)) for name, value in known.items() if value is not None}


def output(payload: Payload) -> str | None:
    """Return the end of the program's last words while the problem is open."""
    words = texts.plain(str((payload.get("execution") or {}).get("message") or "")).strip()
    if not words or has_ended(payload):
        return None
    return words if len(words) <= LONGEST_OUTPUT else "…" + words[-LONGEST_OUTPUT:]


def changes(payload: Payload) -> str | None:
    """Say what changed since the last success, where that is known."""
    found = payload.get("changes")
    if not found or has_ended(payload):
        return None
    since = _clock(found["since"].get("endTime") or found["since"].get("slotTime"))
    text = f"Changed since the last success{f', {since}' if since else ''}: {found['text']}"
    return cut(texts.plain(text), LONGEST_CHANGES)


def advice(payload: Payload) -> str | None:
    """Return what to do about it, where that is known."""
    text = payload.get("advice")
    return str(text) if text else None


def commands(payload: Payload) -> str | None:
    """Return what to type next, a line for each."""
    return "\n".join(map(str, payload.get("commands") or ())) or None


def runbook(payload: Payload) -> str | None:
    """Return what the job calls its runbook."""
    url = (payload["cronjob"] or {}).get("runbookURL")
    return str(url) if url else None


def is_address(text: str) -> bool:
    """Whether a link may be made of it."""
    return text.startswith(("http://", "https://")) and not re.search(r"\s", text)


def footer(payload: Payload) -> str:
    """Say who speaks, of which cluster and which incident."""
    return f"Rollcall in cluster {payload.get('cluster')}, incident {payload['incident']['id']}"


def cut(text: str, limit: int) -> str:
    """Shorten to at most so many characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _subject(payload: Payload) -> str:
    job = payload["cronjob"]
    if job:
        return f"{job['namespace']}/{job['name']}"
    channel = (payload["incident"].get("evidence") or {}).get("channel")
    of = f"AlertChannel {channel} in " if channel else ""
    return f"{of}cluster {payload.get('cluster')}"


def _jobs(payload: Payload) -> str | None:
    """Name the jobs of what is wrong with many, those that this channel may know of."""
    names = [f"{job['namespace']}/{job['name']}" for job in payload.get("jobs") or ()]
    total = (payload["incident"].get("evidence") or {}).get("total")
    if not total or has_ended(payload):
        return None
    if not names:  # what a person did about many names none
        return str(total)
    more = [f"{total - len(names)} more"] if total > len(names) else []
    return " and ".join([", ".join(names), *more])


def _words(payload: Payload) -> str:
    kind = str(payload["incident"]["kind"])
    now, then = KINDS.get(kind, (kind, kind))
    return then if has_ended(payload) else now


def _last_runs(payload: Payload) -> str | None:
    runs = payload.get("lastRuns") or ()
    line = "".join(SYMBOLS.get(str(run.get("status")), GOING_ON) for run in runs)
    return f"{line} (newest last)" if line else None


def _lasted(incident: Payload) -> str:
    opened_at, resolved_at = _instant(incident.get("openedAt")), _instant(incident["resolvedAt"])
    return durations.text(resolved_at - opened_at) if opened_at and resolved_at else "some time"


def _clock(raw: object) -> str | None:
    at = _instant(raw)
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else None


def _instant(raw: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(raw)).astimezone(UTC) if raw else None
    except ValueError:
        return None
