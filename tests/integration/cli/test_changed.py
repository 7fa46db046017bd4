"""What a run ran with, and what changed since the last success, as `executions show` shows it."""

import asyncio
import functools
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core.executions import JobTemplate, Status
from rollcall.services import ports
from rollcall.store import engine
from support import builders, commands

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
JOB = builders.job()
SUCCESS, FAILED, MISSED = (
    builders.execution(JOB, slot_at=NOW - timedelta(hours=hours), status=status, template_hash=name)
    for hours, status, name in (
        (3, Status.SUCCEEDED, "one"),
        (2, Status.FAILED, "two"),
        (1, Status.MISSED, None),
    )
)
DIGEST = f"registry.test/app@sha256:{'a' * 64}"


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    made_from = [
        ports.UsedTemplate(
            cronjob_id=JOB.id,
            template=JobTemplate(
                hash=name, summary=json.dumps({"version": 1, "images": {"app": image}, "parts": {}})
            ),
        )
        for name, image in (("one", "registry.test/app:1"), ("two", "registry.test/app:2"))
    ]
    pod = builders.attempt(node="n1", image_ids={"app": DIGEST})
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save_all([SUCCESS, FAILED, MISSED], made_from)
        await unit.attempts.observe({FAILED: [pod]})
    await store.close()


@pytest.fixture
def show(dsn: str, command: commands.Command) -> commands.Command:
    """Show a run of a ledger with a success, a failure of another image and a missed slot."""
    asyncio.run(fill(dsn))
    return functools.partial(command, "executions", "show")


def test_a_run_is_shown_with_what_it_ran_with_and_what_changed(show: commands.Command) -> None:
    lines = dict(line.split(None, 1) for line in show(str(FAILED.id)).splitlines() if line)
    assert lines["images"] == "app=registry.test/app:2"
    assert (lines["imageIDs"], lines["nodes"]) == (f"app={DIGEST}", "n1")
    assert lines["changed"] == (
        f"image of app: registry.test/app:1 → registry.test/app:2 (since {SUCCESS.id})"
    )


def test_a_run_is_shown_so_as_json(show: commands.Command) -> None:
    shown = json.loads(show(str(FAILED.id), "-o", "json"))
    assert (shown["template"], shown["images"]) == ("two", {"app": "registry.test/app:2"})
    assert (shown["imageIDs"], shown["nodes"]) == ({"app": DIGEST}, ["n1"])
    assert [item["what"] for item in shown["changes"]["items"]] == ["image"]


def test_of_a_slot_that_did_not_run_nothing_is_shown(show: commands.Command) -> None:
    assert not re.search(r"^(images|imageIDs|nodes|changed) ", show(str(MISSED.id)), re.MULTILINE)
    shown = json.loads(show(str(MISSED.id), "-o", "json"))
    names = ("template", "images", "imageIDs", "nodes", "changes")
    assert [shown[name] for name in names] == [None] * 5
