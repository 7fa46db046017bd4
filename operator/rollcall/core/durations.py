"""Durations as people write them in resources: `90s`, `6h`, `30d`, `1h30m`."""

import re
from datetime import timedelta

_PATTERN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
LONGEST = timedelta(days=3650)  # ten years: beyond it a duration is a typing error


def parse(text: str) -> timedelta:
    """Read a duration of days, hours, minutes and seconds, in this order, at least one of them.

    Raises ValueError with what to write instead.
    """
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration: write it like 90s, 6h, 30d or 1h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds  # timedelta itself can overflow
    if total > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is too long: at most {LONGEST.days}d")
    return timedelta(seconds=total)


def text(value: timedelta) -> str:
    """Write a duration for people, exact to the second and without zero parts: `1h30m`."""
    seconds = int(value.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
