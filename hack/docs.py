"""Writes the parts of docs/reference that follow from the code.

Reasons, rules, the steps of a run, messages.

`--check` writes nothing and fails if anything would change.
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import cluster_renderings
import renderings

from rollcall.core import executions, reasons, rule_specs, rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rollcall.core.executions import Status

REFERENCE = Path("docs/reference")
BEGIN, END = "<!-- {name}: written by `make docs` -->", "<!-- end of {name} -->"
# Statuses that stand together in the figure, where they have the same steps.
BOXES: Mapping[str, tuple[str, frozenset[Status]]] = {
    "open": ("may still end", executions.OPEN),
    "unseen": ("nobody saw a run", executions.NEVER_RAN | {executions.Status.UNKNOWN}),
}


class DocsError(Exception):
    """A page without the marks between which to write."""


def reasons_list() -> str:
    """Write every reason, what it means and what to do, by the part of the list it is in."""
    lines = []
    for about, part in groupby(reasons.REASONS.items(), key=lambda item: item[1].about):
        lines += [f"## {about}", "", "| reason | meaning | what to do |", "|---|---|---|"]
        lines += [f"| `{name}` | {one.meaning} | {one.action} |" for name, one in part]
        lines.append("")
    return "\n".join(lines)


def steps() -> Iterator[tuple[str, str]]:
    """Yield the steps between statuses; a box stands for all statuses in it."""
    told: set[tuple[Status, Status]] = set()
    for box, (_, members) in BOXES.items():
        common = frozenset.intersection(*(executions.TRANSITIONS[one] for one in members))
        for name, targets in _targets(common):
            yield box, name
            told |= {(source, target) for source in members for target in targets}
    for source in executions.Status:
        for target in executions.Status:
            if target in executions.TRANSITIONS[source] and (source, target) not in told:
                yield source.value, target.value


def _targets(common: frozenset[Status]) -> Iterator[tuple[str, frozenset[Status]]]:
    whole = {box: members for box, (_, members) in BOXES.items() if members <= common}
    yield from whole.items()
    boxed = frozenset[executions.Status]().union(*whole.values())
    yield from (
        (one.value, frozenset({one}))
        for one in executions.Status
        if one in common and one not in boxed
    )


def figure() -> str:
    """Draw the steps."""
    lines = ["```mermaid", "flowchart LR"]
    for box, (title, members) in BOXES.items():
        lines.append(f'    subgraph {box}["{title}"]')
        lines += [f"        {one.value}" for one in executions.Status if one in members]
        lines.append("    end")
    lines += [f"    {source} --> {target}" for source, target in steps()]
    return "\n".join([*lines, "```"])


def rules_list() -> str:
    """Write when each kind of problem begins and ends, and which other explains it."""
    lines = ["| rule | holds when | default | over when | explained by |", "|---|---|---|---|---|"]
    for kind, rule in rules.RULES.items():
        others = rules.INHIBITED_BY.get(kind, frozenset())
        explained_by = ", ".join(f"`{one}`" for one in rules.RULES if one in others)
        default = _default(rule_specs.BUILT_IN[kind])
        lines.append(f"| `{kind}` | {rule.holds} | {default} | {rule.over} | {explained_by} |")
    return "\n".join(lines)


def cluster_rules_list() -> str:
    """Write the same of what is about a cluster as a whole, and what it explains."""
    lines = ["| rule | holds when | default | over when | explains |", "|---|---|---|---|---|"]
    for kind, rule in rules.OF_CLUSTER.items():
        default = _default(rule_specs.BUILT_IN[kind])
        lines.append(f"| `{kind}` | {rule.holds} | {default} | {rule.over} | {rule.explains} |")
    return "\n".join(lines)


def _default(rule: Mapping[str, object]) -> str:
    parts = (
        f"{name}: {_default(value)}" if isinstance(value, dict) else f"{name} {value}"
        for name, value in rule.items()
    )
    return ", ".join(parts) or "off"


PARTS = {
    "reasons": ("reasons.md", reasons_list),
    "rules": ("rules.md", rules_list),
    "cluster rules": ("rules.md", cluster_rules_list),
    "steps": ("executions.md", figure),
    "messages": ("messages.md", renderings.page),
    "templates": ("templates.md", renderings.templates),
    "cluster messages": ("messages.md", cluster_renderings.page),
}


def written(name: str, text: str, page: str) -> str:
    """Return the page with a part of it replaced."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise DocsError(f"expected the lines {begin} and {end}")
    return f"{before}{begin}\n{text.strip()}\n{end}{after}"


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    arguments = parser.parse_args()
    stale = []
    for name, (file, make) in PARTS.items():
        path = REFERENCE / file
        page = path.read_text()
        new = written(name, make(), page)
        if new != page:
            stale.append(str(path))
        if new != page and not arguments.check:
            path.write_text(new)
    if stale and arguments.check:
        print(f"run `make docs`: {', '.join(stale)} would change")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
