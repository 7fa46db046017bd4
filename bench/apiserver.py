"""A stand-in for the API server, as a process on loopback: it answers TokenReviews.

It believes what a token of `bench.pods` says, and takes as long as reading that takes. Its CPU
time is the cluster's, and nobody counts it. `python -m bench.apiserver PORT FOLDER`
"""

import contextlib
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from bench import ROOT, pods, processes
from rollcall.core import names

HOST = "127.0.0.1"

Message = MutableMapping[str, Any]


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


async def serve(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer one request."""
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    is_review = scope["path"].endswith("/tokenreviews")
    answer = msgspec.json.encode(_review(msgspec.json.decode(body)) if is_review else {})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    status = 201 if is_review else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


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
    uvicorn.run(
        serve, port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off",
        interface="asgi3", ssl_certfile=account / "ca.crt", ssl_keyfile=account / "tls.key",
    )  # fmt: skip


if __name__ == "__main__":
    main()
