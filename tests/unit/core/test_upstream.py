"""From the words of Kubernetes to the closed list of reasons."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import reasons, slots, upstream
from support import builders

QUOTA = (
    'Error creating: pods "blocked-1-x7k2p" is forbidden: exceeded quota: no-pods,'
    " requested: pods=1, used: pods=0, limited: pods=0"
)


def event(reason: str, message: str, seconds: int = 0) -> slots.EventReading:
    at = builders.SLOT_AT + timedelta(seconds=seconds)
    return slots.EventReading(reason=reason, message=message, last_at=at)


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        (
            QUOTA,
            "QuotaExceeded",
            "exceeded quota: no-pods, requested: pods=1, used: pods=0, limited: pods=0",
        ),
        (
            'Error creating job: jobs.batch "a-1" is forbidden: exceeded quota: jobs, used: 5',
            "QuotaExceeded",
            "exceeded quota: jobs, used: 5",
        ),
        (
            'Error creating: pods "a-1-x" is forbidden: violates PodSecurity "restricted:latest"',
            "AdmissionDenied",
            'violates PodSecurity "restricted:latest"',
        ),
        (
            'Error creating: admission webhook "no.example.com" denied the request: no tags',
            "AdmissionDenied",
            'admission webhook "no.example.com" denied the request: no tags',
        ),
        (
            "Error creating: error looking up service account demo/robot: not found",
            "PodsRefused",
            "error looking up service account demo/robot: not found",
        ),
    ],
    ids=["quota of pods", "quota of jobs", "pod security", "webhook", "other"],
)
def test_a_refused_creation_is_told_without_the_random_name(
    message: str, reason: str, said: str
) -> None:
    assert upstream.refused(message) == upstream.Cause(reason=reason, message=said)


def test_a_word_of_the_list_stays_and_keeps_its_message() -> None:
    cause = upstream.waiting("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
    assert cause.reason == "Unschedulable"
    assert cause.message == "0/1 nodes are available: 1 Insufficient cpu."


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("ErrImagePull", "ImagePullBackOff"),
        ("InvalidImageName", "ImagePullBackOff"),
        ("RunContainerError", "ContainerCannotStart"),
        ("SchedulingGated", "Unschedulable"),
        ("FailedMount", "VolumeNotReady"),
        ("FailedCreatePodSandBox", "SandboxNotReady"),
        ("SomethingNew", "Waiting"),
    ],
)
def test_another_word_for_waiting_is_kept_in_the_message(word: str, reason: str) -> None:
    assert upstream.waiting(word, "because") == upstream.Cause(
        reason=reason, message=f"{word}: because"
    )
    assert upstream.waiting(word, None).message == word


def test_the_newest_event_that_names_a_cause_counts() -> None:
    told = [event("FailedMount", "a"), event("FailedCreate", QUOTA, 1), event("BackOff", "b", 2)]
    cause = upstream.told(told)
    assert cause
    assert cause.reason == "QuotaExceeded"
    mount = upstream.told([event("FailedMount", "no such secret"), event("BackOff", "b", 1)])
    assert mount == upstream.Cause(reason="VolumeNotReady", message="FailedMount: no such secret")
    assert upstream.told([event("BackOff", "b")]) is None
    assert upstream.told([]) is None


def test_whatever_kubernetes_says_becomes_a_listed_reason() -> None:
    for translate in (upstream.waiting, upstream.ended, upstream.failed, upstream.succeeded):
        cause = translate("NeverHeardOf", "why")
        assert cause.reason in reasons.REASONS
        assert cause.message == "NeverHeardOf: why"


KUBERNETES = st.one_of(st.text(min_size=1), st.sampled_from(sorted(upstream.WORDS)))


@given(KUBERNETES, st.one_of(st.none(), st.text()))
def test_every_word_of_kubernetes_becomes_a_listed_reason(word: str, message: str | None) -> None:
    for translate in (upstream.waiting, upstream.ended, upstream.failed, upstream.succeeded):
        cause = translate(word, message)
        assert cause.reason in reasons.REASONS
        assert cause.reason == word or (cause.message or "").startswith(word)


# Who writes reasons of executions or attempts; others have reasons of incidents and conditions.
WRITERS = [
    "core/endings.py",
    "core/observations.py",
    "core/slots.py",
    "core/pod_events.py",
    "core/verdicts.py",
    "cluster/mapping.py",
    "cluster/podstatus.py",
    "services/evaluate.py",
    "services/judge.py",
]
WRITTEN = re.compile(r"""(?:reason=|reason = |Cause\(\s*(?:reason=)?)"([A-Z]\w+)\"""")


@pytest.mark.parametrize("path", WRITERS)
def test_every_reason_that_the_code_writes_is_listed(path: str) -> None:
    package = Path(reasons.__file__).parents[1]
    written = set(WRITTEN.findall((package / path).read_text()))
    assert written - set(reasons.REASONS) == set()
