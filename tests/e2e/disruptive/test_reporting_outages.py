"""The api is killed and taken away while pods report; what they were told is kept is there.

REPORT_PODS (50) pods report while the api is killed REPORT_KILLS (20) times;
REPORT_AWAY (600) says for how many seconds it is away at least. REPORT_SEED
repeats the choices of an earlier run, whose test was named with it.

So many pods fill a small machine, and then every program waits for its turn. What is our doing
shows beside a bystander: a container in each pod that has to do with no sidecar.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Iterable

import pytest

from support import kube as kubes
from support import ledger as ledgers
from support import outages, reportaudit, reportload

logger = logging.getLogger(__name__)

PODS = int(os.environ.get("REPORT_PODS", "50"))
KILLS = int(os.environ.get("REPORT_KILLS", "20"))
AWAY = float(os.environ.get("REPORT_AWAY", "600"))
SEED = int(os.environ.get("REPORT_SEED", random.randrange(2**32)))
BETWEEN = (0.0, 10.0)  # seconds until the next kill
CROWD = {"wait": "30s", "beside": reportload.BESIDE}
DELAY = 1.0  # seconds that a call without `?wait` may take, and the end of a program
EACH = 1.0  # seconds from one program's end to the next: the end of a pod takes 1.4 core-seconds
DELIVERED = 400.0  # seconds: the longest back-off, then the items, then the ends of the pods
# About 350 steps in the time, of a kilobyte each: a sidecar keeps a thousand kilobytes, and of a
# run's errors a thousand are kept.
STEADY = {"pause": [max(1.5, AWAY / 400), max(2.0, AWAY / 300)]}
FLOOD = {"pause": [0.8, 1.2], "payload": 32 * 1024}  # thirty steps are more than a sidecar keeps
BRIEF = {"pause": [0.1, 0.3], "steps": 5, "result": "partial", "deliver": 0}
FULL = 900 * 1024  # bytes: less than one dead letter below what is not reserved for results
MEMORY = 24 * 1024  # KiB; a sidecar has 15 MB when it is full, 23 over https, and 48 MiB at most
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("seed", [SEED])
async def test_whatever_is_killed_every_acknowledged_item_is_there_exactly_once(
    seed: int, namespace: kubes.Place, system: outages.System, ledger: ledgers.Ledger
) -> None:
    await reportload.start(namespace, "crowd", CROWD, pods=PODS)
    await reportload.beyond(ledger, namespace, "crowd", pods=PODS)
    chance = random.Random(seed)
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(*BETWEEN))
        await _kill(system, chance)
    await system.ready(within=300)
    await reportload.end(namespace, each=EACH)
    said = await reportload.said(namespace, "crowd", DELIVERED)
    assert len(said) == PODS
    beside = max(one.slowest_beside for one in said)
    overtimes = await reportload.overtime(namespace, "crowd")
    overtimes_beside = await reportload.overtime(namespace, "crowd", "bystander")
    _tell("calls", [one.slowest[0] for one in said], [one.slowest_beside for one in said])
    _tell("ends", overtimes, overtimes_beside)
    assert _trouble(said, beside + DELAY) == []
    assert max(overtimes) <= max(overtimes_beside) + DELAY
    assert all(one.committed[kind] for one in said for kind in reportaudit.EACH_KEPT)
    assert [one for one in said if one.refused or one.lost or not one.delivered] == []
    assert await _findings(ledger, namespace, "crowd", said) == []


async def test_while_the_api_is_away_jobs_run_on_and_what_they_said_arrives(
    namespace: kubes.Place, system: outages.System, ledger: ledgers.Ledger
) -> None:
    await reportload.start(namespace, "steady", STEADY)
    await reportload.start(namespace, "flooding", FLOOD)
    for name in ("steady", "flooding"):
        await reportload.beyond(ledger, namespace, name)
    async with system.without("api"):
        back_at = time.monotonic() + AWAY
        await _ends_meanwhile(namespace, ledger)
        await asyncio.sleep(back_at - time.monotonic())
        steps = await _steps(ledger, namespace, "steady")
    await reportload.beyond(ledger, namespace, "steady", steps + 1)
    for name in ("steady", "flooding"):
        assert max(await reportload.peaks(namespace, name)) < MEMORY
    await reportload.end(namespace)
    steady = await reportload.said(namespace, "steady", DELIVERED)
    flooding = await reportload.said(namespace, "flooding", DELIVERED)
    assert _trouble([*steady, *flooding]) == []
    assert [(one.refused, one.lost, one.delivered) for one in steady] == [({}, {}, True)]
    assert await _findings(ledger, namespace, "steady", steady) == []
    for name in ("steady", "flooding"):
        assert max(await reportload.overtime(namespace, name)) <= DELAY
    _was_full(*flooding)
    assert await _findings(ledger, namespace, "flooding", flooding) == []


async def _ends_meanwhile(place: kubes.Place, ledger: ledgers.Ledger) -> None:
    """Let a job run to its end without the api: nobody but its pod can tell what it said."""
    await reportload.start(place, "brief", BRIEF)
    row = await ledger.reached(place, "brief", "partial", 240)
    assert (row.reason, row.message, row.exit_code) == ("PartialResult", "5 steps", 0)
    said = await reportload.said(place, "brief", 60)
    assert _trouble(said) == []
    assert [(one.refused, one.delivered) for one in said] == [({}, False)]
    assert max(await reportload.overtime(place, "brief")) <= DELAY
    (told,) = await ledger.reports(place, "brief")
    assert (told.result, told.done) == ("partial", 5)
    assert (told.lost or {})["counts"] == {"checkpoint": 4, "error": 5, "deadLetter": 5}
    assert await _findings(ledger, place, "brief", said) == []


def _was_full(one: reportaudit.Said) -> None:
    """Check that the sidecar had no room left, said so, and lost nothing but old checkpoints."""
    assert one.most_bytes > FULL
    assert {key.partition(" ")[2] for key in one.refused} == {"429"}
    assert one.lost.keys() == {"checkpoint"}
    assert one.delivered


async def _kill(system: outages.System, chance: random.Random) -> None:
    """Kill a pod of the api that is at work."""

    async def ready() -> list[str]:
        return await system.at_work("api")

    found = await kubes.eventually(ready, 120, what="an api that is ready")
    await system.sigkill(chance.choice(sorted(found)))


async def _steps(ledger: ledgers.Ledger, place: kubes.Place, name: str) -> float:
    """Return how far the only pod of a job has told that it is."""
    (told,) = await ledger.reports(place, name)
    return told.done or 0


async def _findings(
    ledger: ledgers.Ledger, place: kubes.Place, name: str, said: list[reportaudit.Said]
) -> list[str]:
    return reportaudit.findings(said, await reportload.stored(ledger, place, name))


def _trouble(said: Iterable[reportaudit.Said], within: float = DELAY) -> list[str]:
    """Say what a program was held up by: nothing ever, whatever happens to the api."""
    slow = [f"{one.pod_uid}: {one.slowest}" for one in said if one.slowest[0] > within]
    return slow + [f"{one.pod_uid}: {what}" for one in said for what in one.unanswered]


def _tell(what: str, ours: Iterable[float], beside: Iterable[float]) -> None:
    """Log the three longest of each, in seconds; `--log-cli-level=INFO` shows them."""
    for name, seconds in (("with the sidecar", ours), ("beside it", beside)):
        longest = " ".join(f"{one:.2f}" for one in sorted(seconds)[-3:])
        logger.info("%s %s: %s", what, name, longest)
