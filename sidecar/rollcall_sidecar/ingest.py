"""Post one report and judge the answer.

One connection per report: it spreads the pods over the api's replicas, and ten thousand idle
connections would cost the api more than it takes to open one every 15 seconds.
"""

from __future__ import annotations

import email.utils
import http
import http.client
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rollcall_sidecar import sockets

if TYPE_CHECKING:
    from rollcall_sidecar import settings

LARGEST_ANSWER = 64 * 1024  # bytes, headers included; a real answer has about 500
LONGEST_DETAIL = 200  # characters of the api's own words that are kept


class Outcome(NamedTuple):
    """What became of one report."""

    reason: str  # constant for one cause, so that a change of it is news
    detail: str = ""  # what is particular to this time
    acknowledged: bool = False
    transient: bool = False  # whether trying again soon can help
    retry_after: float = 0.0  # seconds that the api asked for
    execution: dict[str, Any] | None = None

    def text(self) -> str:
        """Say what happened in one line."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Answer(NamedTuple):
    """An HTTP answer, as far as it matters here."""

    status: int
    retry_after: str | None
    body: bytes


def post(
    endpoint: settings.Endpoint, report: dict[str, Any], token: str, seconds: float
) -> Outcome:
    """Send one report; whatever the network and the api do becomes an outcome."""
    try:
        answer = _exchange(endpoint, json.dumps(report).encode(), token, seconds)
    except ImportError:
        return Outcome(reason="this image cannot speak TLS: use an http URL")
    except sockets.TooLarge:
        return Outcome(reason="the answer was larger than 64 KiB", transient=True)
    except OSError as error:
        reason = f"cannot reach {endpoint.authority}"
        return Outcome(reason=reason, detail=_words(error), transient=True)
    except http.client.HTTPException as error:
        return Outcome(reason="the answer was not HTTP", detail=_words(error), transient=True)
    return judge(answer, sequence=report["seq"], now=datetime.now(UTC))


def judge(answer: Answer, *, sequence: int, now: datetime) -> Outcome:
    """Decide what an answer means; never raises, whatever was sent."""
    content = _json_object(answer.body)
    if answer.status != http.HTTPStatus.OK:
        detail = content.get("detail")
        return Outcome(
            reason=f"answered {answer.status}",
            detail=detail[:LONGEST_DETAIL] if isinstance(detail, str) else "",
            transient=answer.status == http.HTTPStatus.TOO_MANY_REQUESTS
            or answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR,
            retry_after=_seconds(answer.retry_after, now),
        )
    if content.get("acknowledged") != sequence:
        return Outcome(reason="the answer was not an acknowledgement")
    execution = content.get("execution")
    known = isinstance(execution, dict) and bool(execution.get("id"))
    return Outcome(reason="acknowledged", acknowledged=True, execution=execution if known else None)


def _exchange(endpoint: settings.Endpoint, body: bytes, token: str, seconds: float) -> Answer:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    connection.sock = _connect(endpoint, seconds)
    try:
        headers = {
            "Host": endpoint.authority,
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "rollcall-sidecar",
            "Connection": "close",
        }
        connection.request("POST", endpoint.path, body, headers)
        response = connection.getresponse()
        return Answer(
            response.status, response.getheader("Retry-After"), response.read(LARGEST_ANSWER + 1)
        )
    finally:
        connection.close()


def _connect(endpoint: settings.Endpoint, seconds: float) -> sockets.BoundedSocket:
    if not endpoint.tls:
        return sockets.connect(endpoint.host, endpoint.port, seconds=seconds, size=LARGEST_ANSWER)
    from rollcall_sidecar import tls

    return tls.connect(endpoint.host, endpoint.port, seconds=seconds, size=LARGEST_ANSWER)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object that can be written again; everything else is an empty one."""
    try:
        content = json.loads(body)
        json.dumps(content, allow_nan=False)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _seconds(retry_after: str | None, now: datetime) -> float:
    """Read Retry-After in both of its forms, seconds and a date; 0 if there is none."""
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(retry_after) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0
