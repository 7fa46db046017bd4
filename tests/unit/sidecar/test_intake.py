import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import agenda, buffer, intake, kinds, refusals, run, settings

LETTER = "019a0000-0000-8000-8000-000000000001"


class Plan(agenda.Agenda):
    """Notes what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def news(self) -> None:
        self.told.append("news")

    def moved(self) -> None:
        self.told.append("moved")

    def hurry(self) -> None:
        self.told.append("hurry")


class Pod:
    """Everything behind the loopback API."""

    def __init__(self) -> None:
        self.kept = buffer.Buffer()
        self.plan = Plan()
        self.known = run.Run(settings.read({})[0])
        self.intake = intake.Intake(self.kept, self.plan, self.known)

    def post(self, path: str, *, awaited: bool = False, **fields: object) -> intake.Receipt:
        return self.intake.take(path, json.dumps(fields).encode(), "", awaited=awaited)

    @property
    def items(self) -> list[dict[str, Any]]:
        return [json.loads(item.content) for item in self.kept.remains().items]


@pytest.mark.parametrize(
    ("path", "kind", "fields"),
    [
        ("/checkpoint", "checkpoint", {"value": {"page": 7}}),
        ("/error", "error", {"type": "t", "message": "m", "class": "permanent"}),
        ("/dead-letter", "deadLetter", {"item": "i", "payload": [1], "error": "e"}),
        ("/result", "result", {"result": "partial", "counters": {"rows": 5}}),
        ("/handled", "handled", {"id": LETTER}),
    ],
)
def test_an_item_is_kept_as_the_wire_has_it(path: str, kind: str, fields: dict[str, Any]) -> None:
    pod = Pod()
    assert pod.post(path, **fields) == intake.Receipt(1, progress=False)
    (item,) = pod.items
    assert item.pop("at").endswith("Z")
    assert item == {"seq": 1, "kind": kind} | fields
    assert pod.plan.told == ["news"]


def test_the_latest_progress_is_kept() -> None:
    pod = Pod()
    assert pod.post("/progress", done=1) == intake.Receipt(1, progress=True)
    assert pod.post("/progress", total=9) == intake.Receipt(2, progress=True)
    progress = pod.kept.remains().progress
    assert progress is not None
    content = json.loads(progress.content)
    assert content.pop("at").endswith("Z")
    assert content == {"seq": 2, "total": 9}
    assert pod.plan.told == ["moved", "moved"]


def test_who_waits_is_hurried_for() -> None:
    pod = Pod()
    pod.post("/progress", done=1, awaited=True)
    assert pod.plan.told == ["hurry"]


def test_own_checkpoints_and_handled_letters_show_in_the_run() -> None:
    pod = Pod()
    pod.post("/checkpoint", value=7)
    pod.post("/handled", id=LETTER)
    assert pod.known.view()["checkpoint"]["value"] == 7


def test_what_is_refused_leaves_no_trace() -> None:
    pod = Pod()
    with pytest.raises(refusals.Refused):
        pod.post("/checkpoint", page=7)
    assert pod.items == []
    assert pod.plan.told == []
    assert pod.post("/checkpoint", value=7).seq == 1


def test_beyond_the_rate_the_program_is_told_but_its_progress_is_kept() -> None:
    pod = Pod()
    while pod.intake.admit("/progress"):
        pass
    with pytest.raises(refusals.Refused, match="100 times a second") as caught:
        pod.intake.admit("/error")
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    with pytest.raises(refusals.Refused, match="kept all the same"):
        pod.intake.take("/progress", b"done=5", "", awaited=True, admitted=False)
    assert pod.kept.moved
    assert not pod.kept.urgent


@given(st.sampled_from(sorted(kinds.KINDS)), st.binary() | st.text().map(str.encode))
def test_no_body_breaks_it(path: str, body: bytes) -> None:
    try:
        assert Pod().intake.take(path, body, "", awaited=False).seq == 1
    except refusals.Refused as refusal:
        assert 400 <= refusal.status < 500  # noqa: PT017 - anything may be refused, in words
