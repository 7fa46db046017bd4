"""What keeps alerts quiet although something is wrong: silences, and maintenance windows.

A silence has an end, an author and a reason. It mutes notifications, never hides incidents: they
open, change and resolve as ever, and what lasts when it ends is told then. Of what was told already
the end is told at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from rollcall.core import errors, maintenance, policies, routing
from rollcall.core.incidents import Transition

# What people do and how a problem ended is told in any case.
HELD_BACK = frozenset(
    {Transition.OPENED, Transition.CHANGED, Transition.REMINDER, Transition.ESCALATED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An alert, as far as silences ask; one of a cluster has no job."""

    kind: policies.Kind
    namespace: str | None = None
    cronjob: str | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which alerts are meant; what is left out restricts nothing, so an empty one means all."""

    namespace: str | None = None
    cronjob: str | None = None
    labels: routing.Selector = field(default_factory=routing.Selector)
    kinds: frozenset[policies.Kind] = frozenset()

    def selects(self, target: Target) -> bool:
        """Whether it is among them."""
        return (
            self.namespace in {None, target.namespace}
            and self.cronjob in {None, target.cronjob}
            and (not self.kinds or target.kind in self.kinds)
            and self._selects(target.labels)
        )

    def _selects(self, labels: Mapping[str, str] | None) -> bool:
        return not self.labels.requirements if labels is None else self.labels.selects(labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Keeps what it selects quiet from start to end; `chosen` is the selector as written."""

    id: UUID
    selector: Selector
    chosen: Mapping[str, Any]
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str

    def quiet_until(self, now: datetime) -> datetime | None:
        """Return its end while it is in force."""
        return self.ends_at if self.starts_at <= now < self.ends_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A maintenance window of the installation: a silence that comes again and again."""

    name: str
    selector: Selector
    window: maintenance.Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """What keeps an alert quiet now, and until when at least."""

    by: str
    until: datetime


def mute(
    target: Target,
    *,
    silences: Iterable[Silence],
    recurring: Iterable[Recurring],
    windows: Iterable[maintenance.Window],
    now: datetime,
) -> Mute | None:
    """Return what keeps an alert quiet: of several the one that ends last.

    `windows` are those of the alert's own job.
    """
    found = [
        *(
            (one.quiet_until(now), f"silence/{one.id}")
            for one in silences
            if one.selector.selects(target)
        ),
        *(
            (one.window.open_until(now), f"maintenance/{one.name}")
            for one in recurring
            if one.selector.selects(target)
        ),
        *((one.open_until(now), "maintenance") for one in windows),
    ]
    mutes = [Mute(by=by, until=until) for until, by in found if until]
    return max(mutes, key=lambda one: (one.until, one.by), default=None)


def target(silence_id: UUID) -> str:
    """Name a silence in the audit log."""
    return f"silence/{silence_id}"


def read_recurring(raw: Sequence[Mapping[str, Any]], name: str) -> tuple[Recurring, ...]:
    """Read the installation's windows.

    Raises errors.InvalidSpec, naming the field and what to write instead.
    """
    return tuple(
        Recurring(
            name=_name(one, f"{name}[{number}]"),
            selector=read_selector(one, f"{name}[{number}]"),
            window=maintenance.read(one, f"{name}[{number}]"),
        )
        for number, one in enumerate(raw)
    )


def read_selector(raw: Mapping[str, Any], name: str) -> Selector:
    """Read `namespace`, `cronjob`, `labels` (a metav1.LabelSelector) and `kinds`.

    Raises errors.InvalidSpec.
    """
    labels = routing.read_selector(raw.get("labels"))
    for requirement in labels.requirements:
        requirement.holds({})  # an operator that there is not is refused now, not at an alert
    return Selector(
        namespace=raw.get("namespace"),
        cronjob=raw.get("cronjob"),
        labels=labels,
        kinds=frozenset(_kind(kind, name) for kind in raw.get("kinds") or ()),
    )


def _name(raw: Mapping[str, Any], name: str) -> str:
    if not raw.get("name"):
        raise errors.InvalidSpec("InvalidMaintenance", f"{name}.name: write one, it is shown")
    return str(raw["name"])


def _kind(kind: str, name: str) -> policies.Kind:
    try:
        return policies.Kind(kind)
    except ValueError:
        known = ", ".join(policies.Kind)
        raise errors.InvalidSpec(
            "InvalidKind", f"{name}.kinds: {kind}: known are {known}"
        ) from None
