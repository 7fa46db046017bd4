"""Where a page ended, as opaque text that the next request brings back.

Invariant: `decode(encode(position)) == position`; text that `encode` did not make is refused.
The mark is no secret and grants nothing: a checksum tells typing errors and cut-off copies.
"""

import base64
import binascii
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rollcall.core import errors

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAYOUT = struct.Struct(">Bq16s")  # version, microseconds since the epoch, id
_CHECKSUM = struct.Struct(">I")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page, by its instant and id; the next page begins after it."""

    at: datetime
    id: UUID


def encode(position: Position) -> str:
    """Write the position as text that needs no quoting in a URL."""
    instant = (position.at - _EPOCH) // _MICROSECOND
    body = _LAYOUT.pack(_VERSION, instant, position.id.bytes)
    marked = body + _CHECKSUM.pack(zlib.crc32(body))
    return base64.urlsafe_b64encode(marked).rstrip(b"=").decode()


def decode(cursor: str) -> Position:
    """Read what `encode` wrote; raises errors.InvalidSpec for anything else."""
    try:
        marked = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body, checksum = marked[: _LAYOUT.size], marked[_LAYOUT.size :]
        version, instant, identifier = _LAYOUT.unpack(body)
        if checksum != _CHECKSUM.pack(zlib.crc32(body)) or version != _VERSION:
            raise _refusal()
        return Position(_EPOCH + instant * _MICROSECOND, UUID(bytes=identifier))
    except (binascii.Error, ValueError, OverflowError, struct.error):
        raise _refusal() from None


def _refusal() -> errors.InvalidSpec:
    return errors.InvalidSpec(
        "InvalidCursor",
        "this is not the end of any page: pass the `nextCursor` of an answer on as it is,"
        " or none for the first page",
    )
