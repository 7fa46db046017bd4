"""One client for the Kubernetes API: plain dictionaries in and out, our errors, bounded waits.

No typed models: a field that they do not know would be lost on the way to the API server.
"""

import asyncio
import contextlib
import functools
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import msgspec

from rollcall.cluster import credentials
from rollcall.core import errors, names

Object = dict[str, Any]

APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TIMEOUT = 15.0  # seconds for one request
CONNECTIONS = 20
CHUNK = 100  # objects per page of a list; a Pod of 9 KB takes ten times as much once it is read
# 401: our token was not accepted this time; 410: a page of a list came too late.
_BUSY = frozenset({401, 410, 429, 500, 502, 503, 504})
# Server-side apply answers 500 to a body that does not fit the schema.
_UNFIT = ("failed to create typed patch object", "failed to convert new object")
# How the API server says that somebody lacks a right; a quota or a webhook says it otherwise.
_DENIED = re.compile(r'User ".*" cannot \w+ ')
# In answer to a patch that names a UID: there is another object of this name by now.
_OTHER_UID = "metadata.uid: Invalid value"


class KubeClient:
    """Requests to the API server. Close it, or use it as an asynchronous context manager.

    Every method raises errors.NotFound, errors.Conflict, errors.Refused or
    errors.ClusterUnavailable, and nothing else for what the server or the network does.
    """

    server_time: datetime | None = None  # of the newest answer, in whole seconds, if it said

    def __init__(
        self,
        access: credentials.Credentials,
        *,
        on_request: Callable[[str], None] = lambda _method: None,
    ) -> None:
        self._access = access
        self._on_request = on_request
        self._session: aiohttp.ClientSession | None = None
        self._date: str | None = None

    @classmethod
    async def connect(
        cls,
        *,
        context: str | None = None,
        on_request: Callable[[str], None] = lambda _method: None,
    ) -> Self:
        """Log in as the pod's service account, or with the user's kubeconfig outside a cluster.

        `on_request` is called with the method of each request.
        """
        return cls(await credentials.find(context), on_request=on_request)

    async def get(self, path: str, **query: str | int) -> Object:
        """Read one object, or one page of a list."""
        return await self.request("GET", path, query=query)

    async def create(self, path: str, body: Object, **query: str | int) -> Object:
        """POST an object."""
        return await self.request("POST", path, body=body, query=query)

    async def replace(self, path: str, body: Object) -> Object:
        """PUT an object; its resourceVersion guards against others' changes."""
        return await self.request("PUT", path, body=body)

    async def merge(self, path: str, body: Object, *, manager: str = names.MANAGER) -> Object:
        """Apply a JSON merge patch: null removes, lists are replaced whole."""
        query = {"fieldManager": manager, "fieldValidation": "Ignore"}
        return await self.request("PATCH", path, body=body, query=query, content_type=MERGE)

    async def patch(self, path: str, body: Object, *, manager: str = names.MANAGER) -> Object:
        """Apply a strategic merge patch: built-in lists are merged by their keys."""
        query = {"fieldManager": manager}
        return await self.request("PATCH", path, body=body, query=query, content_type=STRATEGIC)

    async def apply(self, path: str, body: Object, *, manager: str, **query: str) -> Object:
        """Apply server-side: own exactly the fields in `body`, take them from others if needed."""
        options = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", **query}
        return await self.request("PATCH", path, body=body, query=options, content_type=APPLY)

    async def list(self, path: str, **query: str | int) -> AsyncIterator[Object]:
        """Yield all objects of a list, page by page, so that no list is in memory whole."""
        token = ""
        while True:
            page = await self.get(
                path, limit=CHUNK, **query, **({"continue": token} if token else {})
            )
            for item in page.get("items") or ():
                yield item
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        query: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
        within: float = TIMEOUT,
    ) -> Object:
        """Send one request and return its JSON; `within` seconds, the connection's set-up included.

        An API server that has just started does not know anybody's rights yet, and denies them all:
        a right is taken for denied only by one that is ready.
        """
        send = functools.partial(
            self._send, method, path, body, query=query, content_type=content_type, within=within
        )
        try:
            return await send()
        except errors.Refused as refusal:
            if not _DENIED.search(str(refusal)):
                raise
        try:
            await self._send("GET", "/readyz", within=within)
        except errors.RollcallError as error:
            raise errors.ClusterUnavailable(f"{method} {path}: the API server starts") from error
        return await send()

    async def _send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
        within: float,
    ) -> Object:
        url = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": "application/json", "Content-Type": content_type}
        payload = msgspec.json.encode(body) if body is not None else None
        self._on_request(method)
        try:
            async with asyncio.timeout(within), self._ask(method, url, headers, payload) as answer:
                data = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            text = str(error) or type(error).__name__
            raise errors.ClusterUnavailable(f"{method} {path}: {text}") from error
        self._read_clock(answer.headers)
        return decode(method, path, answer.status, answer.headers, data)

    def _read_clock(self, headers: Mapping[str, str]) -> None:
        """Note the server's time; one text is read once, for it says the same for a second."""
        said = headers.get("Date")
        if said != self._date:
            self._date, self.server_time = said, date_of(headers)

    @contextlib.asynccontextmanager
    async def _ask(
        self, method: str, url: str, headers: dict[str, str], payload: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        access = self._access
        authorization = await access.authorization()
        if authorization:
            headers["Authorization"] = authorization
        session = self._session = self._session or _session(access.tls)
        async with session.request(
            method,
            access.host + url,
            headers=headers,
            data=payload,
            proxy=access.proxy,
            server_hostname=access.server_name,
        ) as answer:
            yield answer

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _session(tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls or True),
        timeout=aiohttp.ClientTimeout(),  # each request has its own
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Read the clock of whoever answered (RFC 9110 §6.6.1); None without it."""
    try:
        at = parsedate_to_datetime(headers.get("Date") or "")
    except ValueError:
        return None
    return at if at.tzinfo else None


def decode(method: str, path: str, status: int, headers: Mapping[str, str], data: bytes) -> Object:
    """Return the JSON of an answer, or raise what its status means."""
    try:
        body = msgspec.json.decode(data) if data else {}
    except ValueError:
        body = {"message": data[:500].decode(errors="replace")}
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return body if isinstance(body, dict) else {"value": body}
    message = str(body.get("message") or f"HTTP {status}") if isinstance(body, dict) else str(body)
    reason = str(body.get("reason") or "") if isinstance(body, dict) else ""
    if status == HTTPStatus.NOT_FOUND:
        raise errors.NotFound(message)
    is_other = status == HTTPStatus.UNPROCESSABLE_ENTITY and _OTHER_UID in message
    if status == HTTPStatus.CONFLICT or is_other:
        raise errors.Conflict(message)
    if status in _BUSY and not message.startswith(_UNFIT):
        wait = headers.get("Retry-After")
        raise errors.ClusterUnavailable(
            f"{method} {path}: {message}",
            retry_after=float(wait) if wait and wait.isdigit() else None,
        )
    raise errors.Refused(message, status=status, reason=reason)
