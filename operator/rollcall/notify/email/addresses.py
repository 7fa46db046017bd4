"""Addresses of e-mails as a person writes them: `Rollcall <rollcall@example.com>`."""

from email import policy
from email.headerregistry import Address, AddressHeader
from typing import Any, cast

from rollcall.core import errors

MOST = 50


def read(text: str, field: str) -> tuple[Address, ...]:
    """Read one or more addresses, separated by commas.

    Raises errors.InvalidSpec.
    """
    found = _parsed(text)
    if not found or len(found) > MOST:
        raise errors.InvalidSpec(
            "InvalidAddress", f"email.{field}: write addresses such as team@example.com"
        )
    return found


def _parsed(text: str) -> tuple[Address, ...]:
    """Return nothing for what is not wholly addresses."""
    # A name may be in any script; addresses beyond ASCII need SMTPUTF8, which few servers have.
    if not text.isprintable():
        return ()
    try:
        header: Any = policy.default.header_factory("To", text)
        addresses = cast("AddressHeader", header).addresses
    except (ValueError, IndexError):  # the latter: some broken texts in CPython
        return ()
    fine = not header.defects and all(_is_usable(one) for one in addresses)
    return tuple(addresses) if fine else ()


def _is_usable(address: Address) -> bool:
    return bool(address.username and address.domain) and address.addr_spec.isascii()
