"""What the numbers that a run reports should be: `rules.counter.counters`, and what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollcall.core import errors
from rollcall.core.reporting import Counters

MOST = 16  # counters that a rule names
WHOLE = 100  # percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one counter should be: at least `least`, at most `percent` of the counter `of`."""

    name: str
    least: float | None = None
    percent: float | None = None
    of: str | None = None


def read(field: str, raw: object) -> tuple[Bound, ...]:
    """Read the list of a spec; raises errors.InvalidSpec, with what to write instead."""
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST:
        raise errors.InvalidSpec("InvalidRule", f"{field}: write a list of 1 to {MOST} counters")
    return tuple(_bound(f"{field}[{number}]", one) for number, one in enumerate(raw))


def complaints(bounds: Sequence[Bound], counted: Counters) -> list[str]:
    """Say of each counter that is not as it should be what it is, or that it is absent."""
    return [text for bound in bounds if (text := _complaint(bound, counted))]


def _bound(field: str, raw: object) -> Bound:
    known = raw if isinstance(raw, Mapping) else {}
    name, least, share = known.get("name"), known.get("min"), known.get("maxPercentOf")
    if not isinstance(name, str) or (least is None and share is None):
        raise errors.InvalidSpec("InvalidRule", f"{field}: write name, and min or maxPercentOf")
    percent, of = _share(f"{field}.maxPercentOf", share) if share is not None else (None, None)
    return Bound(
        name=name,
        least=_number(f"{field}.min", least) if least is not None else None,
        percent=percent,
        of=of,
    )


def _share(field: str, raw: object) -> tuple[float, str]:
    known = raw if isinstance(raw, Mapping) else {}
    of = known.get("counter")
    if not isinstance(of, str):
        raise errors.InvalidSpec("InvalidRule", f"{field}: write counter and percent")
    return _number(f"{field}.percent", known.get("percent")), of


def _number(field: str, raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw < 0:
        raise errors.InvalidSpec("InvalidRule", f"{field}: write a number from 0 up")
    return raw


def _complaint(bound: Bound, counted: Counters) -> str | None:
    value = counted.get(bound.name)
    if value is None:
        return f"{bound.name} was not reported"
    if bound.least is not None and value < bound.least:
        return f"{bound.name} is {value}, below {bound.least}"
    if bound.percent is None or bound.of is None:
        return None
    whole = counted.get(bound.of)
    if whole is None:
        return f"{bound.of} was not reported"
    if value * WHOLE > whole * bound.percent:
        return f"{bound.name} is {value}, above {bound.percent} % of {bound.of}, {whole}"
    return None
