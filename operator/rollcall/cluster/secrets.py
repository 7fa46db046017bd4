"""The embedded Postgres' password: a Secret that is made once and never changed."""

import contextlib
import logging
import secrets

from rollcall.cluster import client
from rollcall.core import errors

logger = logging.getLogger(__name__)

KEY = "password"
STRENGTH = 32  # bytes of randomness


async def create_once(*, context: str | None, namespace: str, name: str) -> None:
    """Create the Secret with a random password; one that exists stays as it is.

    Raises errors.Refused or errors.ClusterUnavailable.
    """
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": {KEY: secrets.token_urlsafe(STRENGTH)},
    }
    async with await client.KubeClient.connect(context=context) as kube:
        with contextlib.suppress(errors.Conflict):
            await kube.create(f"/api/v1/namespaces/{namespace}/secrets", body)
            logger.info("secret created", extra={"secret": name})
