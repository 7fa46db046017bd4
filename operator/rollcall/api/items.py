"""Items of a report, one by one: one that does not fit is refused, and the others are kept.

Limits are those of `core.reporting`; what a program chose is measured as it is kept.
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from rollcall.core import redaction, reporting, texts

# Postgres writes numbers out: 1e-300 takes 300 characters there.
_TINY = 1e-4

Seq = Annotated[int, Meta(ge=1, le=reporting.LARGEST_NUMBER)]
Instant = Annotated[datetime, Meta(tz=True)]
Amount = Annotated[float, Meta(ge=0, le=reporting.LARGEST_NUMBER)]
Message = Annotated[str, Meta(max_length=reporting.LONGEST_MESSAGE)]
Affected = Annotated[str, Meta(max_length=reporting.LONGEST_ITEM)]
Name = Annotated[str, Meta(pattern=rf"^{reporting.COUNTER_NAME}\Z")]
Counters = Annotated[dict[Name, int | float], Meta(max_length=reporting.MOST_COUNTERS)]


class Misfit(Exception):
    """Something that is not kept; its text names the field."""

    def __init__(self, detail: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> None:
        super().__init__(detail)
        self.status = status


class _Item(msgspec.Struct, tag_field="kind", rename="camel"):
    seq: Seq
    at: Instant


class Checkpoint(_Item, tag="checkpoint"):
    """Where a later run can go on."""

    value: msgspec.Raw

    def read(self) -> reporting.Item:
        """Return the value that crosses the ports; raises Misfit, as in all kinds."""
        value = document(self.value, "value", reporting.LARGEST_VALUE)
        return reporting.Checkpoint(seq=self.seq, at=self.at, value=value)


class Error(_Item, tag="error"):
    """Something that went wrong."""

    type: Annotated[str, Meta(max_length=reporting.LONGEST_TYPE)]
    message: Message = ""
    item: Affected | None = None
    class_: reporting.ErrorClass | None = msgspec.field(default=None, name="class")
    retry_after: Annotated[float, Meta(ge=0, le=reporting.LONGEST_RETRY)] | None = None

    def read(self) -> reporting.Item:
        """Return the value that crosses the ports."""
        return reporting.Error(
            seq=self.seq,
            at=self.at,
            type=texts.clean(self.type),
            message=shown(self.message),
            item=self.item and texts.clean(self.item),
            error_class=self.class_,
            retry_after=self.retry_after,
        )


class DeadLetter(_Item, tag="deadLetter"):
    """An item that could not be processed."""

    item: Affected
    payload: msgspec.Raw = msgspec.Raw(b"null")
    error: Message = ""
    requeue_of: UUID | None = None

    def read(self) -> reporting.Item:
        """Return the value that crosses the ports."""
        return reporting.DeadLetter(
            seq=self.seq,
            at=self.at,
            item=texts.clean(self.item),
            payload=document(self.payload, "payload", reporting.LARGEST_VALUE),
            error=shown(self.error),
            requeue_of=self.requeue_of,
        )


class Result(_Item, tag="result"):
    """The program's word for its work."""

    result: reporting.Verdict
    message: Message | None = None
    counters: Counters | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")

    def read(self) -> reporting.Item:
        """Return the value that crosses the ports."""
        metadata = document(self.metadata, "metadata", reporting.LARGEST_METADATA)
        if not (metadata is None or isinstance(metadata, dict)):
            raise Misfit("metadata: it is an object or null")
        return reporting.Result(
            seq=self.seq,
            at=self.at,
            result=self.result,
            message=self.message and shown(self.message),
            counters=counted(self.counters),
            metadata=metadata,
        )


class Handled(_Item, tag="handled"):
    """A requeued dead letter is processed."""

    id: UUID

    def read(self) -> reporting.Item:
        """Return the value that crosses the ports."""
        return reporting.Handled(seq=self.seq, at=self.at, id=self.id)


class _Place(msgspec.Struct):
    seq: Seq


def shown(words: str, longest: int = reporting.LONGEST_MESSAGE) -> str:
    """Return what people read, fit for the store and without secrets."""
    return redaction.redacted(texts.clean(words), longest)


_decoder = msgspec.json.Decoder(Checkpoint | Error | DeadLetter | Result | Handled)
_places = msgspec.json.Decoder(_Place)


def seq_of(raw: msgspec.Raw) -> int:
    """Return the number of an item; raises msgspec.ValidationError without a good one."""
    return _places.decode(raw).seq


def read(raw: msgspec.Raw) -> reporting.Item:
    """Read one item; raises Misfit."""
    try:
        item: Checkpoint | Error | DeadLetter | Result | Handled = _decoder.decode(raw)
        return item.read()
    except msgspec.ValidationError as error:
        raise Misfit(str(error)) from error
    except RecursionError as error:
        raise Misfit(f"it has at most {reporting.DEEPEST} levels") from error


def counted(counters: Mapping[str, int | float] | None) -> reporting.Counters | None:
    """Check counters; raises Misfit."""
    for name, value in (counters or {}).items():
        if abs(value) > reporting.LARGEST_NUMBER:
            raise Misfit(f"counters.{name}: it is beyond {reporting.LARGEST_NUMBER}")
    return counters


def document(raw: msgspec.Raw, field: str, largest: int) -> reporting.Json:
    """Read any JSON that can be kept and given back exactly; raises Misfit."""
    try:
        reader = _Document(field)
        value = reader.read(msgspec.json.decode(raw), 0)
    except msgspec.ValidationError as error:  # a number out of range
        raise Misfit(f"{field}: {error}") from error
    # Numbers that are written out take at most four times what was sent, tiny ones their padding.
    if 4 * memoryview(raw).nbytes + reader.padding <= largest:
        return value
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(written.encode()) + reader.padding > largest:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        raise Misfit(f"{field}: it has at most {largest} bytes of JSON", status)
    return value


class _Document:
    """Reads one document; `padding` is what its numbers take when they are written out."""

    def __init__(self, field: str) -> None:
        self._field = field
        self.padding = 0

    def read(self, value: reporting.Json, depth: int) -> reporting.Json:
        if depth >= reporting.DEEPEST and isinstance(value, list | dict):
            raise Misfit(f"{self._field}: it has at most {reporting.DEEPEST} levels")
        if isinstance(value, str):
            return texts.clean(value)
        if isinstance(value, list):
            return [self.read(one, depth + 1) for one in value]
        if isinstance(value, dict):
            return {texts.clean(key): self.read(one, depth + 1) for key, one in value.items()}
        if isinstance(value, int | float):
            self._measure(value)
        return value

    def _measure(self, number: float) -> None:
        if abs(number) > reporting.LARGEST_NUMBER:
            raise Misfit(f"{self._field}: a number in it is beyond {reporting.LARGEST_NUMBER}")
        if 0 < abs(number) < _TINY:
            self.padding += math.ceil(-math.log10(abs(number)))
