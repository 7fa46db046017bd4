"""Resource quantities."""

from decimal import Decimal

import pytest

from rollcall.core import quantities


@pytest.mark.parametrize(
    ("left", "right"),
    [("1", "1000m"), ("1Gi", "1024Mi"), ("1k", "1e3"), ("0.5", "500m"), (2, "2"), ("1E3", 1000)],
)
def test_the_same_amount_in_other_words_is_the_same(left: object, right: object) -> None:
    assert quantities.parse(left) == quantities.parse(right) is not None


def test_large_units_are_powers() -> None:
    assert quantities.parse("1Ki") == Decimal(1024)
    assert quantities.parse("3M") == Decimal(3_000_000)
    assert quantities.parse("2E") == Decimal(2) * 10**18


@pytest.mark.parametrize("raw", [None, "", "lots", "1KB", True, [], {}, "1 Gi", "--1"])
def test_what_is_no_quantity_is_none(raw: object) -> None:
    assert quantities.parse(raw) is None
