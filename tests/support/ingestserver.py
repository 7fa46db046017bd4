"""The ingest API as a process of its own that a test may kill: `python ingestserver.py DSN SOCKET`.

Every bearer token is the UID of a pod in the namespace `shop`; all else is as in the product.
"""

import asyncio
import sys

import uvicorn

from rollcall.api import app
from rollcall.services import ingest, reporters
from rollcall.store import engine
from support import builders, reporting


class Reviewer:
    """Believes every token."""

    async def review(self, token: str) -> reporters.Caller:
        return reporting.caller(token)


async def serve(dsn: str, path: str) -> None:
    """Serve on a Unix socket until killed."""
    use_case = ingest.Ingest(
        store=engine.Database(dsn, application_name="tests"),
        reviewer=Reviewer(),
        lookup=reporting.Lookup(),
        cluster=builders.CLUSTER,
    )
    settings = uvicorn.Config(app.ingest_app(use_case), uds=path, lifespan="off", log_config=None)
    await uvicorn.Server(settings).serve()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
