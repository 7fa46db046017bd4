"""Which of the messages that were claimed go now, which wait, and which go together.

1. Of a channel that can be told of many at once, all that is due is claimed.
2. What is silenced is sifted out; outside the channel's active hours, so is what is over before
   anybody heard of it, and what is not critical waits.
3. The others go one by one or as one, as `core.pacing` plans, or wait.
All of it is written in the claiming transaction: a bundle's rows before it is sent, and what waits
with its reason.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from rollcall.core import messages, pacing
from rollcall.services import lanes, ports

# What is left of claimed messages once those that are held back are settled.
Sift = Callable[
    [ports.Transaction, Sequence[ports.Notification]], Awaitable[Sequence[ports.Notification]]
]
Group = Sequence[ports.Notification]  # the pending messages of one incident, oldest first

MOST = 1000  # rows beyond those of the claim that one digest takes in
UNHEARD = "OverBeforeActiveHours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whose claim, and whether more may be due than it holds."""

    holder: str
    lease: timedelta
    is_full: bool


class Dispatch:
    """Decides for the channels of one cluster; `paces` says how each wants its messages."""

    def __init__(
        self,
        *,
        paces: Callable[[str], pacing.Pace],
        sift: Sift,
        cluster: str,
        suppressed: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._paces = paces
        self._sift = sift
        self._cluster = cluster
        self._suppressed = suppressed

    async def choose(
        self,
        transaction: ports.Transaction,
        claimed: Sequence[ports.Notification],
        claim: Claim,
        state: Callable[[str], lanes.State],
    ) -> Sequence[ports.Notification]:
        """Return what is to be sent now, by channels in the state that each is in."""
        loose = [one for one in claimed if not one.digest_id]
        paced = [one for one in _channels(loose) if self._is_paced(one, state(one))]
        for channel in paced:
            claimed = [*claimed, *await self._more(transaction, channel, claim)]
        formed = [await _whole(transaction, one) for one in claimed if one.digest_id]
        loose = [one for one in claimed if not one.digest_id]
        tails: list[ports.Notification] = []
        for channel in paced:
            tails += await _tails(transaction, channel, loose)
        # All at once: it locks jobs before incidents, as everybody does.
        kept = await self._sift(transaction, [*loose, *tails]) if loose else []
        ids = {one.id for one in loose}
        going = [*formed, *(one for one in kept if one.id in ids and one.channel not in paced)]
        for channel in paced:
            groups = _grouped([one for one in kept if one.channel == channel], ids)
            begun = [one for one in formed if one.channel == channel]
            going += await self._paced(transaction, channel, groups, begun, state(channel))
        return sorted(going, key=lambda one: one.id)

    def _is_paced(self, channel: str, state: lanes.State) -> bool:
        """Whether anything is asked; one that rests postpones all that it is handed."""
        return self._paces(channel) != pacing.PLAIN and state is not lanes.State.RESTING

    async def _more(
        self, transaction: ports.Transaction, channel: str, claim: Claim
    ) -> Sequence[ports.Notification]:
        if not (claim.is_full and self._paces(channel).bundles):
            return []
        return await transaction.outbox.claim(
            claim.holder, MOST, claim.lease, cluster=self._cluster, channel=channel
        )

    async def _paced(
        self,
        transaction: ports.Transaction,
        channel: str,
        groups: Mapping[UUID, Group],
        begun: Sequence[ports.Notification],
        state: lanes.State,
    ) -> Sequence[ports.Notification]:
        """Return what goes of a channel's groups; `begun` are bundles that go in any case."""
        pace = self._paces(channel)
        units = await self._in_hours(transaction, channel, pace, groups)
        if not units:
            return []
        now, failing = transaction.now, state is lanes.State.FAILING
        besides = [one.id for group in groups.values() for one in group] + [one.id for one in begun]
        since = now - pacing.remembers(pace)
        sent = await transaction.bundles.sent(self._cluster, channel, since=since, besides=besides)
        sent = [*(pacing.Sent(at=now, is_digest=True) for _ in begun), *sent]
        plan = pacing.plan(pace, waiting=len(units), sent=sent, failing=failing, now=now)
        if plan.together:
            whole = [one for unit in units for one in groups[unit[0].incident_id]]
            return await _joined(transaction, whole)
        await _wait(transaction, units[plan.singly :], plan)
        return [one for unit in units[: plan.singly] for one in await _joined(transaction, unit)]

    async def _in_hours(
        self,
        transaction: ports.Transaction,
        channel: str,
        pace: pacing.Pace,
        groups: Mapping[UUID, Group],
    ) -> list[Group]:
        """Return what may go now: of each incident its oldest message, or all that waited so long.

        What is over before anybody heard of it is not told; the rest waits for active hours.
        """
        begins_at = pacing.begins_at(pace, transaction.now)
        heard = await transaction.bundles.heard(channel, groups.keys()) if pace.hours else ()
        units: list[Group] = []
        over: list[ports.Notification] = []
        waiting: list[int] = []
        for incident_id, group in groups.items():
            match pacing.turn(
                [one.payload for one in group],
                is_active=begins_at is None,
                has_waited=group[0].waited_for == pacing.Why.HOURS,
                is_heard=incident_id in heard,
            ):
                case pacing.Turn.WAIT:
                    waiting.append(group[0].id)
                case pacing.Turn.DROP:
                    over += group
                case pacing.Turn.AS_ONE:
                    units.append(group)
                case pacing.Turn.SINGLY:
                    units.append(group[:1])
        if waiting and begins_at:
            await transaction.bundles.wait(waiting, until=begins_at, why=pacing.Why.HOURS)
        await self._drop(transaction, over)
        return units

    async def _drop(
        self, transaction: ports.Transaction, rows: Sequence[ports.Notification]
    ) -> None:
        if rows:
            await transaction.outbox.hold_back({one.id: UNHEARD for one in rows})
            for _ in rows:
                transaction.after_commit(partial(self._suppressed, UNHEARD))


async def _wait(transaction: ports.Transaction, units: Sequence[Group], plan: pacing.Plan) -> None:
    """Let them wait; what waited for active hours is still told as what waited for them."""
    for waited in (True, False):
        rows = [one[0].id for one in units if (one[0].waited_for == pacing.Why.HOURS) is waited]
        if rows:
            why = pacing.Why.HOURS if waited else plan.why
            await transaction.bundles.wait(rows, until=plan.again_at, why=why)


async def _whole(transaction: ports.Transaction, first: ports.Notification) -> ports.Notification:
    """Return the message of a bundle that was joined before."""
    return _as_one(await transaction.bundles.members(first.id))


async def _joined(transaction: ports.Transaction, rows: Group) -> Sequence[ports.Notification]:
    """Return the one message that these rows are told by."""
    if len(rows) == 1:
        return rows
    return [_as_one(await transaction.bundles.join([one.id for one in rows]))]


def _as_one(rows: Group) -> ports.Notification:
    payload = messages.together([one.payload for one in rows])
    return replace(
        rows[0],
        digest_id=rows[0].id,
        key=messages.key_together(rows[0].key),
        type=payload["type"],
        payload=payload,
        created_at=max(one.since for one in rows),  # it is given up no sooner than any of them
        waited_until=None,
    )


async def _tails(
    transaction: ports.Transaction, channel: str, claimed: Sequence[ports.Notification]
) -> Sequence[ports.Notification]:
    """Return what waits behind the claimed messages of a channel."""
    mine = [one for one in claimed if one.channel == channel]
    following = await transaction.bundles.following(channel, {one.incident_id for one in mine})
    known = {one.id for one in mine}
    return [one for one in following if one.id not in known]


def _grouped(
    rows: Sequence[ports.Notification], firsts: set[int]
) -> dict[UUID, list[ports.Notification]]:
    """Sort them by incident, of those whose oldest message was claimed and is left."""
    groups: dict[UUID, list[ports.Notification]] = {}
    for one in sorted(rows, key=lambda one: one.id):
        if one.id in firsts or one.incident_id in groups:
            groups.setdefault(one.incident_id, []).append(one)
    return groups


def _channels(rows: Sequence[ports.Notification]) -> list[str]:
    return sorted({one.channel for one in rows})
