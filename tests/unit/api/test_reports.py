"""What a report may say: item by item, and what becomes of those that do not fit."""

import json
import math
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.api import app, reports
from rollcall.core import expectations
from rollcall.core import reporting as values
from rollcall.core.windows import Stretch
from rollcall.services import ingest
from rollcall.services.told import Told
from support import builders, reporting, said

BOOT = "0123456789abcdef"
LETTER = UUID("019a0000-0000-8000-8000-00000000000a")
RUN_ID = UUID("019a0000-0000-8000-8000-00000000000b")
AT = "2026-03-02T12:00:10Z"
SAID_AT = datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC)


class Keeper(ingest.Ingest):
    """Keeps what it is told; answers with `refused` and `telling`."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.wanted: list[Collection[values.Want]] = []
        self.refused: list[values.Refusal] = []
        self.telling = ingest.NOTHING
        self.on_outcome = str

    @override
    def known(self, token: str) -> None:
        del token

    @override
    async def report(
        self, token: str, told: Told, wants: Collection[values.Want] = ()
    ) -> ingest.Answer:
        self.told.append(told)
        self.wanted.append(wants)
        identity = said.identity(builders.execution())
        return ingest.Answer(identity=identity, refused=self.refused, telling=self.telling)


async def send(keeper: Keeper, content: bytes) -> httpx.Response:
    async with reporting.client(app.IngestApp(keeper)) as http:
        return await reporting.send(http, content)


async def post(keeper: Keeper, *items: object, **changes: object) -> httpx.Response:
    fields = {"boot": BOOT, "items": items} if items else {"boot": BOOT}
    return await send(keeper, json.dumps(reporting.report(**(fields | changes))).encode())


async def refusal(item: object) -> dict[str, Any]:
    """Send an item between two good ones; return how it was refused, alone."""
    keeper = Keeper()
    seq = item["seq"] if isinstance(item, dict) else 2
    good = [checkpoint(seq=seq - 1), checkpoint(seq=seq + 1)]
    response = await post(keeper, good[0], item, good[1])
    assert response.status_code == 200, response.text
    assert [kept.seq for kept in keeper.told[0].items] == [seq - 1, seq + 1]
    answer = response.json()["items"]
    assert answer["through"] == seq + 1
    (refused,) = answer["refused"]
    assert refused["seq"] == seq
    return dict(refused)


def checkpoint(**changes: object) -> dict[str, Any]:
    return {"kind": "checkpoint", "seq": 2, "at": AT, "value": {"row": 1}} | changes


def error(**changes: object) -> dict[str, Any]:
    return {"kind": "error", "seq": 2, "at": AT, "type": "timeout", "message": "no"} | changes


def letter(**changes: object) -> dict[str, Any]:
    fields = {"item": "order-1", "payload": {"id": 1}, "error": "no"}
    return {"kind": "deadLetter", "seq": 2, "at": AT} | fields | changes


def result(**changes: object) -> dict[str, Any]:
    return {"kind": "result", "seq": 2, "at": AT, "result": "partial"} | changes


def handled(**changes: object) -> dict[str, Any]:
    return {"kind": "handled", "seq": 2, "at": AT, "id": str(LETTER)} | changes


KEPT = {
    "a checkpoint": (checkpoint(), values.Checkpoint(seq=2, at=SAID_AT, value={"row": 1})),
    "a bare error": (
        {"kind": "error", "seq": 2, "at": AT, "type": "t"},
        values.Error(seq=2, at=SAID_AT, type="t", message=""),
    ),
    "an error": (
        error(item="order-1", **{"class": "transient"}, retryAfter=30),
        values.Error(
            seq=2, at=SAID_AT, type="timeout", message="no", item="order-1",
            error_class=values.ErrorClass.TRANSIENT, retry_after=30,
        ),
    ),
    "a dead letter": (
        letter(requeueOf=str(LETTER)),
        values.DeadLetter(
            seq=2, at=SAID_AT, item="order-1", payload={"id": 1}, error="no", requeue_of=LETTER
        ),
    ),
    "a dead letter without payload": (
        {"kind": "deadLetter", "seq": 2, "at": AT, "item": "i", "requeueOf": None},
        values.DeadLetter(seq=2, at=SAID_AT, item="i", payload=None, error=""),
    ),
    "a result": (
        result(message="m", counters={"rows.ok": 1, "x": -2.5}, metadata={"a": [1, {}]}),
        values.Result(
            seq=2, at=SAID_AT, result=values.Verdict.PARTIAL, message="m",
            counters={"rows.ok": 1, "x": -2.5}, metadata={"a": [1, {}]},
        ),
    ),
    "a confirmation": (handled(), values.Handled(seq=2, at=SAID_AT, id=LETTER)),
    "a newer kind of field": (
        handled(mood="good"), values.Handled(seq=2, at=SAID_AT, id=LETTER),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("item", "kept"), KEPT.values(), ids=KEPT)
async def test_an_item_is_read_as_it_was_said(item: object, kept: values.Item) -> None:
    keeper = Keeper()
    response = await post(keeper, item)
    assert response.json()["items"] == {"through": 2, "refused": []}
    assert (keeper.told[0].boot, list(keeper.told[0].items)) == (BOOT, [kept])


LARGE = 2**53
REFUSED = {
    "an unknown kind": ({"kind": "mood", "seq": 2, "at": AT}, 422, "mood"),
    "no kind": ({"seq": 2, "at": AT}, 422, "kind"),
    "no time": (checkpoint(at=None), 422, "at"),
    "a time without zone": (checkpoint(at="2026-03-02T12:00:10"), 422, "at"),
    "no value": ({"kind": "checkpoint", "seq": 2, "at": AT}, 422, "value"),
    "a large value": (checkpoint(value="x" * 65_535), 413, "value"),
    "a value that grows": (checkpoint(value=[1e-300] * 9000), 413, "value"),
    "a deep value": (checkpoint(value=json.loads("[" * 65 + "]" * 65)), 422, "value"),
    "a very deep value": (checkpoint(value=json.loads("[" * 900 + "]" * 900)), 422, "levels"),
    "a large integer": (checkpoint(value={"a": [LARGE]}), 422, "value"),
    "a huge integer": (checkpoint(value=10**400), 422, "value"),
    "a large number": (checkpoint(value=-1e300), 422, "value"),
    "no type": (error(type=None), 422, "type"),
    "a long type": (error(type="x" * 201), 422, "type"),
    "a long message": (error(message="x" * 4001), 422, "message"),
    "a long item": (error(item="x" * 501), 422, "item"),
    "another class": (error(**{"class": "fatal"}), 422, "class"),
    "a long pause": (error(retryAfter=86_401), 422, "retryAfter"),
    "a negative pause": (error(retryAfter=-1), 422, "retryAfter"),
    "no item": (letter(item=None), 422, "item"),
    "a large payload": (letter(payload="é" * 32_768), 413, "payload"),
    "a long error": (letter(error="x" * 4001), 422, "error"),
    "a strange predecessor": (letter(requeueOf="7"), 422, "requeueOf"),
    "another result": (result(result="good"), 422, "result"),
    "many counters": (result(counters={f"c{n}": n for n in range(65)}), 422, "counters"),
    "a counter's name": (result(counters={"a b": 1}), 422, "counters"),
    "a counter's name with a line end": (result(counters={"a\n": 1}), 422, "counters"),
    "a long counter's name": (result(counters={"a" * 65: 1}), 422, "counters"),
    "a large counter": (result(counters={"a": LARGE}), 422, "counters.a"),
    "a yes in a counter": (result(counters={"a": True}), 422, "counters"),
    "large metadata": (result(metadata={"a": "x" * 8192}), 413, "metadata"),
    "other metadata": (result(metadata=[1]), 422, "metadata"),
    "no id": (handled(id="order-1"), 422, "id"),
}


@pytest.mark.parametrize(("item", "status", "names"), REFUSED.values(), ids=REFUSED)
async def test_an_item_that_does_not_fit_is_refused_alone_and_the_field_is_named(
    item: dict[str, Any], status: int, names: str
) -> None:
    refused = await refusal(item)
    assert refused["status"] == status
    assert names in refused["detail"]


LARGEST: list[dict[str, Any]] = [
    checkpoint(value="x" * 65_534),
    checkpoint(value=json.loads("[" * 64 + "]" * 64)),
    checkpoint(value=[LARGE - 1, 1 - LARGE, 1e-300, 0.0, True]),
    error(type="x" * 200, message="é" * 4000, item="é" * 500, retryAfter=86_400),
    result(counters={f"c{'x' * 60}{n:03}"[:64]: LARGE - 1 for n in range(64)}),
    result(metadata={"a": "x" * 8_184}),
]


@pytest.mark.parametrize("item", LARGEST, ids=range(len(LARGEST)))
async def test_what_just_fits_is_kept(item: dict[str, Any]) -> None:
    keeper = Keeper()
    response = await post(keeper, item)
    assert response.json()["items"] == {"through": 2, "refused": []}


STRANGE = b'"a\\u0000\\ud800b\\n\\u001b[31m<script>@channel %s {}"'
CLEANED = "a\ufffd\ufffdb\n\x1b[31m<script>@channel %s {}"


async def test_characters_that_cannot_be_kept_are_replaced_and_others_stay() -> None:
    keeper = Keeper()
    marked = reporting.report(
        boot=BOOT,
        progress={"seq": 1, "at": AT, "stage": "STRANGE", "message": "STRANGE"},
        items=[
            error(seq=1, type="STRANGE", message="STRANGE", item="STRANGE"),
            letter(seq=2, item="STRANGE", error="STRANGE", payload={"STRANGE": ["STRANGE"]}),
            checkpoint(seq=3, value="STRANGE"),
            result(seq=4, message="STRANGE", metadata={"STRANGE": "STRANGE"}),
        ],
    )
    body = json.dumps(marked).encode().replace(b'"STRANGE"', STRANGE)
    response = await send(keeper, body)
    assert response.json()["items"] == {"through": 4, "refused": []}
    items, progress = keeper.told[0].items, keeper.told[0].progress
    assert progress
    assert {progress.stage, progress.message} == {CLEANED}
    first, second, third, fourth = items
    assert isinstance(first, values.Error)
    assert {first.type, first.message, first.item} == {CLEANED}
    assert isinstance(second, values.DeadLetter)
    assert (second.item, second.error, second.payload) == (CLEANED, CLEANED, {CLEANED: [CLEANED]})
    assert isinstance(third, values.Checkpoint)
    assert third.value == CLEANED
    assert isinstance(fourth, values.Result)
    assert (fourth.message, fourth.metadata) == (CLEANED, {CLEANED: CLEANED})


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
async def test_what_is_no_number_is_refused_also_beside_a_lone_surrogate(number: bytes) -> None:
    body = json.dumps(reporting.report(boot=BOOT, items=[checkpoint(value=["SAID", 1])])).encode()
    body = body.replace(b'"SAID", 1', b'"\\ud800", ' + number)
    keeper = Keeper()
    assert reporting.is_problem(await send(keeper, body), 400)
    assert keeper.told == []


async def test_a_number_that_no_reader_can_hold_refuses_its_item_alone() -> None:
    body = json.dumps(reporting.report(boot=BOOT, items=[checkpoint(value=["HUGE"]), error(seq=3)]))
    keeper = Keeper()
    answer = (await send(keeper, body.replace('"HUGE"', "1e999").encode())).json()["items"]
    assert [(one["seq"], one["status"]) for one in answer["refused"]] == [(2, 422)]
    assert "value" in answer["refused"][0]["detail"]


async def test_at_no_depth_does_the_api_fail() -> None:
    body = json.dumps(reporting.report(boot=BOOT, items=[checkpoint(value="DEEP")]))
    for depth in (*range(60, 70), *range(850, 1010)):
        nested = "[" * depth + "]" * depth
        response = await send(Keeper(), body.replace('"DEEP"', nested).encode())
        if response.status_code == 200:
            refused = response.json()["items"]["refused"]
            assert [one["status"] for one in refused] == ([422] if depth > 64 else [])
        else:
            assert (response.status_code, depth > 800) == (400, True)


async def test_progress_losses_and_goodbye_are_passed_on() -> None:
    keeper = Keeper()
    progress = {
        "seq": 4, "at": AT, "done": 40, "total": 100.5, "stage": "load", "message": "m",
        "counters": {"rows": 400},
    }  # fmt: skip
    lost = {"progress": 0, "error": 2, "deadLetter": 1, "mood": 9}
    response = await post(keeper, progress=progress, lost=lost, final=True)
    assert "items" not in response.json()
    (told,) = keeper.told
    assert told.progress == values.Progress(
        seq=4, done=40, total=100.5, stage="load", message="m", counters={"rows": 400}
    )
    assert (told.lost, told.is_final) == ({"error": 2, "deadLetter": 1}, True)
    assert told.size > 200


WHOLE: dict[str, tuple[dict[str, Any], str]] = {
    "progress without seq": ({"progress": {"at": AT}}, "progress"),
    "progress beyond its numbers": ({"progress": {"seq": 1, "at": AT, "done": LARGE}}, "done"),
    "negative progress": ({"progress": {"seq": 1, "at": AT, "total": -1}}, "total"),
    "a long stage": ({"progress": {"seq": 1, "at": AT, "stage": "x" * 101}}, "stage"),
    "a long message": ({"progress": {"seq": 1, "at": AT, "message": "x" * 1001}}, "message"),
    "a large counter": (
        {"progress": {"seq": 1, "at": AT, "counters": {"a": LARGE}}},
        "progress.counters.a",
    ),
    "a strange boot": ({"boot": "X" * 8}, "boot"),
    "a short boot": ({"boot": "a" * 7}, "boot"),
    "a boot with a line end": ({"boot": "abcdef01\n"}, "boot"),
    "items without boot": ({"boot": None, "items": [handled()]}, "boot"),
    "progress without boot": ({"boot": None, "progress": {"seq": 1, "at": AT}}, "boot"),
    "losses without boot": ({"boot": None, "lost": {"error": 1}}, "boot"),
    "many items": ({"items": [handled(seq=seq) for seq in range(1, 202)]}, "items"),
    "an item without seq": ({"items": [{"kind": "handled"}]}, "seq"),
    "an item that is none": ({"items": [7]}, "items"),
    "items out of order": ({"items": [handled(seq=2), handled(seq=1)]}, "order"),
    "an item twice": ({"items": [handled(seq=2), handled(seq=2)]}, "order"),
    "negative losses": ({"lost": {"error": -1}}, "lost"),
}


@pytest.mark.parametrize(("changes", "names"), WHOLE.values(), ids=WHOLE)
async def test_what_belongs_to_no_item_refuses_the_report(
    changes: dict[str, Any], names: str
) -> None:
    keeper = Keeper()
    response = await post(keeper, **changes)
    assert reporting.is_problem(response, 422)
    assert names in response.json()["detail"]
    assert keeper.told == []


async def test_what_the_store_refuses_is_told_with_the_others_in_order() -> None:
    keeper = Keeper()
    keeper.refused = [values.Refusal(seq=2, status=429, detail="at most 1000 dead letters")]
    items = [error(seq=1, type=None), letter(seq=2), error(seq=3, type=None), checkpoint(seq=4)]
    answer = (await post(keeper, *items)).json()["items"]
    assert answer["through"] == 4
    assert [(one["seq"], one["status"]) for one in answer["refused"]] == [
        (1, 422), (2, 429), (3, 422),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("want", "wanted"),
    [
        (None, []),
        ([], []),
        (["run"], [values.Want.RUN]),
        (["mood", "expectedEnd", "run"], [values.Want.RUN, values.Want.EXPECTED_END]),
    ],
)
async def test_the_run_is_told_what_it_asks_for(
    want: list[str] | None, wanted: list[values.Want]
) -> None:
    keeper = Keeper()
    response = await post(keeper, **({} if want is None else {"want": want}))
    assert list(keeper.wanted[0]) == wanted
    assert not {"run", "expectedEnd"} & set(response.json())


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        (None, None),
        (
            expectations.Expected(at=datetime(2026, 3, 2, 13, tzinfo=UTC), runs=20),
            {"at": "2026-03-02T13:00:00Z", "runs": 20},
        ),
    ],
    ids=["nobody knows", "by the runs before"],
)
async def test_the_expected_end_is_told(
    expected: expectations.Expected | None, told: dict[str, Any] | None
) -> None:
    keeper = Keeper()
    keeper.telling = ingest.Telling(expected_end=expected)
    answer = (await post(keeper, want=["expectedEnd"])).json()
    assert answer["expectedEnd"] == told
    assert "run" not in answer


async def test_the_run_is_told_whole() -> None:
    keeper = Keeper()
    run = values.Run(
        idempotency_key="key",
        date=date(2026, 3, 2),
        deadline=datetime(2026, 3, 3, tzinfo=UTC),
        window=Stretch(
            from_at=datetime(2026, 3, 1, tzinfo=UTC),
            until_at=datetime(2026, 3, 2, tzinfo=UTC),
            has_more=True,
        ),
        checkpoint=values.Handed(
            value={"row": 1}, at=SAID_AT, execution_id=RUN_ID, attempt=2, slot_at=builders.SLOT_AT
        ),
        requeued=[values.Requeued(id=LETTER, item="i", payload=None, error="e", at=SAID_AT)],
    )
    keeper.telling = ingest.Telling(run=run)
    response = await post(keeper, want=["run"])
    assert response.json()["run"] == {
        "idempotencyKey": "key",
        "date": "2026-03-02",
        "deadline": "2026-03-03T00:00:00Z",
        "window": {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "more": True},
        "windowHeldBy": None,
        "checkpoint": {
            "value": {"row": 1},
            "at": AT,
            "execution": str(RUN_ID),
            "attempt": 2,
            "slotTime": "2026-03-02T12:00:00Z",
        },
        "requeued": [{"id": str(LETTER), "item": "i", "payload": None, "error": "e", "at": AT}],
        "complete": True,
    }


async def test_a_run_whose_window_another_has_is_told_so() -> None:
    keeper = Keeper()
    run = values.Run(
        idempotency_key="key",
        date=date(2026, 3, 2),
        deadline=None,
        window_held_by=values.Holder(execution_id=RUN_ID, job_name="report-1"),
        is_complete=False,
    )
    keeper.telling = ingest.Telling(run=run)
    told = (await post(keeper, want=["run"])).json()["run"]
    assert told["windowHeldBy"] == {"execution": str(RUN_ID), "jobName": "report-1"}
    assert (told["window"], told["checkpoint"], told["complete"]) == (None, None, False)


async def test_the_largest_answer_has_at_most_256_kib() -> None:
    keeper = Keeper()
    largest = "\x01" * (values.LARGEST_VALUE // 6)  # each is six characters in JSON
    run = values.Run(
        idempotency_key="key",
        date=date(2026, 3, 2),
        deadline=None,
        checkpoint=values.Handed(
            value=largest, at=SAID_AT, execution_id=RUN_ID, attempt=1, slot_at=builders.SLOT_AT
        ),
        requeued=[
            values.Requeued(id=LETTER, item="i" * 500, payload="x" * 780, error="e", at=SAID_AT)
            for _ in range(values.MOST_REQUEUED)
        ],
    )
    end = expectations.Expected(at=SAID_AT, runs=20)
    keeper.telling = ingest.Telling(run=run, expected_end=end)
    items = [error(seq=seq, type="x" * 201) for seq in range(1, 201)]
    response = await post(keeper, *items, want=["run", "expectedEnd"])
    assert response.status_code == 200
    assert {"run", "expectedEnd"} <= response.json().keys()
    assert len(response.content) <= 256 * 1024


FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
INSTANTS = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | JSON
ITEMS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["checkpoint", "error", "deadLetter", "result", "handled"]) | JSON,
        "seq": st.integers(1, 9) | JSON,
        "at": INSTANTS,
    },
    optional=dict.fromkeys(
        (
            "value", "type", "message", "item", "class", "retryAfter", "payload", "error",
            "requeueOf", "result", "counters", "metadata", "id",
        ),
        JSON,
    ),
)  # fmt: skip
REPORTS = st.fixed_dictionaries(
    {},
    optional={
        "v": st.just(1) | JSON,
        "seq": JSON,
        "boot": st.from_regex("[0-9a-f]{8,32}", fullmatch=True) | JSON,
        "items": st.lists(ITEMS, max_size=4) | JSON,
        "progress": ITEMS | JSON,
        "want": JSON,
        "lost": JSON,
        "final": JSON,
        "podUid": JSON,
    },
)


@given(REPORTS)
async def test_whatever_a_report_says_the_api_does_not_fail(changes: dict[str, Any]) -> None:
    keeper = Keeper()
    body = json.dumps(reporting.report(boot=BOOT) | changes).encode()
    response = await send(keeper, body)
    assert response.status_code in {200, 400, 422}
    if response.status_code == 200:
        answer = response.json()
        kept = len(keeper.told[0].items)
        sent = len(changes.get("items") or ())
        refused = answer.get("items", {"refused": []})["refused"]
        assert kept + len(refused) == sent
        assert all(one["detail"] for one in refused)


@given(st.binary(max_size=300))
async def test_whatever_bytes_come_the_api_does_not_fail(content: bytes) -> None:
    assert (await send(Keeper(), content)).status_code in {400, 422}


@given(JSON)
def test_a_value_that_is_kept_is_the_value_that_was_said(value: object) -> None:
    body = json.dumps(reporting.report(boot=BOOT, items=[checkpoint(value=value)])).encode()
    request = reports.read(body)
    for kept in request.told.items:
        assert isinstance(kept, values.Checkpoint)
        assert equal(kept.value, value)


def equal(kept: object, value: object) -> bool:
    """Compare JSON: NUL and lone surrogates have become another character."""
    if isinstance(value, float):
        return isinstance(kept, int | float) and math.isclose(kept, value, rel_tol=1e-12)
    if isinstance(value, list):
        return isinstance(kept, list) and all(map(equal, kept, value)) and len(kept) == len(value)
    if isinstance(value, dict) and isinstance(kept, dict):
        return all(
            equal(one, other) for one, other in zip(kept.values(), value.values(), strict=False)
        )
    if isinstance(value, str):
        return isinstance(kept, str) and len(kept) == len(value)
    return kept == value
