"""The outbox, seen from the use cases."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from rollcall.core import incidents, pacing, undelivered
from rollcall.services.ports.values import Notification, Outcome, Repetition, TrackedJob


class Outbox(Protocol):
    """Notifications that are to be sent."""

    async def enqueue(
        self,
        incident: incidents.Incident,
        channels: Sequence[str],
        payload: Mapping[str, Any],
        *,
        wait: timedelta = timedelta(),
    ) -> None:
        """Add one row per channel, due after that wait for a crowd; repeating it adds nothing."""

    async def release(self, cluster: str) -> None:
        """Let go at once what waits for a crowd."""

    async def told(self, incident_id: UUID) -> Sequence[str]:
        """Return the channels that have, may have or will have heard of this incident."""

    async def to_repeat(self, channels: Sequence[str], *, cluster: str) -> Sequence[Repetition]:
        """Return the open incidents that these channels have or will have heard of."""

    async def claim(
        self,
        holder: str,
        limit: int,
        lease: timedelta,
        *,
        cluster: str,
        channel: str | None = None,
    ) -> Sequence[Notification]:
        """Lease due rows (FOR UPDATE SKIP LOCKED), in order per incident and channel.

        A row is due only when no earlier row of its incident and channel is pending. Of those that
        one message tells of at once the first stands for all.
        """

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write what became of claimed rows and end their leases."""

    async def hold_back(self, held: Mapping[int, str]) -> None:
        """Settle claimed rows that are not sent, by id with the reason.

        An incident of which nobody has surely heard or will hear is to be opened anew, and is no
        longer announced unless somebody may have heard.
        """

    async def unheard(self, incident_ids: Collection[UUID]) -> Collection[tuple[UUID, str]]:
        """Return incident and channel where messages were held back and none was delivered."""


class Bundles(Protocol):
    """Rows of the outbox that wait, and those that one message tells of at once."""

    async def following(
        self, channel: str, incident_ids: Collection[UUID]
    ) -> Sequence[Notification]:
        """Return the pending rows of these incidents for a channel that are in no bundle."""

    async def sent(
        self, cluster: str, channel: str, *, since: datetime, besides: Collection[int]
    ) -> Sequence[pacing.Sent]:
        """Return what went since then or is under way, newest first, but for these rows."""

    async def heard(self, channel: str, incident_ids: Collection[UUID]) -> Collection[UUID]:
        """Return those of which the channel was told anything, or may have been."""

    async def wait(self, row_ids: Collection[int], *, until: datetime, why: str) -> None:
        """Give leased rows back, due at that time."""

    async def join(self, row_ids: Collection[int]) -> Sequence[Notification]:
        """Let the first of these rows stand for all, from now on; return those that are in it.

        The caller has claimed the first in this transaction: nobody else can settle it.
        """

    async def oldest_due(self, cluster: str) -> datetime | None:
        """Return since when the oldest pending row could have been sent, None for none."""

    async def members(self, digest_id: int) -> Sequence[Notification]:
        """Return the rows that this one stands for, itself included."""


class Losses(Protocol):
    """Messages that were given up."""

    async def recent(self, cluster: str) -> Mapping[str, undelivered.Loss]:
        """Return by channel those of the last day, without their jobs."""

    async def jobs(self, cluster: str, channel: str) -> Sequence[TrackedJob]:
        """Return the jobs that the newest of them were about."""
