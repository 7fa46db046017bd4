"""A real process in surroundings that are not as they should be."""

import socket
import ssl
from pathlib import Path

import pytest

from support import certificates, loopback, scriptedapi, sidecars

LISTEN = "0A"  # state of a socket, as /proc has it


def test_a_taken_port_costs_the_loopback_api_only(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sidecar = start(port=str(port), ready=False)
        said = sidecar.stderr_when("no loopback API")
        assert f"127.0.0.1:{port}" in said
        reports = api.wait_for(2)[:2]
    assert [report.body["seq"] for report in reports] == [1, 2]
    assert not any("want" in report.body for report in reports), (
        "no program can ask what it is told"
    )
    assert sidecar.stop()[0] == 0


def test_without_a_port_it_only_beats_and_nobody_can_connect(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    sidecar = start(port="none", ready=False)
    reports = api.wait_for(2)[:2]
    assert not any("want" in report.body for report in reports)
    assert _listening(sidecar.process.pid) == set()
    assert sidecar.stop()[0] == 0


def test_a_port_is_seen_to_be_open(start: sidecars.Start) -> None:
    assert len(_listening(start().process.pid)) == 1


def _listening(pid: int) -> set[str]:
    """Return the inodes of the sockets at which a process takes connections."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    open_ones = {row[9] for row in rows if row[3] == LISTEN}
    links = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    return open_ones & {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def test_bad_settings_are_replaced_and_named_once(
    start: sidecars.Start, api: scriptedapi.Api
) -> None:
    sidecar = start(heartbeat_seconds="often", port="70000", ready=False)
    api.wait_for(1)
    said = sidecar.stderr_when("heartbeat: acknowledged")
    assert said.count("ROLLCALL_HEARTBEAT_SECONDS='often'") == 1
    assert said.count("ROLLCALL_PORT='70000'") == 1
    assert "using 15" in said
    assert "using 7655" in said


@pytest.mark.parametrize("url", ["", "rollcall-api:8080", "http://[::1", "ftp://api"])
def test_without_a_place_to_report_to_the_loopback_api_still_answers(
    start: sidecars.Start, url: str
) -> None:
    sidecar = start(ingest_url=url)
    known = sidecar.run_when(lambda run: run["heartbeat"]["lastError"] is not None)
    assert "ROLLCALL_INGEST_URL" in known["heartbeat"]["lastError"]
    assert known["heartbeat"]["sent"] == 0
    assert "nothing is reported" in sidecar.stderr
    assert sidecar.stop()[0] == 0


def test_a_name_that_does_not_resolve_is_said_once(start: sidecars.Start) -> None:
    sidecar = start(ingest_url="http://no-such-host.invalid:8080")
    sidecar.run_when(lambda run: run["heartbeat"]["sent"] >= 2)
    assert sidecar.stderr.count("cannot reach no-such-host.invalid:8080") == 1


def test_a_token_is_never_said(start: sidecars.Start, api: scriptedapi.Api, token: Path) -> None:
    api.reply(scriptedapi.status(401), scriptedapi.raw(b"?"), scriptedapi.status(503))
    sidecar = start()
    sidecar.run_when(lambda run: run["complete"])
    token.write_bytes(b"first-token\x00second")
    sidecar.run_when(lambda run: run["heartbeat"]["lastError"] is not None)
    sidecar.stop()
    assert "first-token" not in sidecar.stderr


def test_an_image_without_tls_says_so(start: sidecars.Start) -> None:
    code = (
        "import sys; sys.modules['ssl'] = None; "
        f"sys.path.insert(0, {str(sidecars.FOLDER)!r}); "
        "from rollcall_sidecar import __main__; __main__.main()"
    )
    python = sidecars.command()[0]
    sidecar = start(start=[python, "-I", "-S", "-c", code], ingest_url="https://127.0.0.1:1")
    known = sidecar.run_when(lambda run: run["heartbeat"]["lastError"] is not None)
    assert known["heartbeat"]["lastError"] == "this image cannot speak TLS: use an http URL"
    assert sidecar.stop()[0] == 0


def test_tls_is_spoken_with_authorities_that_are_trusted_only(
    start: sidecars.Start, tmp_path: Path
) -> None:
    certificate, key = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    port = loopback.free_port()
    api = scriptedapi.Api()
    with scriptedapi.serving(api, port, lambda plain: context.wrap_socket(plain, server_side=True)):
        trusting = ["env", f"SSL_CERT_FILE={certificate}", *sidecars.command()]
        trusted = start(start=trusting, ingest_url=f"https://localhost:{port}")
        trusted.run_when(lambda run: run["complete"])
        distrusted = start(ingest_url=f"https://localhost:{port}")
        known = distrusted.run_when(lambda run: run["heartbeat"]["lastError"] is not None)
    assert "CERTIFICATE_VERIFY_FAILED" in known["heartbeat"]["lastError"]
    assert known["heartbeat"]["acknowledged"] == 0
