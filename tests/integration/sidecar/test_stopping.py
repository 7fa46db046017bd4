"""How a real process ends: only when told to, quickly, with code 0."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support import sidecars

# The promise is one second; the rest is a slow test machine's.
SOON = 2.0


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_with_a_final_report(
    start: sidecars.Start, api: sidecars.Api, by: signal.Signals
) -> None:
    sidecar = start(heartbeat_seconds="3600")
    sidecar.run_when(lambda run: run["complete"])
    code, seconds = sidecar.stop(by)
    assert code == 0
    assert seconds < SOON
    first, last = api.wait_for(2)
    assert "final" not in first.body
    assert last.body["final"] is True
    assert last.body["seq"] == 2


@pytest.mark.parametrize(
    "reply", [pytest.param(sidecars.hang, id="hangs"), pytest.param(sidecars.drip, id="drips")]
)
def test_an_api_that_never_answers_does_not_hold_up_the_end(
    start: sidecars.Start, api: sidecars.Api, reply: sidecars.Reply
) -> None:
    api.reply(reply, reply)
    sidecar = start()
    api.wait_for(1)
    code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < SOON
    assert [report.body.get("final") for report in api.wait_for(2)] == [None, True]


def test_an_api_that_is_away_does_not_hold_up_the_end(start: sidecars.Start) -> None:
    sidecar = start()
    sidecar.run_when(lambda run: run["heartbeat"]["lastError"] is not None)
    code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < SOON


def test_a_network_that_swallows_packets_does_not_hold_up_the_end(start: sidecars.Start) -> None:
    # A listener whose queue is full drops further connection attempts, as a firewall would.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            sidecar = start(ingest_url=f"http://127.0.0.1:{port}")
            sidecar.run_when(lambda run: run["heartbeat"]["sent"] == 1)
            code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < SOON


def test_a_waiting_job_does_not_hold_up_the_end(start: sidecars.Start, api: sidecars.Api) -> None:
    api.reply(sidecars.status(403))
    sidecar = start(heartbeat_seconds="3600")
    with sidecar.connect() as waiting:
        waiting.sendall(b"GET /run?wait=60s HTTP/1.1\r\nHost: x\r\n\r\n")
        code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < SOON


def test_the_first_process_of_a_container_obeys_too(
    start: sidecars.Start, api: sidecars.Api
) -> None:
    unshare = ["unshare", "--pid", "--fork"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to make a process namespace")
    sidecar = start(start=[*unshare, *sidecars.command()])
    api.wait_for(1)
    inside = Path(f"/proc/{sidecar.process.pid}/task/{sidecar.process.pid}/children")
    started = time.monotonic()
    os.kill(int(inside.read_text()), signal.SIGTERM)
    assert sidecar.process.wait(sidecars.PATIENCE) == 0
    assert time.monotonic() - started < SOON
    assert api.reports[-1].body["final"] is True


def test_a_signal_during_the_start_is_not_lost(start: sidecars.Start, api: sidecars.Api) -> None:
    sidecar = start(heartbeat_seconds="3600", ready=False)
    blocked = Path(f"/proc/{sidecar.process.pid}/status")
    until = time.monotonic() + sidecars.PATIENCE
    while "SigBlk:\t0000000000004002" not in blocked.read_text():
        assert time.monotonic() < until
    code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < SOON
    # The first heartbeat may be under way at the same time and arrive later.
    newest = max(api.reports, key=lambda report: report.body["seq"])
    assert newest.body["final"] is True


def test_a_broken_stderr_stops_nothing(start: sidecars.Start, api: sidecars.Api) -> None:
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *sidecars.command()]
    api.reply(sidecars.status(403))
    sidecar = start(start=shell)
    sidecar.run_when(lambda run: run["heartbeat"]["acknowledged"] >= 2)
    assert sidecar.stop()[0] == 0
