"""What a sidecar sends and what it is answered, version 1.

Fields that we do not know are ignored: a sidecar may be newer than the api.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from rollcall.api import problems
from rollcall.core import executions
from rollcall.services import ports

VERSION = 1
LARGEST_NUMBER = 2**53 - 1  # what every JSON reader keeps exactly

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_NUMBER)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Envelope(msgspec.Struct):
    """The part that every version has."""

    v: int


class Heartbeat(msgspec.Struct, rename="camel"):
    """The sidecar is alive."""

    uptime_seconds: Count


class Report(msgspec.Struct, rename="camel"):
    """One report. `sent_at` and `started_at` are by the pod's clock."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_NUMBER)]
    sent_at: Instant
    started_at: Instant
    heartbeat: Heartbeat
    final: bool = False


class Execution(msgspec.Struct, rename="camel"):
    """The run that the reporting pod belongs to."""

    id: UUID
    cronjob: str
    namespace: str
    job_name: str
    slot_time: datetime | None  # None for a run that belongs to no slot
    trigger: str
    attempt: int


class Acknowledgement(msgspec.Struct, rename="camel"):
    """The report is stored."""

    v: int
    acknowledged: int
    execution: Execution


_envelopes = msgspec.json.Decoder(Envelope)
_reports = msgspec.json.Decoder(Report)


def read(body: bytes) -> Report:
    """Read a report; raises problems.Problem."""
    try:
        version = _envelopes.decode(body).v
        if version != VERSION:
            raise problems.Problem(
                HTTPStatus.BAD_REQUEST,
                f"v {version} is not supported; this api accepts v {VERSION}",
            )
        return _reports.decode(body)
    except msgspec.ValidationError as error:
        raise problems.Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problems.Problem(
            HTTPStatus.BAD_REQUEST, f"the body is not a JSON object: {error}"
        ) from error


def acknowledge(report: Report, identity: ports.Identity) -> bytes:
    """Write the answer."""
    in_slot = identity.trigger is not executions.Trigger.MANUAL
    execution = Execution(
        id=identity.execution_id,
        cronjob=identity.cronjob,
        namespace=identity.namespace,
        job_name=identity.job_name,
        slot_time=identity.slot_at if in_slot else None,
        trigger=identity.trigger.value,
        attempt=identity.attempt,
    )
    return msgspec.json.encode(
        Acknowledgement(v=VERSION, acknowledged=report.seq, execution=execution)
    )
