"""What a sidecar sends, version 1.

Fields that we do not know are ignored: a sidecar may be newer than the api.
"""

import json
import math
import re
from collections.abc import Collection, Sequence
from http import HTTPStatus
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from rollcall.api import items, problems
from rollcall.core import reporting, texts
from rollcall.services.told import Told

VERSION = 1
MOST_ITEMS = 200
KINDS = ("progress", "checkpoint", "error", "deadLetter", "result", "handled")

_BOOT = re.compile("[0-9a-f]{8,32}")  # here: as a type it costs seven times as much
Count = Annotated[int, Meta(ge=0, le=reporting.LARGEST_NUMBER)]


class Envelope(msgspec.Struct):
    """The part that every version has."""

    v: int


class Heartbeat(msgspec.Struct, rename="camel"):
    """The sidecar is alive."""

    uptime_seconds: Count


class Progress(msgspec.Struct, rename="camel"):
    """How far the program is; the latest counts."""

    seq: items.Seq
    at: items.Instant
    done: items.Amount | None = None
    total: items.Amount | None = None
    stage: Annotated[str, Meta(max_length=reporting.LONGEST_STAGE)] | None = None
    message: Annotated[str, Meta(max_length=reporting.LONGEST_PROGRESS_MESSAGE)] | None = None
    counters: items.Counters | None = None


class Report(msgspec.Struct, rename="camel"):
    """One report. `sent_at` and `started_at` are by the pod's clock."""

    v: int
    seq: items.Seq
    sent_at: items.Instant
    started_at: items.Instant
    heartbeat: Heartbeat
    boot: str | None = None
    want: list[str] = []
    progress: Progress | None = None
    items: Annotated[list[msgspec.Raw], Meta(max_length=MOST_ITEMS)] = []
    lost: dict[str, Count] = {}
    final: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was read; `refused` are the items that do not fit."""

    seq: int
    told: Told
    refused: Sequence[reporting.Refusal] = ()
    settles: int = 0  # the highest seq of its items, refused ones included; 0 without any
    wants: Collection[reporting.Want] = ()


_envelopes = msgspec.json.Decoder(Envelope)
_reports = msgspec.json.Decoder(Report)


def read(body: bytes) -> Request:
    """Read a report; raises problems.Problem."""
    report = _decode(body)
    if report.v != VERSION:
        raise _of_version(report.v)
    try:
        return _request(report, len(body))
    except msgspec.ValidationError as error:
        raise _unprocessable(f"items: {error}") from error
    except items.Misfit as error:
        raise _unprocessable(f"progress.{error}") from error


def _decode(body: bytes) -> Report:
    try:
        return _reports.decode(body)
    except msgspec.ValidationError as error:
        version = _version(body)
        if version not in {VERSION, None}:
            raise _of_version(version) from error
        raise _unprocessable(str(error)) from error
    except RecursionError as error:
        raise _malformed(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _decode_cleaned(body, error)


def _version(body: bytes) -> int | None:
    try:
        return _envelopes.decode(body).v
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decode_cleaned(body: bytes, error: Exception) -> Report:
    """Read a report that may only be unreadable for the lone surrogates in it."""
    try:
        document = json.loads(body, parse_float=_finite, parse_constant=_finite)
        written = json.dumps(texts.cleaned(document), allow_nan=False).encode()
        return _reports.decode(written)
    except msgspec.ValidationError as misfit:
        raise _unprocessable(str(misfit)) from misfit
    except (ValueError, RecursionError):
        raise _malformed(error) from error


def _finite(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise ValueError(f"{text} is no number")


def _request(report: Report, size: int) -> Request:
    """Check what the types do not say; raises items.Misfit for the progress alone."""
    if report.boot is not None and not _BOOT.fullmatch(report.boot):
        raise _unprocessable("boot: it is 8 to 32 hexadecimal digits in lower case")
    wants = [want for want in reporting.Want if want in report.want] if report.want else ()
    if not (report.items or report.progress or report.lost):  # most reports, each 15 s of a pod
        told = Told(boot=report.boot, is_final=report.final, size=size)
        return Request(seq=report.seq, told=told, wants=wants)
    if report.boot is None:
        raise _unprocessable("boot: it is needed with progress, items and lost")
    numbers = [items.seq_of(raw) for raw in report.items]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise _unprocessable("items: they come in order of seq, each once")
    kept, refused = _sorted_out(report.items, numbers)
    told = Told(
        boot=report.boot,
        progress=_progress(report.progress) if report.progress else None,
        items=kept,
        lost={kind: count for kind in KINDS if (count := report.lost.get(kind, 0))},
        is_final=report.final,
        size=size,
    )
    settles = numbers[-1] if numbers else 0
    return Request(seq=report.seq, told=told, refused=refused, settles=settles, wants=wants)


def _sorted_out(
    said: Sequence[msgspec.Raw], numbers: Sequence[int]
) -> tuple[list[reporting.Item], list[reporting.Refusal]]:
    kept, refused = [], []
    for raw, seq in zip(said, numbers, strict=True):
        try:
            kept.append(items.read(raw))
        except items.Misfit as misfit:
            detail = texts.clean(str(misfit))
            refused.append(reporting.Refusal(seq=seq, status=misfit.status, detail=detail))
    return kept, refused


def _progress(said: Progress) -> reporting.Progress:
    return reporting.Progress(
        seq=said.seq,
        done=said.done,
        total=said.total,
        stage=said.stage and texts.clean(said.stage),
        message=said.message and items.shown(said.message, reporting.LONGEST_PROGRESS_MESSAGE),
        counters=items.counted(said.counters),
    )


def _of_version(version: int | None) -> problems.Problem:
    text = f"v {version} is not supported; this api accepts v {VERSION}"
    return problems.Problem(HTTPStatus.BAD_REQUEST, text)


def _unprocessable(detail: str) -> problems.Problem:
    return problems.Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _malformed(error: BaseException) -> problems.Problem:
    return problems.Problem(HTTPStatus.BAD_REQUEST, f"the body is not a JSON object: {error}")
