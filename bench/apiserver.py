"""A stand-in for the API server, as a process on loopback: it answers TokenReviews.

It believes what a token of `bench.pods` says, and takes as long as reading that takes. Its CPU
time is the cluster's, and nobody counts it. `python -m bench.apiserver PORT FOLDER`
"""

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from typing_extensions import override  # typing has it from 3.12 on

from bench import ROOT, pods, processes
from rollcall.core import names
from rollcall.serving import limits, messages, server

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """A running one, and the folder with what a pod's service account has."""

    port: int
    account: Path


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Run it until the block ends."""
    account = folder / "serviceaccount"
    account.mkdir()
    (account / "token").write_text("bench")
    _certify(account)
    port = processes.free_port()
    command = [sys.executable, "-m", "bench.apiserver", str(port), str(account)]
    with processes.running(command, folder / "apiserver.log", cwd=ROOT):
        tls = ssl.create_default_context(cafile=account / "ca.crt")
        processes.wait_for(port, "/readyz", tls=tls)
        yield ApiServer(port=port, account=account)


def _certify(folder: Path) -> None:
    """Make a certificate that is its own authority."""
    places = f"subjectAltName=IP:{HOST},DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    command += ["ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=bench", "-days", "2"]
    command += ["-addext", places, "-keyout", str(folder / "tls.key")]
    subprocess.run([*command, "-out", str(folder / "ca.crt")], check=True, capture_output=True)


class Reviews(messages.Application):
    """Believes what stands in a token."""

    @override
    def answer(self, exchange: messages.Exchange) -> None:
        """Answer one request."""
        is_review = exchange.path.endswith("/tokenreviews")
        answer = _review(msgspec.json.decode(exchange.body)) if is_review else {}
        body, status = msgspec.json.encode(answer), 201 if is_review else 200
        exchange.answer(messages.Response(body=body, status=status))


def _review(asked: dict[str, Any]) -> dict[str, Any]:
    claims = pods.claims_of(asked["spec"]["token"])
    pod = claims["kubernetes.io"]["pod"]
    extra = {f"authentication.kubernetes.io/pod-{key}": [value] for key, value in pod.items()}
    user = {"username": claims["sub"], "extra": extra}
    status = {"authenticated": True, "audiences": [names.TOKEN_AUDIENCE], "user": user}
    return asked | {"status": status}


def main() -> None:
    """Serve until terminated."""
    account = Path(sys.argv[2])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(account / "ca.crt", account / "tls.key")
    uvloop.run(_serve(int(sys.argv[1]), tls))


async def _serve(port: int, tls: ssl.SSLContext) -> None:
    serving = server.Server(Reviews(), limits.Limits(largest_body=64 * 1024, idle=60))
    await serving.listen(port, host=HOST, tls=tls)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
