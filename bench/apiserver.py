"""A stand-in for the API server, as a process on loopback: it answers TokenReviews.

It believes what a token of `bench.pods` says, and takes as long as reading that takes. Its CPU
time is the cluster's, and nobody counts it. `python -m bench.apiserver PORT`
"""

import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from bench import ROOT, pods, processes
from rollcall.core import names

CONTEXT = "bench"

Message = MutableMapping[str, Any]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Run it until the block ends; give the kubeconfig that leads to it."""
    port = processes.free_port()
    command = [sys.executable, "-m", "bench.apiserver", str(port)]
    with processes.running(command, folder / "apiserver.log", cwd=ROOT):
        processes.wait_for(port, "/readyz")
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(port)))
        yield kubeconfig


def _kubeconfig(port: int) -> dict[str, Any]:
    reference = {"name": CONTEXT}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [reference | {"cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [reference | {"user": {"token": "bench"}}],
        "contexts": [reference | {"context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }


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
    uvicorn.run(
        serve, port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off",
        interface="asgi3",
    )  # fmt: skip


if __name__ == "__main__":
    main()
