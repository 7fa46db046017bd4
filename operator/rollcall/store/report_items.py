"""Errors with their groups, and checkpoints, as programs report them one by one.

A row is known by (pod UID, boot, seq), so that what is repeated is there already. Counts and groups
take only what was really added.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import reporting, signatures
from rollcall.store import columns
from rollcall.store.reported import Pod

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
_SIGNATURES = sa.text(
    """
    INSERT INTO error_signatures AS known
        (cronjob_id, fingerprint, type, message, sample, count, first_at, last_at)
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS told(
        cronjob_id uuid, fingerprint text, type text, message text, sample text, count bigint,
        first_at timestamptz, last_at timestamptz
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
# Whose rows are locked is trimming the same ones just now.
_TRIM = sa.text(
    """
    DELETE FROM checkpoints WHERE (pod_uid, boot, seq) IN (
        SELECT old.pod_uid, old.boot, old.seq FROM (
            SELECT pod_uid, boot, seq, row_number() OVER (
                PARTITION BY checkpoints.execution_id, checkpoints.index
                ORDER BY attempt DESC, pod_uid DESC, boot_number DESC, seq DESC
            ) AS place
            FROM checkpoints JOIN (
                SELECT DISTINCT cronjob_id, slot_at, execution_id, index
                FROM json_to_recordset(CAST(:rows AS json)) AS told(
                    cronjob_id uuid, slot_at timestamptz, execution_id uuid, index integer
                )
            ) AS touched USING (cronjob_id, slot_at, execution_id, index)
        ) AS ranked
        JOIN checkpoints AS old USING (pod_uid, boot, seq)
        WHERE place > :kept
        FOR UPDATE OF old SKIP LOCKED
    )
    """
)


async def keep_errors(connection: AsyncConnection, pods: Sequence[Pod], now: datetime) -> None:
    """Add errors while there is room, count all new ones, and group those that were added."""
    rows = [row for pod in pods for row in _errors(pod, now)]
    if not rows:
        return
    found = await connection.execute(_ERRORS, {"rows": columns.dumps(rows)})
    added = {(row.pod_uid, row.boot, row.seq) for row in found}
    by_pod = Counter(uid for uid, _, _ in added)
    for pod in pods:
        pod.new_errors += by_pod[pod.pod_uid]
    groups = _groups([row for row in rows if (row["pod_uid"], row["boot"], row["seq"]) in added])
    if groups:
        await connection.execute(_SIGNATURES, {"rows": columns.dumps(groups)})


async def keep_checkpoints(connection: AsyncConnection, pods: Sequence[Pod], now: datetime) -> None:
    """Add the newest checkpoints, and remove those that they supersede."""
    rows = [row for pod in pods for row in _checkpoints(pod, now)]
    if rows:
        await connection.execute(_CHECKPOINTS, {"rows": columns.dumps(rows)})
        touched = [{name: row[name] for name in _PLACE} for row in rows]
        await connection.execute(
            _TRIM, {"rows": columns.dumps(touched), "kept": reporting.CHECKPOINTS_KEPT}
        )


_PLACE = ("cronjob_id", "slot_at", "execution_id", "index")


def _errors(pod: Pod, now: datetime) -> Iterable[dict[str, Any]]:
    """Yield rows for the errors that there is room for, and count the others of this start.

    An error of an earlier start that finds no room may have been counted before.
    """
    said = [item for item in pod.fresh() if isinstance(item, reporting.Error)]
    room = max(0, reporting.MOST_ERRORS - pod.errors)
    if pod.is_newest:
        pod.new_errors += len(said[room:])
    for error in said[:room]:
        signature = signatures.of(error.type, error.message)
        yield pod.key(error) | {
            "at": pod.said_at(error, now),
            "type": error.type,
            "message": error.message,
            "item": error.item,
            "class": error.error_class,
            "retry_after": error.retry_after,
            "fingerprint": signature.fingerprint,
        }


def _groups(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = Counter((row["cronjob_id"], row["fingerprint"]) for row in rows)
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: datetime.fromisoformat(row["at"])):
        key = (row["cronjob_id"], row["fingerprint"])
        first = groups.setdefault(key, {
            "cronjob_id": key[0],
            "fingerprint": key[1],
            "type": row["type"],
            "message": signatures.normalised(row["message"]),
            "sample": row["message"],
            "count": counts[key],
            "first_at": row["at"],
        })  # fmt: skip
        first["last_at"] = row["at"]
    return list(groups.values())


def _checkpoints(pod: Pod, now: datetime) -> Iterable[dict[str, Any]]:
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
