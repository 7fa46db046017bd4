"""What `rollcall` prints, as tests read it."""

import re
from collections.abc import Callable

Command = Callable[..., str]  # arguments, and the code that it shall end with


def ids_in(printed: str) -> list[str]:
    """Return all ids, in the order in which they are printed."""
    return re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", printed)
