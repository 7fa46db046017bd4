"""For people who change code: a temporary Postgres and the api process, restarted at every change.

The api asks Kubernetes who reports: it uses $ROLLCALL_KUBE_CONTEXT, else a cluster of `make demo`
or `make test`. All data is gone at the end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import cachedir

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "operator/rollcall"
MIGRATIONS = SOURCES / "store/migrations"
PORTS = {"postgres": 55432, "ingest": 18080, "health": 18081}
LOOK_SECONDS = 0.5
# More than the api takes to end its requests.
STOP_SECONDS = 15.0
NOWHERE = "the api needs a cluster: run `make demo` first, or set ROLLCALL_KUBE_CONTEXT"


def environment(dsn: str) -> dict[str, str]:
    """Return the settings of the api process."""
    # Those are for scripts; the process refuses settings that it does not know.
    scripts = ("ROLLCALL_CACHE", "ROLLCALL_DEBIAN_")
    outer = {key: value for key, value in os.environ.items() if not key.startswith(scripts)}
    return {
        **outer,
        **({} if "ROLLCALL_KUBE_CONTEXT" in outer else _kubernetes()),
        "ROLLCALL_DATABASE_DSN": dsn,
        "ROLLCALL_INGEST_PORT": str(PORTS["ingest"]),
        "ROLLCALL_HEALTH_PORT": str(PORTS["health"]),
    }


def _kubernetes() -> dict[str, str]:
    for name in ("rollcall-demo", "rollcall-test"):
        kubeconfig = cachedir.kubeconfig(name)
        if kubeconfig.exists():
            return {"KUBECONFIG": str(kubeconfig), "ROLLCALL_KUBE_CONTEXT": f"kind-{name}"}
    return {}


def stamps() -> dict[Path, int]:
    """Return when each source file was last written."""
    found = {}
    for path in SOURCES.rglob("*.py"):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # removed since it was listed
            continue
    return found


def changed(before: dict[Path, int], after: dict[Path, int]) -> list[Path]:
    """Return what was written, added or removed."""
    both = before.keys() | after.keys()
    return sorted(path for path in both if before.get(path) != after.get(path))


def rollcall(*arguments: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the command; Ctrl-C is for us to pass on."""
    command = [sys.executable, "-m", "rollcall", *arguments]
    return subprocess.Popen(command, env=env, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process as Kubernetes does."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def upgrade(env: dict[str, str]) -> None:
    """Bring the database to the newest schema; what fails has said why."""
    rollcall("db", "upgrade", env=env).wait()


def serve(env: dict[str, str]) -> None:
    """Run the api, and anew at every change, until interrupted."""
    upgrade(env)
    seen, process = stamps(), rollcall("api", env=env)
    has_ended = False
    try:
        while True:
            time.sleep(LOOK_SECONDS)
            if not has_ended and process.poll() is not None:
                has_ended = True
                print(f"the api ended with code {process.returncode}: the next change starts it")
            now = stamps()
            news, seen = changed(seen, now), now
            if news:
                print(f"changed: {', '.join(str(path.relative_to(ROOT)) for path in news)}")
                stop(process)
                if any(path.is_relative_to(MIGRATIONS) for path in news):
                    upgrade(env)
                process, has_ended = rollcall("api", env=env), False
    finally:
        stop(process)


def main() -> int:
    sys.path.insert(0, str(ROOT / "tests"))
    from support import postgres

    if "ROLLCALL_KUBE_CONTEXT" not in environment(""):
        print(NOWHERE, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        with postgres.own_server(port=PORTS["postgres"]) as server:
            env = environment(server.tcp_dsn())
            print(f"Postgres   {server.tcp_dsn()}")
            print(f"ingest     http://127.0.0.1:{PORTS['ingest']}/ingest/v1/reports")
            print(f"metrics    http://127.0.0.1:{PORTS['health']}/metrics")
            print(f"Kubernetes {env['ROLLCALL_KUBE_CONTEXT']}")
            print("Ctrl-C ends it", flush=True)
            serve(env)
    except KeyboardInterrupt:
        print("\nstopped")
    except postgres.PostgresMissingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
