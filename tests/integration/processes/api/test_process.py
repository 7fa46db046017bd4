"""`rollcall api` as the process that it is in its pod."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from rollcall.store import upgrade
from support import sidecars

NAME = {"name": "nowhere"}
KUBECONFIG = {
    "current-context": "nowhere",
    "clusters": [NAME | {"cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [NAME | {"user": {"token": "secret"}}],
    "contexts": [NAME | {"context": {"cluster": "nowhere", "user": "nowhere"}}],
}


def test_a_process_that_can_never_say_that_it_keeps_reports_ends_and_says_why(
    empty_dsn: str, tmp_path: Path
) -> None:
    asyncio.run(upgrade.upgrade(empty_dsn))
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("ALTER TABLE clusters DROP COLUMN kept_since")
    ended = subprocess.run(
        [sys.executable, "-m", "rollcall", "api"],
        env=environment(empty_dsn, tmp_path / "kubeconfig"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    said = ended.stdout + ended.stderr
    assert "kept_since" in said
    assert '"loop": "canary"' in said


def environment(dsn: str, kubeconfig: Path) -> dict[str, str]:
    kubeconfig.write_text(json.dumps(KUBECONFIG))
    inherited = {key: value for key, value in os.environ.items() if "KUBERNETES" not in key}
    return inherited | {
        "KUBECONFIG": str(kubeconfig),
        "ROLLCALL_CLUSTER": "test",
        "ROLLCALL_DATABASE_DSN": dsn,
        "ROLLCALL_INGEST_PORT": str(sidecars.free_port()),
        "ROLLCALL_HEALTH_PORT": str(sidecars.free_port()),
    }
