"""A temporary Postgres that counts its statements and keeps when each run's end came in."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import deploy

from support import postgres

ROLE = "rollcall"
# As a production server would run, unlike the tests' one.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "shared_preload_libraries": "pg_stat_statements",
}
_WITNESS = """
    CREATE EXTENSION pg_stat_statements;
    CREATE TABLE bench_ended (id uuid PRIMARY KEY, seen_at timestamptz NOT NULL);
    CREATE FUNCTION bench_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO public.bench_ended VALUES (NEW.id, clock_timestamp())
        ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$;
    CREATE TRIGGER bench_ended AFTER INSERT OR UPDATE ON executions FOR EACH ROW
    WHEN (NEW.status IN ('succeeded', 'failed')) EXECUTE FUNCTION bench_note();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database with the product's tables."""

    server: postgres.Server

    @property
    def dsn(self) -> str:
        """Where the product finds it; it comes as a role of its own, which is what is counted."""
        of_all = self.server.tcp_dsn if self.server.port else self.server.dsn
        return of_all(ROLE).replace(f"{postgres.SUPERUSER}@", f"{ROLE}@")

    def one(self, query: str) -> float:
        """Return the only value of a query, 0 for none."""
        return float(self.server.execute(query, ROLE)[0][0] or 0)

    def witness(self) -> None:
        """Begin to keep when ends come in."""
        self.server.execute(_WITNESS, ROLE)

    def statements(self) -> int:
        """Return how many statements the product has sent."""
        mine = f"userid = '{ROLE}'::regrole"
        return int(self.one(f"SELECT sum(calls) FROM pg_stat_statements WHERE {mine}"))


@contextlib.contextmanager
def running(*, port: int | None = None, **settings: str) -> Iterator[Database]:
    """Run a server with the product's tables until the block ends; with `port` over loopback."""
    with postgres.own_server(port=port, settings=SETTINGS | settings) as server:
        server.execute(f"CREATE ROLE {ROLE} LOGIN")
        server.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
        database = Database(server=server)
        upgrade(database)
        yield database


def upgrade(database: Database) -> None:
    """Bring the product's tables into the database."""
    command = [sys.executable, "-m", "rollcall", "db", "upgrade"]
    deploy.run(["env", f"ROLLCALL_DATABASE_DSN={database.dsn}", *command])
