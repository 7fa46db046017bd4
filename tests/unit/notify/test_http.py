"""What an answer means, and which addresses are taken; no network."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import errors
from rollcall.notify import http
from rollcall.services import ports

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def judge(status: int, text: str = "", **headers: str) -> ports.Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.by_status("hooks.test", http.Reply(status=status, headers=named, text=text), NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_delivered(status: int) -> None:
    assert judge(status).delivered


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 599, 999])
def test_what_can_pass_is_tried_again(status: int) -> None:
    answer = judge(status)
    assert (answer.delivered, answer.permanent, answer.retry_after) == (False, False, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 422, 451])
def test_what_cannot_pass_is_permanent_and_says_why(status: int) -> None:
    answer = judge(status, "no_service")
    assert answer.permanent
    assert answer.error is not None
    assert answer.error.startswith(f"hooks.test answered {status} ")
    assert answer.error.endswith(": no_service")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_permanent_and_says_what_to_write(status: int) -> None:
    answer = judge(status, "moved", location="http://169.254.169.254/")
    assert answer.permanent
    assert answer.error is not None
    assert answer.error.endswith("redirects are not followed, write the final address")


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        pytest.param({"retry_after": "7"}, 7, id="seconds"),
        pytest.param({"retry_after": " 7 "}, 7, id="spaces"),
        pytest.param({"retry_after": "0"}, 1, id="zero"),
        pytest.param({"retry_after": "9" * 400}, 900, id="absurd-seconds"),
        pytest.param({"retry_after": "Mon, 02 Mar 2026 12:00:30 GMT"}, 30, id="date"),
        pytest.param({"retry_after": "Mon, 02 Mar 2026 11:00:00 GMT"}, 1, id="past-date"),
        pytest.param({"retry_after": "Fri, 02 Mar 2300 11:00:00 GMT"}, 900, id="absurd-date"),
        pytest.param(
            {
                "retry_after": "Mon, 02 Mar 2026 15:00:20 GMT",
                "date": "Mon, 02 Mar 2026 15:00:00 GMT",
            },
            20,
            id="date-by-a-clock-that-is-three-hours-fast",
        ),
        pytest.param({"retry_after": "-5"}, 30, id="negative"),
        pytest.param({"retry_after": "soon"}, 30, id="word"),
        pytest.param({"retry_after": "\uff11\uff12"}, 30, id="foreign-digits"),
        pytest.param({}, 30, id="absent"),
    ],
)
def test_429_pauses_for_what_it_says_within_bounds(headers: dict[str, str], pause: int) -> None:
    answer = judge(429, **headers)
    assert answer.retry_after == timedelta(seconds=pause)
    assert not answer.permanent


def test_503_pauses_only_if_it_says_how_long() -> None:
    assert judge(503, retry_after="60").retry_after == timedelta(seconds=60)
    assert judge(503).retry_after is None


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://hooks.test/x", id="https"),
        pytest.param("http://receiver.demo.svc:8080/hook?token=1", id="http-in-the-cluster"),
        pytest.param("http://[::1]:8080/", id="ipv6"),
        pytest.param("https://user:word@hooks.test", id="with-a-password"),
    ],
)
def test_an_http_address_is_taken(url: str) -> None:
    assert http.check_address(url, "webhook.url") == url


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("hooks.test/secret", id="no-scheme"),
        pytest.param("ftp://hooks.test/secret", id="ftp"),
        pytest.param("file:///etc/secret", id="file"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://hooks.test:99999/secret", id="port"),
        pytest.param("https://hooks.test:0/secret", id="port-zero"),
        pytest.param("http://0177.0.0.1/secret", id="octal-host"),
        pytest.param("https://xn--a/secret", id="broken-international-name"),
        pytest.param("https://hooks.test/secret\n/x", id="newline"),
        pytest.param("https://hooks.test/" + "secret" * 500, id="too-long"),
        pytest.param("https://hooks.test/" + "secret" * 20_000, id="far-too-long"),
    ],
)
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        http.check_address(url, "webhook.url")
    assert refused.value.reason == "InvalidURL"
    assert "webhook.url: write an address" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_json_is_ascii_whatever_the_text() -> None:
    assert http.encode({"a": "ü\ud800\u2028"}) == rb'{"a":"\u00fc\ud800\u2028"}'
