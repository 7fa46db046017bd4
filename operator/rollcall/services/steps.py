"""A step of an incident is written once, and says whether it is told."""

from dataclasses import replace

from rollcall.core import incidents
from rollcall.services import ports


async def save(
    transaction: ports.Transaction, step: incidents.Step, *, is_heard: bool
) -> incidents.Transition | None:
    """Write a step and return what is to be told of it, None for nothing.

    `is_heard` says whether any channel would hear it. Nothing is written, and nothing told, if
    another process took a step first.
    """
    if step.notify and not is_heard:
        step = replace(step, notify=False, why="NoChannel")
    is_saved = await transaction.incidents.save(step, at=transaction.now)
    return step.transition if is_saved and step.notify else None
