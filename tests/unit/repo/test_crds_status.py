"""What the operator writes into a status is in the schema, and what is shown of it is written."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.cluster import channel_status, outcomes, status
from rollcall.core import executions, injection, policies
from rollcall.services import ports
from support import builders, definitions

Object = dict[str, Any]

NOW = builders.SLOT_AT
OUTCOMES = {
    "applied": outcomes.Outcome(
        generation=1,
        ready=outcomes.Condition(status="True", reason="Reconciled"),
        sidecar=outcomes.Sidecar(
            obstacle=injection.Obstacle(reason="PortTaken", message="port 7655")
        ),
        cronjob=outcomes.CronJob(name="report", uid="c", generation=2),
    ),
    "unready": outcomes.unready({"metadata": {"generation": 1}}, "InvalidSchedule", "no"),
}


def full() -> ports.Summary:
    """Return a ledger in which everything has happened, more of it than is listed."""
    opened = builders.step(reason="Error").incident
    run = builders.execution(status=executions.Status.FAILED)
    row = ports.JobRow(
        job=builders.job(),
        cronjob_uid="c",
        generation=2,
        spec_hash="hash",
        state=ports.JobState(
            last_success_at=NOW,
            last_schedule_at=NOW,
            next_slot_at=NOW + timedelta(minutes=5),
            consecutive_failures=1,
        ),
        deleted_at=None,
        next_check_at=NOW,
    )
    active = builders.execution(status=executions.Status.RUNNING)
    many = [replace(opened, kind=kind) for kind in policies.Kind for _ in range(3)]
    return ports.Summary(row=row, last=run, active=[active], incidents=many)


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("summary", [None, full()], ids=["unknown", "full"])
def test_a_jobs_status_fits_its_schema(
    outcome: outcomes.Outcome, summary: ports.Summary | None
) -> None:
    written = _stored(status.build(outcome, summary, before={}, now=NOW))
    definitions.check(definitions.part("trackedcronjobs", "status"), written)


def test_every_field_of_a_jobs_status_is_written_by_somebody() -> None:
    written = _stored(status.build(OUTCOMES["applied"], full(), before={}, now=NOW))
    known = _leaves(definitions.part("trackedcronjobs", "status"))
    assert known == set(_written(written))


@pytest.mark.parametrize("trouble", [False, True], ids=["well", "troubled"])
def test_a_channels_status_fits_its_schema(*, trouble: bool) -> None:
    definitions.check(definitions.part("alertchannels", "status"), _channel(trouble=trouble))


def test_every_field_of_a_channels_status_is_written_by_somebody() -> None:
    known = _leaves(definitions.part("alertchannels", "status"))
    assert known == set(_written(_channel(trouble=True)))


@pytest.mark.parametrize(
    ("plural", "types"),
    [("trackedcronjobs", {"Healthy"}), ("alertchannels", {"Ready"})],
    ids=["job", "channel"],
)
def test_columns_look_for_conditions_that_are_written(plural: str, types: set[str]) -> None:
    built = status.build(OUTCOMES["applied"], full(), before={}, now=NOW)
    written = built if plural == "trackedcronjobs" else _channel(trouble=False)
    columns = definitions.version(plural)["additionalPrinterColumns"]
    asked = {kind for one in columns for kind in re.findall(r'type=="(\w+)"', one["jsonPath"])}
    assert asked == types
    assert asked <= {condition["type"] for condition in written["conditions"]}


def _channel(*, trouble: bool) -> Object:
    tally = channel_status.Tally()
    if trouble:
        tally.add(ports.Delivery(delivered=True), NOW)
        tally.add(ports.Delivery(delivered=False, error="502"), NOW)
    ready = channel_status.ready(None, None, tally)
    return channel_status.write(tally, generation=1, ready=ready, before={}, now=NOW)


def _stored(written: object) -> Any:  # noqa: ANN401 - JSON
    """Return what is left of a merge patch: null takes a field away."""
    if isinstance(written, dict):
        return {key: _stored(value) for key, value in written.items() if value is not None}
    return [_stored(item) for item in written] if isinstance(written, list) else written


def _leaves(schema: Object) -> set[str]:
    return {
        path
        for path, field in definitions.nodes(schema)
        if "properties" not in field and "items" not in field
    }


def _written(value: object, path: str = "") -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                yield from _written(item, f"{path}.{key}" if path else key)
        case list():
            for item in value:
                yield from _written(item, f"{path}[]")
        case _:
            yield path
