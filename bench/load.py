"""Load on a port of this machine: by wrk if it is there, else by a client of our own.

The client is also what sends at a fixed rate, which wrk cannot. `python -m bench.load` is that
client as a process of its own.
"""

import argparse
import asyncio
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop
from typing_extensions import override  # typing has it from 3.12 on

from bench import ROOT, pods

WRK = shutil.which("wrk")
_SCRIPT = ROOT / "bench/requests.lua"
_LONGEST_SECONDS = 120  # of a load that ends by itself
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TIMEOUT_SECONDS = 5.0  # as long as a sidecar waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came back: `answers` with status 200, `others` with another or not at all."""

    answers: int
    others: int
    seconds: float
    p50_ms: float
    p99_ms: float


def any_of(requests: Path, port: int, *, connections: int, seconds: float) -> Answers:
    """Send random ones of a file for some seconds; each connection waits for its answers."""
    if WRK:
        return _wrk(requests, port, "any", connections, seconds)
    return _client(requests, port, f"--connections={connections}", f"--seconds={seconds}")


def each_of(requests: Path, port: int, *, connections: int) -> Answers:
    """Send each of a file once."""
    if WRK:
        return _wrk(requests, port, "each", connections, _LONGEST_SECONDS)
    return _client(requests, port, f"--connections={connections}")


def at_rate(requests: Path, port: int, *, rate: float, seconds: float) -> Answers:
    """Send so many a second, in the file's order over and over, each on a connection of its own.

    A latency counts from when the request was due, so that a stall is not hidden by its own delay.
    """
    return _client(requests, port, f"--rate={rate}", f"--seconds={seconds}")


def _wrk(requests: Path, port: int, order: str, connections: int, seconds: float) -> Answers:
    command = [str(WRK), "-t1", f"-c{connections}", f"-d{seconds:.0f}s", f"-s{_SCRIPT}"]
    command += ["--timeout", f"{_TIMEOUT_SECONDS:.0f}s"]
    command += [f"http://127.0.0.1:{port}", "--", str(requests), order]
    return _run(command)


def _client(requests: Path, port: int, *options: str) -> Answers:
    command = [sys.executable, "-m", "bench.load", str(requests), str(port), *options]
    return _run(command)


def _run(command: list[str]) -> Answers:
    """Run to the end, which is when all is sent; the outcome is the last line."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        line = ""
        for line in process.stdout or ():
            if line == "sent\n":
                process.send_signal(signal.SIGINT)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Answers(**json.loads(line))


@dataclass(slots=True)
class _Client:
    port: int
    statuses: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    async def follow(self, requests: Iterator[bytes], until: float) -> None:
        """Send one after the other on a connection, on a new one when the server closes it."""
        link = _Link(self.port)
        for request in requests:
            if time.monotonic() > until:
                break
            await self.send(link, request, time.monotonic())
        link.close()

    async def send(self, link: "_Link", request: bytes, due: float) -> None:
        """Send one and keep what became of it."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                self.statuses.append(await link.ask(request))
        except (OSError, TimeoutError):
            self.statuses.append(0)
            link.close()
        self.latencies.append(time.monotonic() - due)

    async def alone(self, request: bytes, due: float) -> None:
        """Send one on a connection of its own."""
        link = _Link(self.port)
        await self.send(link, request, due)
        link.close()

    def outcome(self, seconds: float) -> Answers:
        """Sum up."""
        latencies = sorted(self.latencies) or [0.0]
        good = self.statuses.count(200)
        return Answers(
            answers=good,
            others=len(self.statuses) - good,
            seconds=seconds,
            p50_ms=latencies[len(latencies) // 2] * 1000,
            p99_ms=latencies[len(latencies) * 99 // 100] * 1000,
        )


class _Link:
    """A connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wire: _Wire | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status; once more if the server had closed meanwhile."""
        if self._wire:
            try:
                return await self._wire.ask(request)
            except OSError:
                self.close()
        loop = asyncio.get_running_loop()
        _, self._wire = await loop.create_connection(_Wire, "127.0.0.1", self._port)
        return await self._wire.ask(request)

    def close(self) -> None:
        """Hang up."""
        if self._wire:
            self._wire.close()
        self._wire = None


class _Wire(asyncio.Protocol):
    """Sends requests and reads what is answered, with little work for each.

    The client shares the machine with what it measures; asyncio's streams would do more.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._status: asyncio.Future[int] | None = None
        self._come = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._come += data
        head, gap, body = self._come.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if gap and len(body) >= int(length[1] if length else 0):
            self._come = b""
            self._settle(int(head.split(b" ", 2)[1]))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._settle(ConnectionResetError("closed"))

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status; raises OSError if none comes."""
        if self._transport is None:
            raise ConnectionResetError("closed")
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()

    def _settle(self, outcome: int | Exception) -> None:
        status, self._status = self._status, None
        if status is None or status.done():
            return
        if isinstance(outcome, Exception):
            status.set_exception(outcome)
        else:
            status.set_result(outcome)


async def _many(client: _Client, requests: Iterator[bytes], connections: int, until: float) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(client.follow(requests, until))


async def _steadily(
    client: _Client, next_request: Callable[[], bytes], rate: float, until: float
) -> None:
    due = time.monotonic()
    async with asyncio.TaskGroup() as group:
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            while due <= time.monotonic():
                group.create_task(client.alone(next_request(), due))
                due += 1 / rate


async def _generate(options: argparse.Namespace) -> Answers:
    requests = options.requests.read_bytes().split(pods.SEPARATOR)
    client, began = _Client(options.port), time.monotonic()
    until = began + (options.seconds or _LONGEST_SECONDS)
    if options.rate:
        await _steadily(client, _round(requests).__next__, options.rate, until)
    else:
        chosen = _random(requests) if options.seconds else iter(requests)
        await _many(client, chosen, options.connections, until)
    return client.outcome(time.monotonic() - began)


def _round(requests: list[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests


def _random(requests: list[bytes]) -> Iterator[bytes]:
    while True:
        yield random.choice(requests)


def main() -> None:
    """Generate load and print the outcome as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("requests", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=float)
    outcome = uvloop.run(_generate(parser.parse_args()))
    print(json.dumps({name: getattr(outcome, name) for name in Answers.__slots__}))


if __name__ == "__main__":
    main()
