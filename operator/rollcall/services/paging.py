"""Lists that are read in pages, the newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a list, and the mark that the next one begins after."""

    items: Sequence[T]
    next_cursor: str | None  # None: there are no more
