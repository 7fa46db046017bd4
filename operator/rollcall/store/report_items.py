"""Errors with their groups, and checkpoints, as programs report them one by one.

A row is known by (pod UID, boot, seq), so that what is repeated is there already. Counts and groups
take what was really added, and what is new and finds no room.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import reporting, signatures
from rollcall.store import columns
from rollcall.store.reported import Pod

_Row: TypeAlias = dict[str, Any]
_Group: TypeAlias = tuple[str, str]  # job and fingerprint
_ERRORS = sa.text(
    """
    INSERT INTO execution_errors
        (pod_uid, boot, seq, execution_id, slot_at, cronjob_id, at, type, message, item, class,
         retry_after, fingerprint)
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS told(
        pod_uid text, boot text, seq bigint, execution_id uuid, slot_at timestamptz,
        cronjob_id uuid, at timestamptz, type text, message text, item text, class text,
        retry_after double precision, fingerprint text
    )
    ORDER BY pod_uid, boot, seq
    ON CONFLICT DO NOTHING
    RETURNING pod_uid, boot, seq
    """
)
# Errors without room make no group: how many there are of them is bounded with the errors.
_SIGNATURES = sa.text(
    """
    INSERT INTO error_signatures AS known
        (cronjob_id, fingerprint, type, message, sample, count, first_at, last_at)
    SELECT cronjob_id, fingerprint, type, message, sample, count, first_at, last_at
    FROM json_to_recordset(CAST(:rows AS json)) AS told(
        cronjob_id uuid, fingerprint text, type text, message text, sample text, count bigint,
        first_at timestamptz, last_at timestamptz, is_kept boolean
    )
    WHERE is_kept OR EXISTS (
        SELECT FROM error_signatures AS old
        WHERE (old.cronjob_id, old.fingerprint) = (told.cronjob_id, told.fingerprint)
    )
    ORDER BY cronjob_id, fingerprint
    ON CONFLICT (cronjob_id, fingerprint) DO UPDATE SET
        count = known.count + excluded.count,
        first_at = least(known.first_at, excluded.first_at),
        last_at = greatest(known.last_at, excluded.last_at)
    """
)
_CHECKPOINTS = sa.text(
    """
    INSERT INTO checkpoints
        (pod_uid, boot, seq, execution_id, slot_at, cronjob_id, index, attempt, boot_number, at,
         value)
    SELECT pod_uid, boot, seq, execution_id, slot_at, cronjob_id, index, attempt, boot_number, at,
        CAST(value AS jsonb)
    FROM json_to_recordset(CAST(:rows AS json)) AS told(
        pod_uid text, boot text, seq bigint, execution_id uuid, slot_at timestamptz,
        cronjob_id uuid, index integer, attempt integer, boot_number integer, at timestamptz,
        value text
    )
    ORDER BY pod_uid, boot, seq
    ON CONFLICT DO NOTHING
    """
)
# A row that is locked is being removed already.
_TRIM = sa.text(
    """
    DELETE FROM checkpoints WHERE (pod_uid, boot, seq) IN (
        SELECT old.pod_uid, old.boot, old.seq FROM (
            SELECT pod_uid, boot, seq, row_number() OVER (
                PARTITION BY pod_uid ORDER BY boot_number DESC, seq DESC
            ) AS place
            FROM checkpoints WHERE pod_uid = ANY(:pod_uids)
        ) AS ranked
        JOIN checkpoints AS old USING (pod_uid, boot, seq)
        WHERE place > :kept
        FOR UPDATE OF old SKIP LOCKED
    )
    """
)
# Of an index that is retried without end. What goes is older than what stays, whose pods are newer:
# no run would be handed it.
_TRIM_RETRIED = sa.text(
    """
    DELETE FROM checkpoints WHERE (pod_uid, boot, seq) IN (
        SELECT old.pod_uid, old.boot, old.seq
        FROM (
            SELECT cronjob_id, slot_at, execution_id, index, max(attempt) AS newest
            FROM json_to_recordset(CAST(:rows AS json)) AS told(
                cronjob_id uuid, slot_at timestamptz, execution_id uuid, index integer,
                attempt integer
            )
            GROUP BY cronjob_id, slot_at, execution_id, index
        ) AS touched
        JOIN checkpoints AS old USING (cronjob_id, slot_at, execution_id, index)
        JOIN attempts AS pod ON pod.pod_uid = old.pod_uid
        WHERE old.attempt <= newest - :pods AND pod.ended_at IS NOT NULL
            AND old.pod_uid <> ALL(:pod_uids)
        FOR UPDATE OF old SKIP LOCKED
    )
    """
)


async def keep_errors(connection: AsyncConnection, pods: Sequence[Pod], now: datetime) -> None:
    """Add errors while there is room; count all new ones, and group them."""
    told = [(pod, _shares(pod)) for pod in pods]
    kept = [_error(pod, one, now) for pod, (fitting, _) in told for one in fitting]
    left = [_error(pod, one, now) for pod, (_, others) in told for one in others]
    added = await _added(connection, kept)
    counts = Counter(row["pod_uid"] for row in (*added, *left))
    for pod in pods:
        pod.new_errors += counts[pod.pod_uid]
    groups = _groups(added, left)
    if groups:
        await connection.execute(_SIGNATURES, {"rows": columns.dumps(groups)})


async def _added(connection: AsyncConnection, rows: Sequence[_Row]) -> list[_Row]:
    """Add these and return those that were not there already."""
    if not rows:
        return []
    found = await connection.execute(_ERRORS, {"rows": columns.dumps(rows)})
    new = {(row.pod_uid, row.boot, row.seq) for row in found}
    return [row for row in rows if (row["pod_uid"], row["boot"], row["seq"]) in new]


async def keep_checkpoints(connection: AsyncConnection, pods: Sequence[Pod], now: datetime) -> None:
    """Add the newest checkpoints, and remove those that they supersede.

    Who reported one is told that it is safe: what other pods say never removes what is added here.
    """
    rows = [row for pod in pods for row in _checkpoints(pod, now)]
    if not rows:
        return
    await connection.execute(_CHECKPOINTS, {"rows": columns.dumps(rows)})
    pod_uids = list({row["pod_uid"] for row in rows})
    await connection.execute(_TRIM, {"pod_uids": pod_uids, "kept": reporting.CHECKPOINTS_KEPT})
    most = reporting.MOST_PODS_WITH_CHECKPOINTS
    retried = [{name: row[name] for name in _PLACE} for row in rows if row["attempt"] > most]
    if retried:
        retried_in = {"rows": columns.dumps(retried), "pods": most, "pod_uids": pod_uids}
        await connection.execute(_TRIM_RETRIED, retried_in)


_PLACE = ("cronjob_id", "slot_at", "execution_id", "index", "attempt")


def _shares(pod: Pod) -> tuple[Sequence[reporting.Error], Sequence[reporting.Error]]:
    """Return the errors that there is room for, and the others of this start.

    An error of an earlier start that finds no room may have been counted before.
    """
    said = [item for item in pod.fresh() if isinstance(item, reporting.Error)]
    room = max(0, min(reporting.MOST_ERRORS - pod.errors, pod.room.errors))
    pod.room.errors -= len(said[:room])
    return said[:room], said[room:] if pod.is_newest else []


def _error(pod: Pod, error: reporting.Error, now: datetime) -> _Row:
    return pod.key(error) | {
        "at": pod.said_at(error, now),
        "type": error.type,
        "message": error.message,
        "item": error.item,
        "class": error.error_class,
        "retry_after": error.retry_after,
        "fingerprint": signatures.of(error.type, error.message).fingerprint,
    }


def _groups(kept: Sequence[_Row], left: Sequence[_Row]) -> list[_Row]:
    with_kept = set(map(_group, kept))
    groups = defaultdict[_Group, list[_Row]](list)
    for row in sorted((*kept, *left), key=lambda row: datetime.fromisoformat(row["at"])):
        groups[_group(row)].append(row)
    return [
        {
            "cronjob_id": key[0],
            "fingerprint": key[1],
            "type": rows[0]["type"],
            "message": signatures.normalised(rows[0]["message"]),
            "sample": rows[0]["message"],
            "count": len(rows),
            "first_at": rows[0]["at"],
            "last_at": rows[-1]["at"],
            "is_kept": key in with_kept,
        }
        for key, rows in groups.items()
    ]


def _group(row: _Row) -> _Group:
    return row["cronjob_id"], row["fingerprint"]


def _checkpoints(pod: Pod, now: datetime) -> Iterable[_Row]:
    said = [item for item in pod.fresh() if isinstance(item, reporting.Checkpoint)]
    for checkpoint in said[-reporting.CHECKPOINTS_KEPT :]:
        yield pod.key(checkpoint) | {
            "index": pod.index,
            "attempt": pod.report.attempt,
            "boot_number": pod.boot_number,
            "at": pod.said_at(checkpoint, now),
            # As text: a JSON null would arrive as an absent value.
            "value": columns.dumps(checkpoint.value),
        }
