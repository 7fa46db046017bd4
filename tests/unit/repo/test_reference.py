"""Pages of docs/reference that list what the code has: nothing more and nothing less."""

import re
from pathlib import Path

from rollcall import config
from rollcall.metrics import names

REFERENCE = Path(__file__).parents[3] / "docs/reference"


def first_cells(page: str, pattern: str) -> list[str]:
    return re.findall(rf"^\| `({pattern})` \|", (REFERENCE / page).read_text(), re.MULTILINE)


def test_every_setting_is_described_once() -> None:
    described = first_cells("settings.md", r"ROLLCALL_\w+")
    assert sorted(described) == sorted(config.PREFIX + name for name in config.KNOWN)


def test_every_metric_is_described_with_its_kind() -> None:
    page = (REFERENCE / "metrics.md").read_text()
    described = dict(re.findall(r"^\| `(rollcall_\w+)` \| (\w+) \|", page, re.MULTILINE))
    exported = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in names.Metrics().registry.collect()
    }
    assert described == exported
