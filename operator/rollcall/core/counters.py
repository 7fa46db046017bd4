"""What the numbers that a run reports should be: `rules.counter.counters`, and what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollcall.core import baselines, errors
from rollcall.core.reporting import Counters

MOST = 16  # counters that a rule names
WHOLE = 100  # percent

History = Mapping[str, Sequence[float]]  # by counter, what it was in earlier runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one counter should be: at least `least`, at most `percent` of the counter `of`.

    And near what it usually is, if it `deviates` otherwise.
    """

    name: str
    least: float | None = None
    percent: float | None = None
    of: str | None = None
    deviates: bool = False


def read(field: str, raw: object) -> tuple[Bound, ...]:
    """Read the list of a spec; raises errors.InvalidSpec, with what to write instead."""
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST:
        raise errors.InvalidSpec("InvalidRule", f"{field}: write a list of 1 to {MOST} counters")
    return tuple(_bound(f"{field}[{number}]", one) for number, one in enumerate(raw))


def complaints(bounds: Sequence[Bound], counted: Counters, history: History) -> list[str]:
    """Say of each counter that is not as it should be what it is, or that it is absent."""
    return [text for bound in bounds if (text := _complaint(bound, counted, history))]


def compared(bounds: Sequence[Bound]) -> frozenset[str]:
    """Return the counters that are held to their history."""
    return frozenset(bound.name for bound in bounds if bound.deviates)


def deviations(
    bounds: Sequence[Bound], counted: Counters, history: History
) -> dict[str, dict[str, float]]:
    """Return of each counter that is far from its history what it is and what it usually is."""
    return {
        name: {
            "value": counted[name],
            "median": usual.median,
            "spread": round(usual.spread, 3),
            "runs": usual.runs,
        }
        for name in sorted(compared(bounds) & counted.keys())
        if (usual := _beyond(counted[name], history.get(name, ())))
    }


def _bound(field: str, raw: object) -> Bound:
    known = raw if isinstance(raw, Mapping) else {}
    name, least, share = known.get("name"), known.get("min"), known.get("maxPercentOf")
    deviates = known.get("deviates") is True
    if not isinstance(name, str) or (least is None and share is None and not deviates):
        raise errors.InvalidSpec(
            "InvalidRule", f"{field}: write name, and min, maxPercentOf or deviates: true"
        )
    percent, of = _share(f"{field}.maxPercentOf", share) if share is not None else (None, None)
    return Bound(
        name=name,
        least=_number(f"{field}.min", least) if least is not None else None,
        percent=percent,
        of=of,
        deviates=deviates,
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


def _complaint(bound: Bound, counted: Counters, history: History) -> str | None:
    value = counted.get(bound.name)
    if value is None:
        return f"{bound.name} was not reported"
    if bound.least is not None and value < bound.least:
        return f"{bound.name} is {value}, below {bound.least}"
    usual = _beyond(value, history.get(bound.name, ())) if bound.deviates else None
    too_much = _share_complaint(bound, value, counted)
    return too_much or (_far(bound.name, value, usual) if usual else None)


def _share_complaint(bound: Bound, value: float, counted: Counters) -> str | None:
    if bound.percent is None or bound.of is None:
        return None
    whole = counted.get(bound.of)
    if whole is None:
        return f"{bound.of} was not reported"
    if value * WHOLE > whole * bound.percent:
        return f"{bound.name} is {value}, above {bound.percent} % of {bound.of}, {whole}"
    return None


def _beyond(value: float, before: Sequence[float]) -> baselines.Baseline | None:
    """Return what is usual, if this is far from it."""
    usual = baselines.of(before)
    return usual if usual and abs(value - usual.median) > usual.reach else None


def _far(name: str, value: float, usual: baselines.Baseline) -> str:
    return (
        f"{name} is {_text(value)}, far from {_text(usual.median)}, the median of {usual.runs} runs"
        f" before (spread {_text(usual.spread)})"
    )


def _text(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
