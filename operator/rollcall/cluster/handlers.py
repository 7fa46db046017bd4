"""kopf as the informer: watches that hand every object to the intake and do nothing else.

Only `on.event` handlers are used, so that kopf writes no annotation, no finalizer and no status,
and nothing of its state is lost by a restart. A handler never waits and never raises.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

import aiohttp
import kopf
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import credentials, intake
from rollcall.cluster.seen import Kind
from rollcall.core import names

logger = logging.getLogger(__name__)

_RESOURCES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.TRACKED: (names.GROUP, names.VERSION, "trackedcronjobs"),
    Kind.CHANNEL: (names.GROUP, names.VERSION, "alertchannels"),
    Kind.CRONJOB: ("batch", "v1", "cronjobs"),
    Kind.JOB: ("batch", "v1", "jobs"),
    Kind.POD: ("", "v1", "pods"),
    Kind.NAMESPACE: ("", "v1", "namespaces"),
}
_OURS_ONLY = (Kind.CRONJOB, Kind.JOB, Kind.POD)  # selected by label on the server

CHUNK = 100  # objects per page: decides, with IDLE, the memory at start
CONNECTIONS = 30  # six watches, and lists while they start
REQUEST_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0
IDLE = 0.1  # seconds a finished object keeps its task
# About five minutes of a control plane that is being upgraded; then kopf ends the process.
BACK_OFFS = (1, 2, 4, 8, *[15] * 19)


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf's memory of handled objects: none. Building it costs most of the time per event."""

    @override
    def build(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def fetch(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def store(self, **_: object) -> None:
        pass


class Watch:
    """Runs kopf until it is stopped or fails."""

    def __init__(self, *, intake: intake.Intake, context: str | None) -> None:
        self._intake = intake
        self._context = context
        self.registry = kopf.OperatorRegistry()
        kopf.on.login(registry=self.registry)(self._login)
        self.handlers = {kind: self._handler(kind) for kind in Kind}
        for kind, handler in self.handlers.items():
            kopf.on.event(*_RESOURCES[kind], id=kind.value, registry=self.registry)(handler)

    async def run(
        self,
        stop: asyncio.Event | None = None,
        ready: asyncio.Event | None = None,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        """Watch until `stop` is set, a signal comes, or a watch can no longer be kept up.

        kopf takes over SIGINT and SIGTERM of the process. On its way out it calls `closing`, then
        waits five seconds for every task that was started after it, and cancels what is left.
        """

        async def close(**_: object) -> None:
            closing()

        kopf.on.cleanup(registry=self.registry)(close)
        await kopf.operator(
            registry=self.registry,
            settings=settings(),
            standalone=True,
            # Else kopf asks for the name of the user, and our user in a pod has none.
            identity=cast("Any", "rollcall"),
            clusterwide=True,
            stop_flag=stop,
            ready_flag=ready,
        )

    def _handler(self, kind: Kind) -> Callable[..., Any]:
        async def handle(event: kopf.RawEvent, **_: object) -> None:
            body: Any = event["object"]
            try:
                if event["type"] == "DELETED":
                    self._intake.gone(kind, body)
                else:
                    self._intake.take(kind, body)
            except Exception:
                logger.exception("an object could not be taken in", extra={"kind": kind.value})

        return handle

    async def _login(self, **_: object) -> kopf.AiohttpSession:
        access = await credentials.find(self._context)

        async def authorize(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            # Asked for each request: kubelet renews the token's file.
            authorization = await access.authorization()
            if authorization:
                request.headers["Authorization"] = authorization
            return await handler(request)

        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=access.tls or True),
            middlewares=(authorize,),
        )
        return kopf.AiohttpSession(server=access.host, aiohttp_session=session)


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: filtered on the server, bounded, and without any write."""
    values = kopf.OperatorSettings()
    values.posting.enabled = False
    values.scanning.disabled = True  # our kinds are there before us; no right to watch CRDs
    values.peering.standalone = True
    values.queueing.idle_timeout = IDLE
    values.queueing.exit_timeout = 1.0
    values.watching.chunk_size = CHUNK
    values.watching.connect_timeout = CONNECT_TIMEOUT
    for kind in _OURS_ONLY:
        values.watching.label_selectors[_RESOURCES[kind]] = names.LABEL_UID
    values.networking.request_timeout = REQUEST_TIMEOUT
    values.networking.connect_timeout = CONNECT_TIMEOUT
    values.networking.error_backoffs = BACK_OFFS
    values.persistence.diffbase_storage = _NoDiffBase()
    return values
