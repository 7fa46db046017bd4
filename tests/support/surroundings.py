"""What of the environment of the tests reaches a process of ours."""

import os

import pytest

_OURS = "ROLLCALL_"  # settings of whoever runs the tests, or of scripts, are none of the process


def without_settings() -> dict[str, str]:
    """Return the environment without settings and without a way to a cluster."""
    return {name: value for name, value in os.environ.items() if not _is_ours(name)}


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process look as if it had no settings and no way to a cluster."""
    for name in filter(_is_ours, list(os.environ)):
        monkeypatch.delenv(name)


def _is_ours(name: str) -> bool:
    return name.startswith(_OURS) or "KUBERNETES" in name
