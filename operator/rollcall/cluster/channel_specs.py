"""AlertChannel bodies read into what routing and sending need; pure.

A kind is a field of the spec (`webhook`, `slack`). Its settings are strings, lists of them joined
by commas, and a setting `x` may be given as `xSecretRef: {name, key}` instead, which makes it a
value of a Secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rollcall.core import errors, pacing, policies, routing

T = TypeVar("T", policies.Severity, policies.Kind)

REFERENCE = "SecretRef"
_SECRET_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # an RFC 1123 subdomain


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """One value of a Secret in our own namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A valid AlertChannel."""

    kind: str
    settings: Mapping[str, str | SecretKey]
    route: routing.Channel
    pace: pacing.Pace
    templates: Mapping[str, str]  # of title and body, those that are written


def read(body: Mapping[str, Any], kinds: frozenset[str]) -> Spec:
    """Read a body; `kinds` are those that can be built.

    Raises errors.InvalidSpec, naming the field.
    """
    spec = body.get("spec") or {}
    given = sorted(kinds & spec.keys())
    if len(given) != 1:
        known = " or ".join(sorted(kinds))
        raise errors.InvalidSpec("InvalidChannel", f"spec: write exactly one of {known}")
    kind = given[0]
    return Spec(
        kind=kind,
        settings=_settings(kind, spec[kind] or {}),
        route=_route(body["metadata"]["name"], spec),
        pace=pacing.read(kind, spec),
        templates={name: str(text) for name, text in (spec.get("templates") or {}).items()},
    )


def _settings(kind: str, section: Mapping[str, Any]) -> dict[str, str | SecretKey]:
    settings: dict[str, str | SecretKey] = {}
    for field, value in section.items():
        name = field.removesuffix(REFERENCE)
        if name in settings:
            raise errors.InvalidSpec(
                "InvalidChannel", f"{kind}: write either {name} or {name}{REFERENCE}"
            )
        is_reference = field.endswith(REFERENCE)
        settings[name] = _reference(f"{kind}.{field}", value) if is_reference else _text(value)
    return settings


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _reference(field: str, raw: Mapping[str, Any]) -> SecretKey:
    name, key = str(raw.get("name") or ""), str(raw.get("key") or "")
    if not key or not _SECRET_NAME.fullmatch(name):
        raise errors.InvalidSpec(
            "InvalidChannel", f"{field}: write the name of a Secret and one of its keys"
        )
    return SecretKey(name=name, key=key)


def _route(name: str, spec: Mapping[str, Any]) -> routing.Channel:
    severities, kinds = spec.get("severities"), spec.get("kinds")
    return routing.Channel(
        name=name,
        severities=routing.DEFAULT_SEVERITIES
        if severities is None
        else frozenset(_member(policies.Severity, "severities", raw) for raw in severities),
        kinds=None
        if kinds is None
        else frozenset(_member(policies.Kind, "kinds", raw) for raw in kinds),
        namespaces=_selector("namespaceSelector", spec),
        cronjobs=_selector("cronjobSelector", spec),
        suspended=bool(spec.get("suspend")),
    )


def _member(enum: type[T], field: str, raw: str) -> T:
    try:
        return enum(raw)
    except ValueError:
        known = ", ".join(enum)
        raise errors.InvalidSpec("InvalidChannel", f"{field}: {raw}: known are {known}") from None


def _selector(field: str, spec: Mapping[str, Any]) -> routing.Selector:
    try:
        selector = routing.read_selector(spec.get(field))
        for requirement in selector.requirements:
            requirement.holds({})  # an unknown operator shows only when it is asked
    except (KeyError, TypeError, AttributeError) as error:
        raise errors.InvalidSpec("InvalidSelector", f"{field}: not a label selector") from error
    except errors.InvalidSpec as error:
        raise errors.InvalidSpec(error.reason, f"{field}: {error}") from error
    return selector
