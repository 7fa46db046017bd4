"""Settings, one frozen dataclass per component, read from the environment once at start.

Every variable is `ROLLCALL_<FIELD>`; a secret may also come from a file named by
`ROLLCALL_<FIELD>_FILE`. A variable with our prefix that nobody knows is an error: it is a typing
error, and the value that was meant would silently not apply.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rollcall.core import durations, errors, policies, silences, targets

T = TypeVar("T")

PREFIX = "ROLLCALL_"
DEFAULT_RETENTION_WEEKS = 13
LONGEST_RETENTION_WEEKS = 104  # as long as roll-ups, and the jobs that they speak of, are kept
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
KNOWN = {
    "ALLOWED_TARGETS",
    "ALERTS_COOLDOWN",
    "ALERTS_RECOVERY_THRESHOLD",
    "CLUSTER",
    "DATABASE_DSN",
    "DATABASE_DSN_FILE",
    "DATABASE_PASSWORD_FILE",
    "DEADMAN_URL",
    "HEALTH_PORT",
    "IDENTITY",
    "INGEST_PORT",
    "INGEST_URL",
    "KUBE_CONTEXT",
    "LEASE_NAME",
    "LOG_LEVEL",
    "MAINTENANCE",
    "NAMESPACE",
    "RETENTION_WEEKS",
    "RULES",
    "SIDECAR_FALLBACK_IMAGE",
    "SIDECAR_IMAGE",
    "SIDECAR_PULL_POLICY",
    "SIDECAR_PULL_SECRETS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What is injected into tracked pods."""

    image: str
    ingest_url: str  # where pods of any namespace reach the api process
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()  # names; they must exist in the job's namespace
    fallback_image: str = ""  # empty: pods whose sidecar image cannot be pulled are left alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a process."""

    cluster: str
    namespace: str  # our own: Lease and the Secrets of channels
    identity: str  # of this process, in the Lease and in claims
    lease_name: str
    database_dsn: str
    ingest_port: int
    health_port: int
    log_level: str
    retention_weeks: int  # whole weeks that executions and what belongs to them are kept
    sidecar: Sidecar
    defaults: policies.Defaults
    maintenance: tuple[silences.Recurring, ...]  # of the installation
    deadman_url: str | None = field(repr=False)  # who waits for our word; a secret as a whole
    allowed_targets: targets.Allowed  # where alerts may go beside the internet
    kube_context: str | None  # outside a cluster: which kubeconfig context


def load(environment: Mapping[str, str] | None = None, *, needs_database: bool = True) -> Settings:
    """Read the settings; without `needs_database` the DSN may be absent (then empty).

    Raises errors.InvalidSpec, naming the variable and what to write.
    """
    env = os.environ if environment is None else environment
    ours = {key[len(PREFIX) :]: value for key, value in env.items() if key.startswith(PREFIX)}
    unknown = sorted(set(ours) - KNOWN)
    if unknown:
        raise errors.InvalidSpec(
            "UnknownSetting", "unknown settings: " + ", ".join(PREFIX + name for name in unknown)
        )
    return Settings(
        cluster=ours.get("CLUSTER", "default"),
        namespace=ours.get("NAMESPACE", "rollcall-system"),
        identity=ours.get("IDENTITY") or socket.gethostname(),
        lease_name=ours.get("LEASE_NAME", "rollcall-operator"),
        database_dsn=_dsn(ours, needed=needs_database),
        ingest_port=_port(ours, "INGEST_PORT", 8080),
        health_port=_port(ours, "HEALTH_PORT", 8081),
        log_level=_log_level(ours),
        retention_weeks=_number(
            ours, "RETENTION_WEEKS", DEFAULT_RETENTION_WEEKS, low=1, high=LONGEST_RETENTION_WEEKS
        ),
        sidecar=_sidecar(ours),
        defaults=_defaults(ours),
        maintenance=_maintenance(ours),
        deadman_url=_deadman_url(ours),
        allowed_targets=_targets(ours),
        kube_context=ours.get("KUBE_CONTEXT"),
    )


def _sidecar(ours: Mapping[str, str]) -> Sidecar:
    return Sidecar(
        image=ours.get("SIDECAR_IMAGE", ""),
        ingest_url=ours.get("INGEST_URL", ""),
        pull_policy=ours.get("SIDECAR_PULL_POLICY", "IfNotPresent"),
        pull_secrets=tuple(filter(None, ours.get("SIDECAR_PULL_SECRETS", "").split(","))),
        fallback_image=ours.get("SIDECAR_FALLBACK_IMAGE", ""),
    )


def _defaults(ours: Mapping[str, str]) -> policies.Defaults:
    return policies.defaults(
        _json(ours, "RULES", of=dict),
        cooldown=_duration(ours, "ALERTS_COOLDOWN", policies.DEFAULT_COOLDOWN),
        recovery_threshold=_number(ours, "ALERTS_RECOVERY_THRESHOLD", 1, low=1, high=100),
    )


def _maintenance(ours: Mapping[str, str]) -> tuple[silences.Recurring, ...]:
    raw = _json(ours, "MAINTENANCE", of=list)
    if not all(isinstance(one, dict) for one in raw):
        raise errors.InvalidSpec("InvalidSetting", f"{PREFIX}MAINTENANCE: write a list of objects")
    return silences.read_recurring(raw, PREFIX + "MAINTENANCE")


def _deadman_url(ours: Mapping[str, str]) -> str | None:
    url = ours.get("DEADMAN_URL", "").strip()
    if url and not url.startswith(("https://", "http://")):
        raise errors.InvalidSpec(
            "InvalidSetting", "ROLLCALL_DEADMAN_URL must begin with https:// or http://"
        )
    return url or None


def _targets(ours: Mapping[str, str]) -> targets.Allowed:
    try:
        return targets.read(ours.get("ALLOWED_TARGETS", targets.SERVICES))
    except errors.InvalidSpec as error:
        raise errors.InvalidSpec(error.reason, f"{PREFIX}ALLOWED_TARGETS: {error}") from error


def _dsn(ours: Mapping[str, str], *, needed: bool) -> str:
    dsn = ours.get("DATABASE_DSN") or _file(ours, "DATABASE_DSN_FILE")
    if not dsn and not needed:
        return ""
    if not dsn:
        raise errors.InvalidSpec(
            "MissingSetting",
            "ROLLCALL_DATABASE_DSN or ROLLCALL_DATABASE_DSN_FILE must name the database, "
            "like postgresql://rollcall@host:5432/rollcall",
        )
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise errors.InvalidSpec(
            "InvalidSetting", "ROLLCALL_DATABASE_DSN must begin with postgresql://"
        )
    return dsn


def database_password(environment: Mapping[str, str] | None = None) -> str | None:
    """Read the password that is kept apart from the DSN, if there is one."""
    env = os.environ if environment is None else environment
    path = env.get(PREFIX + "DATABASE_PASSWORD_FILE")
    return _read(Path(path), PREFIX + "DATABASE_PASSWORD_FILE") if path else None


def _file(ours: Mapping[str, str], name: str) -> str | None:
    return _read(Path(ours[name]), PREFIX + name) if name in ours else None


def _read(path: Path, variable: str) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise errors.InvalidSpec("InvalidSetting", f"{variable}: {path}: {why}") from error


def _port(ours: Mapping[str, str], name: str, otherwise: int) -> int:
    return _number(ours, name, otherwise, low=1, high=65535)


def _number(ours: Mapping[str, str], name: str, otherwise: int, *, low: int, high: int) -> int:
    raw = ours.get(name)
    if not raw:
        return otherwise
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise errors.InvalidSpec(
            "InvalidSetting", f"{PREFIX}{name}: {raw!r} is not a number from {low} to {high}"
        )
    return int(raw)


def _duration(ours: Mapping[str, str], name: str, otherwise: timedelta) -> timedelta:
    raw = ours.get(name)
    if not raw:
        return otherwise
    try:
        return durations.parse(raw)
    except ValueError as error:
        raise errors.InvalidSpec("InvalidSetting", f"{PREFIX}{name}: {error}") from error


def _log_level(ours: Mapping[str, str]) -> str:
    level = (ours.get("LOG_LEVEL") or "INFO").upper()
    if level not in LOG_LEVELS:
        raise errors.InvalidSpec(
            "InvalidSetting", f"{PREFIX}LOG_LEVEL: {level!r} is none of {', '.join(LOG_LEVELS)}"
        )
    return level


def _json(ours: Mapping[str, str], name: str, *, of: type[T]) -> T:
    raw = ours.get(name)
    try:
        value = json.loads(raw) if raw else of()
    except ValueError as error:
        raise errors.InvalidSpec("InvalidSetting", f"{PREFIX}{name}: {error}") from error
    if not isinstance(value, of):
        what = "object" if of is dict else "list"
        raise errors.InvalidSpec("InvalidSetting", f"{PREFIX}{name}: write a JSON {what}")
    return value
