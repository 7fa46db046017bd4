"""Which channels a job's alerts go to. Selectors are permission: an absent one selects all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollcall.core import errors, policies

DEFAULT_SEVERITIES = frozenset({policies.Severity.WARNING, policies.Severity.CRITICAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One expression of a Kubernetes label selector."""

    key: str
    operator: str  # In, NotIn, Exists, DoesNotExist
    values: frozenset[str]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it (meta/v1 LabelSelectorRequirement)."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case _:
                raise errors.InvalidSpec(
                    "InvalidSelector", f"{self.operator}: write In, NotIn, Exists or DoesNotExist"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A label selector; one without requirements selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether all requirements hold."""
        return all(requirement.holds(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """An AlertChannel, as far as routing asks."""

    name: str
    severities: frozenset[policies.Severity] = DEFAULT_SEVERITIES
    kinds: frozenset[policies.Kind] | None = None  # None: all
    namespaces: Selector = Selector()
    cronjobs: Selector = Selector()
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A job, as far as routing asks; `wanted` None means it names no channels."""

    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str]
    wanted: tuple[str, ...] | None


def read_selector(raw: Mapping[str, Any] | None) -> Selector:
    """Read a metav1.LabelSelector."""
    raw = raw or {}
    exact = [
        Requirement(key=key, operator="In", values=frozenset({value}))
        for key, value in (raw.get("matchLabels") or {}).items()
    ]
    expressions = [
        Requirement(
            key=item["key"], operator=item["operator"], values=frozenset(item.get("values") or ())
        )
        for item in raw.get("matchExpressions") or ()
    ]
    return Selector(requirements=(*exact, *expressions))


def permitted(channel: Channel, subject: Subject) -> bool:
    """Whether the channel lets this job use it."""
    return channel.namespaces.selects(subject.namespace_labels) and channel.cronjobs.selects(
        subject.labels
    )


def select(
    channels: Iterable[Channel],
    subject: Subject,
    *,
    kind: policies.Kind,
    severity: policies.Severity,
) -> list[str]:
    """Return the names of the channels that are told, sorted."""
    return sorted(
        channel.name
        for channel in channels
        if not channel.suspended
        and (subject.wanted is None or channel.name in subject.wanted)
        and severity in channel.severities
        and (channel.kinds is None or kind in channel.kinds)
        and permitted(channel, subject)
    )


def select_all(
    channels: Iterable[Channel], *, kind: policies.Kind, severity: policies.Severity
) -> list[str]:
    """Return who is told of what is true of all jobs, whichever of them a channel selects."""
    return sorted(
        channel.name
        for channel in channels
        if not channel.suspended
        and severity in channel.severities
        and (channel.kinds is None or kind in channel.kinds)
    )


def refused(channels: Sequence[Channel], subject: Subject) -> list[str]:
    """Return a sentence for each wanted channel that is absent or does not select the job."""
    known = {channel.name: channel for channel in channels}
    problems = []
    for name in subject.wanted or ():
        if name not in known:
            problems.append(f"AlertChannel {name} does not exist")
        elif not permitted(known[name], subject):
            problems.append(f"AlertChannel {name} does not select this job")
    return problems
