"""One client for the Kubernetes API: plain dictionaries in and out, our errors, bounded waits.

No typed models: a field that they do not know would be lost on the way to the API server.
"""

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, urlencode

import msgspec

import rollcall
from rollcall.cluster import connections, credentials, http11, route
from rollcall.core import errors, names

Object = dict[str, Any]

APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TIMEOUT = 15.0  # seconds for one request
CHUNK = 100  # objects per page of a list; a Pod of 9 KB takes ten times as much once it is read
# 401: our token was not accepted this time; 410: a page of a list came too late.
_BUSY = frozenset({401, 410, 429, 500, 502, 503, 504})
# Server-side apply answers 500 to a body that does not fit the schema.
_UNFIT = ("failed to create typed patch object", "failed to convert new object")
# How the API server says that somebody lacks a right; a quota or a webhook says it otherwise.
_DENIED = re.compile(r'User ".*" cannot \w+ ')
# In answer to a patch that names a UID: there is another object of this name by now.
_OTHER_UID = "metadata.uid: Invalid value"
_ALWAYS = f"Accept: application/json\r\nUser-Agent: rollcall/{rollcall.__version__}\r\n"
_UNQUOTED = "!$%&'()*+,/:;=?@~"  # beside letters, digits and _.-; a % is a quoted one's
_PLAIN = re.compile(rf"[\w.\-{_UNQUOTED}]*", re.ASCII)


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
        self._authorization = access.authorization
        self._on_request = on_request
        self._route = route.Route.of(access)
        self._connections = connections.Pool(self._route.connect)
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

    def now(self, clock: Callable[[], datetime]) -> datetime:
        """Return the server's time, by which objects have theirs; ours before its first answer."""
        return self.server_time or clock()

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
        is_safe: bool = False,
    ) -> Object:
        """Send one request and return its JSON; `within` seconds, the connection's set-up included.

        `is_safe` says that it changes nothing, and may be sent again; of a GET that is known.
        An API server that has just started does not know anybody's rights yet, and denies them all:
        a right is taken for denied only by one that is ready.
        """
        send = functools.partial(
            self._send, method, path, body,
            query=query, content_type=content_type, within=within, is_safe=is_safe,
        )  # fmt: skip
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
        is_safe: bool = False,
    ) -> Object:
        payload = b"" if body is None else msgspec.json.encode(body)
        target = f"{path}?{urlencode(query)}" if query else path
        self._on_request(method)
        try:
            async with asyncio.timeout(within):
                head = self._head(method, target, content_type, len(payload))
                head += _shown(await self._authorization())
                answer = await self._connections.exchange(
                    head.encode("ascii") + payload, is_safe=is_safe or method == "GET"
                )
        except TimeoutError as error:
            text = str(error) or f"no answer within {within:g} s"
            raise errors.ClusterUnavailable(f"{method} {path}: {text}") from error
        except OSError as error:
            raise errors.ClusterUnavailable(f"{method} {path}: {error}") from error
        self._read_clock(answer.headers)
        return decode(method, path, answer.status, answer.headers, answer.body)

    def _read_clock(self, headers: Mapping[str, str]) -> None:
        """Note the server's time; one text is read once, for it says the same for a second."""
        said = headers.get("Date")
        if said != self._date:
            self._date, self.server_time = said, date_of(headers)

    def _head(self, method: str, target: str, content_type: str, size: int) -> str:
        """Write a request's head but for its last line, which says who asks."""
        if not _PLAIN.fullmatch(target):
            target = quote(target, safe=_UNQUOTED)
        # No Accept-Encoding: the API server would compress what is large, at a price for both.
        return (
            f"{method} {self._route.base}{target} HTTP/1.1\r\n{self._route.headers}{_ALWAYS}"
            f"Content-Type: {content_type}\r\nContent-Length: {size}\r\n"
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _shown(authorization: str | None) -> str:
    """End a head with who asks; a token must not be able to add a header."""
    if not authorization:
        return "\r\n"
    if not (authorization.isascii() and authorization.isprintable()):
        raise http11.Broken("our token has characters that no header can have")
    return f"Authorization: {authorization}\r\n\r\n"


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
    if status < HTTPStatus.BAD_REQUEST:
        where = headers.get("Location") or "nowhere"
        text = f"{method} {path}: redirects are not followed, and HTTP {status} leads to {where}"
        raise errors.Refused(text, status=status)
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
