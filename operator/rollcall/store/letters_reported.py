"""Dead letters as programs report them: new ones, and those that they have processed at last.

A dead letter's id follows from (pod UID, boot, seq), so that repeating it adds none. Beyond
MOST_DEAD_LETTERS of one attempt, or MOST_DEAD_LETTERS_OF_RUN of a run, they are refused, each time
that they are sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import dead_letters, ids, reporting
from rollcall.store import columns, models
from rollcall.store.reported import Pod

_rows = models.table(models.DeadLetter)
_audit = models.table(models.AuditEntry)

_ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
_KNOWN = sa.select(_rows.c.id).where(_rows.c.id == sa.any_(_ids))
_ADD = sa.text(
    """
    INSERT INTO dead_letters
        (id, cronjob_id, execution_id, slot_at, at, item, payload, error, state_at)
    SELECT id, cronjob_id, execution_id, slot_at, at, item, CAST(payload AS jsonb), error, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS told(
        id uuid, cronjob_id uuid, execution_id uuid, slot_at timestamptz, at timestamptz,
        item text, payload text, error text
    )
    ORDER BY id
    """
)
_LOCK = (
    sa.select(_rows)
    .where(_rows.c.id == sa.any_(_ids))
    .order_by(_rows.c.id)
    .with_for_update(key_share=True)
)
_RESOLVE = (
    sa.update(_rows)
    .where(_rows.c.id == sa.bindparam("key"))
    .values(
        state=dead_letters.State.RESOLVED.value,
        state_at=sa.bindparam("now"),
        actor=sa.bindparam("new_actor"),
        note=sa.bindparam("new_note"),
    )
)
_TELL = sa.insert(_audit)


async def keep(connection: AsyncConnection, pods: Sequence[Pod], now: datetime) -> None:
    """Add dead letters while there is room, and resolve what these runs have processed."""
    told = [(pod, one) for pod in pods for one in pod.report.items
            if isinstance(one, reporting.DeadLetter)]  # fmt: skip
    if told:
        found = await connection.execute(_KNOWN, {"ids": [_id(*one) for one in told]})
        known = set(found.scalars())
        rows = [_row(pod, one, now) for pod, one in told if _is_to_add(pod, one, known)]
        if rows:
            await connection.execute(_ADD, {"rows": columns.dumps(rows), "now": now})
    claims = [claim for pod in pods for claim in _claims(pod)]
    if claims:
        await _resolve(connection, claims, now)


def _is_to_add(pod: Pod, letter: reporting.DeadLetter, known: set[UUID]) -> bool:
    if _id(pod, letter) in known:
        return False
    limit = _limit(pod)
    if limit:
        pod.refuse(letter, HTTPStatus.TOO_MANY_REQUESTS, f"{limit} dead letters")
        return False
    pod.new_dead_letters += 1
    pod.room.dead_letters -= 1
    return True


def _limit(pod: Pod) -> str | None:
    if pod.dead_letters + pod.new_dead_letters >= reporting.MOST_DEAD_LETTERS:
        return f"an attempt has at most {reporting.MOST_DEAD_LETTERS}"
    if pod.room.dead_letters < 1:
        return f"a run has at most {reporting.MOST_DEAD_LETTERS_OF_RUN}"
    return None


def _id(pod: Pod, letter: reporting.DeadLetter) -> UUID:
    return ids.dead_letter_id(pod_uid=pod.pod_uid, boot=pod.boot, seq=letter.seq)


def _row(pod: Pod, letter: reporting.DeadLetter, now: datetime) -> dict[str, Any]:
    return pod.key(letter) | {
        "id": str(_id(pod, letter)),
        "at": pod.said_at(letter, now),
        "item": letter.item,
        "payload": columns.dumps(letter.payload),  # as text: a JSON null is a payload too
        "error": letter.error,
    }


# Who says so, with which item, of which dead letter, and what is noted.
_Claim = tuple[Pod, reporting.Handled | reporting.DeadLetter, UUID, str | None]


def _claims(pod: Pod) -> Iterable[_Claim]:
    refused = {refusal.seq for refusal in pod.refused}
    for item in pod.report.items:
        if isinstance(item, reporting.Handled):
            yield pod, item, item.id, None
        elif isinstance(item, reporting.DeadLetter) and item.requeue_of:
            if item.seq in refused:
                continue  # else the item would be nowhere
            yield pod, item, item.requeue_of, f"failed again: {_id(pod, item)}"


async def _resolve(connection: AsyncConnection, claims: Sequence[_Claim], now: datetime) -> None:
    found = await connection.execute(_LOCK, {"ids": [claim[2] for claim in claims]})
    known = {row["id"]: dict(row) for row in found.mappings()}
    done, told = [], []
    for pod, item, key, note in claims:
        row = known.get(key)
        if row is None or row["handed_to"] != pod.execution_id:
            if isinstance(item, reporting.Handled):
                refusal = "id: no dead letter of this id was handed to this run"
                pod.refuse(item, HTTPStatus.UNPROCESSABLE_ENTITY, refusal)
        elif row["state"] == dead_letters.State.REQUEUED:
            actor = f"run {pod.report.job_name}"
            done.append({"key": key, "now": now, "new_actor": actor, "new_note": note})
            told.append(_entry(row, actor, note, now))
            row["state"] = dead_letters.State.RESOLVED
    if done:
        await connection.execute(_RESOLVE, done)
        await connection.execute(_TELL, told)


def _entry(row: Mapping[str, Any], actor: str, note: str | None, now: datetime) -> dict[str, Any]:
    before = dead_letters.told(dead_letters.State(row["state"]), row["actor"], row["note"])
    return {
        "at": now,
        "actor": actor,
        "verb": dead_letters.Act.RESOLVE.value,
        "object": dead_letters.target(row["id"]),
        "reason": note,
        "before": before,
        "after": dead_letters.told(dead_letters.State.RESOLVED, actor, note),
    }
