"""Values of Secrets in our own namespace, the only ones that we may read."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol

from rollcall.cluster import channel_specs, client
from rollcall.core import errors

FRESH = timedelta(seconds=30)  # how long a rotated secret may go unnoticed


class Reader(Protocol):
    """What is asked of the API server."""

    async def get(self, path: str) -> client.Object:
        """Read one object."""


class Secrets:
    """Reads Secrets, each at most once per FRESH; what is missing is never remembered."""

    def __init__(self, api: Reader, namespace: str, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._namespace = namespace
        self._monotonic = monotonic
        self._read: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def resolve(
        self, settings: Mapping[str, str | channel_specs.SecretKey]
    ) -> dict[str, str]:
        """Replace references by their values, surrounding white space removed.

        Raises errors.InvalidSpec, errors.ClusterUnavailable.
        """
        return {
            name: value if isinstance(value, str) else await self._value(value)
            for name, value in settings.items()
        }

    async def _value(self, reference: channel_specs.SecretKey) -> str:
        where = f"Secret {reference.name} in namespace {self._namespace}"
        data = await self._data(reference.name, where)
        if reference.key not in data:
            raise errors.InvalidSpec("SecretNotFound", f"{where} has no key {reference.key}")
        try:
            value = base64.b64decode(data[reference.key], validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            value = ""  # the cause would quote the secret
        if not value:
            raise errors.InvalidSpec(
                "InvalidSecret", f"{where}: key {reference.key} is empty or not UTF-8 text"
            )
        return value

    async def _data(self, name: str, where: str) -> Mapping[str, str]:
        read_at, data = self._read.get(name, (0.0, None))
        if data is not None and self._monotonic() - read_at < FRESH.total_seconds():
            return data
        self._read.pop(name, None)
        try:
            body = await self._api.get(f"/api/v1/namespaces/{self._namespace}/secrets/{name}")
        except errors.NotFound as error:
            raise errors.InvalidSpec("SecretNotFound", f"{where} does not exist") from error
        except errors.Refused as error:
            raise errors.InvalidSpec(
                "SecretForbidden", f"{where} may not be read: {error}"
            ) from error
        found: Mapping[str, str] = body.get("data") or {}
        self._read[name] = (self._monotonic(), found)
        return found
