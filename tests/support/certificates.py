"""Certificates of throw-away servers on this machine."""

import shutil
import subprocess
from pathlib import Path

import pytest


def make(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for `localhost`, its own authority, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.fail("needs the openssl program to make a certificate", pytrace=False)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return certificate, key
