"""Sidecars' side of the ingest API: reports, and stand-ins for what the api asks."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import httpx
import sqlalchemy as sa
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.api import app as application
from rollcall.cluster import client as kube
from rollcall.services import ingest, reporters
from rollcall.serving import messages
from rollcall.store import engine
from support import builders, serving

PATH = "/ingest/v1/reports"


def report(**changes: object) -> dict[str, Any]:
    """Build a report as a sidecar sends it."""
    return {
        "v": 1,
        "seq": 7,
        "sentAt": "2026-03-02T12:00:15.123456Z",
        "startedAt": "2026-03-02T12:00:00Z",
        "heartbeat": {"uptimeSeconds": 15},
    } | changes


def client(app: messages.Application) -> httpx.AsyncClient:
    """Talk to the application in this process."""
    return httpx.AsyncClient(transport=serving.Transport(app), base_url="http://api", timeout=30)


async def send(
    http: httpx.AsyncClient, content: bytes | None = None, *, bearer: str | None = "good"
) -> httpx.Response:
    """Send one report, or whatever bytes."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    body = json.dumps(report()).encode() if content is None else content
    return await http.post(PATH, content=body, headers=headers)


def is_problem(response: httpx.Response, status: int) -> bool:
    """Whether this is a complete problem with this status."""
    if response.headers["content-type"] != "application/problem+json":
        return False
    body = response.json()
    texts = all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail"))
    return texts and (response.status_code, body["status"]) == (status, status)


class Reviewer:
    """Knows the tokens in `callers`; raises `fault` if there is one."""

    def __init__(self, **callers: reporters.Caller) -> None:
        self.callers = callers
        self.fault: Exception | None = None

    def known(self, token: str) -> reporters.Caller | None:
        return None if self.fault else self.callers.get(token)

    async def review(self, token: str) -> reporters.Caller | None:
        if self.fault:
            raise self.fault
        return self.callers.get(token)


class Lookup:
    """Finds the pods in `found`, by UID; raises `fault` if there is one."""

    def __init__(self) -> None:
        self.found: dict[str, reporters.Found] = {}
        self.fault: Exception | None = None
        self.asked: list[str] = []

    async def find(self, pod: reporters.Pod) -> reporters.Found | None:
        self.asked.append(pod.uid)
        if self.fault:
            raise self.fault
        return self.found.get(pod.uid)


def caller(pod_uid: str, *, namespace: str = "shop") -> reporters.Caller:
    """Build the bearer of a token that is bound to a pod."""
    pod = reporters.Pod(namespace=namespace, name=f"report-{pod_uid}", uid=pod_uid)
    return reporters.Caller(user=f"system:serviceaccount:{namespace}:default", pod=pod)


class ReviewServer(kube.KubeClient):
    """An API server that answers reviews with what `answer` says; an exception is raised."""

    def __init__(self, answer: kube.Object | Exception) -> None:
        self.answer = answer
        self.asked: list[kube.Object] = []

    @override
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: kube.Object | None = None,
        query: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
        within: float = kube.TIMEOUT,
        is_safe: bool = False,
    ) -> kube.Object:
        if (method, path) != ("POST", "/apis/authentication.k8s.io/v1/tokenreviews") or not body:
            raise AssertionError(f"{method} {path} is no review")
        self.asked.append(body["spec"])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def reviewed(
    *, namespace: str = "team", pod_uid: str = "pod-1", **changes: object
) -> dict[str, Any]:
    """Build the answer about a good token, as a 1.36 API server gives it."""
    extra = {
        "authentication.kubernetes.io/pod-name": [f"nightly-{pod_uid}"],
        "authentication.kubernetes.io/pod-uid": [pod_uid],
    }
    user = {"username": f"system:serviceaccount:{namespace}:default", "extra": extra}
    status = {"authenticated": True, "audiences": ["rollcall.dev/ingest"], "user": user}
    return {"status": status | changes}


async def beats(store: engine.Database, pod_uid: str = "pod-1") -> tuple[datetime | None, int]:
    """Return when the pod was last heard, and how often."""
    async with store.transaction() as unit:
        found = await unit.connection.execute(
            sa.text("SELECT last_heartbeat_at, heartbeats FROM attempts WHERE pod_uid = :uid"),
            {"uid": pod_uid},
        )
        row = found.one()
        return row.last_heartbeat_at, row.heartbeats


@contextlib.asynccontextmanager
async def api(store: engine.Database) -> AsyncIterator[httpx.AsyncClient]:
    """Talk to an api that knows the token `good`, as that of `pod-1`."""
    use_case = ingest.Ingest(
        store=store,
        reviewer=Reviewer(good=caller("pod-1")),
        lookup=Lookup(),
        cluster=builders.CLUSTER,
    )
    async with client(application.IngestApp(use_case)) as talking:
        yield talking
    await use_case.close()
