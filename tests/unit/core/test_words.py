"""What Kubernetes says, in words."""

import pytest

from rollcall.core import reasons, words
from support import builders

QUOTA = (
    "exceeded quota: few, requested: pods=1,requests.cpu=2, used: pods=10,requests.cpu=3,"
    " limited: pods=10,requests.cpu=4"
)
USED_UP = (
    "the namespace's quota few is used up: 10 of 10 pods (1 more wanted),"
    " 3 of 4 CPU requests (2 more wanted)"
)


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        (
            "QuotaExceeded",
            QUOTA,
            USED_UP,
        ),
        (
            "QuotaExceeded",
            "exceeded quota: few, requested: pods=1, used: nothing, limited: nothing",
            "the namespace's quota few is used up: ? of ? pods (1 more wanted)",
        ),
        (
            "Unschedulable",
            "0/3 nodes are available",
            "no node takes the pod: 0/3 nodes are available",
        ),
        ("ImagePullBackOff", None, "an image cannot be pulled"),
        ("ControllerDown", "the controller stands still", "the controller stands still"),
        ("NotStarted", "", "NotStarted"),
    ],
    ids=["quota", "an odd quota", "reason and message", "reason", "a sentence", "nothing"],
)
def test_a_cause_is_told_in_words(reason: str, message: str | None, expected: str) -> None:
    assert words.cause(reason, message) == expected


def test_every_reason_to_wait_that_has_a_name_is_told_in_words() -> None:
    waits = {name for name, one in reasons.REASONS.items() if one.about == reasons.WAITS}
    for reason in waits - {"CrashLoopBackOff", "Waiting"}:
        assert words.cause(reason, None) != reason


def test_instants_are_told_to_the_minute() -> None:
    assert words.clock(builders.SLOT_AT) == "2026-03-02 12:00 UTC"


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (1, "exit code 1", None),
        (126, "exit code 126", "NotExecutable"),
        (127, "exit code 127", "NotFound"),
        (128, "exit code 128", None),
        (137, "exit code 137 (SIGKILL)", "SIGKILL"),
        (255, "exit code 255", None),
    ],
)
def test_exit_codes_are_told_and_put_into_classes(code: int, text: str, kind: str | None) -> None:
    assert (words.exit_code(code), words.exit_class(code)) == (text, kind)


def test_without_an_exit_code_there_is_no_class() -> None:
    assert words.exit_class(None) is None


def test_every_reason_to_fail_that_has_a_name_is_told_in_words() -> None:
    failed = {name for name, one in reasons.REASONS.items() if one.about == reasons.FAILED}
    assert {name for name in failed if words.end(name) == name} == {"JobFailed"}
