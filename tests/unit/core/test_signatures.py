"""Which errors are one group."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import signatures

NORMALISED = [
    ("connection to 10.0.3.7:5432 timed out after 30.5 s",
     "connection to <number>:<number> timed out after <number> s"),
    ("row 17 of 'orders.csv' is bad", "row <number> of <text> is bad"),
    ('no "a" in "b"', "no <text> in <text>"),
    ("can't open it, isn't there", "can't open it, isn't there"),
    ("user 123e4567-e89b-12d3-a456-426614174000 is gone", "user <uuid> is gone"),
    ("object 0x7f3a at deadbeef01", "object <hex> at <hex>"),
    ("the facade was defaced by 3", "the facade was defaced by <number>"),
    ("at 2026-11-29T21:12:58.123Z and 2026-11-29 21:12:58,5 +01:00", "at <time> and <time>"),
    ("on 2026-11-29 it failed", "on <time> it failed"),
    ("order-17 v2", "order-<number> v<number>"),
    ("  two\n  lines\t", "two lines"),
    ("1,234.5 of 2,000", "<number> of <number>"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "normal"), NORMALISED, ids=[one for one, _ in NORMALISED])
def test_what_differs_each_time_is_replaced(message: str, normal: str) -> None:
    assert signatures.normalised(message) == normal


def test_one_group_has_one_fingerprint() -> None:
    first = signatures.of("timeout", "row 1 of 'a'")
    assert first == signatures.of("timeout", "row 22 of 'b'")
    assert re.fullmatch("[0-9a-f]{16}", first.fingerprint)
    assert (first.type, first.message) == ("timeout", "row <number> of <text>")


@pytest.mark.parametrize(
    ("kind", "message"), [("Timeout", "row 1 of 'a'"), ("timeout", "column 1 of 'a'")]
)
def test_another_type_or_text_is_another_group(kind: str, message: str) -> None:
    other = signatures.of("timeout", "row 1 of 'a'").fingerprint
    assert signatures.of(kind, message).fingerprint != other


def test_a_fingerprint_stays_the_same_in_all_releases() -> None:
    assert signatures.of("timeout", "row 1").fingerprint == FIXED


# sha256 of "timeout", a line feed and "row <number>"
FIXED = "b3b628e1955c0f2d"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_has_a_group_of_bounded_size(message: str) -> None:
    assert len(signatures.of("t", message * 20).message) <= signatures.LONGEST


@pytest.mark.parametrize("part", ['"', "'", "' ", "a" * 7, "0x", "1.", "2026-", "1-", "\\"])
def test_hostile_text_takes_no_time(part: str) -> None:
    signatures.of("t", part * (4000 // len(part)))


def test_lone_surrogates_have_a_group_too() -> None:
    assert signatures.of("t\ud800", "\udfff").fingerprint
