"""How much a report carries, and which part of it is to blame when the api refuses it whole.

The api refuses single items by name. Should it refuse a whole report as malformed or too large,
some part of it must be at fault, and must not hold up the rest for ever:

1. The report is tried without the progress, then with half of the items, down to one.
2. What remains (one item, or the progress alone) is suspected. A bare heartbeat is sent next: if
   the api takes it, the suspect is to blame and given up; if not, it is something else, and
   everything is kept.
3. Every report that passes doubles the next one.
"""

from __future__ import annotations

from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from rollcall_sidecar import buffer

MOST_ITEMS = 200
WHOLLY_REFUSED = frozenset({400, 413, 422})


class Width:
    """The search for the part that the api does not take; used by one thread at a time."""

    def __init__(self) -> None:
        self.items = MOST_ITEMS
        self.progress = True
        self._suspect: buffer.Item | None = None

    def refused(self, batch: buffer.Batch) -> None:
        """Learn from a report that was refused as a whole."""
        count = len(batch.items)
        if batch.progress is not None and count:
            self.progress = False
        elif count > 1:
            self.items = count // 2
        else:
            self._suspect = batch.items[0] if batch.items else batch.progress
            self.items, self.progress = 0, False

    def passed(self) -> buffer.Item | None:
        """Learn from a report that was taken; return what is to blame for those before."""
        suspect, self._suspect = self._suspect, None
        self.items = min(max(self.items, 1) * 2, MOST_ITEMS)
        self.progress = True
        return suspect
