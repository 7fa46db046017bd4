"""Identities that can be computed again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import ids
from support import builders

CRONJOB = builders.job().id
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(INSTANTS)
def test_a_timed_id_is_a_uuid_8_that_begins_with_its_instant(at: datetime) -> None:
    identifier = ids.scheduled_execution_id(cronjob_id=CRONJOB, slot_at=at)
    assert (identifier.version, identifier.variant) == (8, "specified in RFC 4122")
    assert timedelta() <= at - ids.instant_of(identifier) < timedelta(milliseconds=1)


@given(INSTANTS)
def test_the_same_input_has_the_same_id_and_another_one_another(at: datetime) -> None:
    def slot(when: datetime) -> object:
        return ids.scheduled_execution_id(cronjob_id=CRONJOB, slot_at=when)

    assert slot(at) == slot(at)
    assert slot(at) != slot(at + timedelta(seconds=1))
    assert slot(at) != ids.job_execution_id(job_uid=str(CRONJOB), slot_at=at)


def test_incidents_differ_by_kind_and_time() -> None:
    made = {
        ids.incident_id(of=CRONJOB, kind=kind, opened_at=builders.SLOT_AT + later)
        for kind in ("late", "missed")
        for later in (timedelta(), timedelta(microseconds=1))
    }
    assert len(made) == 4


def test_the_same_uid_in_two_clusters_is_two_jobs() -> None:
    assert ids.cronjob_id(cluster="a", uid="u") != ids.cronjob_id(cluster="b", uid="u")


def test_events_differ_by_execution_time_and_text() -> None:
    made = {
        ids.event_id(execution_id=execution, at=builders.SLOT_AT + later, text=text)
        for execution in (CRONJOB, builders.execution().id)
        for later in (timedelta(), timedelta(microseconds=1))
        for text in ("a", "b")
    }
    assert len(made) == 8
