"""What docs/reference takes from the code."""

import re
from pathlib import Path

import docs
import pytest

from rollcall.core import executions, reasons
from rollcall.core.executions import Status

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / docs.REFERENCE
NAMED = re.compile(r"`(test_\w+)`")


def statuses(name: str) -> frozenset[Status]:
    return docs.BOXES[name][1] if name in docs.BOXES else frozenset({Status(name)})


@pytest.mark.parametrize("name", docs.PARTS)
def test_what_is_written_is_what_the_code_says(name: str) -> None:
    file, make = docs.PARTS[name]
    page = (PAGES / file).read_text()
    assert docs.written(name, make(), page) == page, "run `make docs`"


def test_the_figure_has_exactly_the_steps_of_the_table() -> None:
    drawn = {
        (before, after)
        for source, target in docs.steps()
        for before in statuses(source)
        for after in statuses(target)
    }
    assert drawn == {
        (before, after) for before, steps in executions.TRANSITIONS.items() for after in steps
    }


def test_every_reason_is_listed_with_what_to_do() -> None:
    text = docs.reasons_list()
    for name, one in reasons.REASONS.items():
        assert f"| `{name}` | {one.meaning} | {one.action} |" in text


def test_every_test_that_a_page_names_exists() -> None:
    named = set(NAMED.findall((PAGES / "executions.md").read_text()))
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in written} == set()


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(docs.DocsError, match="reasons"):
        docs.written("reasons", "text", "a page")
