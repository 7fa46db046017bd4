"""Whatever happens on the way, messages come in order, and the last one tells the truth."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollcall.core import policies
from rollcall.notify import http
from rollcall.store import engine
from support import clocks, receiver
from support.audience import Arrival, Receiver
from support.receiver import Answer
from support.stories import Story
from support.timelines import Timeline

EXAMPLES = settings().max_examples // 8
BUSY = Answer(status=429, headers={"Retry-After": "900"})
WAYS: dict[str, Callable[[Receiver], None]] = {
    "takes it": Receiver.answers,
    "is down": lambda team: team.answers(Answer(status=500)),
    "is busy": lambda team: team.answers(BUSY),
    "loses its answer": Receiver.loses,
    "hangs up": lambda team: team.answers(Answer(raw=b"")),
}
RUNS = st.sampled_from(["fails", "succeeds", "neither"])
HOURS = st.tuples(RUNS, st.sampled_from(sorted(WAYS)), st.booleans())  # and whether we restart


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example empties it
)
@given(hours=st.lists(HOURS, min_size=1, max_size=6))
async def test_the_last_message_is_the_truth_and_none_overtakes_another(
    store: engine.Database,
    clock: clocks.Clock,
    reader: psycopg.AsyncConnection[Any],
    hours: list[tuple[str, str, bool]],
) -> None:
    await empty(store)
    async with http.Client(now=clock, allowed=receiver.LOOPBACK) as client:
        with receiver.running() as hook:
            timeline = Timeline(Story(store, clock), client, reader)
            team = timeline.tells("team", hook)
            for hour, (run, way, restarts) in enumerate(hours, start=12):
                timeline.at(f"{hour}:01", WAYS[way], team)
                if run != "neither":
                    timeline.at(f"{hour}:02", getattr(timeline, run))
                if restarts:
                    timeline.at(f"{hour}:03", timeline.restart)
            timeline.at("18:01", team.answers)
            await timeline.live(until="18:30")
    by_incident = defaultdict[str, list[Arrival]](list)
    for one in timeline.arrived:
        by_incident[one.key.rpartition(".")[0]].append(one)
    for told in by_incident.values():
        versions = [int(one.key.rpartition(".")[2]) for one in told]
        assert versions == sorted(versions)
        assert told[0].type == "incident.opened"
    still_open = await timeline.story.open()
    lasting = {str(one.id) for one in still_open.values()}
    assert {key for key, told in by_incident.items() if told[-1].type != "incident.resolved"} == (
        lasting
    )
    assert lasting <= by_incident.keys()
    assert set(still_open) <= {policies.Kind.FAILING}


async def empty(store: engine.Database) -> None:
    """Forget the example before."""
    async with store.transaction() as unit:
        await unit.connection.exec_driver_sql(
            "TRUNCATE cronjobs, executions, attempts, incidents, notifications CASCADE"
        )
