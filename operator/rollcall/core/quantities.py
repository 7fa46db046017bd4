"""Resource quantities as Kubernetes writes them: `100m`, `48Mi`, `0.5`, `1e3`."""

import re
from decimal import Decimal

_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?")
_SMALL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)}
_LARGE = "kMGTPE"


def parse(raw: object) -> Decimal | None:
    """Read a quantity; None for what is none."""
    match = _PATTERN.fullmatch(str(raw)) if isinstance(raw, str | int | float) else None
    if match is None or isinstance(raw, bool):
        return None
    number, unit = Decimal(match[1]), match[2] or ""
    if unit in _SMALL:
        return number * _SMALL[unit]
    if unit.endswith("i"):
        power = _LARGE.index(unit[0].replace("K", "k")) + 1
        return number * Decimal(1024) ** power
    if unit in _LARGE:
        return number * Decimal(1000) ** (_LARGE.index(unit) + 1)
    return number.scaleb(int(unit[1:]))
