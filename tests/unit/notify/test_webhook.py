"""Settings and signatures of the webhook channel."""

import base64
from datetime import UTC, datetime

import pytest

from rollcall.core import errors
from rollcall.notify.webhook import channel

AT = datetime(2023, 1, 18, 23, 13, 51, 700_000, tzinfo=UTC)
# Computed with `openssl dgst -sha256 -mac HMAC`: key "rollcall-test-key", content
# `key.1674083631.{"a":1}`.
SIGNATURE = "UnGU3m9kL2LVUjQlm9G80/YKseCvdQ32LObUTYDLGmA="


def test_the_signature_is_the_one_that_openssl_computes() -> None:
    headers = channel.sign(b"rollcall-test-key", "key", AT, b'{"a":1}')
    assert headers == {
        "webhook-id": "key",
        "webhook-timestamp": "1674083631",
        "webhook-signature": f"v1,{SIGNATURE}",
        "Idempotency-Key": "key",
    }


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in channel.sign(None, "key", AT, b"{}")


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        pytest.param("whsec_" + base64.b64encode(b"\0\xffkey").decode(), b"\0\xffkey", id="base64"),
        pytest.param("plain words", b"plain words", id="raw"),
        pytest.param("clé", "clé".encode(), id="raw-beyond-ascii"),
    ],
)
def test_a_secret_is_read_in_both_forms(secret: str, key: bytes) -> None:
    assert channel.read({"url": "https://hooks.test", "signing": secret}).key == key


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_abc"])
def test_a_broken_secret_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        channel.read({"url": "https://hooks.test", "signing": secret})
    assert refused.value.reason == "InvalidSecret"
    assert str(refused.value) == "webhook.signingSecretRef: what follows whsec_ is not base64"


def test_an_address_is_required() -> None:
    with pytest.raises(errors.InvalidSpec, match="write url or urlSecretRef"):
        channel.read({})


def test_settings_show_nothing_of_their_secrets() -> None:
    settings = channel.read({"url": "https://hooks.test/token", "signing": "word"})
    assert repr(settings) == "Settings(format='rollcall')"
