"""One guarded HTTP client for all channels, and what an answer means.

- Only to addresses that may be told (`notify.guard`), and never by a proxy of the environment.
- One limit for the whole exchange, no redirects, no cookies, a bounded read of the reply.
- An error names the host and nothing else of the address: any other part of it can be a secret.
- A status decides alone: a reply whose body never ends has still been answered.
"""

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Self

import httpx

import rollcall
from rollcall.core import errors, targets
from rollcall.notify import guard
from rollcall.services import ports

TIMEOUT = timedelta(seconds=10)
BODY_TIMEOUT = timedelta(seconds=2)  # the status is known by then; the body only explains it
LONGEST_REPLY = 64 * 1024
SHOWN_REPLY = 200  # characters of a reply in an error
LONGEST_ADDRESS = 2048
LAST_PORT = 65535

# A pause that is asked for without saying how long, and the bounds of one that says so: a zero
# would ask again at once, and no receiver may silence a channel for longer than the upper bound.
DEFAULT_PAUSE = timedelta(seconds=30)
SHORTEST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=15)

SUCCESS = range(200, 300)  # RFC 9110 §15
_REDIRECTS = range(300, 400)
_FINAL = range(300, 500)  # nothing changes by itself; redirects are not followed
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
_MOST_DIGITS = 6  # of a pause in seconds: more is longer than any we make
_SHORTEST_SECRET = 6  # shorter parts of an address are words like "hooks" or "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: its body, and the text of it cut to what an error shows."""

    status: int
    headers: Mapping[str, str]
    text: str
    body: bytes = b""


Judge = Callable[[str, Reply, datetime], ports.Delivery]  # by host, at that time


class Client:
    """Posts to addresses that others chose. Close it, or use it as a context manager."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        allowed: targets.Allowed,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        self.guard = guard.Guard(allowed)
        # A pool of bounded size would make one channel wait for the hanging server of another.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._now = now
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            timeout=None,  # noqa: S113 - `post` bounds the exchange as a whole
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={
                "User-Agent": f"rollcall/{rollcall.__version__}",
                "Accept-Encoding": "identity",
            },
            transport=guard.Transport(self.guard, limits),
            trust_env=False,
        )

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        secrets: Sequence[str] = (),
        judge: Judge | None = None,
    ) -> ports.Delivery:
        """Send exactly these bytes as JSON; never raises for what the other side does.

        `secrets` are those of the body and the headers: a reply that repeats them is not shown so.
        `judge` is for receivers whose status says too little.
        """
        target = httpx.URL(url)
        hidden = [*secrets, *_secrets(target)]
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                reply = await self._exchange(target, body, headers, hidden)
        except TimeoutError:
            seconds = f"{self._timeout.total_seconds():g}s"
            return _failed(f"{target.host}: no answer within {seconds}")
        except (httpx.HTTPError, OSError) as error:
            text = shown(str(error) or type(error).__name__, hidden)
            return _failed(f"{target.host}: {text}")
        return (judge or by_status)(target.host, reply, self._now())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _exchange(
        self, url: httpx.URL, body: bytes, headers: Mapping[str, str], hidden: Sequence[str]
    ) -> Reply:
        sent = {"Content-Type": "application/json", **headers}
        async with self._http.stream("POST", url, content=body, headers=sent) as response:
            content = await _read(response)
            return Reply(
                status=response.status_code,
                headers=response.headers,
                text=shown(content.decode(errors="replace"), hidden),
                body=content,
            )


def encode(payload: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    """Write JSON in ASCII, so that no text in it can fail to encode."""
    return json.dumps(payload, separators=(",", ":")).encode("ascii")


def check_address(url: str, field: str) -> str:
    """Return the address; `field` names it in the error, which never repeats it.

    Raises errors.InvalidSpec.
    """
    if len(url) > LONGEST_ADDRESS or not _is_http(url):
        raise errors.InvalidSpec(
            "InvalidURL", f"{field}: write an address that begins with http:// or https://"
        )
    return url


def below(url: str, path: str) -> str:
    """Return the address of something below this one."""
    target = httpx.URL(url)
    return str(target.copy_with(path=target.path.rstrip("/") + path))


def _is_http(url: str) -> bool:
    try:
        target = httpx.URL(url)
        has_port = target.port is None or 0 < target.port <= LAST_PORT
        return target.scheme in {"http", "https"} and bool(target.host) and has_port
    except (httpx.InvalidURL, ValueError):  # the latter: a host that is no valid xn-- name
        return False


def by_status(host: str, reply: Reply, now: datetime) -> ports.Delivery:
    """Say what an answer means for the message."""
    status = reply.status
    detail = {"status": status}
    if status in SUCCESS:
        return ports.Delivery(delivered=True, detail=detail)
    error = f"{host} answered {status} {_phrase(status)}".rstrip()
    if status in _REDIRECTS:
        error += ": redirects are not followed, write the final address"
    elif reply.text:
        error += f": {reply.text}"
    return ports.Delivery(
        delivered=False,
        permanent=status in _FINAL and not _is_temporary(status),
        retry_after=_pause(reply, now),
        error=error,
        detail=detail,
    )


def shown(text: str, hidden: Sequence[str]) -> str:
    """Make foreign text fit for a log line: one line, short, without what must not be shown."""
    for secret in hidden:
        text = text.replace(secret, "***")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= SHOWN_REPLY else text[: SHOWN_REPLY - 1] + "…"


def _is_temporary(status: int) -> bool:
    return status in _TRY_AGAIN or status == HTTPStatus.TOO_MANY_REQUESTS


def _pause(reply: Reply, now: datetime) -> timedelta | None:
    """Read Retry-After where RFC 9110 §10.2.3 and RFC 6585 §4 give it a meaning."""
    raw = reply.headers.get("retry-after", "").strip()
    limited = reply.status == HTTPStatus.TOO_MANY_REQUESTS
    if not limited and not (reply.status == HTTPStatus.SERVICE_UNAVAILABLE and raw):
        return None
    pause = _seconds(raw) if raw.isascii() and raw.isdigit() else _until(raw, reply, now)
    return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)


def _seconds(raw: str) -> timedelta:
    return LONGEST_PAUSE if len(raw) > _MOST_DIGITS else timedelta(seconds=int(raw))


def _until(raw: str, reply: Reply, now: datetime) -> timedelta:
    """Measure against the receiver's own clock where it says what it is."""
    at = _date(raw)
    return at - (_date(reply.headers.get("date", "")) or now) if at else DEFAULT_PAUSE


def _date(raw: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(raw)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _read(response: httpx.Response) -> bytes:
    data = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT.total_seconds()):
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) >= LONGEST_REPLY:
                    break
    except (TimeoutError, httpx.HTTPError):
        pass  # what came of it is enough for an explanation
    return data[:LONGEST_REPLY]


def _failed(error: str) -> ports.Delivery:
    return ports.Delivery(delivered=False, error=error)


def _secrets(url: httpx.URL) -> list[str]:
    path = url.raw_path.decode("ascii")
    login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()  # as it is sent
    parts = {str(url), path, login, url.username, url.password, *re.split(r"[/?&=;,]", path)}
    return sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
