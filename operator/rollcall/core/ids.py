"""Identities that can be computed again from what they identify.

Invariant: every id is a pure function of its inputs, so each write can be repeated by anybody and
lands on the same row. Ids are UUIDv8 (RFC 9562 §5.8); an execution's id begins with its slot in
milliseconds, so the id alone finds its weekly partition.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_BITS = 48


def cronjob_id(*, cluster: str, uid: str) -> UUID:
    """Identify the TrackedCronJob with this UID in this cluster."""
    return _uuid8(hashlib.sha256(f"cronjob\0{cluster}\0{uid}".encode()).digest())


def cluster_id(*, cluster: str) -> UUID:
    """Identify the cluster itself, for what is true of all its jobs."""
    return _uuid8(hashlib.sha256(f"cluster\0{cluster}".encode()).digest())


def channel_id(*, cluster: str, channel: str) -> UUID:
    """Identify a channel of this cluster, for what is wrong with it."""
    return _uuid8(hashlib.sha256(f"channel\0{cluster}\0{channel}".encode()).digest())


def scheduled_execution_id(*, cronjob_id: UUID, slot_at: datetime) -> UUID:
    """Identify what became of one slot, whether or not a Job exists for it."""
    return _timed(slot_at, f"slot\0{cronjob_id}\0{_milliseconds(slot_at)}")


def job_execution_id(*, job_uid: str, slot_at: datetime) -> UUID:
    """Identify a run that belongs to no slot; `slot_at` is its Job's creation time."""
    return _timed(slot_at, f"job\0{job_uid}")


def incident_id(*, of: UUID, kind: str, opened_at: datetime) -> UUID:
    """Identify an incident of a job, cluster or channel.

    The time makes the next incident of the same kind another one.
    """
    return _timed(opened_at, f"incident\0{of}\0{kind}\0{opened_at.isoformat()}")


def event_id(*, execution_id: UUID, at: datetime, text: str) -> UUID:
    """Identify one line of an execution's story; `text` is all that it says."""
    return _timed(at, f"event\0{execution_id}\0{at.isoformat()}\0{text}")


def dead_letter_id(*, pod_uid: str, boot: str, seq: int) -> UUID:
    """Identify an item that a pod's program could not process."""
    return _uuid8(hashlib.sha256(f"dead-letter\0{pod_uid}\0{boot}\0{seq}".encode()).digest())


def window_id(*, execution_id: UUID, opened_at: datetime) -> UUID:
    """Identify a window; the time makes another one of a run that gets its window once more."""
    text = f"window\0{execution_id}\0{opened_at.isoformat()}"
    return _uuid8(hashlib.sha256(text.encode()).digest())


def instant_of(identifier: UUID) -> datetime:
    """Return the instant that a timed id begins with, exact to the millisecond.

    Raises OverflowError for an id that we did not make: its bits can say a year beyond 9999.
    """
    return _EPOCH + timedelta(milliseconds=identifier.int >> (128 - _TIME_BITS))


def _timed(instant: datetime, key: str) -> UUID:
    prefix = _milliseconds(instant).to_bytes(_TIME_BITS // 8, "big")
    return _uuid8(prefix + hashlib.sha256(key.encode()).digest())


def _uuid8(material: bytes) -> UUID:
    value = int.from_bytes(material[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return UUID(int=value)


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
