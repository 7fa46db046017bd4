"""Who is refused although its token is genuine, in the log: the metric only says how many."""

import logging
import time
from collections.abc import Callable, Mapping

from rollcall.services import limits, recent

logger = logging.getLogger(__name__)

AGAIN = 600.0  # seconds until the same one is named again
MOST = 1_000  # that are remembered to have been named
LINES_PER_SECOND = 1.0
BURST = 20  # lines at once, as when a namespace is no longer tracked


class Strangers:
    """Names each once in a while; beyond a rate for all of them nobody is named."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._named = recent.Recent[tuple[str, ...], bool](lifetime=AGAIN, size=MOST, clock=clock)
        self._lines = limits.Limiter(rate=LINES_PER_SECOND, burst=BURST, size=1, clock=clock)

    def tell(self, who: Mapping[str, str], why: str) -> None:
        """Name one, with what the API server said of its token."""
        key = (*who.values(), why)
        if self._named.get(key):
            return
        try:
            self._lines.take("")
        except limits.TooMany:
            return
        self._named.put(key, value=True)
        logger.warning("report refused", extra={**who, "why": why})
