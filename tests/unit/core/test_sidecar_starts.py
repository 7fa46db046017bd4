"""How long a pod waits for our container."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import sidecar_starts

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WAITING = sidecar_starts.Start(
    image="registry.example/sidecar:1",
    scheduled_at=START,
    began_at=START + timedelta(seconds=2),
    trouble="ErrImagePull",
    message="no such host",
    is_quiet=False,
    ran_since=None,
    is_over=False,
)


def seconds(start: sidecar_starts.Start) -> float | None:
    at = sidecar_starts.due(start)
    return (at - START).total_seconds() if at else None


def test_a_pod_waits_for_a_minute_from_when_a_node_got_it() -> None:
    assert seconds(WAITING) == 60
    assert seconds(replace(WAITING, began_at=None)) == 60


def test_time_that_volumes_took_is_not_ours() -> None:
    assert seconds(replace(WAITING, began_at=START + timedelta(seconds=50))) == 70
    assert seconds(replace(WAITING, began_at=START + timedelta(hours=1))) == 3620


@pytest.mark.parametrize(
    "start",
    [
        replace(WAITING, trouble=None),  # a volume, a slow image of the user's, a pull that goes on
        replace(WAITING, is_over=True),
        replace(WAITING, scheduled_at=None),
    ],
    ids=["no-trouble", "started", "no-node"],
)
def test_a_pod_that_does_not_wait_for_us_is_never_due(start: sidecar_starts.Start) -> None:
    assert sidecar_starts.due(start) is None


def test_the_words_are_the_kubelets() -> None:
    assert WAITING.words == "ErrImagePull: no such host"
    assert replace(WAITING, message=None).words == "ErrImagePull"
    long = replace(WAITING, message="x" * 5000).words
    assert len(long) == 1000
    assert long.endswith("…")


@pytest.mark.parametrize(
    ("trouble", "message", "is_outdated"),
    [
        ("ImagePullBackOff", 'Back-off pulling image "registry.example/sidecar:0"', True),
        ("ImagePullBackOff", 'Back-off pulling image "registry.example/sidecar:1"', False),
        ("ErrImagePull", None, False),
        ("RunContainerError", "denied", False),
    ],
)
def test_a_trouble_of_an_image_is_another_ones_if_it_does_not_name_the_pods(
    trouble: str, message: str | None, *, is_outdated: bool
) -> None:
    start = replace(WAITING, trouble=trouble, message=message)
    assert sidecar_starts.is_outdated(start) == is_outdated
    assert not sidecar_starts.is_outdated(replace(start, image=None))


def test_only_an_image_that_does_not_come_is_called_unavailable() -> None:
    assert sidecar_starts.reason("ImagePullBackOff: x") == "ImageUnavailable"
    assert sidecar_starts.reason("InvalidImageName") == "ImageUnavailable"
    assert sidecar_starts.reason("RunContainerError: exec format error") == "SidecarCannotStart"


def test_whether_a_pull_hangs_is_asked_when_a_pod_has_long_waited_without_a_word() -> None:
    quiet = replace(WAITING, trouble=None, message=None, is_quiet=True)
    assert sidecar_starts.hangs(quiet) == START + timedelta(seconds=82)
    assert sidecar_starts.hangs(WAITING) is None
    assert sidecar_starts.hangs(replace(quiet, is_over=True)) is None
    assert sidecar_starts.hangs(replace(quiet, began_at=None)) is None  # volumes, or the network
    assert sidecar_starts.reason('Pulling: Pulling image "x"') == "ImageUnavailable"
