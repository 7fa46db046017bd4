"""Kubernetes Events about a TrackedCronJob: for people who look at one object.

Best effort: an Event that cannot be posted is logged. The same reason about the same object is
posted once in five minutes, so that a fight over an object does not fill the API server.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from rollcall.cluster import client, fields, paths, timestamps
from rollcall.core import errors, names

logger = logging.getLogger(__name__)

QUIET = timedelta(minutes=5)
_LONGEST = 1024  # characters of an Event's message (core/v1 validation)
_REMEMBERED = 10_000


class Events:
    """Posts Events as this program."""

    def __init__(
        self, *, kube: client.KubeClient, clock: Callable[[], datetime], identity: str = ""
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._identity = identity
        self._posted: dict[tuple[str, str], datetime] = {}

    async def post(
        self, body: Mapping[str, Any], *, reason: str, message: str, warning: bool = False
    ) -> None:
        """Post an Event about this object."""
        now = self._clock()
        about = (fields.text(body, "metadata", "uid") or "", reason)
        if now - self._posted.get(about, now - QUIET) < QUIET:
            return
        if len(self._posted) >= _REMEMBERED:
            self._posted = {key: at for key, at in self._posted.items() if now - at < QUIET}
        self._posted[about] = now
        namespace = fields.text(body, "metadata", "namespace") or "default"
        event = self._event(body, namespace, now, reason=reason, message=message, warning=warning)
        try:
            await self._kube.create(paths.events(namespace), event)
        except errors.RollcallError as error:
            logger.warning(
                "an Event could not be posted",
                extra={"namespace": namespace, "reason": reason, "error": str(error)},
            )

    def _event(
        self,
        body: Mapping[str, Any],
        namespace: str,
        now: datetime,
        *,
        reason: str,
        message: str,
        warning: bool,
    ) -> dict[str, Any]:
        name = fields.text(body, "metadata", "name") or ""
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": body.get("apiVersion") or names.API_VERSION,
                "kind": body.get("kind") or names.KIND,
                "namespace": namespace,
                "name": name,
                "uid": about if (about := fields.text(body, "metadata", "uid")) else "",
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…",
            "source": {"component": names.MANAGER},
            "reportingComponent": f"{names.GROUP}/operator",
            "reportingInstance": self._identity,
            "firstTimestamp": timestamps.text(now),
            "lastTimestamp": timestamps.text(now),
            "count": 1,
        }
