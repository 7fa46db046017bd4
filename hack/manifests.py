"""Writes what follows from other files: the chart's CRD templates and the values in its README.

`crds/` is the source of the one, comments in `values.yaml` of the other. `--check` writes nothing
and fails if anything would change.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHART = Path("charts/rollcall")
BEGIN, END = "<!-- values: written by `make manifests` -->", "<!-- end of values -->"
NOTICE = "# Written by `make manifests` from crds/{name}; edit it there."
# Only Helm stops at the annotation: deleting a CRD deletes every object of its kind.
METADATA = """\
  annotations:
    helm.sh/resource-policy: keep
  labels:
    {{- include "rollcall.labels" (dict "root" .) | nindent 4 }}
"""
_KEY = re.compile(r"( *)([A-Za-z]+):(?: (.*))?")


class ManifestsError(Exception):
    """A source file that the outputs cannot be written from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One documented value of the chart."""

    path: str
    default: object
    meaning: str


def crd_template(name: str, text: str) -> str:
    """Turn a CRD into a template that the value `crds.install` turns on, kept at uninstall."""
    if "{{" in text:
        raise ManifestsError(f"crds/{name}: braces that Helm would take for a template")
    metadata = re.search(r"^metadata:\n  name: .*\n", text, flags=re.MULTILINE)
    if metadata is None:
        raise ManifestsError(f"crds/{name}: expected metadata with a name first")
    body = text[: metadata.end()] + METADATA + text[metadata.end() :]
    return f"{NOTICE.format(name=name)}\n{{{{- if .Values.crds.install }}}}\n{body}{{{{- end }}}}\n"


def values(text: str) -> Iterator[Value]:
    """Yield every value that has a comment directly above it.

    Raises ManifestsError for one that nothing explains, neither itself nor a value around it.
    """
    defaults = yaml.safe_load(text)
    path: list[str] = []
    comment: list[str] = []
    explained: set[str] = set()
    for line in text.splitlines():
        key = _KEY.fullmatch(line)
        if key:
            path = [*path[: len(key[1]) // 2], key[2]]
            dotted = ".".join(path)
            if comment:
                explained.add(dotted)
                yield Value(path=dotted, default=_at(defaults, path), meaning=" ".join(comment))
            elif key[3] and not any(dotted.startswith(f"{known}.") for known in explained):
                raise ManifestsError(f"values.yaml: {dotted} has no comment above it")
        is_comment = line.lstrip().startswith("#")
        comment = [*comment, line.lstrip(" #")] if is_comment else []


def readme(text: str, rows: Sequence[Value]) -> str:
    """Replace the table between the two marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ManifestsError(f"README.md: expected {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join(
        f"| `{row.path}` | {_shown(row.default)} | {row.meaning.replace('|', '&#124;')} |"
        for row in rows
    )
    return f"{before}{BEGIN}\n| value | default | meaning |\n|---|---|---|\n{table}\n{END}{after}"


def outputs(root: Path) -> dict[Path, str]:
    """Return every generated file with the content that it should have."""
    chart = root / CHART
    templates = {
        chart / "templates/crds" / path.name: crd_template(path.name, path.read_text())
        for path in sorted((root / "crds").glob("*.yaml"))
    }
    rows = list(values((chart / "values.yaml").read_text()))
    return {**templates, chart / "README.md": readme((chart / "README.md").read_text(), rows)}


def surplus(root: Path, wanted: dict[Path, str]) -> list[Path]:
    """Return templates of CRDs that are no more."""
    return [path for path in (root / CHART / "templates/crds").glob("*") if path not in wanted]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    asked = parser.parse_args()
    try:
        wanted = outputs(asked.root)
    except ManifestsError as error:
        print(f"manifests: {error}", file=sys.stderr)
        return 2
    changed = [path for path, text in wanted.items() if _content(path) != text]
    gone = surplus(asked.root, wanted)
    for path in (*changed, *gone):
        print(path.relative_to(asked.root))
    if asked.check:
        return 1 if changed or gone else 0
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
    for path in gone:
        path.unlink()
    return 0


def _at(tree: object, path: Sequence[str]) -> object:
    for key in path:
        tree = tree[key] if isinstance(tree, dict) else None
    return tree


def _shown(default: object) -> str:
    """Write a default as one would in a value, on one line."""
    if default in ("", None):
        return ""
    text = yaml.safe_dump(default, default_flow_style=True, width=10_000, sort_keys=False)
    return f"`{text.removesuffix(chr(10)).removesuffix('...').strip()}`"


def _content(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
