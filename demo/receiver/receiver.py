"""The demo's alert receiver: prints one line per alert it gets, and keeps the alerts for a look.

POST /slack takes what an incoming webhook of Slack takes, POST anything else what a webhook channel
sends. GET /alerts returns all of them as JSON, oldest first. Settings come from the environment:
PORT (8080), and SIGNING_SECRET, without which no signature is asked for.
"""
# mypy: disable-error-code="explicit-override"
# (typing.override is newer than the oldest Python we run on)

import base64
import binascii
import hashlib
import hmac
import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEPT = 1000  # alerts
LONGEST_BODY = 1024 * 1024
OLDEST_SIGNATURE = 300  # seconds; what Standard Webhooks advises against replays


class Alerts:
    """What was received, the newest KEPT of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alerts: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._seen: deque[tuple[str, str]] = deque(maxlen=KEPT)

    def add(self, path: str, key: str | None, payload: object, line: str) -> None:
        """Keep an alert and print its line; one that came before says so."""
        with self._lock:
            again = key is not None and (path, key) in self._seen
            if key is not None:
                self._seen.append((path, key))
            now = datetime.now(UTC)
            self._alerts.append(
                {
                    "receivedAt": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "path": path,
                    "key": key,
                    "repeated": again,
                    "line": line,
                    "payload": payload,
                }
            )
            print(f"{now:%H:%M:%S} {line}{' (received before)' if again else ''}", flush=True)

    def all(self) -> list[dict[str, Any]]:
        """Return all that are kept, oldest first."""
        with self._lock:
            return list(self._alerts)


class RefusedError(Exception):
    """A request that is answered with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def key_of(secret: str) -> bytes:
    """Return the bytes of a signing secret, which is raw or base64 after `whsec_`."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret[len("whsec_") :], validate=True)
    except binascii.Error:
        sys.exit("SIGNING_SECRET: what follows whsec_ is not base64")


def verify(key: bytes, headers: Message, body: bytes, now: float) -> None:
    """Raise RefusedError unless one signature is right and fresh."""
    identifier = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > OLDEST_SIGNATURE:
        raise RefusedError(401, "webhook-timestamp is absent or too far from now")
    signed = f"{identifier}.{timestamp}.".encode() + body
    right = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(right, signature) for signature in given):
        raise RefusedError(401, "webhook-signature is not the one of this body")


def webhook_line(payload: Mapping[str, Any]) -> str:
    """Say an alert in one line, like `CRITICAL opened demo/backup missed: …`; all of a digest."""
    if payload["type"] == "digest":
        told = [_incident_line(one) for one in payload["incidents"]]
        return one_line(f"DIGEST of {len(told)}: {'; '.join(told)}")
    return one_line(_incident_line(payload))


def _incident_line(payload: Mapping[str, Any]) -> str:
    incident, job = payload["incident"], payload["cronjob"]
    what = str(payload["type"]).removeprefix("incident.")
    whose = f"{job['namespace']}/{job['name']}" if job else "the cluster"
    text = f"{whose} {incident['kind']}: {incident['message']}"
    if payload.get("suppressed"):
        text += f" ({payload['suppressed']} more since the last message)"
    return f"{str(incident['severity']).upper()} {what} {text}"


def slack_line(payload: Mapping[str, Any]) -> str:
    """Say a Slack message in one line."""
    return one_line(f"SLACK {payload['text']}")


def one_line(text: str) -> str:
    """Keep foreign text from writing lines of its own."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class Handler(BaseHTTPRequestHandler):
    """One request."""

    alerts = Alerts()
    key: bytes | None = None
    timeout = 30  # seconds that a silent client may keep a thread

    def do_GET(self) -> None:
        """Return the alerts, or say that we live."""
        if self.path == "/alerts":
            self.answer(200, json.dumps(self.alerts.all(), indent=1), "application/json")
        elif self.path == "/healthz":
            self.answer(200, "ok")
        else:
            self.answer(404, "GET /alerts returns the alerts")

    def do_POST(self) -> None:
        """Take one alert."""
        try:
            self.receive(self.body())
            self.answer(200, "ok")
        except RefusedError as refused:
            print(f"refused with {refused.status}: {refused}", flush=True)
            self.answer(refused.status, str(refused))

    def body(self) -> bytes:
        """Read the body."""
        length = self.headers.get("content-length", "")
        if not length.isdigit():
            raise RefusedError(411, "Content-Length is required")
        if int(length) > LONGEST_BODY:
            raise RefusedError(413, f"more than {LONGEST_BODY} bytes")
        return self.rfile.read(int(length))

    def receive(self, body: bytes) -> None:
        """Check, print and keep an alert."""
        is_slack = self.path == "/slack"
        if self.key is not None and not is_slack:
            verify(self.key, self.headers, body, time.time())
        try:
            payload = json.loads(body)
            line = slack_line(payload) if is_slack else webhook_line(payload)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RefusedError(400, f"invalid_payload: {type(error).__name__}") from error
        self.alerts.add(self.path, self.headers.get("webhook-id"), payload, line)

    def answer(
        self, status: int, text: str, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        """Send a whole response."""
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the lines are for alerts."""


def main() -> None:
    """Serve until SIGTERM."""
    secret = os.environ.get("SIGNING_SECRET", "").strip()
    Handler.key = key_of(secret) if secret else None
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"waiting for alerts on port {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
