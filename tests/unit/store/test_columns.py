"""Documents as Postgres can keep them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import texts
from rollcall.store import columns

ANY_TEXT = st.text(st.characters(exclude_categories=()))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_every_document_becomes_one_without_nul_and_lone_surrogates(document: object) -> None:
    written = columns.dumps(document)

    assert texts.is_storable(written)
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
