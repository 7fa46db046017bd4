"""The CustomResourceDefinitions as they stand in `crds/`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "crds"
OPEN = "x-kubernetes-preserve-unknown-fields"


def load(plural: str) -> Object:
    """Read a definition; YAML anchors are resolved."""
    body: Object = yaml.load((FOLDER / f"{plural}.yaml").read_text(), yaml.CSafeLoader)
    return body


def version(plural: str) -> Object:
    """Return the one version of a definition."""
    (only,) = load(plural)["spec"]["versions"]
    found: Object = only
    return found


def part(plural: str, *path: str) -> Object:
    """Return the schema of a field, such as `("spec", "schedule")`."""
    node: Object = version(plural)["schema"]["openAPIV3Schema"]
    for name in path:
        node = node["properties"][name]
    return node


def nodes(schema: Object, path: str = "") -> Iterator[tuple[str, Object]]:
    """Yield every field with its dotted path; the items of a list are `[]`."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}" if path else name)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from nodes(schema[inner], f"{path}[]")


def check(schema: Object, value: object) -> None:
    """Raise jsonschema.ValidationError for what would be refused, or pruned without a word.

    CEL rules are not looked at: only an API server can.
    """
    validator = jsonschema.Draft7Validator(_closed(schema))
    validator.validate(value)


def _closed(schema: Object) -> Object:
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {
            name: _closed(field) for name, field in schema["properties"].items()
        }
        closed.setdefault("additionalProperties", bool(schema.get(OPEN)))
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed
