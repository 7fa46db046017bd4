"""The way to the API server, and how we show who we are.

In a cluster that is the pod's service account, three files that kubelet keeps fresh. Elsewhere it
is the user's kubeconfig with its plugins, a lot to get right: the official client reads it, and is
imported only then, for it takes 20 MB that a process in a cluster has no use for.
"""

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollcall.core import errors

if TYPE_CHECKING:
    from kubernetes.aio.client.configuration import Configuration

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD = 60.0  # seconds; kubelet renews the token long before it ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """`authorization` returns the header of that name, None for none; it is asked each time."""

    host: str  # with its scheme
    tls: ssl.SSLContext | None  # None for http
    authorization: Callable[[], Awaitable[str | None]]
    proxy: str | None = None
    server_name: str | None = None  # in its certificate, if it is not that of `host`


async def find(context: str | None) -> Credentials:
    """Find the API server and our credentials for it; raises errors.InvalidSpec without them."""
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            return of_service_account(FOLDER)
        return await _of_kubeconfig(context)
    except (OSError, ValueError) as error:
        raise _nothing(error) from error


def of_service_account(folder: Path) -> Credentials:
    """Read what kubelet gives a pod; raises OSError or ValueError if it is not there whole."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT")
    if not (host and port):
        raise ValueError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are needed")
    token = _Token(folder / "token")
    token.read()
    return Credentials(
        host=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=ssl.create_default_context(cafile=folder / "ca.crt"),
        authorization=token.authorization,
    )


class _Token:
    """A token's file, read again each minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header = ""
        self._read_at = 0.0

    def read(self) -> None:
        text = self._path.read_text().strip()
        if not text:
            raise OSError(f"{self._path} is empty")
        self._header, self._read_at = f"Bearer {text}", time.monotonic()

    async def authorization(self) -> str:
        if time.monotonic() - self._read_at > REREAD:
            self.read()
        return self._header


async def _of_kubeconfig(context: str | None) -> Credentials:
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.config import config_exception, kube_config

    found = Configuration()
    try:
        await kube_config.load_kube_config(context=context, client_configuration=found)
    except config_exception.ConfigException as error:
        raise _nothing(error) from error

    async def authorization() -> str | None:
        settings: dict[str, dict[str, str]] = await found.auth_settings()
        return settings.get("BearerToken", {}).get("value")

    return Credentials(
        host=found.host,
        tls=_tls(found) if found.host.startswith("https") else None,
        authorization=authorization,
        proxy=found.proxy,
        server_name=found.tls_server_name,
    )


def _tls(found: "Configuration") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if found.cert_file:
        context.load_cert_chain(found.cert_file, keyfile=found.key_file)
    if not found.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _nothing(error: Exception) -> errors.InvalidSpec:
    return errors.InvalidSpec(
        "InvalidSetting",
        f"no way to a cluster: {error}; outside a cluster set KUBECONFIG, and with several"
        " contexts ROLLCALL_KUBE_CONTEXT",
    )
