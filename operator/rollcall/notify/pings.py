"""Two small requests beside the channels: the dead-man switch's, and the canary's to our own api.

Both addresses are the installation's, neither comes from a resource. No error names one: it can be
a secret.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

import httpx

TIMEOUT = timedelta(seconds=10)
# A report without a token that anybody issued: refused, once the API server was asked about it.
_CANARY = {"Authorization": "Bearer rollcall-canary"}
_REPORT: Mapping[str, object] = {
    "v": 1,
    "seq": 1,
    "sentAt": "2026-01-01T00:00:00Z",
    "startedAt": "2026-01-01T00:00:00Z",
    "heartbeat": {"uptimeSeconds": 0},
}


class Pings:
    """Sends both; close it."""

    def __init__(
        self,
        *,
        ingest_url: str,
        deadman_url: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._ingest = f"{ingest_url.rstrip('/')}/ingest/v1/reports"
        self._deadman = deadman_url
        self._http = httpx.AsyncClient(
            follow_redirects=False, timeout=TIMEOUT.total_seconds(), transport=transport
        )

    async def deadman(self) -> str | None:
        """Say outside that we are alive; None if it was taken, else why not."""
        status = await self._post(self._deadman, {}, None)
        return (
            None if isinstance(status, int) and httpx.codes.is_success(status) else _wrong(status)
        )

    async def canary(self) -> str | None:
        """Ask whether an api replica takes reports; None if so, else what it answered."""
        status = await self._post(self._ingest, _CANARY, _REPORT)
        return None if status == HTTPStatus.UNAUTHORIZED else _wrong(status)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(
        self, url: str, headers: Mapping[str, str], body: Mapping[str, object] | None
    ) -> int | str:
        """Return the status, or why there is none."""
        try:
            answer = await self._http.post(url, headers=headers, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return type(error).__name__
        return answer.status_code


def _wrong(status: int | str) -> str:
    return f"answered {status}" if isinstance(status, int) else f"no answer: {status}"
