"""What became of tries: told, and recorded; what could not be is recorded before anything else."""

import logging
from collections.abc import Callable, Sequence

from rollcall.core import errors
from rollcall.services import lanes, ports

logger = logging.getLogger(__name__)


class Records:
    """Records outcomes in one store; `on_outcome` hears of channel and result."""

    def __init__(self, store: ports.Store, on_outcome: Callable[[str, str], None] | None) -> None:
        self._store = store
        self._on_outcome = on_outcome
        self._unrecorded: list[lanes.Verdict] = []

    def tell(self, verdict: lanes.Verdict) -> None:
        """Log and count it."""
        level = {lanes.Result.DELIVERED: logging.INFO, lanes.Result.DEAD: logging.ERROR}
        extra = fields(verdict.notification) | {"result": verdict.result, "error": verdict.error}
        logger.log(level.get(verdict.result, logging.WARNING), "Notification tried", extra=extra)
        if self._on_outcome:
            self._on_outcome(verdict.notification.channel, verdict.result.value)

    async def record(self, verdicts: Sequence[lanes.Verdict]) -> bool:
        """Record outcomes now; False if that is for later."""
        try:
            await self._settle(verdicts)
        except errors.StoreUnavailable as error:
            self._unrecorded.extend(verdicts)
            logger.warning("Outcomes wait for Postgres", extra={"error": str(error)})
            return False
        except Exception:
            # Kept, it would stop every channel for ever; dropped, its lease runs out and it is
            # tried again.
            logger.exception("Outcomes cannot be recorded")
            return False
        return True

    async def catch_up(self) -> None:
        """Record what is left over; raises errors.StoreUnavailable."""
        leftovers = list(self._unrecorded)
        if leftovers:
            await self._settle(leftovers)
            self._unrecorded = self._unrecorded[len(leftovers) :]

    async def _settle(self, verdicts: Sequence[lanes.Verdict]) -> None:
        async def settle(transaction: ports.Transaction) -> None:
            outcomes = [verdict.outcome(transaction.now) for verdict in verdicts]
            await transaction.outbox.settle(outcomes)

        await self._store.run(settle)


def fields(notification: ports.Notification) -> dict[str, object]:
    """Return what a line of the log says of a message."""
    return {
        "channel": notification.channel,
        "notification": notification.id,
        "key": notification.key,
        "type": notification.type,
    }
