"""How an incident stands, in one word."""

from dataclasses import replace

import pytest

from rollcall.core import incidents, standing
from rollcall.core.policies import Kind
from rollcall.core.standing import Standing
from support import builders

OPENED = builders.step().incident
BY_ADA = incidents.Acknowledgement(at=builders.SLOT_AT, by="ada")
CASES = {
    "open": (OPENED, Standing.OPEN),
    "explained by another one": (replace(OPENED, inhibited_by=Kind.MISSED), Standing.INHIBITED),
    "silenced": (replace(OPENED, silenced_by="maintenance"), Standing.SILENCED),
    "looked after": (replace(OPENED, acknowledged=BY_ADA), Standing.ACKNOWLEDGED),
    "solved": (replace(OPENED, resolved_at=builders.SLOT_AT), Standing.RESOLVED),
}


@pytest.mark.parametrize(("incident", "expected"), CASES.values(), ids=CASES)
def test_the_word_says_how_it_stands(incident: incidents.Incident, expected: Standing) -> None:
    assert standing.of(incident) is expected
