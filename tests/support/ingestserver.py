"""The ingest API as a server of a test's own.

As a process that a test may kill, `python ingestserver.py DSN SOCKET`, every bearer token is the
UID of a pod in the namespace `shop`; all else is as in the product.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.api import app
from rollcall.services import ingest, reporters
from rollcall.serving import server
from rollcall.store import engine
from support import builders, reporting


@contextlib.asynccontextmanager
async def served(use_case: ingest.Ingest, port: int) -> AsyncIterator[None]:
    """Serve it on a port of this machine, and close it with the use case."""
    serving = server.Server(app.IngestApp(use_case), app.LIMITS)
    await serving.listen(port, host="127.0.0.1")
    try:
        yield
    finally:
        await serving.close()
        await use_case.close()


class Believer(reporters.Reviewer):
    """Believes every token."""

    @override
    def known(self, token: str) -> reporters.Caller:
        return reporting.caller(token)

    @override
    async def review(self, token: str) -> reporters.Caller:
        return reporting.caller(token)


async def serve(dsn: str, path: str) -> None:
    """Serve on a Unix socket until killed."""
    use_case = ingest.Ingest(
        store=engine.Database(dsn, application_name="tests"),
        reviewer=Believer(),
        lookup=reporting.Lookup(),
        cluster=builders.CLUSTER,
    )
    await server.Server(app.IngestApp(use_case), app.LIMITS).listen_at(path)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
