"""One leader among the replicas, by a Lease (coordination.k8s.io).

- Whether another's lease has run out is measured from when *we* last saw it change, on our own
  monotonic clock: clocks of machines need not agree.
- Whoever cannot renew within RENEW_DEADLINE has lost, before anybody else can win: LEASE is longer.
- Every request has a time limit; a hanging API server counts as one that does not answer.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from rollcall.cluster import client, fields, paths, timestamps
from rollcall.core import errors

logger = logging.getLogger(__name__)

# The defaults of Kubernetes' own components (k8s.io/component-base/config/v1alpha1).
LEASE = 15.0  # seconds
RENEW_DEADLINE = 10.0
RETRY = 2.0
_REQUEST = 5.0  # seconds for one request, so that two fit into the deadline


class Elector:
    """`acquire`, then `hold`: that calls `on_lost` when it can no longer be sure."""

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        namespace: str,
        name: str,
        identity: str,
        on_lost: Callable[[], None],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._collection = paths.leases(namespace)
        self._metadata = {"namespace": namespace, "name": name}
        # A restarted process is another one: it must not take itself for the old one.
        self.identity = f"{identity}_{uuid4().hex[:8]}"
        self._on_lost = on_lost
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._observed: dict[str, Any] = {}
        self._observed_at = monotonic()
        self._renewed_at: float | None = None

    @property
    def is_leader(self) -> bool:
        """Whether we hold the lease, as far as our clock can tell."""
        renewed_at = self._renewed_at
        return renewed_at is not None and self._monotonic() - renewed_at < RENEW_DEADLINE

    async def acquire(self) -> None:
        """Wait until we lead."""
        while not await self.try_once():
            await self._sleep(RETRY)
        logger.info("leading", extra={"identity": self.identity})

    async def hold(self) -> None:
        """Renew until that fails for too long, then call `on_lost` and return."""
        while self.is_leader:
            await self._sleep(RETRY)
            if not self.is_leader:
                break  # this process itself stood still
            if not await self.try_once() and self._holder() not in {"", self.identity}:
                break  # somebody else has it already
        self._renewed_at = None
        logger.error("leadership is lost", extra={"identity": self.identity})
        self._on_lost()

    async def release(self) -> None:
        """Give the lease back on a clean stop, so that the next leader need not wait."""
        if self._renewed_at is None or self._holder() != self.identity:
            return
        self._renewed_at = None
        spec = {**self._spec(fields.mapping(self._observed, "spec")), "holderIdentity": ""}
        spec["leaseDurationSeconds"] = 1
        with contextlib.suppress(errors.RollcallError, TimeoutError):
            await self._write({**self._observed, "spec": spec})

    async def try_once(self) -> bool:
        """Try once to get or to renew the lease."""
        began_at = self._monotonic()
        try:
            return await self._try_at(began_at)
        except (errors.RollcallError, TimeoutError) as error:
            logger.warning("the lease could not be renewed", extra={"error": repr(error)})
            return False

    async def _try_at(self, began_at: float) -> bool:
        try:
            async with asyncio.timeout(_REQUEST):
                found = await self._kube.get(f"{self._collection}/{self._metadata['name']}")
        except errors.NotFound:
            found = {}
        self._observe(found)
        if found and self._holder() not in {"", self.identity} and not self._has_run_out():
            return False
        written = await self._write({**found, "spec": self._spec(fields.mapping(found, "spec"))})
        self._observe(written)
        self._renewed_at = began_at  # the server's word is as old as our question
        return True

    async def _write(self, lease: dict[str, Any]) -> dict[str, Any]:
        """Write the lease; its resourceVersion lets only one of us win."""
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease}
        body.setdefault("metadata", self._metadata)
        async with asyncio.timeout(_REQUEST):
            if "resourceVersion" in body["metadata"]:
                return await self._kube.replace(
                    f"{self._collection}/{self._metadata['name']}", body
                )
            return await self._kube.create(self._collection, body)

    def _spec(self, before: Mapping[str, Any]) -> dict[str, Any]:
        now = timestamps.micro(self._clock())
        same = fields.text(before, "holderIdentity") == self.identity
        transitions = fields.number(before, "leaseTransitions") or 0
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(LEASE),
            "acquireTime": (before.get("acquireTime") if same else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions if same else transitions + 1,
        }

    def _observe(self, lease: dict[str, Any]) -> None:
        if lease.get("spec") != self._observed.get("spec"):
            self._observed_at = self._monotonic()
        self._observed = lease

    def _holder(self) -> str:
        return fields.text(self._observed, "spec", "holderIdentity") or ""

    def _has_run_out(self) -> bool:
        seconds = fields.number(self._observed, "spec", "leaseDurationSeconds") or LEASE
        return self._monotonic() - self._observed_at > seconds
