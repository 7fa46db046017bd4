"""How kopf is used: as an informer that writes nothing."""

import asyncio
import contextlib
import logging
from typing import cast

import kopf
import pytest

from rollcall.cluster import credentials, handlers, intake
from rollcall.cluster.seen import Kind
from support import nowhere
from support.fakekube import Object


class Door:
    """Stands in for the intake."""

    def __init__(self) -> None:
        self.came: list[tuple[Kind, str]] = []
        self.went: list[tuple[Kind, str]] = []

    def take(self, kind: Kind, body: Object) -> None:
        self.came.append((kind, body["metadata"]["name"]))

    def gone(self, kind: Kind, body: Object) -> None:
        self.went.append((kind, body["metadata"]["name"]))


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def watch(door: Door) -> handlers.Watch:
    return handlers.Watch(intake=cast("intake.Intake", door), context=None)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("change", [None, "ADDED", "MODIFIED"])
async def test_every_object_that_is_there_is_taken_in(
    watch: handlers.Watch, door: Door, kind: Kind, change: str | None
) -> None:
    await watch.handlers[kind](event={"type": change, "object": {"metadata": {"name": "a"}}})
    assert door.came == [(kind, "a")]


async def test_a_deleted_object_goes(watch: handlers.Watch, door: Door) -> None:
    event = {"type": "DELETED", "object": {"metadata": {"name": "a"}}}
    await watch.handlers[Kind.JOB](event=event)
    assert door.went == [(Kind.JOB, "a")]


async def test_an_object_that_cannot_be_read_ends_nothing(
    watch: handlers.Watch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        await watch.handlers[Kind.POD](event={"type": None, "object": {"metadata": None}})
    assert "could not be taken in" in caplog.text


def test_kopf_has_nothing_to_remember_and_nothing_to_write() -> None:
    values = handlers.settings()
    storage = values.persistence.diffbase_storage
    body, patch = kopf.Body({"metadata": {"name": "a"}, "spec": {"x": 1}}), kopf.Patch()
    assert storage.build(body=body) == storage.fetch(body=body) == {}
    storage.store(body=body, patch=patch, essence=storage.build(body=body))
    assert dict(patch) == {}
    assert not values.posting.enabled
    assert values.peering.standalone


def test_only_our_own_jobs_pods_and_cronjobs_are_asked_for() -> None:
    selectors = handlers.settings().watching.label_selectors
    assert set(selectors.values()) == {"rollcall.dev/uid"}
    assert len(selectors) == 3


def test_an_upgrade_of_the_control_plane_is_waited_for() -> None:
    networking = handlers.settings().networking
    assert isinstance(networking.error_backoffs, tuple)
    assert 240 <= sum(networking.error_backoffs) <= 360


async def test_who_watches_hears_that_it_closes(
    watch: handlers.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(_context: str | None) -> credentials.Credentials:
        return nowhere.access()

    monkeypatch.setattr(credentials, "find", nobody)
    stop, closed = asyncio.Event(), asyncio.Event()
    stop.set()
    running = asyncio.create_task(watch.run(stop, closing=closed.set))
    await closed.wait()
    running.cancel()  # kopf waits for what hangs, and here nothing does
    with contextlib.suppress(asyncio.CancelledError):
        await running
