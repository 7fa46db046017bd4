"""Texts and documents as Postgres can keep them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.store import columns

ANY_TEXT = st.text(st.characters(exclude_categories=()))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=20,
)

TEXTS = {
    "plain": ("plain ✓ 𝄞", "plain ✓ 𝄞"),
    "NUL": ("a\0b\0", "a\ufffdb\ufffd"),
    "a lone high surrogate": ("a\ud83d!", "a\ufffd!"),
    "a lone low surrogate": ("\udc00", "\ufffd"),
    "two halves of one character": ("\ud834\udd1e", "𝄞"),
    "other control characters": ("\x01\x1b[31m\x7f", "\x01\x1b[31m\x7f"),
}


@pytest.mark.parametrize(("text", "kept"), TEXTS.values(), ids=TEXTS)
def test_only_what_postgres_refuses_is_replaced(text: str, kept: str) -> None:
    assert columns.clean(text) == kept


@given(ANY_TEXT)
def test_every_text_becomes_storable_and_storable_ones_stay(text: str) -> None:
    cleaned = columns.clean(text)

    assert columns.is_storable(cleaned)
    assert cleaned == text or not columns.is_storable(text)


@given(DOCUMENTS)
def test_every_document_becomes_one_without_nul_and_lone_surrogates(document: object) -> None:
    written = columns.dumps(document)

    assert columns.is_storable(written)
    assert "\0" not in str(json.loads(written))


@given(DOCUMENTS)
def test_a_document_that_can_be_kept_is_kept_as_it_is(document: object) -> None:
    kept = json.loads(columns.dumps(document))

    assert json.loads(columns.dumps(kept)) == kept


def test_a_backslash_before_u0000_is_text_and_not_nul() -> None:
    assert json.loads(columns.dumps({"path": "C:\\u0000"})) == {"path": "C:\\u0000"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_json_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        columns.dumps({"value": number})
