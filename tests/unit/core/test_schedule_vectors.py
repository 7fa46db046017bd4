"""4,000 recorded answers of robfig/cron v3.0.1, the library Kubernetes schedules by.

Governments change their clocks, so the zones are recorded too, as of the IANA database 2025b.
"""

import dataclasses
import io
import json
import struct
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from rollcall.core import schedule, zones

VECTORS = Path(__file__).parents[2] / "vectors"
NEVER = "never"


def recorded_zone(changes: list[tuple[int, int]]) -> zones.Zone:
    """Make a zone from pairs of an instant and the offset from then on, both in seconds.

    It goes through the file format of the database (RFC 8536, version 1): a header with six counts,
    the instants, an index into the offsets for each, the offsets, an abbreviation.
    """
    starts, offsets = zip(*changes, strict=True)
    kinds = sorted(set(offsets), key=offsets.index)
    layout = f">4s16x6l{len(starts)}l{len(starts)}B" + "lBB" * len(kinds) + "2s"
    counts = (0, 0, 0, len(starts), len(kinds), 2)
    types = [value for offset in kinds for value in (offset, 0, 0)]
    data = struct.pack(
        layout, b"TZif", *counts, *starts, *map(kinds.index, offsets), *types, b"-\0"
    )
    return zones.Zone(info=zoneinfo.ZoneInfo.from_file(io.BytesIO(data)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    expression: str
    zone: str
    after: datetime
    accepted: bool
    slots: tuple[datetime | None, ...]


def read_vectors() -> Iterator[Vector]:
    lines = (VECTORS / "cron-vectors.jsonl").read_text(encoding="utf-8")
    for line in lines.splitlines():
        record = json.loads(line)
        yield Vector(
            expression=record["schedule"],
            zone=record["timeZone"],
            after=datetime.fromisoformat(record["after"]),
            accepted=record["accepted"],
            slots=tuple(
                None if slot == NEVER else datetime.fromisoformat(slot)
                for slot in record.get("next", ())
            ),
        )


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    return list(read_vectors())


@pytest.fixture(scope="module")
def recorded_zones() -> dict[str, zones.Zone]:
    recorded = json.loads((VECTORS / "cron-zones.json").read_text(encoding="utf-8"))
    return {name: recorded_zone(changes) for name, changes in recorded.items()}


def is_accepted(vector: Vector) -> bool:
    try:
        schedule.parse(vector.expression, vector.zone)
    except schedule.ScheduleError:
        return False
    return True


def chain(parsed: schedule.Schedule, vector: Vector) -> tuple[datetime | None, ...]:
    slots: list[datetime | None] = []
    instant: datetime | None = vector.after
    while instant is not None and len(slots) < len(vector.slots):
        instant = parsed.next_after(instant)
        slots.append(instant)
    return tuple(slots)


def test_the_vectors_are_all_there(vectors: list[Vector]) -> None:
    accepted = [vector for vector in vectors if vector.accepted]
    assert (len(vectors), len(accepted)) == (4000, 3426)
    assert sum(len(vector.slots) for vector in accepted) == 13_815


def test_the_same_expressions_are_accepted(vectors: list[Vector]) -> None:
    assert [vector for vector in vectors if is_accepted(vector) != vector.accepted] == []


@pytest.fixture(scope="module")
def accepted(
    vectors: list[Vector], recorded_zones: dict[str, zones.Zone]
) -> list[tuple[schedule.Schedule, Vector]]:
    """Return the accepted vectors, each with its schedule in the zone as it was recorded."""
    return [
        (
            dataclasses.replace(
                schedule.parse(vector.expression, vector.zone), _zone=recorded_zones[vector.zone]
            ),
            vector,
        )
        for vector in vectors
        if vector.accepted
    ]


def test_the_same_slots_follow_one_another(
    accepted: list[tuple[schedule.Schedule, Vector]],
) -> None:
    assert [vector for parsed, vector in accepted if chain(parsed, vector) != vector.slots] == []


def test_a_range_of_slots_holds_the_same_slots(
    accepted: list[tuple[schedule.Schedule, Vector]],
) -> None:
    wrong = []
    for parsed, vector in accepted:
        end = vector.slots[-1]
        if end is None:
            continue
        slots = tuple(parsed.slots_between(vector.after, end))
        count = parsed.count_between(vector.after, end)
        latest = parsed.latest_at_or_before(end, vector.after)
        if (slots, count, latest) != (vector.slots, len(vector.slots), end):
            wrong.append(vector)
    assert wrong == []
