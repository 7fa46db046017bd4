"""Pods that report: their rows, their tokens, and what each of them sends.

Everything follows from a pod's number, so that database, API server and load agree.
"""

import asyncio
import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from bench import database
from rollcall.core import names
from rollcall.store import engine

CLUSTER = "bench"
NAMESPACE = "bench"
PATH = "/ingest/v1/reports"
SEPARATOR = b"\0"  # between requests in a file
_BOOT = "0123456789abcdef"
# A pod has one token for all that it reports, as in life, where it is renewed after 48 minutes.
_ISSUED_AT = int(datetime.now(UTC).timestamp())
_SIGNATURE = "s" * 342  # as long as that of RS256
_ISSUER = "https://kubernetes.default.svc.cluster.local"


def create(store: database.Database, count: int) -> None:
    """Write so many jobs, each with one run under way and its pod."""
    asyncio.run(_partition(store))
    store.server.execute(_JOBS.format(count=count, cluster=CLUSTER), database.ROLE)
    store.server.execute(_RUNS.format(count=count), database.ROLE)
    renew(store)


def renew(store: database.Database) -> None:
    """Let all pods begin anew: nothing is reported yet."""
    for statement in ("DELETE FROM attempts", _PODS, "VACUUM ANALYZE"):
        store.server.execute(statement, database.ROLE)


def uid(number: int) -> str:
    """Return the UID of a pod, as the statements below write it."""
    return str(UUID(int=number))


def token(number: int) -> str:
    """Return a token as the API server issues it for a volume, in size and form."""
    claims = {
        "aud": [names.TOKEN_AUDIENCE],
        "exp": _ISSUED_AT + 3600,
        "iat": _ISSUED_AT,
        "iss": _ISSUER,
        "jti": uid(number),
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "node": {"name": "node-1", "uid": uid(number)},
            "pod": {"name": f"job-{number}-0-abcde", "uid": uid(number)},
            "serviceaccount": {"name": "default", "uid": uid(number)},
        },
        "nbf": _ISSUED_AT,
        "sub": f"system:serviceaccount:{NAMESPACE}:default",
    }
    header = {"alg": "RS256", "kid": "k" * 43}
    return ".".join([_encoded(header), _encoded(claims), _SIGNATURE])


def claims_of(token: str) -> dict[str, Any]:
    """Read such a token."""
    middle = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


def heartbeat(number: int, **more: object) -> bytes:
    """Return a whole request as a sidecar sends it; `more` stands in its body too."""
    now = datetime.now(UTC).isoformat()
    report = {
        "v": 1,
        "seq": 7,
        "boot": _BOOT,
        "sentAt": now,
        "startedAt": now,
        "heartbeat": {"uptimeSeconds": 90},
    }
    body = json.dumps(report | more, separators=(",", ":"))
    head = (
        f"POST {PATH} HTTP/1.1",
        "Accept-Encoding: identity",
        f"Content-Length: {len(body)}",
        "Host: rollcall-api.rollcall-system.svc:8080",
        f"Authorization: Bearer {token(number)}",
        "Content-Type: application/json",
        "Accept: application/json",
        "User-Agent: rollcall-sidecar",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def finish(number: int) -> bytes:
    """Return the last report of a pod, with its result."""
    result = {
        "seq": 1,
        "kind": "result",
        "at": datetime.now(UTC).isoformat(),
        "result": "succeeded",
        "message": "all orders exported",
        "counters": {"rows": 120_000 + number},
        "metadata": {"table": "orders"},
    }
    return heartbeat(number, items=[result], final=True)


def write(path: Path, requests: Iterable[bytes]) -> Path:
    """Keep requests for the load generator."""
    path.write_bytes(SEPARATOR.join(requests))
    return path


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def _partition(server: database.Database) -> None:
    store = engine.Database(server.dsn, application_name="bench")
    now = datetime.now(UTC)
    await store.partitions.ensure_for(now, now)
    await store.close()


_ID = "lpad(to_hex(n), 32, '0')::uuid"
_JOBS = f"""
    INSERT INTO cronjobs (id, cluster, uid, namespace, name, policy, created_at, next_check_at)
    SELECT {_ID}, '{{cluster}}', 'uid-' || n, '{NAMESPACE}', 'job-' || n,
        '{{{{"rules": {{{{}}}}, "alerts": {{{{}}}}}}}}', now(), now() + interval '1h'
    FROM generate_series(1, {{count}}) n
"""
_RUNS = f"""
    INSERT INTO executions (
        slot_at, id, cronjob_id, trigger, status, job_name, job_uid, created_at, started_at,
        attempts
    )
    SELECT date_trunc('minute', now()), {_ID}, {_ID}, 'schedule', 'running', 'job-' || n || '-0',
        'job-uid-' || n, now(), now(), 1
    FROM generate_series(1, {{count}}) n
"""
_PODS = """
    INSERT INTO attempts (
        pod_uid, execution_id, slot_at, cronjob_id, job_uid, pod_name, index, created_at, started_at
    )
    SELECT id::text, id, slot_at, cronjob_id, job_uid, job_name || '-abcde', 0, created_at,
        started_at
    FROM executions
"""
