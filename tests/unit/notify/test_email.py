"""What an e-mail says, and which settings are taken; no network."""

import types
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, reasons
from rollcall.notify.email import addresses, channel, messages, smtp
from support import builders, clocks, payloads, setups

NO_CLIENT: Any = types.SimpleNamespace(guard=None)
SMTP = {"host": "smtp.test", "from": "Rollcall <rollcall@example.com>", "to": "team@example.com"}


def render(body: dict[str, Any], channel: str = "team") -> messages.Message:
    row = payloads.notification(body, f"{body['incident']['id']}.1", channel=channel)
    return messages.render(row, domain="example.com")


def make(**config: str) -> smtp.Smtp:
    made = channel.make(NO_CLIENT, SMTP | config, clocks.Clock())
    assert isinstance(made, smtp.Smtp)
    return made


def test_the_text_says_what_is_wrong_then_the_facts_then_the_last_words() -> None:
    body = payloads.payload(execution=payloads.failed("line 1\nline 2"), suppressed=2)
    message = render(body)
    assert message.subject == "WARNING: shop/backup is failing"
    assert message.text == (
        "1 run failed\n\n"
        "2 more since the last message\n\n"
        "Reason:    Error\n"
        "Since:     2026-03-02 12:00 UTC\n"
        "Slot:      2026-03-02 12:00 UTC\n"
        "Job:       report-1\n"
        "Exit code: 3\n"
        "Owner:     team-data\n"
        "Runbook:   https://wiki.test/backup?a=1&b=2\n\n"
        "Its last words:\n\n"
        "    line 1\n"
        "    line 2\n\n"
        f"What to do: {reasons.REASONS['Error'].action}\n\n"
        "    kubectl -n shop describe job report-1\n"
        "    kubectl -n shop logs job/report-1 --all-containers --tail=100\n\n"
        f"-- \nRollcall in cluster prod, incident {body['incident']['id']}\n"
    )


def test_the_html_says_the_same_and_links_the_runbook() -> None:
    body = payloads.payload(execution=payloads.failed("disk full"))
    html = render(body).html
    assert "<h2" in html
    assert 'href="https://wiki.test/backup?a=1&amp;b=2"' in html
    for text in ("1 run failed", "report-1", "disk full", body["incident"]["id"]):
        assert text in html


def test_a_runbook_that_is_no_address_is_not_linked() -> None:
    body = payloads.payload(alerts=builders.alerts(runbook_url="javascript:alert(1)"))
    assert "<a " not in render(body).html


def test_messages_of_an_incident_refer_to_it_and_each_is_its_own() -> None:
    opened, solved = payloads.payload(), payloads.payload(solved_after=timedelta(hours=1))
    first, last = render(opened), render(solved, "boss")
    assert first.headers["References"] == f"<{opened['incident']['id']}@example.com>"
    assert first.headers["References"] == last.headers["References"]
    assert first.headers["Message-ID"] != last.headers["Message-ID"]
    assert render(opened) == first


@given(
    text=st.text(
        alphabet=st.sampled_from("a<>&\"'`\n\r\x1b\0\u2028\ud800🔴"), min_size=1, max_size=400
    )
)
def test_any_text_is_escaped_and_keeps_to_its_place(text: str) -> None:
    body = payloads.payload(
        found=builders.finding(message=text, reason=text),
        execution=payloads.failed(text, job_name=text),
        alerts=builders.alerts(owner=text, runbook_url=text),
    )
    body["cronjob"] |= {"name": text}
    body["changes"] = setups.changed() | {"text": text}
    message = render(body)
    assert "\n" not in message.subject
    assert len(message.subject) <= messages.LONGEST_SUBJECT
    assert message.html.count("<tr>") == 7
    for part in (message.subject, message.text, message.html):
        assert not set("\r\x1b\0\u2028\ud800") & set(part)


@pytest.mark.parametrize(
    "text",
    [
        "team@example.com",
        "Rollcall <rollcall@example.com>",
        "Büro <buero@example.com>",
        '"Data, Team" <team@example.com>, other@example.com',
    ],
)
def test_addresses_are_taken(text: str) -> None:
    assert addresses.read(text, "to")[-1].domain == "example.com"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("team", id="no-domain"),
        pytest.param("@example.com", id="nobody"),
        pytest.param("a@example.com, team", id="one-of-two"),
        pytest.param("a@example.com\nBcc: b@example.com", id="another-header"),
        pytest.param("büro@example.com", id="not-ascii"),
        pytest.param("Team <team@example.com", id="no-end"),
        pytest.param(", ".join(f"a{number}@example.com" for number in range(51)), id="too-many"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=r"email\.to: write addresses") as refused:
        addresses.read(text, "to")
    assert refused.value.reason == "InvalidAddress"


@pytest.mark.parametrize(
    ("config", "port"),
    [({}, 587), ({"security": "TLS"}, 465), ({"port": "2525"}, 2525)],
    ids=["starttls", "tls", "own"],
)
def test_the_port_follows_from_the_security(config: dict[str, str], port: int) -> None:
    assert make(**config).settings.port == port


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(make(username="me", password="hunter2").settings)


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        pytest.param({"host": ""}, "exactly one of host and resendKeySecretRef", id="no-server"),
        pytest.param({"resendKey": "re_1"}, "exactly one of host", id="two-ways"),
        pytest.param({"security": "none"}, "write STARTTLS or TLS", id="in-the-clear"),
        pytest.param({"username": "me"}, "username and passwordSecretRef", id="no-password"),
        pytest.param({"ca": "nonsense"}, "not certificates in PEM", id="authority"),
        pytest.param({"host": "", "resendKey": "a\nb"}, "one line of ASCII", id="key"),
        pytest.param(
            {"host": "", "resendKey": "re_1", "resendURL": "ftp://a"},
            r"email\.resendURL: write an address",
            id="address",
        ),
    ],
)
def test_settings_that_cannot_be_used_say_why(config: dict[str, str], advice: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=advice):
        channel.make(NO_CLIENT, SMTP | config, clocks.Clock())
