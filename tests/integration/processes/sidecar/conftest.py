"""A scripted api, a token file, and a way to start sidecars that report to it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import loopback, scriptedapi, sidecars


@pytest.fixture
def api_port() -> int:
    """Choose the port that the api listens on, once it runs."""
    return loopback.free_port()


@pytest.fixture
def api(api_port: int) -> Iterator[scriptedapi.Api]:
    """Run an api that acknowledges everything, unless told otherwise."""
    scripted = scriptedapi.Api()
    with scriptedapi.serving(scripted, api_port):
        yield scripted


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """Write the file with the pod's token."""
    path = tmp_path / "token"
    path.write_text("first-token\n")
    return path


@pytest.fixture
def start(tmp_path: Path, api_port: int, token: Path) -> Iterator[sidecars.Start]:
    """Start sidecars that report to `api_port` every second; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start_one(
            *, start: list[str] | None = None, ready: bool = True, **settings: str
        ) -> sidecars.Sidecar:
            defaults = {
                "ingest_url": f"http://127.0.0.1:{api_port}",
                "heartbeat_seconds": "1",
                "token_file": str(token),
            }
            running = sidecars.running(tmp_path, defaults | settings, start=start, ready=ready)
            return stack.enter_context(running)

        yield start_one
