"""Every tracked pod pays for what the sidecar imports, and a program may wait for it."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "sidecar"
DEAR = {"dataclasses", "email", "http.client", "http.server", "logging", "random", "ssl", "typing"}


def imported(*modules: str) -> set[str]:
    """Return what these modules import, in a Python that is started as the image starts it."""
    code = (
        f"import sys; sys.path.insert(0, {str(FOLDER)!r}); "
        f"from rollcall_sidecar import {', '.join(modules)}; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_until_the_port_is_open_hardly_anything_is_imported() -> None:
    dear = {"collections", "enum", "re", "signal", "socket", "threading", *DEAR}
    assert imported("__main__") & dear == set()


def test_nothing_dear_is_ever_imported_without_need() -> None:
    assert imported("__main__", "server", "report", "termination") & DEAR == set()
