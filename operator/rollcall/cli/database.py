"""The database as commands read it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rollcall import config
from rollcall.store import engine


@asynccontextmanager
async def opened(settings: config.Settings) -> AsyncIterator[engine.Database]:
    """Open the database of the settings, once its tables are those of this program.

    Raises errors.StoreUnavailable, and what `upgrade.check` raises.
    """
    # Only here: Alembic takes 8 MB that the processes beside the commands have no use for.
    from rollcall.store import upgrade

    password = config.database_password()
    await upgrade.check(settings.database_dsn, password=password)
    database = engine.Database(
        settings.database_dsn, password=password, application_name="rollcall-cli"
    )
    try:
        yield database
    finally:
        await database.close()
