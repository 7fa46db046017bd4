"""Silences around the steps of an alert: the table of docs/reference/alerts.md, case by case."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rollcall.core import acts, policies
from rollcall.services import acts as act_services
from rollcall.services import silences
from support import builders
from support.audience import Receiver
from support.happenings import Policy, only, time
from support.receiver import Answer
from support.timelines import Timeline

REFERENCE = Path(__file__).parents[3] / "docs/reference/alerts.md"
RULES: Policy = only(failing={"warning": 1, "critical": 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What happens when, and what arrives from when on, within a minute."""

    silence: tuple[str, str]  # from, until
    happens: dict[str, str]
    arrives: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    second: tuple[str, str] | None = None  # another silence
    cooldown: str = "6h"


CASES = {
    "an alert opens, and lasts at its end": Case(
        silence=("12:00", "12:30"), happens={"12:01": "fails"}, arrives={"12:30": "opened"}
    ),
    "an alert opens and is over before its end": Case(
        silence=("12:00", "14:00"), happens={"12:01": "fails", "13:01": "succeeds"}
    ),
    "an alert that was told gets worse": Case(
        silence=("12:30", "13:30"),
        happens={"12:01": "fails", "13:01": "fails"},
        arrives={"12:01": "opened", "13:30": "changed"},
    ),
    "a reminder is due": Case(
        silence=("12:30", "15:00"),
        happens={"12:01": "fails"},
        arrives={"12:01": "opened", "15:00": "reminder"},
        cooldown="2h",
    ),
    "an alert that was told is over": Case(
        silence=("12:30", "14:00"),
        happens={"12:01": "fails", "13:01": "succeeds"},
        arrives={"12:01": "opened", "13:01": "resolved"},
    ),
    "somebody acknowledges, unacknowledges or resolves it": Case(
        silence=("12:30", "14:00"),
        happens={"12:01": "fails", "12:40": "is acknowledged"},
        arrives={"12:01": "opened", "12:40": "acknowledged"},
    ),
    "a message is written and not sent yet": Case(
        silence=("12:02", "12:30"),
        happens={"12:00": "breaks", "12:01": "fails", "12:10": "mends"},
        arrives={"12:30": "opened"},
    ),
    "somebody ends it early": Case(
        silence=("12:00", "14:00"),
        happens={"12:01": "fails", "12:20": "is ended"},
        arrives={"12:20": "opened"},
    ),
    "it has ended before an alert opens": Case(
        silence=("11:40", "12:00"), happens={"12:01": "fails"}, arrives={"12:01": "opened"}
    ),
    "another one goes on when it ends": Case(
        silence=("12:00", "12:30"),
        second=("12:20", "12:50"),
        happens={"12:01": "fails"},
        arrives={"12:50": "opened"},
    ),
    "an alert that it does not select opens": Case(
        silence=("12:00", "14:00"),
        chosen={"namespace": "finance"},
        happens={"12:01": "fails"},
        arrives={"12:01": "opened"},
    ),
    "an alert that is over opens anew": Case(
        silence=("13:30", "14:30"),
        happens={"12:01": "fails", "13:01": "succeeds", "14:01": "fails"},
        arrives={"12:01": "opened", "13:01": "resolved", "14:30": "opened"},
    ),
}


class Scene:
    """One job, one channel, silences, and what people do."""

    def __init__(self, timeline: Timeline, team: Receiver) -> None:
        self._timeline = timeline
        self._run = timeline.story.store.run
        self._silences = list[UUID]()
        self.do: dict[str, Callable[[], Any]] = {
            "fails": timeline.fails,
            "succeeds": timeline.succeeds,
            "breaks": lambda: team.answers(Answer(status=500)),
            "mends": team.answers,
            "is ended": self.ends,
            "is acknowledged": self.acknowledges,
        }

    async def begins(self, until: str, chosen: dict[str, Any]) -> None:
        wish = silences.Wish(
            chosen=chosen, starts_at=None, ends_at=time(until), author="ada", reason="it moves"
        )
        added = await self._run(lambda unit: silences.add(unit, builders.CLUSTER, wish))
        self._silences.append(added.id)

    async def ends(self) -> None:
        [one] = self._silences
        await self._run(
            lambda unit: silences.end(unit, builders.CLUSTER, one, actor="ada", reason=None)
        )

    async def acknowledges(self) -> None:
        one = (await self._timeline.story.open())[policies.Kind.FAILING].id
        desk = act_services.Desk(cluster=builders.CLUSTER, defaults=policies.defaults())
        wish = acts.Wish(act=acts.Act.ACKNOWLEDGE, actor="ada")
        await self._run(lambda unit: desk.carry_out(unit, one, wish))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_is_told_under_a_silence(
    timeline: Timeline, tells: Callable[[str], Receiver], case: Case
) -> None:
    scene = Scene(timeline, tells("team"))
    for begin, until in filter(None, (case.silence, case.second)):
        timeline.at(begin, scene.begins, until, case.chosen)
    for when, what in case.happens.items():
        timeline.at(when, scene.do[what])
    for when, what in case.arrives.items():
        timeline.want("team", what, when, f"{when}:59")
    await timeline.play(until="15:30", policy=RULES | {"alerts": {"cooldown": case.cooldown}})


async def test_the_end_is_told_to_who_may_have_heard_the_beginning(
    timeline: Timeline, tells: Callable[[str], Receiver]
) -> None:
    team = tells("team")
    scene = Scene(timeline, team)
    timeline.at("12:00", team.loses)
    timeline.at("12:01", timeline.fails)
    timeline.want("team", "opened", "12:01", "12:01")  # it arrives, and nobody hears that it did
    timeline.at("12:01:01", scene.begins, "15:00", {})
    timeline.at("12:30", team.answers)
    timeline.at("13:01", timeline.succeeds)
    timeline.want("team", "resolved", "13:01", "13:02")
    await timeline.play(until="14:00", policy=RULES)


async def test_what_may_have_arrived_is_opened_once_more_after_the_silence(
    timeline: Timeline, tells: Callable[[str], Receiver]
) -> None:
    team = tells("team")
    scene = Scene(timeline, team)
    timeline.at("12:00", team.loses)
    timeline.at("12:01", timeline.fails)
    timeline.want("team", "opened", "12:01", "12:01")
    timeline.at("12:01:01", scene.begins, "12:40", {})
    timeline.at("12:30", team.answers)
    timeline.want("team", "opened", "12:40", "12:41")
    await timeline.play(until="12:50", policy=RULES)


def test_the_table_of_the_reference_has_exactly_these_cases() -> None:
    table = REFERENCE.read_text().split("| under a silence | |")[1].split("\n\n")[0]
    documented = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert [one for one in documented if not one.startswith("---")] == list(CASES)
