"""Who acts, and why: what the audit log keeps of a person at the command line."""

import argparse
import getpass
from collections.abc import Iterator, Sequence
from typing import Any

from rollcall.cli import output
from rollcall.core import errors
from rollcall.services import ports

_LONGEST_NAME = 200
_LONGEST_REASON = 1000


def add(parser: argparse.ArgumentParser, *, needs_reason: bool = False) -> None:
    """Let people say who they are and why they do it."""
    parser.add_argument(
        "--by", dest="actor", type=_name, metavar="NAME",
        help="who you are, for the audit log (default the user of the operating system; needed in a"
        " pod of ours, whose user has no name)",
    )  # fmt: skip
    parser.add_argument(
        "--reason", type=_reason, required=needs_reason,
        help="why, for the audit log and whoever looks at it later",
    )  # fmt: skip


def of(options: argparse.Namespace) -> str:
    """Return who acts: without a name the user of the operating system.

    Raises errors.InvalidSpec if there is none: a pod's user may have a number and no name.
    """
    if options.actor:
        return str(options.actor)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise errors.InvalidSpec("InvalidActor", "say who you are: --by NAME") from None


def told(done: Sequence[ports.AuditEntry]) -> Iterator[str]:
    """Yield the acts on one object, oldest first; nothing if there were none."""
    if done:
        yield from ("", "acts")
        yield from output.aligned(
            [(output.utc(one.at), one.verb, one.actor, one.reason or "-") for one in done]
        )


def as_json(entry: ports.AuditEntry) -> dict[str, Any]:
    """Write one act for programs."""
    return {
        "at": output.utc(entry.at),
        "actor": entry.actor,
        "verb": entry.verb,
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
    }


def _name(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a name has 1 to {_LONGEST_NAME} printable characters")
    return text.strip()


def _reason(text: str) -> str:
    if len(text) > _LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"a reason has at most {_LONGEST_REASON} characters")
    return text
