"""Whose a CronJob is, what must not start, and since when a rhythm is in force."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.cluster import apply
from rollcall.core import errors
from support.fakekube import edited
from support.trackedcronjobs import UID, Object, tracked

SPEC = {"schedule": "30 2 * * *", "timeZone": "Etc/UTC"}


def cronjob(owner: Object | None = None, **changes: Object) -> Object:
    return {
        "metadata": {
            "name": "nightly",
            "namespace": "team",
            "uid": "c",
            "generation": 3,
            "creationTimestamp": "2026-03-01T00:00:00Z",
            "ownerReferences": [owner] if owner else [],
            **changes,
        },
        "spec": dict(SPEC),
    }


def owner(
    uid: str, kind: str = "TrackedCronJob", api: str = "rollcall.dev/v1alpha1", **more: bool
) -> Object:
    return {
        "apiVersion": api,
        "kind": kind,
        "name": "nightly",
        "uid": uid,
        "controller": True,
        **more,
    }


@pytest.mark.parametrize(
    ("live", "standing"),
    [
        (None, apply.Standing.ABSENT),
        (cronjob(owner(UID)), apply.Standing.OURS),
        (cronjob(), apply.Standing.TAKEN),
        (cronjob(annotations={"rollcall.dev/adopt": "nightly"}), apply.Standing.ADOPTABLE),
        (cronjob(annotations={"rollcall.dev/adopt": "other"}), apply.Standing.TAKEN),
        (cronjob(labels={"rollcall.dev/name": "nightly"}), apply.Standing.ADOPTABLE),
        (cronjob(labels={"rollcall.dev/name": "other"}), apply.Standing.TAKEN),
        (cronjob(owner("earlier")), apply.Standing.LEAVING),
        (
            cronjob(
                owner("x", "Workflow", "example.com/v1"),
                annotations={"rollcall.dev/adopt": "nightly"},
            ),
            apply.Standing.TAKEN,
        ),
        (cronjob(owner(UID, controller=False)), apply.Standing.TAKEN),
    ],
    ids=[
        "absent",
        "ours",
        "plain",
        "asks-for-it",
        "asks-for-another",
        "orphan",
        "orphan-of-another",
        "earlier-one",
        "other-controller",
        "no-controller",
    ],
)
def test_whose_the_cronjob_of_a_name_is(live: Object | None, standing: apply.Standing) -> None:
    assert apply.standing(live, tracked()) is standing


BY_US = edited(cronjob(), manager="rollcall", suspend=True)
BY_HAND = edited(cronjob(), manager="alice", suspend=True)


@pytest.mark.parametrize(
    ("live", "wished", "surprising"),
    [
        (cronjob(), {}, False),
        (cronjob(), {"schedule": "31 2 * * *"}, True),
        (cronjob(), {"timeZone": "Europe/Berlin"}, True),
        (cronjob(), {"jobTemplate": {}}, False),
        (cronjob(), {"suspend": True}, False),
        (BY_US, {"suspend": True}, False),
        (BY_US, {"suspend": False}, True),
        (BY_US, {}, True),
        (BY_HAND, {}, False),
        (BY_HAND, {"suspend": False}, True),
    ],
    ids=[
        "same",
        "schedule",
        "zone",
        "template",
        "suspending",
        "still-suspended",
        "resumed",
        "no-longer-named",
        "stays-by-hand",
        "resumed-over-hand",
    ],
)
def test_when_a_slot_of_the_past_could_start(
    live: Object, wished: Object, *, surprising: bool
) -> None:
    assert apply.may_surprise(live, {"spec": {**SPEC, **wished}}) is surprising


def test_a_rhythm_is_in_force_since_somebody_last_changed_it() -> None:
    applied = edited(cronjob(), manager="rollcall", at="2026-03-02T12:00:00Z", schedule="0 * * * *")
    by_hand = edited(applied, manager="alice", at="2026-03-02T13:00:00Z", suspend=True)
    other = edited(by_hand, manager="bob", at="2026-03-02T14:00:00Z", jobTemplate={})
    revision = apply.revision(other)
    assert revision.effective_from == datetime(2026, 3, 2, 13, tzinfo=UTC)
    assert (revision.schedule, revision.suspended, revision.generation) == ("0 * * * *", True, 3)


def test_without_managers_a_rhythm_is_in_force_since_creation() -> None:
    revision = apply.revision(cronjob())
    assert revision.effective_from == datetime(2026, 3, 1, tzinfo=UTC)
    assert (revision.time_zone, revision.concurrency) == ("Etc/UTC", "Allow")
    assert revision.deadline == timedelta(days=1)


def test_a_cronjob_without_any_time_is_read_again_later() -> None:
    with pytest.raises(errors.ClusterUnavailable, match="time of creation"):
        apply.revision(cronjob(creationTimestamp={}))


@pytest.mark.parametrize(
    ("now", "expected"),
    [("12:00:30.5", "12:00:31"), ("12:00:59.9", "12:01:01"), ("11:59:59", "12:00:01")],
)
def test_the_forged_schedule_time_is_never_a_slot(now: str, expected: str) -> None:
    at = apply.not_a_slot(datetime.fromisoformat(f"2026-03-02T{now}+00:00"))
    assert at == datetime.fromisoformat(f"2026-03-02T{expected}+00:00")
