"""How a real process ends: only when told to, quickly, with code 0."""

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support import scriptedapi, sidecars

# The promise is one second; the rest is a slow test machine's.
SOON = 2.0


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_with_a_final_report(
    start: sidecars.Start, api: scriptedapi.Api, by: signal.Signals
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
    "reply",
    [pytest.param(scriptedapi.hang, id="hangs"), pytest.param(scriptedapi.drip, id="drips")],
)
def test_an_api_that_never_answers_does_not_hold_up_the_end(
    start: sidecars.Start, api: scriptedapi.Api, reply: scriptedapi.Reply
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


def test_a_waiting_job_does_not_hold_up_the_end(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.reply(scriptedapi.status(403))
    sidecar = start(heartbeat_seconds="3600")
    with sidecar.connect() as waiting:
        waiting.sendall(b"GET /run?wait=60s HTTP/1.1\r\nHost: x\r\n\r\n")
        code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < SOON


def test_the_first_process_of_a_container_obeys_too(
    start: sidecars.Start, api: scriptedapi.Api
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


def test_a_signal_during_the_start_is_not_lost(start: sidecars.Start, api: scriptedapi.Api) -> None:
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


def test_a_broken_stderr_stops_nothing(start: sidecars.Start, api: scriptedapi.Api) -> None:
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *sidecars.command()]
    api.reply(scriptedapi.status(403))
    sidecar = start(start=shell)
    sidecar.run_when(lambda run: run["heartbeat"]["acknowledged"] >= 2)
    assert sidecar.stop()[0] == 0


def test_what_was_said_last_is_delivered_before_the_end(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    sidecar = start(heartbeat_seconds="3600")
    sidecar.run_when(lambda run: run["complete"])
    sidecar.post("/progress", done=100)
    sidecar.post("/result", result="partial")
    code, seconds = sidecar.stop()
    assert (code, sidecar.last_words) == (0, None)
    assert seconds < SOON
    last = api.reports[-1]
    assert last.body["final"] is True
    assert last.body["progress"]["done"] == 100
    assert [item["kind"] for item in last.items] == ["result"]


def test_a_slow_api_gets_five_seconds_for_what_matters(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    def slow(exchange: scriptedapi.Exchange, report: scriptedapi.Report) -> None:
        time.sleep(1.5)
        scriptedapi.acknowledge(exchange, report)

    sidecar = start(heartbeat_seconds="3600")
    sidecar.run_when(lambda run: run["complete"])
    api.always(slow)
    sidecar.post("/checkpoint", value={"page": 7})
    code, seconds = sidecar.stop()
    assert (code, sidecar.last_words) == (0, None)
    assert 1.5 <= seconds < 5


def test_an_api_that_comes_back_within_five_seconds_gets_everything(
    start: sidecars.Start, api_port: int
) -> None:
    sidecar = start()
    sidecar.post("/result", result="partial")
    for number in range(150):
        sidecar.post("/error", message=f"{number}")
    sidecar.process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    back = scriptedapi.Api()
    with scriptedapi.serving(back, api_port):
        assert sidecar.process.wait(sidecars.PATIENCE) == 0
        assert sum(len(report.items) for report in back.reports) >= 150
    assert sidecar.last_words is None


def test_a_database_that_is_back_in_two_seconds_gets_everything(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    sidecar = start(heartbeat_seconds="3600")
    sidecar.run_when(lambda run: run["complete"])
    api.always(scriptedapi.status(503, Retry_After="5"))
    sidecar.post("/result", result="partial")
    threading.Timer(2.0, api.always, [scriptedapi.acknowledge]).start()
    code, seconds = sidecar.stop()
    assert (code, sidecar.last_words) == (0, None)
    assert 1.5 <= seconds < 5
    assert [item["kind"] for item in api.reports[-1].items] == ["result"]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(None, id="away"),
        pytest.param(scriptedapi.hang, id="hangs"),
        pytest.param(scriptedapi.status(500), id="fails"),
        pytest.param(scriptedapi.status(403), id="refuses"),
        pytest.param(scriptedapi.heartbeats_only, id="is older"),
    ],
)
def test_what_the_api_does_not_take_is_left_in_the_termination_message(
    start: sidecars.Start, request: pytest.FixtureRequest, reply: scriptedapi.Reply | None
) -> None:
    if reply is not None:
        request.getfixturevalue("api").always(reply)
    sidecar = start()
    sidecar.post("/progress", done=40, total=100)
    sidecar.post("/checkpoint", value={"page": 7})
    sidecar.post("/error", message="m")
    sidecar.post("/result", result="partial", message="half of it")
    code, seconds = sidecar.stop()
    assert code == 0
    assert seconds < 5 + SOON - 1
    left = sidecar.last_words
    assert left is not None
    assert (left["v"], len(left["boot"])) == (1, 16)
    assert left["checkpoint"]["value"] == {"page": 7}
    assert (left["result"]["seq"], left["result"]["result"]) == (3, "partial")
    assert left["progress"]["done"] == 40
    assert left["unsent"] == {"error": 1}
    assert set(left["lost"].values()) == {0}


def test_it_writes_no_more_than_the_kubelet_keeps(start: sidecars.Start) -> None:
    sidecar = start(termination_bytes="1024")
    sidecar.post("/checkpoint", value="c" * 900)
    sidecar.post("/result", result="partial", message="half of it")
    sidecar.stop()
    assert sidecar.termination_log.stat().st_size <= 1024
    left = sidecar.last_words
    assert left is not None
    assert (left["result"]["message"], left["unsent"]) == ("half of it", {"checkpoint": 1})


def test_the_message_is_there_even_if_the_kubelet_does_not_wait(start: sidecars.Start) -> None:
    sidecar = start()
    sidecar.post("/result", result="failed")
    sidecar.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + sidecars.PATIENCE
    while sidecar.last_words is None:
        assert time.monotonic() < until
    sidecar.stop(signal.SIGKILL)
    assert sidecar.last_words["result"]["result"] == "failed"


def test_a_termination_message_that_cannot_be_written_stops_nothing(start: sidecars.Start) -> None:
    sidecar = start(termination_log="/nowhere/log")
    sidecar.post("/result", result="failed")
    assert sidecar.stop()[0] == 0
    assert "cannot write the termination message" in sidecar.stderr
