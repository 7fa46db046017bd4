"""Where a page ended, as text."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import cursors, errors
from support import builders

RUN = builders.execution()
POSITION = cursors.Position(RUN.slot_at, RUN.id)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.uuids(),
)
def test_a_position_comes_back(slot_at: datetime, identifier: object) -> None:
    position = cursors.Position(slot_at, identifier)  # type: ignore[arg-type]

    assert cursors.decode(cursors.encode(position)) == position


def test_it_needs_no_quoting_in_a_url() -> None:
    marks = {cursors.encode(cursors.Position(RUN.slot_at + n * timedelta(days=1), RUN.id))
             for n in range(300)}  # fmt: skip

    assert all(mark.replace("-", "").replace("_", "").isalnum() for mark in marks)


def test_any_single_changed_character_is_noticed() -> None:
    mark = cursors.encode(POSITION)

    for place, character in enumerate(mark):
        other = "A" if character != "A" else "Q"
        with pytest.raises(errors.InvalidSpec):
            cursors.decode(mark[:place] + other + mark[place + 1 :])


DAMAGED = {
    "empty": "",
    "cut off": cursors.encode(POSITION)[:-3],
    "something appended": cursors.encode(POSITION) + "AAAA",
    "not base64": "not a cursor!",
    "not ASCII": "é" * 40,
    "an id": str(RUN.id),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_what_no_page_ended_with_is_refused_and_the_way_out_named(text: str) -> None:
    with pytest.raises(errors.InvalidSpec, match="nextCursor") as refused:
        cursors.decode(text)
    assert refused.value.reason == "InvalidCursor"


def test_marks_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "_VERSION", 2)
    mark = cursors.encode(POSITION)
    monkeypatch.undo()

    with pytest.raises(errors.InvalidSpec):
        cursors.decode(mark)
