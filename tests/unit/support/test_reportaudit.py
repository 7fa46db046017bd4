"""The comparison of reports with the store finds each sort of untruth, and none in a true one."""

from dataclasses import replace
from typing import Any

import pytest

from support import ledger, reportaudit

ITEMS = (
    ("error", "pod/1"),
    ("error", "pod/4"),
    ("deadLetter", "pod/3"),
    ("checkpoint", "pod/2"),
    ("checkpoint", "pod/5"),
    ("checkpoint", "pod/6"),
)


def said(**changes: Any) -> reportaudit.Said:  # noqa: ANN401 - of each field
    """Build what a program was told: two errors, a dead letter, four checkpoints, all kept."""
    values: dict[str, Any] = {
        "pod_uid": "pod",
        "steps": 7,
        "accepted": {"error": [1, 4], "deadLetter": [3], "checkpoint": [0, 2, 5, 6], "result": [6]},
        "committed": {"error": [1], "deadLetter": [], "checkpoint": [], "result": []},
        "refused": {},
        "unanswered": [],
        "slowest": (0.1, "GET /run in step 1"),
        "slowest_beside": 0.0,
        "most_bytes": 0,
        "lost": {},
        "delivered": True,
        "ended_at": 0.0,
    }
    return reportaudit.Said(**(values | changes))


def row(**changes: Any) -> ledger.Told:  # noqa: ANN401 - of each field
    """Build the row that says the same."""
    nothing: dict[str, Any] = dict.fromkeys(("total", "stage", "counters", "metadata", "lost"))
    values: dict[str, Any] = {
        "pod_uid": "pod",
        "done": 7,
        "errors": 2,
        "dead_letters": 1,
        "result": "succeeded",
        "result_message": "7 steps",
    }
    return ledger.Told(**(nothing | values | changes))


def stored(*items: tuple[str, str], **changes: Any) -> reportaudit.Stored:  # noqa: ANN401
    """Build the store with these items, or all of them; `changes` are of the row."""
    kept = items or ITEMS
    errors = sum(kind == "error" for kind, _ in kept)
    return reportaudit.Stored(pods=[row(**changes)], items=kept, errors=errors)


def without(*names: str) -> list[tuple[str, str]]:
    return [item for item in ITEMS if item[1] not in names]


def losing(**counts: int) -> dict[str, Any]:
    return {"boot": "b", "counts": counts, "earlier": {}}


def test_a_store_that_says_the_same_is_true() -> None:
    assert reportaudit.findings([said()], stored()) == []


@pytest.mark.parametrize(
    ("store", "word"),
    [
        pytest.param(
            stored(*without("pod/1"), errors=1, lost=losing(error=1)),
            "error [1]: acknowledged and not there",
            id="an acknowledged item is gone",
        ),
        pytest.param(
            stored(*without("pod/4"), errors=1),
            "1 times error is gone, and 0 times counted as lost",
            id="an item is gone and not counted",
        ),
        pytest.param(
            stored(*without("pod/4"), errors=1, lost=losing(error=1)),
            "lost: {'error': 1}, and the sidecar said {}",
            id="a loss was never told",
        ),
        pytest.param(
            stored(*ITEMS, ("deadLetter", "pod/3"), dead_letters=2),
            "deadLetter [3]: there twice",
            id="an item is there twice",
        ),
        pytest.param(
            stored(*ITEMS, ("error", "pod/9"), errors=3),
            "error [9]: there and never accepted",
            id="an item was never said",
        ),
        pytest.param(stored(errors=3), "errors: 3, and it is 2", id="errors are counted twice"),
        pytest.param(
            stored(dead_letters=0), "dead letters: 0, and it is 1", id="a letter is not counted"
        ),
        pytest.param(
            stored(*without("pod/6"), ("checkpoint", "pod/0")),
            "checkpoints [0, 2, 5], without [2, 5, 6]",
            id="the newest checkpoint is gone",
        ),
        pytest.param(
            stored(*ITEMS, ("checkpoint", "pod/0")),
            "checkpoints [0, 2, 5, 6], and not 3 of [0, 2, 5, 6]",
            id="more checkpoints than are kept",
        ),
        pytest.param(stored(done=6), "steps: 6, and it is 7", id="the last progress is gone"),
        pytest.param(
            stored(result_message=None), "its result: None, and it is 7 steps", id="no result"
        ),
        pytest.param(stored(lost=losing(result=1)), "lost: ['result']", id="a result is lost"),
        pytest.param(stored(pod_uid="other"), "it has no row", id="no row"),
    ],
)
def test_each_untruth_is_found(store: reportaudit.Stored, word: str) -> None:
    assert f"pod: {word}" in reportaudit.findings([said()], store)


def test_what_belongs_to_nobody_is_found() -> None:
    store = stored(*ITEMS, ("deadLetter", "stranger/1"))
    assert reportaudit.findings([said()], store) == ["of no pod that spoke: ['stranger/1']"]


def test_groups_that_count_otherwise_are_found() -> None:
    store = replace(stored(), errors=3)
    assert reportaudit.findings([said()], store) == ["2 errors, in groups that count 3"]


def test_what_a_pod_could_not_deliver_is_there_as_a_count() -> None:
    ended = said(delivered=False, committed=dict.fromkeys(("error", "deadLetter"), ()))
    lost = losing(error=2, deadLetter=1, checkpoint=3)
    store = stored(("checkpoint", "pod/6"), errors=0, dead_letters=0, lost=lost)
    assert reportaudit.findings([ended], store) == []


def test_a_checkpoint_that_a_newer_one_replaced_is_there_as_a_count() -> None:
    store = stored(lost=losing(checkpoint=1))
    assert reportaudit.findings([said(lost={"checkpoint": 1})], store) == []
