"""What containers leave in their termination messages, which Kubernetes keeps when they are gone.

Two kinds of text are read, each a JSON object with the one key `rollcall`:
- Of the tracked container: `{"rollcall": {"result": "partial", "message": …, "counters": …}}`, for
  programs that cannot speak HTTP.
- Of the sidecar: what it could not send any more, known by (pod UID, boot, seq) like any report.

Nobody vouches for either. One wrong field and the text is what any other is: words for people. But
of a text that begins as the sidecar's do it is known that something is lost.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from rollcall.core import redaction, reporting
from rollcall.core.reporting import LARGEST_NUMBER, Counters
from rollcall.core.unsent import Unsent

VERSION = 1
LONGEST = 4096  # bytes that Kubernetes keeps
LONGEST_IN_ALL = 12 * 1024  # bytes that the kubelet divides among all containers of a pod
# What a sidecar counts, and how people call it.
KINDS = {
    "progress": "progress",
    "checkpoint": "checkpoints",
    "error": "errors",
    "deadLetter": "dead letters",
    "result": "results",
    "handled": "confirmations",
}
UNREAD = "lastWords"  # lost is a whole message, whatever was in it
LOSSES = {**KINDS, UNREAD: "its last words"}
_BEGINNING = re.compile(r'\{"rollcall":\{"v":\d+,"boot":"([0-9a-f]{8,32})"')
_BOOT = re.compile(r"[0-9a-f]{8,32}")
_COUNTER = re.compile(reporting.COUNTER_NAME)
_OBJECTS = (dict, list)
_YEARS = range(1970, 9999)  # of a report; Postgres and Python keep them in any zone

Fields = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a program left of its own: its result, without a number among reports."""

    result: reporting.Verdict
    message: str | None
    counters: Counters | None
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """What a sidecar could not send: items in order of seq, and by kind how many are gone."""

    boot: str
    progress: reporting.Progress | None = None
    items: Sequence[reporting.Checkpoint | reporting.Result] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    unsent: Unsent | None = None  # this much of it may have arrived after all


def room(containers: int) -> int:
    """Return how many bytes are kept of each message in a pod of so many containers."""
    return min(LONGEST, LONGEST_IN_ALL // containers)


def own(text: str | None) -> Own | None:
    """Read what the tracked container left; None for any other text."""
    try:
        fields = _rollcall(text)
        return _own(fields) if fields else None
    except _ERRORS:
        return None


def last_words(text: str | None) -> LastWords | None:
    """Read what the sidecar left; None for any other text.

    One that cannot be read, because it was cut or is newer than we are, is a loss.
    """
    try:
        fields = _rollcall(text)
        return _last_words(fields) if fields else None
    except _ERRORS:
        begun = _BEGINNING.match(text or "")
        return LastWords(boot=begun[1], lost={UNREAD: 1}) if begun else None


def _own(fields: Fields) -> Own:
    return Own(
        result=reporting.Verdict(fields["result"]),
        message=_text(fields, "message", reporting.LONGEST_MESSAGE),
        counters=_counters(fields),
        metadata=_shallow(_mapping(fields, "metadata")),  # the text is below LARGEST_METADATA
    )


def _last_words(fields: Fields) -> LastWords:
    if fields["v"] != VERSION or not _BOOT.fullmatch(fields["boot"]):
        raise ValueError("another version, or no name of a start")
    left = {name: _mapping(fields, name) for name in ("checkpoint", "result", "progress")}
    items: list[reporting.Checkpoint | reporting.Result] = []
    if left["checkpoint"]:
        items.append(_checkpoint(left["checkpoint"]))
    if left["result"]:
        items.append(_result(left["result"]))
    return LastWords(
        boot=fields["boot"],
        progress=_progress(left["progress"]) if left["progress"] else None,
        items=tuple(sorted(items, key=lambda item: item.seq)),
        lost=_sum(_counts(fields, "unsent"), _counts(fields, "lost")),
        unsent=_unsent(fields),
    )


def _unsent(fields: Fields) -> Unsent | None:
    """Read of which items it can be known whether they arrived: progress has numbers of its own."""
    through = fields.get("unsentThrough")
    if through is None:
        return None
    if not _is_count(through) or through < 1:
        raise ValueError("unsentThrough is a seq")
    counts = {kind: n for kind, n in _counts(fields, "unsent").items() if kind != "progress"}
    return Unsent(counts=counts, through=through)


def _checkpoint(fields: Fields) -> reporting.Checkpoint:
    value = _shallow(fields["value"])
    return reporting.Checkpoint(seq=_seq(fields), at=_instant(fields), value=value)


def _result(fields: Fields) -> reporting.Result:
    said = _own(fields)
    return reporting.Result(
        seq=_seq(fields),
        at=_instant(fields),
        result=said.result,
        message=said.message,
        counters=said.counters,
        metadata=said.metadata,
    )


def _progress(fields: Fields) -> reporting.Progress:
    return reporting.Progress(
        seq=_seq(fields),
        done=_amount(fields, "done"),
        total=_amount(fields, "total"),
        stage=_text(fields, "stage", reporting.LONGEST_STAGE),
        message=_text(fields, "message", reporting.LONGEST_PROGRESS_MESSAGE),
        counters=_counters(fields),
    )


def _rollcall(text: str | None) -> Fields | None:
    """Return what stands under the key; raises what the reader of JSON raises."""
    if not text or len(text) > LONGEST or not text.lstrip().startswith("{"):
        return None
    document = json.loads(text, parse_constant=_refuse, parse_float=_number)
    if document.keys() != {"rollcall"} or not isinstance(document["rollcall"], dict):
        return None
    return document["rollcall"]


def _shallow(value: T) -> T:
    """Return a value as it is; raises ValueError when it nests deeper than a report's may."""
    if _depth(value) > reporting.DEEPEST:
        raise ValueError("too deep")
    return value


def _depth(value: object, level: int = 0) -> int:
    """Return how deep a value nests, or more than DEEPEST: further down nobody looks."""
    if not isinstance(value, _OBJECTS) or level > reporting.DEEPEST:
        return level
    inside = value.values() if isinstance(value, dict) else value
    return max((_depth(one, level + 1) for one in inside), default=level + 1)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number that not every reader knows")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST_NUMBER


def _is_count(value: object) -> bool:
    return _is_number(value) and isinstance(value, int) and value >= 0


def _seq(fields: Fields) -> int:
    seq = fields["seq"]
    if not _is_count(seq) or seq < 1:
        raise ValueError("seq counts from 1")
    return int(seq)


def _instant(fields: Fields) -> datetime:
    at = datetime.fromisoformat(fields["at"])
    if at.tzinfo is None or at.year not in _YEARS:
        raise ValueError("a time without a zone, or of another age")
    return at


def _amount(fields: Fields, name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if not _is_number(value) or value < 0:
        raise ValueError(f"{name} is a number from 0 up")
    return float(value)


def _text(fields: Fields, name: str, longest: int) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is text")
    return redaction.redacted(value, longest) or None


def _counters(fields: Fields) -> Counters | None:
    counters = _mapping(fields, "counters")
    if counters is None:
        return None
    for name, value in counters.items():
        if not _COUNTER.fullmatch(name) or not _is_number(value):
            raise ValueError("a counter has a name, and a number")
    if len(counters) > reporting.MOST_COUNTERS:
        raise ValueError("too many counters")
    return counters


def _mapping(fields: Fields, name: str) -> Fields | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"{name} is an object")
    return value


def _counts(fields: Fields, name: str) -> dict[str, int]:
    counts = _mapping(fields, name) or {}
    for kind, count in counts.items():
        if kind not in KINDS or not _is_count(count):
            raise ValueError(f"{name} counts what there is")
    return {kind: count for kind, count in counts.items() if count}


def _sum(*many: Mapping[str, int]) -> dict[str, int]:
    kinds = sorted({kind for counts in many for kind in counts})
    return {kind: sum(counts.get(kind, 0) for counts in many) for kind in kinds}


# All that reading a text of strangers can raise, a number of thousands of digits included.
_ERRORS = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
