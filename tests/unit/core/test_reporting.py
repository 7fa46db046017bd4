"""What of a report may be kept: losses, and the numbers that identify."""

from uuid import UUID

from rollcall.core import dead_letters, ids, reporting
from support import builders


def test_losses_of_one_start_only_grow() -> None:
    known = reporting.losses(None, "a", {"error": 2})
    known = reporting.losses(known, "a", {"error": 1, "progress": 4})
    assert reporting.lost_in_all(known) == {"error": 2, "progress": 4}


def test_losses_of_starts_before_are_added() -> None:
    known = reporting.losses(None, "a", {"error": 2})
    for _ in range(2):
        known = reporting.losses(known, "b", {"error": 3, "result": 1})
    assert reporting.lost_in_all(known) == {"error": 5, "result": 1}
    known = reporting.losses(known, "c", {})
    assert reporting.lost_in_all(known) == {"error": 5, "result": 1}


def test_nothing_lost_is_nothing() -> None:
    assert reporting.lost_in_all(None) == {}


def test_ids_of_dead_letters_and_windows_follow_from_what_they_identify() -> None:
    def letter(pod_uid: str = "p", boot: str = "b", seq: int = 1) -> UUID:
        return ids.dead_letter_id(pod_uid=pod_uid, boot=boot, seq=seq)

    assert letter() == letter()
    assert len({letter(), letter("q"), letter(boot="c"), letter(seq=2)}) == 4
    run = builders.execution().id
    window = ids.window_id(execution_id=run, opened_at=builders.SLOT_AT)
    assert window == ids.window_id(execution_id=run, opened_at=builders.SLOT_AT)
    assert window != ids.window_id(execution_id=run, opened_at=builders.CREATED_AT)
    assert {letter().version, window.version} == {8}


def test_every_state_of_a_dead_letter_is_reached_or_the_first() -> None:
    reached = set(dead_letters.LEADS_TO.values()) | {dead_letters.State.OPEN}
    assert reached == set(dead_letters.State)
    assert set(dead_letters.TRANSITIONS) == set(dead_letters.State)
