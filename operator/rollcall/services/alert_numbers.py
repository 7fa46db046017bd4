"""What became of alerts, in numbers: how many, how many were told, how soon somebody acted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollcall.core import policies


@dataclass(frozen=True, slots=True, kw_only=True)
class OfKind:
    """The alerts of one kind; times are None where there was none."""

    kind: policies.Kind
    opened: int
    told: int  # that anybody heard of
    resolved: int  # that are over, deleted jobs' left out
    acknowledged: int
    false_alarms: int
    acknowledged_after: timedelta | None  # median, since it was opened
    resolved_after: timedelta | None  # the same


@dataclass(frozen=True, slots=True, kw_only=True)
class OfChannel:
    """The messages to one channel, by what became of them."""

    channel: str
    by_status: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The statistics of the alerts that were opened in a time."""

    kinds: Sequence[OfKind]
    steps_told: int
    steps_quiet: Mapping[str, int]  # by why
    channels: Sequence[OfChannel]
