"""The way to the API server, and how we show who we are.

In a cluster that is the pod's service account, three files that kubelet keeps fresh. Elsewhere it
is the user's kubeconfig with its plugins, a lot to get right: the official client reads it, and is
imported only then, for it takes 20 MB that a process in a cluster has no use for.
"""

import logging
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

logger = logging.getLogger(__name__)

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD = 60.0  # seconds; kubelet renews a token long before it ends


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
    account = _Account(folder)
    return Credentials(
        host=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=account.tls,
        authorization=account.authorization,
    )


class _Account:
    """The pod's token, and the authority behind the API server's certificate.

    Both are read again each minute. What cannot be read then leaves us with what we have: that is
    good for a while yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tls = ssl.create_default_context(cafile=folder / "ca.crt")
        self._header = self._read()
        self._read_at = time.monotonic()

    async def authorization(self) -> str:
        now = time.monotonic()
        if now - self._read_at > REREAD:
            self._read_at = now
            try:
                self._header = self._read()
                # A new authority comes beside the old one first: it is enough to learn of it.
                self.tls.load_verify_locations(cafile=self._folder / "ca.crt")
            except (OSError, ValueError) as error:
                logger.warning("credentials not read again", extra={"error": str(error)})
        return self._header

    def _read(self) -> str:
        path = self._folder / "token"
        text = path.read_text().strip()
        if not text:
            raise OSError(f"{path} is empty")
        return f"Bearer {text}"


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
