"""The webhook reference says what is sent: its example and its code are run."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollcall.core import executions, incidents, messages, policies
from rollcall.notify.webhook import channel
from support import builders, setups

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "webhook.md").read_text()
KEY = b"key"
BODY = b'{"a":1}'


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def shape(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the fields of a document, their values left out."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items() if name != "evidence"}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else None


def test_the_example_has_exactly_the_fields_that_are_sent() -> None:
    payload = messages.payload(
        step=builders.step(),
        transition=incidents.Transition.OPENED,
        at=builders.SLOT_AT,
        cluster="default",
        subject=messages.Subject(namespace="shop", name="backup", uid="u", group=None),
        alerts=builders.alerts(),
        execution=builders.execution(status=executions.Status.FAILED),
        recent=[builders.execution()],
        changes=setups.changed(),
    )
    assert shape(json.loads(block("json"))) == shape(payload)


@pytest.mark.parametrize(
    "word",
    [
        *(f"`incident.{transition}`" for transition in incidents.Transition),
        *(f"`{kind}`" for kind in policies.Kind),
        *(f"`{severity}`" for severity in policies.Severity),
    ],
)
def test_every_value_is_named(word: str) -> None:
    assert word in PAGE


@pytest.mark.parametrize(
    ("body", "age", "key", "genuine"),
    [
        pytest.param(BODY, 0, KEY, True, id="genuine"),
        pytest.param(b'{"a":2}', 0, KEY, False, id="changed"),
        pytest.param(BODY, 301, KEY, False, id="old"),
        pytest.param(BODY, 0, b"other", False, id="wrong-key"),
    ],
)
def test_the_code_on_the_page_tells_genuine_messages_from_others(
    body: bytes, age: int, key: bytes, *, genuine: bool
) -> None:
    page: dict[str, Any] = {}
    exec(block("python"), page)  # noqa: S102 - it is our own page
    at = datetime.now(UTC) - timedelta(seconds=age)
    assert page["is_genuine"](channel.sign(KEY, "id", at, BODY), body, key) is genuine
