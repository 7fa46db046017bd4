from __future__ import annotations

import pytest

from rollcall_sidecar import typed


class Point(typed.NamedTuple):
    """A class as the sidecar's are."""

    x: int
    y: int = 5

    @property
    def sum(self) -> int:
        return self.x + self.y


def test_a_named_tuple_has_fields_defaults_and_more() -> None:
    point = Point(1)
    assert point == (1, 5) == Point(x=1, y=5)
    assert (point.x, point.y, point.sum) == (1, 5, 6)
    assert point._replace(y=2) == Point(1, 2)
    assert repr(point) == "Point(x=1, y=5)"


def test_it_is_one_of_its_class_and_takes_no_other_attributes() -> None:
    assert isinstance(Point(1), Point)
    assert Point.__name__ == "Point"
    assert Point.__doc__ == "A class as the sidecar's are."
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]
