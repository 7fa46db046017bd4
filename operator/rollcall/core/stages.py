"""The stages that a run went through, told from its story.

The rules:
- A line is added when a pod's program names another stage than before. One that comes and goes
  between two reports of the sidecar is not seen.
- A stage lasts until the program names another one, or its pod ends. Progress that names none ends
  nothing.
- Of one pod the first MOST lines are kept, of a run MOST_OF_RUN: who names a stage for each item
  has no stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollcall.core.executions import Attempt, Event

SOURCE = "report"
REASON = "StageEntered"
MOST = 100  # of one pod
MOST_OF_RUN = 1000  # and as many more as come at one time
_MARK = ": "  # names of pods have no colon


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one pod of a run did for a while; `ended_at` is None while it goes on."""

    pod_name: str
    name: str
    began_at: datetime
    ended_at: datetime | None

    def lasted(self, now: datetime) -> timedelta:
        """Return how long, up to now if it goes on."""
        return max((self.ended_at or now) - self.began_at, timedelta())


def line(pod_name: str, stage: str) -> str:
    """Write what the story says of a stage."""
    return f"{prefix(pod_name)}{stage}"


def prefix(pod_name: str) -> str:
    """Return how the lines of one pod begin."""
    return f"{pod_name}{_MARK}"


def of(
    events: Sequence[Event], attempts: Sequence[Attempt], ended_at: datetime | None
) -> list[Stage]:
    """Return the stages in order of their beginning; `ended_at` is the end of the run."""
    ends = {pod.pod_name: pod.ended_at for pod in attempts}
    found: list[Stage] = []
    latest: dict[str, int] = {}  # by pod, where its stage stands
    for event in sorted((one for one in events if _is_stage(one)), key=lambda one: one.at):
        pod_name, _, name = event.message.partition(_MARK)
        place = latest.get(pod_name)
        if place is not None and found[place].name == name:
            continue  # said again, by a sidecar that was started anew
        if place is not None:
            found[place] = _left(found[place], event.at)
        latest[pod_name] = len(found)
        end = ends.get(pod_name) or ended_at
        found.append(Stage(pod_name=pod_name, name=name, began_at=event.at, ended_at=end))
    return found


def _left(stage: Stage, at: datetime) -> Stage:
    """Return the stage left for another one; what a pod left behind is read after its end."""
    return replace(stage, ended_at=min(at, stage.ended_at or at))


def _is_stage(event: Event) -> bool:
    return (event.source, event.reason) == (SOURCE, REASON)
