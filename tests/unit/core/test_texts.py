"""Text that Postgres can keep, and short lines of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import texts

ANY_TEXT = st.text(st.characters(exclude_categories=()))

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
    assert texts.clean(text) == kept


@given(ANY_TEXT)
def test_every_text_becomes_storable_and_storable_ones_stay(text: str) -> None:
    cleaned = texts.clean(text)

    assert texts.is_storable(cleaned)
    assert cleaned == text or not texts.is_storable(text)


def test_all_texts_of_a_document_are_cleaned_and_nothing_else() -> None:
    said = {"a\0": ["\ud800", ("b", 1, None, True, 2.5)], "c": {"d": "\U0001f600"}}
    assert texts.cleaned(said) == {
        "a\ufffd": ["\ufffd", ["b", 1, None, True, 2.5]],
        "c": {"d": "\U0001f600"},
    }


SHORTENED = {
    "what fits": ("1234567890", "1234567890"),
    "one word": ("x" * 500, "xxxxxxxx …"),
    "without spaces": ("接続がタイムアウトしました。", "接続がタイムアウト"[:8] + " …"),
    "words": ("a long tale of it", "a long t …"),
    "a space at the end": ("a longer tale", "a longer …"),
    "many spaces and lines": (" a \n\t b ", "a b"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "shown"), SHORTENED.values(), ids=SHORTENED)
def test_a_long_text_is_cut_and_something_of_it_stays(text: str, shown: str) -> None:
    assert texts.shortened(text, 10) == shown


PLAIN = {
    "plain": ("plain", "plain"),
    "lines": ("a\r\n\tb\n", "a\n\tb\n"),
    "the sequences of terminals": ("\x1b[31mred\x07\x9b2J\x7f\0", "[31mred2J\ufffd"),
    "what turns text round": ("\u202etxt\u2066\ufeff", "txt"),
    "spaces": ("1\xa0000\u2028", "1 000 "),
    "letters": ("né 接続 🔴 👩\u200d🔧", "né 接続 🔴 👩\u200d🔧"),
}


@pytest.mark.parametrize(("text", "plain"), PLAIN.values(), ids=PLAIN)
def test_of_a_text_that_is_shown_nothing_is_obeyed(text: str, plain: str) -> None:
    assert texts.plain(text) == plain
