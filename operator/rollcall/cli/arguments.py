"""How arguments of the command line are read; each raises what argparse shows with its usage."""

import argparse
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from rollcall.core import durations

_MOST = 1000
_YEARS = range(1970, 9900)  # in which slots are found, with a year ahead to look at


# `add_parser` of what `ArgumentParser.add_subparsers` returns: that class has no public name.
Add: TypeAlias = Callable[..., argparse.ArgumentParser]


def command(add: Add, name: str, about: str, epilog: str = "") -> argparse.ArgumentParser:
    """Add a command that tells the same of itself in its own help as in the list of commands."""
    return add(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def duration(text: str) -> timedelta:
    """Read a duration such as 7d."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def moment(text: str) -> datetime:
    """Read a time, or a day; it has no zone if none was written."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write it like 2026-03-28T12:00Z or 2026-03-28"
        ) from None
    if found.year not in _YEARS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time between the years {_YEARS[0]} and {_YEARS[-1]}"
        )
    return found


def add_job(parser: argparse.ArgumentParser) -> None:
    """Let people choose jobs."""
    parser.add_argument("-n", "--namespace", help="of the jobs (default all)")
    parser.add_argument("--cronjob", metavar="NAME", help="of the job (default all)")


def add_words(parser: argparse.ArgumentParser, name: str, words: type[StrEnum]) -> None:
    """Let people choose some words of a closed list."""
    parser.add_argument(
        f"--{name}", action="append", default=[], metavar=name.upper(),
        choices=[word.value for word in words],
        help="one of " + ", ".join(words) + "; may be given several times",
    )  # fmt: skip


def add_pages(parser: argparse.ArgumentParser) -> None:
    """Let people read a long list in pages."""
    parser.add_argument(
        "--limit", type=number, default=50, metavar="N",
        help=f"how many on a page, 1 to {_MOST} (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--cursor", help="what the page before ended with")


def add_id(parser: argparse.ArgumentParser, of: str) -> None:
    """Let people name one, such as `an execution`."""
    parser.add_argument("id", type=_identifier(of), metavar="ID", help="as the list shows it")


def add_ids(parser: argparse.ArgumentParser, of: str, *, needed: bool) -> None:
    """Let people name several."""
    parser.add_argument(
        "ids", type=_identifier(of), metavar="ID", nargs="+" if needed else "*",
        help="as the list shows it; may be several",
    )  # fmt: skip


def _identifier(of: str) -> Callable[[str], UUID]:
    def identifier(text: str) -> UUID:
        try:
            return UUID(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no id of {of}") from None

    return identifier


def add_output(parser: argparse.ArgumentParser) -> None:
    """Let people choose between text and JSON."""
    parser.add_argument(
        "-o",
        dest="output",
        choices=("text", "json"),
        default="text",
        help="how to print it (default %(default)s)",
    )


def number(text: str) -> int:
    """Read a number from 1 to 1000."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST}")
    return int(text)
