"""How arguments of the command line are read; each raises what argparse shows with its usage."""

import argparse
from datetime import timedelta
from uuid import UUID

from rollcall.core import durations

_MOST = 1000


def duration(text: str) -> timedelta:
    """Read a duration such as 7d."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def identifier(text: str) -> UUID:
    """Read the id of an execution."""
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no id of an execution") from None


def number(text: str) -> int:
    """Read a number from 1 to 1000."""
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST}")
    return int(text)
