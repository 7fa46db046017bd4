"""Causes of what many jobs suffer from."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import findings, images, incidents, policies, rule_specs, wide
from rollcall.core.policies import Kind, Severity
from support import builders

NOW = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
RULES = policies.defaults().rules
MISSED, PULLS = RULES[Kind.MISSED_WIDELY], RULES[Kind.CANNOT_PULL]
HOST = "registry.example.com"


def cases(count: int, *, first: int = 0, **changes: object) -> list[wide.Case]:
    values: dict[str, Any] = {"slot_at": NOW, "reason": "NotStarted"} | changes
    numbers = range(first, first + count)
    return [wide.Case(job=f"shop/job-{number:04}", **values) for number in numbers]


def opened(answer: wide.Answer) -> incidents.Incident:
    return builders.opened_of_cluster(answer.finding, now=NOW)


def missed(found: list[wide.Case], started: int = 0, **changes: object) -> wide.Answer:
    before: Any = changes.get("before")
    return wide.missed_widely(MISSED, found, started=started, before=before)


@pytest.mark.parametrize(
    ("jobs", "started", "found"),
    [(9, 0, False), (10, 0, True), (10, 40, True), (10, 41, False), (1000, 4000, True)],
)
def test_ten_jobs_and_a_fifth_of_the_slots_are_many(jobs: int, started: int, found: bool) -> None:
    assert (missed(cases(jobs), started).finding is not None) is found


def test_it_says_how_many_why_and_which_with_a_bound() -> None:
    quota = cases(400, reason="QuotaExceeded")
    answer = missed(quota + cases(112, first=400), started=128)
    assert answer.finding
    assert answer.finding.severity is Severity.CRITICAL
    assert answer.finding.message.startswith("512 of 640 runs due within 5m until 2026-")
    assert "did not start, 400 of them because" in answer.finding.message
    evidence = answer.finding.evidence
    assert (evidence["total"], evidence["due"], evidence["percent"]) == (512, 640, 80)
    assert evidence["mostly"] == "QuotaExceeded"
    assert evidence["jobs"] == [f"shop/job-{number:04}" for number in range(wide.MOST_LISTED)]


def test_where_no_reason_is_known_it_says_so() -> None:
    answer = missed(cases(10, reason="Odd"))
    assert answer.finding
    assert answer.finding.message.endswith("did not start, nothing says why of all")


def test_a_job_counts_once_whatever_it_has() -> None:
    twice = cases(6) + cases(6, slot_at=NOW - MINUTE)
    assert missed(twice).finding is None


def test_slots_of_five_minutes_count_together_the_most_of_them() -> None:
    early = cases(10, slot_at=NOW - timedelta(hours=1))
    answer = missed(early + cases(9, first=10))
    assert answer.finding
    assert answer.finding.evidence["slotTime"] == (NOW - timedelta(hours=1)).isoformat()
    spread = [replace(one, slot_at=NOW + number * MINUTE) for number, one in enumerate(cases(10))]
    assert missed(spread).finding is None


def test_it_lasts_while_many_remain_whenever_their_slots_were_and_is_over_with_few() -> None:
    before = opened(missed(cases(40)))
    later = missed(cases(12) + cases(3, first=50, slot_at=NOW + timedelta(hours=2)), before=before)
    assert later.finding
    assert later.finding.message.startswith("15 jobs did not start, all because")
    assert later.finding.severity is before.severity
    assert missed(cases(9), before=before) == wide.Answer(is_over=False)
    assert missed(cases(5), before=before) == wide.Answer(is_over=False)
    assert missed(cases(4), before=before) == wide.OVER


def pulls(found: list[wide.Case], before: incidents.Incident | None = None) -> wide.Answer:
    return wide.cannot_pull(PULLS, found, before)


def test_ten_jobs_that_wait_for_one_registry_have_one_cause() -> None:
    assert pulls(cases(9, registry=HOST) + cases(9, first=9, registry="other")).finding is None
    answer = pulls(cases(10, registry=HOST) + cases(50, first=10))
    assert answer.finding
    assert answer.finding.evidence["registries"] == [HOST]
    assert answer.finding.evidence["total"] == 10
    assert answer.finding.message == (
        "10 jobs cannot start: images of registry.example.com are not pulled"
    )


def test_of_two_cases_of_a_job_the_one_that_names_a_registry_counts() -> None:
    assert pulls(cases(10) + cases(10, registry=HOST)).finding


def test_a_second_registry_joins_the_first_until_few_are_left_of_both() -> None:
    before = opened(pulls(cases(10, registry=HOST)))
    both = pulls(cases(6, registry=HOST) + cases(10, first=10, registry="quay.io"), before)
    assert both.finding
    assert both.finding.evidence["registries"] == ["quay.io", HOST]
    rest = pulls(cases(5, registry=HOST), before)
    assert rest == wide.Answer(is_over=False)
    assert pulls(cases(4, registry=HOST), before) == wide.OVER


def test_what_it_speaks_for_lasts_as_long_as_it_does() -> None:
    found = pulls(cases(10, registry=HOST))
    before = opened(found)
    assert wide.spoken_for(found, None) == {HOST}
    assert wide.spoken_for(wide.Answer(is_over=False), before) == {HOST}
    assert wide.spoken_for(wide.OVER, before) == frozenset()
    assert wide.spoken_for(wide.OVER, None) == frozenset()


def test_a_rule_of_other_severities_is_answered_with_them() -> None:
    rule = rule_specs.read(Kind.CANNOT_PULL, {"info": 2, "warning": 5}, None)
    answer = wide.cannot_pull(rule, cases(5, registry=HOST), None)
    assert answer.finding
    assert answer.finding.severity is Severity.WARNING
    nothing = rule_specs.read(Kind.CANNOT_PULL, {}, None)
    assert wide.cannot_pull(nothing, cases(5), None) == wide.OVER


def of_job(kind: Kind, **changes: object) -> findings.Finding:
    return builders.finding(kind, **changes)


MANY = {Kind.MISSED_WIDELY: opened(missed(cases(10)))}
NOT_PULLED = {Kind.CANNOT_PULL: opened(pulls(cases(10, registry=HOST)))}


@pytest.mark.parametrize("kind", sorted(wide.NOT_STARTED))
def test_many_that_did_not_start_explain_each_of_them(kind: Kind) -> None:
    assert wide.explains(MANY, of_job(kind), None) is Kind.MISSED_WIDELY


def test_they_explain_nothing_else() -> None:
    assert wide.explains(MANY, of_job(Kind.FAILING), None) is None


def test_a_registry_explains_those_who_wait_for_it() -> None:
    waits = of_job(Kind.CANNOT_START, evidence={"registry": HOST})
    other = of_job(Kind.CANNOT_START, evidence={"registry": "quay.io"})
    assert wide.explains(NOT_PULLED, waits, None) is Kind.CANNOT_PULL
    assert wide.explains(NOT_PULLED, other, None) is None
    assert wide.explains(NOT_PULLED | MANY, other, None) is Kind.MISSED_WIDELY


def test_what_is_over_or_told_to_nobody_explains_nothing() -> None:
    [one] = MANY.values()
    over = {Kind.MISSED_WIDELY: replace(one, resolved_at=NOW)}
    info = {Kind.MISSED_WIDELY: replace(one, severity=Severity.INFO)}
    assert wide.explains(over, of_job(Kind.MISSED), None) is None
    assert wide.explains(info, of_job(Kind.MISSED), None) is None
    same = of_job(Kind.MISSED, severity=Severity.INFO)
    assert wide.explains(info, same, None) is Kind.MISSED_WIDELY


def test_blindness_explains_what_is_opened_under_it() -> None:
    [one] = MANY.values()
    blind = {Kind.BLIND: replace(one, kind=Kind.BLIND)}
    found = of_job(Kind.FAILING)
    before = builders.step().incident
    assert wide.explains(blind, found, None) is Kind.BLIND
    assert wide.explains(blind, found, before) is None
    assert wide.explains(blind, found, replace(before, inhibited_by=Kind.BLIND)) is Kind.BLIND
    assert wide.explains(blind, found, replace(before, resolved_at=NOW)) is Kind.BLIND


def test_a_message_is_explained_by_what_was_found_since_it_was_written() -> None:
    message = {"incident": {"severity": "critical", "evidence": {}}}
    since = NOW - timedelta(seconds=1)
    told = wide.explained_since(MANY, Kind.LATE, message, since)
    assert told is Kind.MISSED_WIDELY
    # Asked for again by a person, under the cause.
    assert wide.explained_since(MANY, Kind.LATE, message, NOW + MINUTE) is None
    assert wide.explained_since(MANY, Kind.FAILING, message, since) is None


def test_a_case_is_what_the_incident_says() -> None:
    evidence = {"slotTime": NOW.isoformat(), "registry": HOST}
    one = wide.case("shop/a", "ImagePullBackOff", evidence, NOW + MINUTE)
    assert (one.slot_at, one.registry) == (NOW, HOST)
    assert wide.case("shop/a", "NotStarted", {}, NOW + MINUTE).slot_at == NOW + MINUTE


@pytest.mark.parametrize(
    ("message", "host"),
    [
        ('Back-off pulling image "registry.example.com/shop/a:1"', "registry.example.com"),
        ('failed to pull image "localhost:5000/a": refused', "localhost:5000"),
        ('Back-off pulling image "localhost/a"', "localhost"),
        ('Back-off pulling image "nginx:1"', "docker.io"),
        ('Back-off pulling image "shop/a"', "docker.io"),
        ('Back-off pulling image "Quay.IO/a/b@sha256:00"', "quay.io"),
        ("no such host", None),
        (None, None),
    ],
)
def test_the_registry_is_the_host_that_the_image_names(
    message: str | None, host: str | None
) -> None:
    assert images.registry(message) == host
