"""How much more is kept of each run, of all its pods together.

Pods of one run whose reports are kept at the same moment do not see one another: each can go beyond
the limit by what its own report holds. It is there to bound the tables, not to be exact.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import reporting
from rollcall.store import models
from rollcall.store.reported import Pod, Room

_pods = models.table(models.Attempt)
_TAKEN = (
    sa.select(
        _pods.c.execution_id,
        # Of a pod's errors, those beyond its own limit are counted and not kept.
        sa.func.sum(sa.func.least(_pods.c.errors, sa.bindparam("most"))).label("errors"),
        sa.func.sum(_pods.c.dead_letters).label("dead_letters"),
    )
    .where(_pods.c.execution_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .group_by(_pods.c.execution_id)
)


async def share(connection: AsyncConnection, pods: Sequence[Pod]) -> None:
    """Give these pods what their runs have left, where they report what takes room."""
    asking = [pod for pod in pods if _takes_room(pod)]
    if not asking:
        return
    asked = {"ids": list({pod.execution_id for pod in asking}), "most": reporting.MOST_ERRORS}
    rows = await connection.execute(_TAKEN, asked)
    rooms = {
        row.execution_id: Room(
            errors=max(0, reporting.MOST_ERRORS_OF_RUN - row.errors),
            dead_letters=max(0, reporting.MOST_DEAD_LETTERS_OF_RUN - row.dead_letters),
        )
        for row in rows
    }
    for pod in asking:
        pod.room = rooms[pod.execution_id]


def _takes_room(pod: Pod) -> bool:
    kinds = (reporting.Error, reporting.DeadLetter)
    return any(isinstance(item, kinds) for item in pod.report.items)
