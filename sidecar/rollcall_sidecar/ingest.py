"""Post one report and judge the answer.

One connection per report: it spreads the pods over the api's replicas, and ten thousand idle
connections would cost the api more than it takes to open one every 15 seconds.
"""

from __future__ import annotations

import http
import json
import math
from datetime import UTC, datetime

from rollcall_sidecar import buffer, http1, sockets
from rollcall_sidecar.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from io import BufferedIOBase
    from typing import Any

    from rollcall_sidecar import settings

# Bytes, headers included. Most answers have about 500; one that hands on a checkpoint and dead
# letters has up to 256 KiB.
LARGEST_ANSWER = 264 * 1024
REFUSALS = frozenset({413, 422, 429})  # of single items
BODILESS = frozenset({204, 304})
LONGEST_DETAIL = 200  # characters of the api's own words that are kept


class Settled(NamedTuple):
    """What became of the items: all up to `through` are kept, except those refused."""

    through: int
    refused: list[buffer.Verdict]


class Outcome(NamedTuple):
    """What became of one report."""

    reason: str  # constant for one cause, so that a change of it is news
    detail: str = ""  # what is particular to this time
    acknowledged: bool = False
    transient: bool = False  # whether trying again soon can help
    retry_after: float = 0.0  # seconds that the api asked for
    status: int = 0  # of the answer; 0 if there was none
    execution: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    expected_end: dict[str, Any] | None = None  # empty: told that nobody can say
    items: Settled | None = None  # None: there were none, or the api is older than items

    def text(self) -> str:
        """Say what happened in one line."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Answer(NamedTuple):
    """An HTTP answer, as far as it matters here."""

    status: int
    retry_after: str | None
    body: bytes


def post(
    endpoint: settings.Endpoint, report: bytes, sequence: int, token: str, seconds: float
) -> Outcome:
    """Send one report; whatever the network and the api do becomes an outcome."""
    try:
        answer = _exchange(endpoint, report, token, seconds)
    except ImportError:
        return Outcome(reason="this image cannot speak TLS: use an http URL")
    except sockets.TooLarge:
        reason = f"the answer was larger than {LARGEST_ANSWER // 1024} KiB"
        return Outcome(reason=reason, transient=True)
    except OSError as error:
        reason = f"cannot reach {endpoint.authority}"
        return Outcome(reason=reason, detail=_words(error), transient=True)
    except http1.Malformed as fault:
        return Outcome(reason="the answer was not HTTP", detail=str(fault), transient=True)
    return judge(answer, sequence=sequence, now=datetime.now(UTC))


def judge(answer: Answer, *, sequence: int, now: datetime) -> Outcome:
    """Decide what an answer means; never raises, whatever was sent."""
    content = _json_object(answer.body)
    if answer.status != http.HTTPStatus.OK:
        return Outcome(
            reason=f"answered {answer.status}",
            status=answer.status,
            detail=_detail(content),
            transient=answer.status == http.HTTPStatus.TOO_MANY_REQUESTS
            or answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR,
            retry_after=_seconds(answer.retry_after, now),
        )
    if content.get("acknowledged") != sequence:
        return Outcome(reason="the answer was not an acknowledgement", status=answer.status)
    execution = content.get("execution")
    known = isinstance(execution, dict) and bool(execution.get("id"))
    told = content.get("run")
    return Outcome(
        reason="acknowledged",
        acknowledged=True,
        status=answer.status,
        execution=execution if known else None,
        run=told if isinstance(told, dict) else None,
        expected_end=_expected_end(content),
        items=_settled(content.get("items")),
    )


def _expected_end(content: dict[str, Any]) -> dict[str, Any] | None:
    """Read when the run may end: empty where nobody can say, None where the api says nothing."""
    if "expectedEnd" not in content:
        return None
    end = content["expectedEnd"]
    return end if isinstance(end, dict) else {}


def _settled(items: object) -> Settled | None:
    """Read what became of the items; what makes no sense settles nothing."""
    if not isinstance(items, dict):
        return None
    through = items.get("through")
    refused = items.get("refused")
    found = [_verdict(one) for one in refused] if isinstance(refused, list) else []
    return Settled(_whole(through), [verdict for verdict in found if verdict.seq])


def _verdict(refusal: object) -> buffer.Verdict:
    refusal = refusal if isinstance(refusal, dict) else {}
    status = _whole(refusal.get("status"))
    return buffer.Verdict(
        seq=_whole(refusal.get("seq")),
        status=status if status in REFUSALS else http.HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=_detail(refusal),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _detail(content: dict[str, Any]) -> str:
    detail = content.get("detail")
    return detail[:LONGEST_DETAIL] if isinstance(detail, str) else ""


def _exchange(endpoint: settings.Endpoint, body: bytes, token: str, seconds: float) -> Answer:
    head = (
        f"POST {endpoint.path} HTTP/1.1\r\n"
        f"Host: {endpoint.authority}\r\n"
        f"Authorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Accept: application/json\r\n"
        "Accept-Encoding: identity\r\n"
        "User-Agent: rollcall-sidecar\r\n"
        "Connection: close\r\n\r\n"
    )
    with _connect(endpoint, seconds) as connection:
        connection.sendall(head.encode("ascii") + body)
        with connection.makefile("rb") as stream:
            return _answer(stream)


def _answer(stream: BufferedIOBase) -> Answer:
    """Read the answer; one that ends early is judged by what there is of it."""
    while (status := http1.status_line(http1.start_line(stream))) < http.HTTPStatus.OK:
        http1.fields(stream)  # it only says that an answer will come
    headers = http1.fields(stream)
    length = headers.get("content-length", "")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = http1.chunks(stream, LARGEST_ANSWER)
    elif status in BODILESS:
        body = b""
    elif length.isascii() and length.isdigit() and len(length) <= len(str(LARGEST_ANSWER)):
        body = stream.read(int(length))
    else:
        body = stream.read(LARGEST_ANSWER + 1)
    return Answer(status, headers.get("retry-after"), body)


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
        seconds = _until(retry_after, now)
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _until(date: str, now: datetime) -> float:
    from email import utils  # dear, and hardly ever needed: see the package's rule 2

    try:
        return (utils.parsedate_to_datetime(date) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
