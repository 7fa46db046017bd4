"""What a program reports to a real process, and what becomes of it."""

import contextlib
import json
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import keeping, scriptedapi, sidecars

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def keeper(api: scriptedapi.Api) -> keeping.Keeper:
    """Let the api keep what is reported."""
    keeper = keeping.Keeper()
    api.always(keeper.reply)
    return keeper


def all_sent(sidecar: sidecars.Sidecar) -> dict[str, Any]:
    """Wait until nothing is left unacknowledged."""
    return sidecar.run_when(lambda run: run["buffer"]["items"] == 0)


def test_each_kind_is_accepted_at_once_and_sent_soon(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    sidecar = start(heartbeat_seconds="3600")
    sidecar.run_when(lambda run: run["complete"])
    answers = [
        sidecar.post("/progress", done=40, total=100, counters={"rows": 400}),
        sidecar.post("/checkpoint", value={"page": 7}),
        sidecar.post("/error", type="timeout", message="no answer"),
        sidecar.post("/dead-letter", item="order-17", payload={"id": 17}),
        sidecar.post("/result", result="partial"),
    ]
    assert [(answer.status, answer.json) for answer in answers] == [
        (202, {"accepted": seq}) for seq in (1, 1, 2, 3, 4)
    ]
    report = api.wait_until(lambda reports: sum(len(r.items) for r in reports) == 4)[1]
    assert [item["kind"] for item in report.items] == [
        "checkpoint",
        "error",
        "deadLetter",
        "result",
    ]
    assert report.body["progress"]["counters"] == {"rows": 400}
    assert report.at - api.reports[0].at < sidecars.PATIENCE


def test_curl_is_enough(start: sidecars.Start, api: scriptedapi.Api) -> None:
    sidecar = start()
    url = f"http://127.0.0.1:{sidecar.port}"

    def curl(*arguments: str) -> str:
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", *arguments], capture_output=True, check=True
        )
        return done.stdout.decode()

    usage = curl(url)
    assert len(usage) < 2000
    lines = re.findall(r"^  curl (.*) \"\$ROLLCALL_URL(/[a-z-]+)", usage, flags=re.MULTILINE)
    posted = {path for _, path in lines} - {"/run"}
    assert posted == {"/progress", "/checkpoint", "/error", "/dead-letter", "/handled", "/result"}
    for line in re.findall(r"^  (curl .*)$", usage, flags=re.MULTILINE):
        letter = "019a0000-0000-8000-8000-000000000001"
        told = line.replace("curl", "curl -sS --noproxy '*'").replace("id=ID", f"id={letter}")
        done = subprocess.run(
            ["sh", "-c", told], env={"ROLLCALL_URL": url}, capture_output=True, check=True
        )
        assert "status" not in json.loads(done.stdout), (line, done.stdout)
    items = [item for r in api.wait_until(lambda rs: rs[-1].items) for item in r.items]
    assert items[0]["value"] == {"page": 7}


def test_who_waits_hears_when_it_is_stored(start: sidecars.Start, api: scriptedapi.Api) -> None:
    sidecar = start(heartbeat_seconds="3600")
    api.wait_for(1)
    for path, fields in (("/checkpoint", {"value": 7}), ("/progress", {"done": 5})):
        answer = sidecar.post(f"{path}?wait=20s", **fields)
        assert (answer.status, answer.json) == (200, {"accepted": 1, "committed": True})
        assert answer.seconds < 5
    assert [len(report.items) for report in api.reports] == [0, 1, 0]
    assert api.reports[-1].body["progress"]["done"] == 5


def test_who_waits_in_vain_hears_that_it_is_not_stored_yet(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.always(scriptedapi.status(503, Retry_After="60"))
    answer = start().post("/result?wait=1s", result="partial")
    assert (answer.status, answer.json) == (202, {"accepted": 1, "committed": False})
    assert 1 <= answer.seconds < 3


@pytest.mark.parametrize("status", [413, 422, 429])
def test_who_waits_hears_why_the_api_refused_it(
    start: sidecars.Start, api: scriptedapi.Api, status: int
) -> None:
    refusal = {"seq": 1, "status": status, "detail": "1,000 dead letters of a run are kept"}
    api.always(scriptedapi.answering(items={"through": 1, "refused": [refusal]}))
    sidecar = start()
    answer = sidecar.post("/dead-letter?wait=20s", item="i")
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "1,000 dead letters" in answer.json["detail"]
    assert sidecar.stderr.count("1,000 dead letters") == 1
    assert all_sent(sidecar)["buffer"]["lost"]["deadLetter"] == 0


def test_an_outage_costs_nothing_that_was_accepted(start: sidecars.Start, api_port: int) -> None:
    sidecar = start()
    for number in range(70):
        assert sidecar.post("/error", message=f"error {number}").status == 202
        sidecar.post("/progress", done=number)
    api, keeper = scriptedapi.Api(), keeping.Keeper()
    api.always(keeper.reply)
    with scriptedapi.serving(api, api_port):
        all_sent(sidecar)
        assert [item["message"] for item in keeper.said("error")] == [
            f"error {number}" for number in range(70)
        ]
        assert keeper.progress is not None
        assert keeper.progress["done"] == 69
        assert keeper.lost == {}


def test_a_long_outage_has_a_bounded_price_and_the_result_still_fits(
    start: sidecars.Start, api_port: int
) -> None:
    sidecar = start()
    statuses = Counter(
        sidecar.post("/dead-letter", item=f"{number}", payload="x" * 60_000).status
        for number in range(40)
    )
    refusal = sidecar.post("/dead-letter", item="one more", payload="x" * 60_000)
    assert set(statuses) == {202, 429}
    assert (refusal.status, refusal.headers["retry-after"]) == (429, "5")
    assert "1 MiB" in refusal.json["detail"]
    assert sidecar.post("/result", result="partial").status == 202
    assert sidecar.post("/progress", done=1).status == 202
    assert sidecar.run()["buffer"]["bytes"] <= 1024 * 1024
    assert peak_memory(sidecar) <= 20 * 1024
    api, keeper = scriptedapi.Api(), keeping.Keeper()
    api.always(keeper.reply)
    with scriptedapi.serving(api, api_port):
        all_sent(sidecar)
        assert len(keeper.said("deadLetter")) == statuses[202]
        assert len(keeper.said("result")) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_items_wait_as_long_as_a_busy_api_asks(
    start: sidecars.Start, api: scriptedapi.Api, code: int
) -> None:
    api.reply(scriptedapi.status(code, Retry_After="3"))
    sidecar = start()
    api.wait_for(1)
    answer = sidecar.post("/error?wait=20s", message="m")
    assert answer.status == 200
    first, second = api.wait_for(2)[:2]
    assert second.at - first.at >= 3


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(scriptedapi.raw(b"\x00 no HTTP\r\n\r\n"), id="no HTTP"),
        pytest.param(scriptedapi.status(200, b"<html>"), id="a web page"),
        pytest.param(scriptedapi.answering(items={"through": "all"}), id="no number"),
        pytest.param(scriptedapi.heartbeats_only, id="an older api"),
    ],
)
def test_what_an_odd_answer_does_not_settle_is_sent_again(
    start: sidecars.Start, api: scriptedapi.Api, reply: scriptedapi.Reply
) -> None:
    api.reply(reply, reply)
    sidecar = start()
    api.wait_for(1)
    assert sidecar.post("/error?wait=20s", message="m").status == 200
    assert [len(report.items) for report in api.reports][1:3] == [1, 1]


def test_a_report_that_the_api_cannot_read_is_taken_apart_until_all_but_the_culprit_is_through(
    start: sidecars.Start, api: scriptedapi.Api, keeper: keeping.Keeper
) -> None:
    def picky(exchange: scriptedapi.Exchange, report: scriptedapi.Report) -> None:
        if any(item.get("message") == "poison" for item in report.items):
            exchange.answer(422, b'{"detail": "items: odd"}')
        else:
            keeper.reply(exchange, report)

    api.always(picky)
    sidecar = start()
    for number in range(8):
        sidecar.post("/error", message="poison" if number == 5 else f"{number}")
    lost = all_sent(sidecar)["buffer"]["lost"]
    assert lost["error"] == 1
    assert [item["message"] for item in keeper.said("error")] == list("0123467")


def test_a_process_that_was_killed_begins_a_numbering_of_its_own(
    start: sidecars.Start, keeper: keeping.Keeper
) -> None:
    for _ in range(2):
        sidecar = start()
        assert sidecar.post("/error?wait=20s", message="m").status == 200
        assert sidecar.stop(signal.SIGKILL)[0] == -signal.SIGKILL
        assert sidecar.last_words is None
    assert [item["seq"] for item in keeper.said("error")] == [1, 1]
    assert len(keeper.boots) == 2


def test_a_program_that_floods_hurts_itself_only(
    start: sidecars.Start, api: scriptedapi.Api, keeper: keeping.Keeper
) -> None:
    sidecar = start()
    sidecar.run_when(lambda run: run["complete"])
    until = time.monotonic() + 3
    statuses: Counter[int] = Counter()

    def flood(number: int) -> None:
        while time.monotonic() < until:
            path = "/progress" if number % 2 else "/error"
            with contextlib.suppress(OSError):
                fields = {"done": number} if number % 2 else {"message": "m"}
                statuses[sidecar.post(path, **fields).status] += 1

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(flood, range(24)))
    assert set(statuses) == {202, 429}
    assert statuses[202] <= 200 + 100 * 5
    known = all_sent(sidecar)
    assert known["buffer"]["lost"] == dict.fromkeys(known["buffer"]["lost"], 0)
    time.sleep(1)
    sidecar.post("/progress?wait=20s", done=4711)
    assert keeper.progress is not None
    assert keeper.progress["done"] == 4711
    assert len(keeper.said("error")) <= statuses[202]
    assert sidecar.ask("/run").seconds < 1
    assert peak_memory(sidecar) <= 20 * 1024
    gaps = [b.at - a.at for a, b in zip(api.reports, api.reports[1:], strict=False)]
    assert len(api.reports) < 60
    assert min(gaps) >= 0.05


def test_beyond_the_rate_the_latest_progress_is_kept_all_the_same(
    start: sidecars.Start, keeper: keeping.Keeper
) -> None:
    sidecar = start()
    for number in range(1, 2000):
        answer = sidecar.post("/progress", done=number)
        if answer.status == 429:
            break
    else:
        pytest.skip("this machine is too slow to exceed 100 requests a second")
    assert answer.headers["retry-after"] == "1"
    assert "100 times a second" in answer.json["detail"]
    until = time.monotonic() + sidecars.PATIENCE
    while (keeper.progress or {}).get("done") != number:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_more_writers_than_places_are_served_one_after_the_other(
    start: sidecars.Start, keeper: keeping.Keeper
) -> None:
    sidecar = start()

    def write(number: int) -> int:
        while sidecar.post("/error", message=f"{number}").status == 429:
            time.sleep(0.1)
        return number

    with ThreadPoolExecutor(40) as pool:
        written = list(pool.map(write, range(80)))
    all_sent(sidecar)
    assert sorted(int(item["message"]) for item in keeper.said("error")) == written


def test_a_huge_body_is_refused_before_it_is_read(start: sidecars.Start) -> None:
    sidecar = start()
    for _ in range(5):
        answer = sidecar.ask("/checkpoint", method="POST", body=b"x" * 10_000_000)
        assert answer.status == 413
        assert "80 KiB" in answer.json["detail"]
    assert peak_memory(sidecar) <= 20 * 1024


def test_a_body_in_chunks_is_taken(start: sidecars.Start, api: scriptedapi.Api) -> None:
    sidecar = start()
    with sidecar.connect() as stream:
        stream.sendall(b"POST /error HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        stream.sendall(b"8\r\nmessage=\r\n")
        stream.sendall(b"2\r\nhi\r\n0\r\n\r\n")
        assert stream.recv(1000).startswith(b"HTTP/1.1 202 ")
    reports = api.wait_until(lambda reports: reports and reports[-1].items)
    assert reports[-1].items[0]["message"] == "hi"


def test_a_client_that_asks_first_is_told_before_it_sends(start: sidecars.Start) -> None:
    sidecar = start()
    for length, status in ((5, b"100 Continue"), (10**7, b"413 ")):
        with sidecar.connect() as stream:
            head = b"POST /error HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
            stream.sendall(head % length)
            assert stream.recv(1000).startswith(b"HTTP/1.1 " + status)


def test_a_slow_body_is_given_up_after_five_seconds(start: sidecars.Start) -> None:
    sidecar = start()
    head = b"POST /error HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
    assert sidecar.answer_to_dripping(head, b"x").startswith(b"HTTP/1.1 408 ")
    assert sidecar.run()["buffer"]["items"] == 0


def test_sixteen_hostile_bodies_at_a_time_do_not_add_up(start: sidecars.Start) -> None:
    sidecar = start()
    bodies = [b'{"value":[' + b"[]," * 26_000 + b"0]}", b'{"value":' + b"[" * 80_000]

    def hostile(number: int) -> int:
        return sidecar.ask("/checkpoint", method="POST", body=bodies[number % 2]).status

    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(hostile, range(64)))
    assert statuses <= {413, 422, 429}
    # The container has 48 MiB. Each thread's share of the C library's memory stays with it.
    assert peak_memory(sidecar) <= 32 * 1024


def test_control_characters_reach_the_api_as_json_and_never_the_log(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    sidecar = start()
    message = "\x1b[31m red \r\nrollcall: forged\x00\x7f <b>@channel"
    sidecar.post("/error", message=message, type="\u202e")
    (item,) = api.wait_until(lambda reports: reports and reports[-1].items)[-1].items
    assert item["message"] == message.replace("\x00", "\ufffd")
    assert "forged" not in sidecar.stderr


def test_a_client_that_leaves_does_not_keep_its_place(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    api.always(scriptedapi.status(503, Retry_After="60"))
    sidecar = start()
    request = b"POST /error?wait=60s HTTP/1.1\r\nContent-Length: 9\r\n\r\nmessage=m"
    for _ in range(20):
        with sidecar.connect() as stream:
            stream.sendall(request)
            threading.Event().wait(0.02)
    until = time.monotonic() + sidecars.PATIENCE
    while sidecar.ask("/healthz").status != 200:
        assert time.monotonic() < until
        time.sleep(0.1)


def peak_memory(sidecar: sidecars.Sidecar) -> int:
    """Return the largest resident size so far in KiB."""
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1])
