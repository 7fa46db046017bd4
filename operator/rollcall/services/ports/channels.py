"""The channels, seen from the use cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from rollcall.core import policies, undelivered
from rollcall.services.ports.values import Notification

# Why a channel is not ready that is told all the same, in the built-in words.
INVALID_TEMPLATES = "InvalidTemplates"


class Directory(Protocol):
    """Which channels there are, and which a job's alerts go to."""

    def channels_for(
        self,
        namespace: str,
        name: str,
        *,
        kind: policies.Kind,
        severity: policies.Severity,
        wanted: Sequence[str] | None,
    ) -> Sequence[str]:
        """Return the names of the channels that are told."""

    def channels_of_cluster(
        self, *, kind: policies.Kind, severity: policies.Severity
    ) -> Sequence[str]:
        """Return the names of the channels that are told of what is true of all jobs."""

    def readiness(self) -> Mapping[str, undelivered.Unready | None]:
        """Return what keeps each channel that is not suspended from being ready, if anything."""

    def labels_of(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return a job's labels; none for one that was not seen yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The answer of a channel to one message."""

    delivered: bool
    permanent: bool = False  # trying the same again cannot help
    retry_after: timedelta | None = None  # the channel asked for this pause
    error: str | None = None  # of one that is delivered: what went wrong all the same
    detail: Mapping[str, Any] = field(default_factory=dict)
    thread: Mapping[str, Any] | None = None  # one that was begun with this message


class Sender(Protocol):
    """One configured channel that can be sent to."""

    async def send(self, notification: Notification) -> Delivery:
        """Send one message; never raises for what the other side does."""


@runtime_checkable
class Repeater(Sender, Protocol):
    """A channel that wants to be told again what is still open."""

    async def repeat(self, payloads: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send what stands; never raises for what the other side does."""


class Senders(Protocol):
    """All configured channels."""

    async def sender(self, channel: str) -> Sender | None:
        """Return the channel with its secrets read, None if it does not exist (any more).

        Raises errors.InvalidSpec if it is misconfigured, errors.ClusterUnavailable if its secrets
        cannot be read now.
        """

    def report(self, channel: str, delivery: Delivery, at: datetime) -> None:
        """Keep the outcome for the channel's status."""
