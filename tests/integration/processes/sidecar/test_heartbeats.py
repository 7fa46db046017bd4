"""The heartbeat of a real process against an api that behaves, and one that does not."""

import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest

from support import scriptedapi, sidecars

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_heartbeat_is_sent_at_once_and_then_every_interval(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    start()
    first, second, third = api.wait_for(3)[:3]
    assert [report.body["seq"] for report in (first, second, third)] == [1, 2, 3]
    assert first.path == "/ingest/v1/reports"
    assert first.authorization == "Bearer first-token"
    assert set(first.body) == {"v", "seq", "boot", "sentAt", "startedAt", "heartbeat", "want"}
    assert set(second.body) == set(first.body) - {"want"}
    assert first.body["v"] == 1
    assert INSTANT.fullmatch(first.body["sentAt"])
    assert INSTANT.fullmatch(first.body["startedAt"])
    assert third.body["startedAt"] == first.body["startedAt"]
    assert third.body["heartbeat"]["uptimeSeconds"] >= 1
    assert second.at - first.at >= 0.9
    assert third.at - second.at >= 0.9


def test_the_api_may_live_below_a_path(
    start: sidecars.Start, api: scriptedapi.Api, api_port: int
) -> None:
    start(ingest_url=f"http://127.0.0.1:{api_port}/clusters/east/")
    assert api.wait_for(1)[0].path == "/clusters/east/ingest/v1/reports"


def test_a_rotated_token_is_used_by_the_next_heartbeat(
    start: sidecars.Start, api: scriptedapi.Api, token: Path
) -> None:
    start()
    api.wait_for(1)
    token.write_text("second-token")
    tokens = [report.authorization for report in api.wait_for(3)]
    assert tokens[0] == "Bearer first-token"
    assert tokens[2] == "Bearer second-token"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="no file"),
        pytest.param(b"", id="an empty file"),
        pytest.param(b"two\r\nX-Injected: lines", id="a header smuggled in"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"x" * 20_000, id="far too long"),
    ],
)
def test_without_a_usable_token_nothing_is_sent_until_there_is_one(
    start: sidecars.Start, api: scriptedapi.Api, token: Path, content: bytes | None
) -> None:
    token.unlink()
    if content is not None:
        token.write_bytes(content)
    sidecar = start()
    known = sidecar.run_when(lambda run: run["heartbeat"]["lastError"] is not None)
    assert known["heartbeat"]["lastError"].startswith("no token to report with: ")
    assert known["heartbeat"]["sent"] == 0
    token.write_text("late-token")
    assert api.wait_for(1)[0].authorization == "Bearer late-token"


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_heartbeat_is_repeated_at_the_interval_and_said_once(
    start: sidecars.Start, api: scriptedapi.Api, code: int
) -> None:
    refusal = scriptedapi.status(code, b'{"detail": "the Job is not known yet"}')
    api.reply(refusal, refusal, refusal)
    sidecar = start()
    reports = api.wait_for(4)
    assert all(later.at - earlier.at >= 0.9 for earlier, later in itertools.pairwise(reports))
    said = sidecar.stderr_when("heartbeat: acknowledged")
    assert said.count(f"heartbeat: answered {code}: the Job is not known yet") == 1


def test_a_busy_api_is_left_alone_as_long_as_it_asks(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.reply(scriptedapi.status(503, Retry_After="3"))
    sidecar = start()
    first, second = api.wait_for(2)[:2]
    assert second.at - first.at >= 3
    assert second.body["seq"] == 2
    known = sidecar.run_when(lambda run: run["complete"])
    assert known["heartbeat"]["lastError"] is None


def test_an_outage_leaves_nothing_to_catch_up_with(start: sidecars.Start, api_port: int) -> None:
    sidecar = start()
    known = sidecar.run_when(lambda run: run["heartbeat"]["sent"] >= 3)
    assert (
        known["heartbeat"]["lastError"] == f"cannot reach 127.0.0.1:{api_port}: Connection refused"
    )
    api = scriptedapi.Api()
    with scriptedapi.serving(api, api_port):
        known = sidecar.run_when(lambda run: run["complete"])
        assert len(api.reports) == known["heartbeat"]["acknowledged"]
        assert api.reports[0].body["seq"] >= 4
        assert sidecar.stderr.count("Connection refused") == 1


@pytest.mark.parametrize(
    "reply",
    [pytest.param(scriptedapi.hang, id="silent"), pytest.param(scriptedapi.drip, id="dripping")],
)
def test_an_api_that_never_finishes_is_given_up_after_five_seconds(
    start: sidecars.Start, api: scriptedapi.Api, reply: scriptedapi.Reply
) -> None:
    api.reply(reply)
    sidecar = start()
    first, second = api.wait_for(2)[:2]
    assert 4.9 <= second.at - first.at < 10
    assert "timed out" in sidecar.stderr
    sidecar.run_when(lambda run: run["complete"])


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(scriptedapi.raw(b"\x00\x01\x02 no HTTP\r\n\r\n"), "not HTTP", id="no HTTP"),
        pytest.param(scriptedapi.raw(b""), "cannot reach", id="closed without an answer"),
        pytest.param(scriptedapi.status(200, b"<html>"), "not an acknowledgement", id="a web page"),
        pytest.param(scriptedapi.status(200, b"[" * 60_000), "not an ack", id="deep nesting"),
        pytest.param(
            scriptedapi.status(200, b'{"acknowledged": 7}'), "not an ack", id="another seq"
        ),
        pytest.param(scriptedapi.status(200, b" " * 10**7), "larger than 264 KiB", id="huge body"),
        pytest.param(scriptedapi.status(200, X=" x" * 40_000), "not HTTP", id="huge header"),
        pytest.param(
            scriptedapi.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{}"),
            "not an acknowledgement",
            id="a length beyond all memory",
        ),
        pytest.param(scriptedapi.status(302, Location="http://192.0.2.1/"), "302", id="a redirect"),
        pytest.param(scriptedapi.status(404), "answered 404", id="nothing there"),
        pytest.param(scriptedapi.status(500, b"\xff" * 99), "answered 500", id="a broken api"),
    ],
)
def test_an_odd_answer_costs_one_heartbeat(
    start: sidecars.Start, api: scriptedapi.Api, reply: scriptedapi.Reply, error: str
) -> None:
    api.reply(reply)
    sidecar = start()
    assert error in sidecar.stderr_when("heartbeat: ")
    # Another one may be under way at a look.
    sidecar.run_when(lambda run: run["complete"] and missing(run) == 1)


def missing(run: dict[str, Any]) -> int:
    """Count the heartbeats that were not acknowledged."""
    beats = run["heartbeat"]
    return int(beats["sent"]) - int(beats["acknowledged"])


def test_an_answer_in_chunks_is_understood(start: sidecars.Start, api: scriptedapi.Api) -> None:
    body = (
        b'{"v": 1, "acknowledged": 1, "execution": {"id": "in chunks"}, "run": {"complete": true}}'
    )
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    api.reply(scriptedapi.raw(head + chunks + b"0\r\n\r\n"))
    known = start().run_when(lambda run: run["complete"])
    assert known["execution"] == {"id": "in chunks"}


def test_the_process_stays_small(start: sidecars.Start, api: scriptedapi.Api) -> None:
    api.reply(scriptedapi.status(200, b" " * 10**7), scriptedapi.status(503, Retry_After="0"))
    sidecar = start()
    for _ in range(50):
        sidecar.ask("/run")
    sidecar.run_when(lambda run: run["heartbeat"]["acknowledged"] >= 2)
    memory = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", memory)
    assert peak is not None
    assert int(peak[1]) <= 20 * 1024


def test_it_does_not_spin(start: sidecars.Start, api: scriptedapi.Api) -> None:
    sidecar = start(heartbeat_seconds="3600")
    sidecar.run_when(lambda run: run["complete"])
    before = _cpu_ticks(sidecar.process.pid)
    time.sleep(2)
    assert _cpu_ticks(sidecar.process.pid) - before <= 2
    assert len(api.reports) == 1


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime and stime, in hundredths of a second
