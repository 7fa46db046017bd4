"""Tell again, every minute, what is still open: to the channels that want it so.

An Alertmanager takes an alert for solved when it hears no more of it. The outbox tells it of every
step of an incident at once; this keeps alive what was told, as it stands now. Its severity stays
while the incident is kept quiet: with another one it would be another alert there, which is told.

Between reading and sending an incident can be resolved, and its last message overtake ours, which
would then open the alert again. So who is open is read once more afterwards, and what ended in
between is ended once more.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import errors, hints, messages, policies
from rollcall.services import ports

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)
LONGEST_TRY = timedelta(seconds=30)  # for one channel, all its alerts

Payloads = Mapping[str, Sequence[Mapping[str, Any]]]


class Repeat:
    """Repeats the open incidents of one cluster; `channels` says to whom."""

    def __init__(
        self,
        *,
        store: ports.Store,
        senders: ports.Senders,
        channels: Callable[[], Sequence[str]],
        clock: Callable[[], datetime],
        cluster: str,
    ) -> None:
        self._store = store
        self._senders = senders
        self._channels = channels
        self._clock = clock
        self._cluster = cluster

    async def run(self) -> None:
        """Repeat until cancelled."""
        while True:
            try:
                await self.once()
            except errors.StoreUnavailable as error:
                logger.warning("Repeating waits for Postgres", extra={"error": str(error)})
            except Exception:
                logger.exception("Open incidents could not be repeated")
            await asyncio.sleep(EVERY.total_seconds())

    async def once(self) -> None:
        """Repeat what is open; raises errors.StoreUnavailable."""
        channels = self._channels()
        if not channels:
            return
        before, _ = await self._to_repeat(channels)
        await self._send(_by_channel(before))
        after, now = await self._to_repeat(channels)
        still_open = {one.incident.id for one in after}
        ended = [
            replace(one, incident=replace(one.incident, resolved_at=now))
            for one in before
            if one.incident.id not in still_open
        ]
        await self._send(_by_channel(ended))

    async def _to_repeat(
        self, channels: Sequence[str]
    ) -> tuple[Sequence[ports.Repetition], datetime]:
        async with self._store.transaction() as transaction:
            found = await transaction.outbox.to_repeat(channels, cluster=self._cluster)
            return found, transaction.now

    async def _send(self, payloads: Payloads) -> None:
        """Send to all channels at once: none waits for another."""
        await asyncio.gather(*(self._tell(channel, bodies) for channel, bodies in payloads.items()))

    async def _tell(self, channel: str, payloads: Sequence[Mapping[str, Any]]) -> None:
        try:
            async with asyncio.timeout(LONGEST_TRY.total_seconds()):
                sender = await self._senders.sender(channel)
                if not isinstance(sender, ports.Repeater):
                    return  # deleted, or of another kind since
                delivery = await sender.repeat(payloads)
        except TimeoutError:
            delivery = ports.Delivery(delivered=False, error="not repeated in time")
        except (errors.InvalidSpec, errors.ClusterUnavailable) as error:
            delivery = ports.Delivery(delivered=False, error=str(error))
        except Exception as error:  # else no other channel would hear what ended meanwhile
            logger.exception("Open incidents could not be repeated", extra={"channel": channel})
            text = f"internal error: {type(error).__name__}"
            delivery = ports.Delivery(delivered=False, error=text)
        if not delivery.delivered:
            self._failed(channel, delivery)

    def _failed(self, channel: str, delivery: ports.Delivery) -> None:
        """Show it. It is no word about a message, so that the channel stays as ready as it is."""
        logger.warning(
            "Open incidents not repeated", extra={"channel": channel, "error": delivery.error}
        )
        shown = ports.Delivery(delivered=False, error=delivery.error)
        self._senders.report(channel, shown, self._clock())


def _by_channel(repetitions: Sequence[ports.Repetition]) -> Payloads:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in repetitions:
        found.setdefault(one.channel, []).append(_restated(one))
    return found


def _restated(one: ports.Repetition) -> dict[str, Any]:
    incident, told = one.incident, one.payload
    if incident.inhibited_by or incident.silenced_by:
        severity = policies.Severity(told["incident"]["severity"])
        incident = replace(incident, severity=severity)
    payload = messages.restated(told, incident)
    run = told.get("execution")
    if run and run.get("id") != str(incident.execution_id):
        # It is about another run by now, of which the message that was told knows nothing.
        payload |= {"execution": None, "lastRuns": [], "changes": None}
        payload |= {"advice": hints.advice(incident, None)}
    return payload
