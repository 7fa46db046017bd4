from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import settings

URL = {"ROLLCALL_INGEST_URL": "http://rollcall-api.rollcall-system.svc:8080"}


def test_an_empty_environment_gives_the_defaults_and_nowhere_to_report_to() -> None:
    values, complaints = settings.read({})
    assert values == settings.Settings(
        ingest=None,
        heartbeat=timedelta(seconds=15),
        token_file="/var/run/secrets/kubernetes.io/serviceaccount/token",
        termination_log="/dev/termination-log",
        termination_bytes=4096,
        namespace=None,
        pod_name=None,
        pod_uid=None,
    )
    assert complaints == ["ROLLCALL_INGEST_URL is not set: nothing is reported"]


def test_what_the_operator_writes_is_used() -> None:
    values, complaints = settings.read(
        URL
        | {
            "ROLLCALL_HEARTBEAT_SECONDS": "3600",
            "ROLLCALL_TOKEN_FILE": "/token",
            "ROLLCALL_TERMINATION_LOG": "/log",
            "ROLLCALL_TERMINATION_BYTES": "3072",
            "ROLLCALL_NAMESPACE": "billing",
            "ROLLCALL_POD_NAME": "nightly-1-abc",
            "ROLLCALL_POD_UID": "u-1",
        }
    )
    assert complaints == []
    assert values == settings.Settings(
        ingest=settings.Endpoint(
            tls=False,
            host="rollcall-api.rollcall-system.svc",
            port=8080,
            authority="rollcall-api.rollcall-system.svc:8080",
            path="/ingest/v1/reports",
        ),
        heartbeat=timedelta(hours=1),
        token_file="/token",
        termination_log="/log",
        termination_bytes=3072,
        namespace="billing",
        pod_name="nightly-1-abc",
        pod_uid="u-1",
    )


@pytest.mark.parametrize(
    "text", ["0", "-1", "3601", "1.5", "15s", "fifteen", " 15", "1_5", "٣", "9" * 5000]
)
def test_a_heartbeat_that_is_no_number_of_seconds_becomes_fifteen(text: str) -> None:
    values, complaints = settings.read(URL | {"ROLLCALL_HEARTBEAT_SECONDS": text})
    assert values.heartbeat == timedelta(seconds=15)
    (complaint,) = complaints
    assert complaint.startswith("ROLLCALL_HEARTBEAT_SECONDS=")
    assert complaint.endswith("is not a whole number from 1 to 3600: using 15")
    assert len(complaint) < 250


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        pytest.param("http://api", "api", 80, "/ingest/v1/reports", id="no port"),
        pytest.param("https://api", "api", 443, "/ingest/v1/reports", id="TLS"),
        pytest.param("http://api:81/", "api", 81, "/ingest/v1/reports", id="a slash"),
        pytest.param("http://api/a/b", "api", 80, "/a/b/ingest/v1/reports", id="a path"),
        pytest.param("http://[::1]:8080", "::1", 8080, "/ingest/v1/reports", id="IPv6"),
        pytest.param("HTTPS://api", "api", 443, "/ingest/v1/reports", id="capitals"),
    ],
)
def test_a_url_becomes_an_endpoint(url: str, host: str, port: int, path: str) -> None:
    endpoint = settings.endpoint(url)
    assert endpoint.tls == url.lower().startswith("https:")
    assert (endpoint.host, endpoint.port, endpoint.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("api:8080", id="no scheme"),
        pytest.param("ftp://api", id="another scheme"),
        pytest.param("http://", id="no host"),
        pytest.param("http://api:port", id="a port in words"),
        pytest.param("http://api:99999", id="a port too high"),
        pytest.param("http://api:0", id="port zero"),
        pytest.param("http://[::1", id="half an address"),
        pytest.param("http://[::1]api", id="an address and more"),
        pytest.param("http://api:", id="no port after all"),
        pytest.param("http://user:secret@api", id="a password"),
        pytest.param("http://user:secret/api", id="a password by mistake"),
        pytest.param("http://api?x=1", id="a query"),
        pytest.param("http://api/#x", id="a fragment"),
        pytest.param("http://api/a b", id="a space"),
        pytest.param("http://api/\r\nX: y", id="a line break"),
        pytest.param("http://äpi", id="no ASCII"),
    ],
)
def test_a_url_that_cannot_be_used_reports_nothing_and_is_not_repeated(url: str) -> None:
    values, complaints = settings.read({"ROLLCALL_INGEST_URL": url})
    assert values.ingest is None
    (complaint,) = complaints
    assert complaint.startswith("ROLLCALL_INGEST_URL cannot be used (")
    assert "secret" not in complaint


@given(
    st.dictionaries(
        st.sampled_from(
            [f"ROLLCALL_{name}" for name in ("INGEST_URL", "HEARTBEAT_SECONDS", "TOKEN_FILE")]
        ),
        st.text() | st.text().map("http://{}".format),
    )
)
def test_no_environment_stops_it(environ: dict[str, str]) -> None:
    values, _ = settings.read(environ)
    assert timedelta(seconds=1) <= values.heartbeat <= timedelta(hours=1)
    assert values.token_file
