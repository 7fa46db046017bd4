"""The migrated schema is the models' schema, by one line of migrations, there and back."""

import re
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import autogenerate, command, config, script
from alembic.runtime import migration
from sqlalchemy.ext.asyncio import AsyncEngine

from rollcall import store as store_package
from rollcall.store import connections, models, upgrade

MIGRATIONS = Path(store_package.__file__).with_name("migrations")

# What the catalogue says of every table of ours but the weekly partitions.
CATALOGUE = {
    "columns": """
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
            pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN tables ON attrelid = oid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped
    """,
    "constraints": """
        SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN tables ON conrelid = tables.oid
    """,
    "indexes": """
        SELECT relname, indexrelid::regclass::text, pg_get_indexdef(indexrelid)
        FROM pg_index JOIN tables ON indrelid = oid
    """,
    "storage": """
        SELECT relname, reloptions::text, pg_get_partkeydef(oid) FROM tables
    """,
}
TABLES = """
    WITH tables AS (
        SELECT oid, relname, reloptions FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname <> 'alembic_version'
    )
"""


def open_engine(dsn: str) -> AsyncEngine:
    return connections.create_engine(
        connections.Target(dsn=dsn, application_name="tests", answer_within=60)
    )


def catalogue(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(dsn) as connection:
        return {
            name: sorted(map(tuple, connection.execute((TABLES + query).encode())), key=str)
            for name, query in CATALOGUE.items()
        }


async def create_from_models(dsn: str) -> None:
    engine = open_engine(dsn)
    async with engine.begin() as connection:
        await connection.run_sync(models.Base.metadata.create_all)
    await engine.dispose()


async def test_models_and_migrations_make_the_same_catalogue(dsn: str, empty_dsn: str) -> None:
    await create_from_models(empty_dsn)

    from_models, from_migrations = catalogue(empty_dsn), catalogue(dsn)

    for name in CATALOGUE:
        assert from_migrations[name] == from_models[name], name
    assert len(from_migrations["storage"]) == len(models.Base.metadata.tables)


async def test_alembic_sees_no_difference_either(dsn: str) -> None:
    engine = open_engine(dsn)
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await engine.dispose()

    assert differences == []


def _differences(connection: sa.Connection) -> list[Any]:
    context = migration.MigrationContext.configure(
        connection, opts={"include_object": _is_no_partition, "compare_type": True}
    )
    found: list[Any] = autogenerate.compare_metadata(context, models.Base.metadata)
    return found


def _is_no_partition(
    thing: object, name: str | None, kind: str, _reflected: object, _compare_to: object
) -> bool:
    table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", None)
    return not re.fullmatch(r"(executions|execution_events)_\d{8}", table or "")


async def test_down_and_up_again_leaves_the_same_schema(dsn: str) -> None:
    before = catalogue(dsn)
    engine = open_engine(dsn)
    async with engine.begin() as connection:
        await connection.run_sync(_downgrade)
    await engine.dispose()
    assert catalogue(dsn)["columns"] == []

    await upgrade.upgrade(dsn)

    assert catalogue(dsn) == before


def _downgrade(connection: sa.Connection) -> None:
    settings = _settings()
    settings.attributes["connection"] = connection
    command.downgrade(settings, "base")


def test_there_is_one_line_of_migrations_in_sequence() -> None:
    directory = script.ScriptDirectory.from_config(_settings())

    assert len(directory.get_heads()) == 1
    revisions = [step.revision for step in directory.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_names_of_migrations_say_when_they_are_safe() -> None:
    files = [path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")]

    assert files
    assert all(re.fullmatch(r"\d{4}_(pre|post)_[a-z_]+\.py", name) for name in files)


def _settings() -> config.Config:
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    return settings
