"""What an image build needs of this machine's network settings, without leaving it in the image.

Each becomes a file that a build mounts as a secret; one that this machine does not need is absent.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import aptsources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Options that say where packages come from and how long to wait. Paths of this machine mean
# nothing inside a build.
_PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_PIP_ALIASES = {"timeout": "default-timeout"}
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


def pip_options(environ: Mapping[str, str], files: list[Path]) -> dict[str, str]:
    """Collect pip's settings about the network; the environment wins, as for pip itself."""
    parser = configparser.RawConfigParser()
    for file in files:
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue  # pip would complain on this machine; a build can do without
    options: dict[str, str] = {}
    for option in _PIP_OPTIONS:
        for section in ("global", "install"):
            if parser.has_option(section, option):
                options[option] = parser.get(section, option)
        for name in (option, _PIP_ALIASES.get(option, option)):
            value = environ.get(f"PIP_{name.upper().replace('-', '_')}")
            if value:
                options[option] = value
    return options


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """Where pip looks for its settings, the stronger later."""
    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path.home()
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", config / "pip/pip.conf"]
    return [*files, Path(own)] if own else files


def ca_bundle(environ: Mapping[str, str]) -> Path | None:
    """Find the certificates that this machine trusts, as one file."""
    named = [environ[name] for name in _CA_VARIABLES if environ.get(name)]
    return next((Path(path) for path in [*named, *_CA_BUNDLES] if Path(path).is_file()), None)


@contextmanager
def arguments(*, debian_suite: str | None) -> Iterator[list[str]]:
    """`--secret` options for a build; with `debian_suite` also this machine's package sources."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"pip_conf": _pip_conf()}
        if debian_suite:
            files["apt_sources"] = aptsources.mirrors().lines(debian_suite)
            files["apt_options"] = aptsources.acquire_options()
        options: list[str] = []
        for name, text in files.items():
            path = Path(folder) / name
            path.write_text(text)
            options += ["--secret", f"id={name},src={path}"]
        bundle = ca_bundle(os.environ)
        if bundle:
            options += ["--secret", f"id=ca_bundle,src={bundle}"]
        yield options


def _pip_conf() -> str:
    options = pip_options(os.environ, pip_files(os.environ))
    # Several values of one option stand on lines of their own, indented.
    lines = [f"{name} = {value}".replace("\n", "\n    ") for name, value in options.items()]
    return "\n".join(["[global]", *lines, ""])
