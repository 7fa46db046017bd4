"""`TYPE_CHECKING` and `NamedTuple` without `typing`.

Its import would cost a tracked pod half as much as starting Python, and half a megabyte. Nothing
else of it is needed when the sidecar runs: annotations are not evaluated.
"""

from __future__ import annotations

import collections

__all__ = ["TYPE_CHECKING", "NamedTuple"]

TYPE_CHECKING = False  # type checkers take this name for true
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:

    class _Fields(type):
        """Makes a named tuple of a class with annotations."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = namespace.pop("__annotations__")
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            base = collections.namedtuple(name, fields, defaults=defaults)  # noqa: PYI024 - it advises `typing`
            return type(name, (base,), {"__slots__": (), **namespace})

    class NamedTuple(metaclass=_Fields):
        """What `typing.NamedTuple` is: its subclasses' annotations are the fields of a tuple."""
