import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import agenda, buffer, ingest, intake, kinds, refusals, run, settings

LETTER = "019a0000-0000-8000-8000-000000000001"
OTHER_LETTER = "019a0000-0000-8000-8000-00000000000b"


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

    def is_told(self, *letters: str) -> None:
        told = {"complete": True, "requeued": [{"id": letter} for letter in letters]}
        answer = ingest.Outcome(reason="acknowledged", acknowledged=True, run=told)
        self.known.record(answer, now=datetime.now(UTC))

    @property
    def requeued(self) -> list[str]:
        return [letter["id"] for letter in self.known.view()["requeued"]]

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


def test_own_checkpoints_show_in_the_run() -> None:
    pod = Pod()
    pod.post("/checkpoint", value=7)
    assert pod.known.view()["checkpoint"]["value"] == 7


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param("/handled", {"id": LETTER}, id="handled"),
        pytest.param("/dead-letter", {"item": "i", "requeueOf": LETTER}, id="put aside anew"),
    ],
)
def test_a_program_that_starts_again_is_not_told_of_a_letter_that_it_is_done_with(
    path: str, fields: dict[str, Any]
) -> None:
    pod = Pod()
    pod.is_told(LETTER, OTHER_LETTER)
    pod.post(path, **fields)
    assert pod.requeued == [OTHER_LETTER]
    pod.is_told(LETTER, OTHER_LETTER)  # by an api that has not got it yet
    assert pod.requeued == [OTHER_LETTER]


def test_a_dead_letter_that_was_none_before_takes_none_off_the_run() -> None:
    pod = Pod()
    pod.is_told(LETTER)
    pod.post("/dead-letter", item="i")
    pod.post("/dead-letter", item="i", requeueOf=None)
    assert pod.requeued == [LETTER]


def test_a_letter_that_is_put_aside_anew_in_many_parts_makes_none_come_back() -> None:
    pod = Pod()
    pod.is_told(LETTER, OTHER_LETTER)
    pod.post("/handled", id=OTHER_LETTER)
    for part in range(run.MOST_HANDLED):
        pod.post("/dead-letter", item=f"part {part}", requeueOf=LETTER.upper())
    assert pod.requeued == []


def test_a_letter_that_is_not_accepted_anew_stays_to_be_processed() -> None:
    pod = Pod()
    pod.is_told(LETTER)
    with pytest.raises(refusals.Refused):
        pod.post("/dead-letter", item="i" * 501, requeueOf=LETTER)
    for _ in range((buffer.ROOM - buffer.RESERVE) // 65_536):
        pod.post("/dead-letter", item="i", payload="p" * 65_000)
    with pytest.raises(refusals.Refused, match="1 MiB"):
        pod.post("/dead-letter", item="i", payload="p" * 65_000, requeueOf=LETTER)
    assert pod.requeued == [LETTER]


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
