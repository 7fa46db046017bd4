"""What of a program's words nobody may read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core.redaction import redacted

SECRETS = {
    "login in an address": "cannot reach postgres://app:c4nary!x@db:5432/shop",
    "login without a name": "redis://:c4nary!x@cache/0",
    "in the environment": "DB_PASSWORD=c4nary!x PATH=/bin",
    "in a query": "GET /items?api_key=c4nary!x&page=2",
    "an argument": "mysqldump --password=c4nary!x shop",
    "in YAML": "password: c4nary!x",
    "in JSON": '{"clientSecret": "c4nary!x", "user": "app"}',
    "in a dictionary of Python": "{'token': 'c4nary!x'}",
    "with spaces in quotes": 'passphrase="c4nary!x and more"',
    "a header": "Authorization: Basic c4nary!x",
    "a header of JSON": '{"authorization": "Bearer c4nary!x"}',
    "a bearer": "refused: Bearer c4nary.c4nary.c4nary",
    "an address of Slack": "https://hooks.slack.com/services/T0/B0/c4nary",
    "a token of AWS": "key AKIAC4NARYC4NARYC4NA is disabled",
    "a token of a pod": "401 for eyJhbGciOiJSUzI1.eyJjNG5hcnki.c4nary",
    "a token of Slack": "xoxb-c4nary-c4nary",
    "a private key": (
        "-----BEGIN RSA PRIVATE KEY-----\nc4nary\nc4nary\n-----END RSA PRIVATE KEY-----"
    ),
    "a private key that is cut off": "-----BEGIN PRIVATE KEY-----\nc4nary",
}
HARMLESS = [
    "unexpected token: then",
    "token expired",
    "no secret named db in namespace shop",
    "https://example.com:8443/path@2",
    "password authentication failed for user app",
    "3 of 10 items failed: timeout after 30 s",
    "basic auth is off",
]


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_hidden_by_its_name_or_its_shape(text: str) -> None:
    shown = redacted(text)
    assert "c4nary" not in shown.lower()
    assert "***" in shown
    assert redacted(shown) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_speaks_of_secrets_is_left(text: str) -> None:
    assert redacted(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert redacted("connect postgres://app:pw@db/shop: refused") == (
        "connect postgres://app:***@db/shop: refused"
    )


@given(st.text(max_size=400))
def test_any_text_can_be_done_twice(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "text",
    ["password" * 2000, "a://" * 4000, "-----BEGIN PRIVATE KEY-----" * 600, "token: " * 2500],
    ids=["names", "addresses", "keys", "no values"],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 1
