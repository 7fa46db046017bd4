"""What changed since the last success."""

from dataclasses import replace
from typing import Any

import pytest

from rollcall.core import changes, images, setups
from rollcall.core.executions import Trigger
from support import builders
from support.setups import (
    IMAGES,
    PARTS,
    REPOSITORY,
    RHYTHM,
    A,
    B,
    changed,
    compare,
    of_other,
    pod,
    setup,
)

OTHER_BUILD = [pod(app=f"{REPOSITORY}@sha256:{B}")]
SAID: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "nothing in its template or images"),
    "another tag": (
        of_other(images={"app": f"{REPOSITORY}:1.3"}, pods=OTHER_BUILD),
        f"image of app: {REPOSITORY}:1.2 → {REPOSITORY}:1.3",
    ),
    "another tag, not pulled": (
        of_other(images={"app": f"{REPOSITORY}:oops"}, pods=[pod(ended_well=False)]),
        f"image of app: {REPOSITORY}:1.2 → {REPOSITORY}:oops",
    ),
    "another build of the tag": (
        {"pods": OTHER_BUILD},
        f"image of app: {REPOSITORY}:1.2 is another one now, {A[:12]} → {B[:12]}",
    ),
    "parts of the template": (
        of_other(parts={"app/env": "0", "app/args": "22222222", "labels": "1"}),
        "env of app; labels of the pod; volumes",
    ),
    "a limit of the Job": (
        of_other(parts=PARTS | {"activeDeadlineSeconds": "1"}),
        "activeDeadlineSeconds",
    ),
    "a container more": (
        of_other(images=IMAGES | {"proxy": "proxy:1"}, parts=PARTS | {"proxy/env": "1"}),
        "container proxy is new",
    ),
    "another node": (
        {"pods": [pod("n2", app=f"{REPOSITORY}@sha256:{A}")]},
        "nothing in its template or images; node: n1 → n2",
    ),
    "other nodes": (
        {"pods": [pod(f"m{n}", app=f"{REPOSITORY}@sha256:{A}") for n in range(5)]},
        "nothing in its template or images; node: n1 → m0, m1, m2, 2 more",
    ),
    "one node of several": (
        {"pods": [pod(f"n{n}", app=f"{REPOSITORY}@sha256:{A}") for n in range(3)]},
        "nothing in its template or images",
    ),
    "schedule and zone": (
        {"rhythm": replace(RHYTHM, schedule="@daily", time_zone="X")},
        "nothing in its template or images; schedule: 0 2 * * * → @daily; time zone: Etc/UTC → X",
    ),
    "concurrency": (
        {"rhythm": replace(RHYTHM, concurrency="Forbid")},
        "nothing in its template or images; concurrencyPolicy: Allow → Forbid",
    ),
    "no pod seen": ({"pods": []}, "nothing in its template"),
    "started by hand": ({"rhythm": None}, "nothing in its template or images"),
    "no template, and the same image": (
        {"template_hash": None, "images": None, "parts": None, "pods": OTHER_BUILD},
        f"image of app: {REPOSITORY} is another one now, {A[:12]} → {B[:12]}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("after", "said"), SAID.values(), ids=SAID)
def test_what_changed_is_said_in_a_line(after: dict[str, Any], said: str) -> None:
    assert compare(after).text == said


def test_a_container_that_went_takes_its_parts_along() -> None:
    before = {"images": IMAGES | {"proxy": "proxy:1"}, "parts": PARTS | {"proxy/env": "1"}}
    compared = compare(of_other(), before)
    assert compared.text == "container proxy is gone"
    assert compared.same_images is False


@pytest.mark.parametrize("side", ["run", "success"])
def test_of_what_is_not_known_nothing_is_said(side: str) -> None:
    known, unknown = (
        setup(),
        setup(template_hash=None, version=None, images=None, parts=None, pods=[], rhythm=None),
    )
    pair = {"run": known, "success": known} | {side: unknown}
    assert changes.compare(setups.Pair(**pair)) is None


def test_without_a_success_there_is_nothing_to_compare_with() -> None:
    assert changes.compare(setups.Pair(run=setup(), success=None)) is None


def test_of_a_template_that_is_not_kept_any_more_nothing_is_said() -> None:
    lost = {"template_hash": "two", "version": None, "images": None, "parts": None}
    assert changes.compare(setups.Pair(run=setup(**lost), success=setup())) is None


def test_templates_that_two_releases_kept_are_compared_by_their_images_alone() -> None:
    other = {"template_hash": "two", "version": 2, "parts": {"app/environment": "1"}}
    pair = setups.Pair(run=setup(**other), success=setup())
    assert changes.compare(pair) is None
    compared = compare(other | {"images": {"app": "x:2"}})
    assert compared.text == f"image of app: {REPOSITORY}:1.2 → x:2"
    assert (compared.same_template, compared.same_images) == (None, False)


def test_containers_that_others_add_to_pods_count_too() -> None:
    before, after = (
        {"pods": [pod(app=f"{REPOSITORY}@sha256:{A}", proxy=f"mesh.test/proxy@sha256:{build}")]}
        for build in (A, B)
    )
    compared = compare(after, before)
    assert compared.text == (
        f"image of proxy: mesh.test/proxy is another one now, {A[:12]} → {B[:12]}"
    )


def test_an_image_that_has_no_name_is_another_one_all_the_same() -> None:
    before = {"template_hash": None, "images": None, "pods": [pod(app=f"sha256:{A}")]}
    after = before | {"pods": [pod(app=f"sha256:{B}")]}
    assert compare(after, before).text == f"image of app: another one, {A[:12]} → {B[:12]}"


SAME = {
    "the same": (f"{REPOSITORY}@sha256:{A}", f"{REPOSITORY}@sha256:{A}", True),
    "of Docker": (f"docker-pullable://{REPOSITORY}@sha256:{A}", f"{REPOSITORY}@sha256:{B}", False),
    "another digest": (f"{REPOSITORY}@sha256:{A}", f"{REPOSITORY}@sha256:{B}", False),
    "another repository": (f"{REPOSITORY}@sha256:{A}", f"mirror.test/app@sha256:{B}", None),
    "one id of the node's own": (f"{REPOSITORY}@sha256:{A}", f"sha256:{B}", None),
    "ids of the node's own": (f"sha256:{A}", f"sha256:{B}", None),
    "the same id, written in two ways": (f"sha256:{A}", A, True),
    "no digest at all": ("strange", "strange", True),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other", "same"), SAME.values(), ids=SAME)
def test_images_of_two_nodes_are_the_same_by_their_digest(
    one: str, other: str, *, same: bool | None
) -> None:
    assert images.are_same(one, other, is_same_node=False) is same


def test_ids_of_a_node_s_own_are_compared_on_it_alone() -> None:
    before, after = {"pods": [pod(app=f"sha256:{A}")]}, {"pods": [pod(app=f"sha256:{B}")]}
    assert images.are_same(f"sha256:{A}", f"sha256:{B}", is_same_node=True) is False
    assert compare(after, before).same_images is False
    elsewhere = compare({"pods": [pod("n2", app=f"sha256:{B}")]}, before)
    assert elsewhere.text == "nothing in its template; node: n1 → n2"


def test_of_several_pods_the_newest_counts_and_one_that_ended_well_most() -> None:
    mixed = setup(
        pods=[
            pod(ended_well=False, app="1"),
            pod("n2", app="2"),
            pod(None, ended_well=False, app="3", other="4"),
        ]
    )
    assert mixed.image_ids == {"app": "2", "other": "4"}
    assert mixed.nodes == ["n1", "n2"]


def test_of_very_many_changes_the_first_are_told_and_the_others_counted() -> None:
    many = {f"app/part{n:02}": "1" for n in range(changes.MOST + 3)}
    compared = compare(of_other(parts=PARTS | many))
    assert compared.text
    assert compared.text.endswith("part19 of app; 3 more")
    assert len(changes.told(compared)["items"]) == changes.MOST


def test_a_message_has_the_success_and_each_change() -> None:
    since = builders.execution()
    assert changed() == {
        "since": {
            "id": str(since.id),
            "slotTime": "2026-03-02T12:00:00.000Z",
            "endTime": "2026-03-02T12:01:00.000Z",
        },
        "text": f"image of app: {REPOSITORY}:1.2 → {REPOSITORY}:1.3; env of app",
        "sameTemplate": False,
        "sameImages": False,
        "items": [
            {
                "what": "image", "container": "app", "part": None,
                "before": f"{REPOSITORY}:1.2", "after": f"{REPOSITORY}:1.3",
                "text": f"image of app: {REPOSITORY}:1.2 → {REPOSITORY}:1.3",
            },
            {
                "what": "template", "container": "app", "part": "env",
                "before": None, "after": None, "text": "env of app",
            },
        ],
    }  # fmt: skip


def test_a_success_that_somebody_started_by_hand_has_no_slot() -> None:
    by_hand = {"trigger": Trigger.MANUAL, "ended_at": None, "rhythm": None}
    since = changes.told(compare({}, by_hand))["since"]
    assert (since["slotTime"], since["endTime"]) == (None, None)
