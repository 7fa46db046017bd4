"""What keeps the store in shape."""

from collections.abc import Sequence
from datetime import date

from rollcall.store import engine, retention, rollups


class Housekeeping:
    """`ports.Housekeeping` on Postgres."""

    def __init__(self, database: engine.Database) -> None:
        self._partitions = database.partitions
        self._rollups = rollups.Rollups(database)
        self._retention = retention.Retention(database, self._rollups)

    async def make_partitions(self) -> Sequence[str]:
        """Make the partitions of this week and the next ones; return what was made."""
        return await self._partitions.ensure()

    async def roll_up(self) -> Sequence[date]:
        """Roll up the days that need it; return them."""
        return await self._rollups.roll_up()

    async def retire(self, weeks: int) -> Sequence[str]:
        """Remove what is older than this many whole weeks; return the partitions that went."""
        return await self._retention.retire(weeks)
