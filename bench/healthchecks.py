"""healthchecks, the product that Rollcall's ingest is measured against, set up as its image is.

$HEALTHCHECKS_SRC names a checkout of it (it was commit 29b5ec25), which is left as it is. Its
pinned packages go into a virtual environment of their own in build/bench. What its uWSGI runs
besides pings, the daemons that send and the map of static files, is left out: that favours it.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT, database, pods, processes
from support import postgres

SOURCE = "HEALTHCHECKS_SRC"
CHECKS = 200
# What is said of each: its settings as they come, and with connections that are kept.
VARIANTS = {"shipped": {}, "tuned": {"DB_CONN_MAX_AGE": "60"}}
_VENV = ROOT / "build/bench/healthchecks"
_PACKAGES = ("psycopg[c]", "uWSGI==2.0.31")
_PYTHONS = ("python3.13", "python3.14", "python3.12", "python3")
_NEWEST_TOO_OLD = (3, 11)  # for its Django
DATABASE = "hc"
_LEFT_OUT = ("attach-daemon", "check-static", "static-gzip-dir", "hook-pre-app")
_CREATE = f"""
from django.contrib.auth.models import User
from hc.accounts.models import Profile, Project
from hc.api.models import Check
user = User.objects.create(username="bench", email="bench@example.org")
Profile.objects.for_user(user)
project = Project.objects.create(owner=user, name="bench")
checks = [Check.objects.create(project=project, name=f"job-{{n}}") for n in range({CHECKS})]
print("codes", *[check.code for check in checks])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One running variant."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthchecks:
    """All variants, on one Postgres of their own."""

    postgres: postgres.Server
    variants: dict[str, Server]
    pings: Path  # requests for the load generator, one to each check


def source() -> Path | None:
    """Return the checkout to measure; None, said aloud, if none is named."""
    named = os.environ.get(SOURCE)
    if not named:
        print(f"healthchecks is SKIPPED: {SOURCE} names no checkout of it; nothing is paired")
        return None
    return Path(named).resolve(strict=True)


@contextlib.contextmanager
def running(checkout: Path, folder: Path, **settings: str) -> Iterator[Healthchecks]:
    """Install it, create its checks and run all variants until the block ends."""
    _install(checkout)
    port = processes.free_port()
    own = postgres.own_server(port=port, settings=database.SETTINGS | settings)
    with own as server, contextlib.ExitStack() as stack:
        server.execute(f"CREATE DATABASE {DATABASE}")
        pings = pods.write(folder / "pings", _pings(_codes(checkout, _environment(port))))
        variants = {
            name: stack.enter_context(_uwsgi(checkout, folder, _environment(port) | more))
            for name, more in VARIANTS.items()
        }
        yield Healthchecks(postgres=server, variants=variants, pings=pings)


def _install(checkout: Path) -> None:
    """Make the virtual environment, unless it is there with these packages."""
    pinned = checkout / "requirements.txt"
    wanted = hashlib.sha256(pinned.read_bytes() + " ".join(_PACKAGES).encode()).hexdigest()
    marker = _VENV / ".installed"
    if marker.exists() and marker.read_text() == wanted:
        return
    print("installing healthchecks' packages", flush=True)
    subprocess.run([_python(), "-m", "venv", "--clear", str(_VENV)], check=True)
    pip = [str(_VENV / "bin/pip"), "--disable-pip-version-check", "--quiet", "install"]
    # Two of them are compiled: psycopg needs libpq-dev, uWSGI a C compiler.
    subprocess.run([*pip, "--requirement", str(pinned), *_PACKAGES], check=True)
    marker.write_text(wanted)


def _python() -> str:
    for name in _PYTHONS:
        check = f"import sys; sys.exit(sys.version_info[:2] <= {_NEWEST_TOO_OLD})"
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", check], check=False).returncode == 0:
            return found
    raise FileNotFoundError("healthchecks needs Python 3.12 or newer on PATH")


def _environment(port: int) -> dict[str, str]:
    return {
        "PATH": f"{_VENV / 'bin'}:{os.environ['PATH']}",
        "PYTHONPYCACHEPREFIX": str(ROOT / "build/pycache"),  # the checkout stays clean
        "DB": "postgres",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(port),
        "DB_NAME": DATABASE,
        "DB_USER": postgres.SUPERUSER,
        "DEBUG": "False",
        "SECRET_KEY": "bench",
        "USE_GZIP_MIDDLEWARE": "True",  # as in its image
    }


def _codes(checkout: Path, environment: dict[str, str]) -> list[str]:
    """Make its tables and checks; return the checks' codes."""
    _manage(checkout, environment, "migrate", "--verbosity=0")
    said = _manage(checkout, environment, "shell", "--verbosity=0", "-c", _CREATE)
    return said.split("codes ")[1].split()


def _manage(checkout: Path, environment: dict[str, str], *arguments: str) -> str:
    command = [str(_VENV / "bin/python"), "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"healthchecks: {arguments[0]}: {done.stderr[-2000:]}")
    return done.stdout


def _pings(codes: list[str]) -> Iterator[bytes]:
    for code in codes:
        yield f"GET /ping/{code} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@contextlib.contextmanager
def _uwsgi(checkout: Path, folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    port = processes.free_port()
    settings = folder / f"uwsgi-{port}.ini"
    settings.write_text(_ini((checkout / "docker/uwsgi.ini").read_text(), checkout, port))
    command = [str(_VENV / "bin/uwsgi"), "--ini", str(settings)]
    log = folder / f"uwsgi-{port}.log"
    with processes.running(command, log, env=environment, cwd=checkout) as process:
        processes.wait_for(port, "/api/v3/status/")
        yield Server(pid=process.pid, port=port)


def _ini(shipped: str, checkout: Path, port: int) -> str:
    """Return its shipped settings for this place, without what is left out."""
    changed = {"chdir": str(checkout), "http-socket": f"127.0.0.1:{port}"}
    lines = []
    for line in shipped.splitlines():
        name = line.partition("=")[0].strip()
        if name not in _LEFT_OUT:
            lines.append(f"{name} = {changed[name]}" if name in changed else line)
    return "\n".join(lines) + "\n"
