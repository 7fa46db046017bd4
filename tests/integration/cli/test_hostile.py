"""What programs report with characters that mean something elsewhere, as commands print it."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core.executions import Status
from rollcall.store import engine
from support import builders, commands, hostile, said

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
JOB = builders.job()
WORDS = list(hostile.PIECES.values())
RUN = builders.execution(
    JOB, slot_at=NOW - timedelta(hours=1), status=Status.RUNNING, message=hostile.EVERYTHING
)
STEP = builders.step(JOB, now=NOW, message=hostile.EVERYTHING, execution_id=RUN.id)
FINGERPRINT = re.compile(r"\b[0-9a-f]{16}\b")


@pytest.fixture
def rollcall(dsn: str, command: commands.Command) -> commands.Command:
    """Run the command on a run that reported each piece in each field, and on an alert of it."""
    asyncio.run(fill(dsn))
    return command


async def fill(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    await said.prepare(store, "pod-1", run=RUN, job=JOB)
    for number, words in enumerate(WORDS):
        items = (
            said.error(4 * number + 1, at=NOW, type=words, message=words, item=words),
            said.letter(4 * number + 2, at=NOW, item=words, error=words, payload={words: words}),
            said.result(4 * number + 3, at=NOW, message=words, metadata={words: words}),
            said.checkpoint(4 * number + 4, value={words: words}),
        )
        progress = said.progress(number + 1, done=number, stage=words, message=words)
        at = NOW + timedelta(seconds=number)
        await said.keep(store, said.report("pod-1", *items, at=at, progress=progress))
    async with store.transaction() as unit:
        await unit.incidents.save(STEP, at=NOW)
    await store.close()


def test_no_command_prints_more_than_text(rollcall: commands.Command) -> None:
    groups = FINGERPRINT.findall(rollcall("errors", "list"))
    letters = commands.ids_in(rollcall("dead-letters", "list"))
    assert (len(groups), len(letters)) == (len(WORDS), len(WORDS))
    for arguments in [
        ("errors", "list"),
        *(("errors", "show", group) for group in groups),
        ("errors", "show", str(RUN.id)),
        ("dead-letters", "list"),
        *(("dead-letters", "show", letter) for letter in letters),
        ("executions", "list"),
        ("executions", "show", str(RUN.id)),
        ("alerts", "list"),
        ("alerts", "show", str(STEP.incident.id)),
    ]:
        printed = rollcall(*arguments)
        hostile.judge_printed(printed)
        assert arguments == ("executions", "list") or hostile.ARRIVED in printed
        document = rollcall(*arguments, "-o", "json")
        hostile.judge_printed(document)
        assert json.loads(document)


def test_json_says_what_was_said(rollcall: commands.Command) -> None:
    listed = json.loads(rollcall("errors", "show", str(RUN.id), "-o", "json"))["items"]
    assert sorted(one["message"] for one in listed) == sorted(WORDS)


def test_lists_have_a_line_for_each(rollcall: commands.Command) -> None:
    show = ("executions", "show", str(RUN.id))
    shown, document = rollcall(*show), json.loads(rollcall(*show, "-o", "json"))
    stages, errors = (_lines(shown, name) for name in ("stages", "lastErrors"))
    assert len(stages) == len(WORDS)
    assert len(errors) == len(document["lastErrors"])
    assert not [line for line in (*stages, *errors) if hostile.FORGED in line]
    for listing in ("errors", "dead-letters"):
        assert len(rollcall(listing, "list").splitlines()) == 1 + len(WORDS)


def _lines(shown: str, name: str) -> list[str]:
    """Return the lines of a field of a table."""
    lines = shown.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith(name))
    further = next(place for place, line in enumerate(lines[first + 1 :]) if line[:1] != " ")
    return lines[first : first + 1 + further]
