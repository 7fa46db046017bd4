"""What the cases on a real cluster share: objects to create, and waiting for what shall come."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from rollcall.cluster import client
from rollcall.core import errors

Object = dict[str, Any]
Found = TypeVar("Found")

SYSTEM = "rollcall-system"
CONTEXT = os.environ.get("E2E_CONTEXT", "kind-rollcall-test")
NAMESPACES = "/api/v1/namespaces"
EACH_MINUTE = "* * * * *"
MARK = {"rollcall.dev/e2e": "true"}  # namespaces whose alerts go to the receiver of the tests
LOOK = 0.5  # seconds between two looks
HANG = "exec sleep 3600"
MINUTE = timedelta(minutes=1)


async def eventually(
    look: Callable[[], Awaitable[Found]],
    within: float,
    *,
    what: str,
    good: Callable[[Found], object] = bool,
) -> Found:
    """Look until it is good and return what was seen; fail with the last look after `within` s."""
    end = time.monotonic() + within
    last: object = None
    while True:
        try:
            last = seen = await look()
            if good(seen):
                return seen
        except (errors.NotFound, errors.ClusterUnavailable) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:.0f} s: {what}; last seen: {last}")
        await asyncio.sleep(LOOK)


def container(image: str, script: str) -> Object:
    """Describe a small container that runs a shell script."""
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }


def job_template(image: str, script: str) -> Object:
    """Describe a Job that tries once."""
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container(image, script)],
    }
    return {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}


def next_slot(ahead: float = 10) -> datetime:
    """Return the first full minute that is at least so many seconds ahead."""
    at = datetime.now(UTC) + timedelta(seconds=ahead)
    return at.replace(second=0, microsecond=0) + MINUTE


def hourly(*slots: datetime) -> str:
    """Return the schedule that has these slots in the present hour, and as many in each other."""
    return f"{','.join(str(slot.minute) for slot in slots)} * * * *"


def condition(thing: Mapping[str, Any], kind: str) -> Object:
    """Return a condition of an object, empty if it has none of that type."""
    conditions = (thing.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A namespace of a test's own and what it does there."""

    kube: client.KubeClient
    name: str
    image: str

    def core(self, kind: str, name: str = "") -> str:
        """Return the path of objects of the core group."""
        return f"/api/v1/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def group(self, group: str, kind: str, name: str = "") -> str:
        """Return the path of objects of another group, such as `batch/v1`."""
        return f"/apis/{group}/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def tracked(self, name: str = "") -> str:
        """Return the path of TrackedCronJobs."""
        return self.group("rollcall.dev/v1alpha1", "trackedcronjobs", name)

    def cronjobs(self, name: str = "") -> str:
        """Return the path of CronJobs."""
        return self.group("batch/v1", "cronjobs", name)

    async def apply_job(self, name: str, script: str = "exit 0", **spec: object) -> Object:
        """Create a TrackedCronJob on a minute schedule, or change it to be so."""
        whole = {
            "schedule": EACH_MINUTE,
            "jobTemplate": job_template(self.image, script),
            **spec,
        }
        body = {
            "apiVersion": "rollcall.dev/v1alpha1",
            "kind": "TrackedCronJob",
            "metadata": {"name": name},
            "spec": whole,
        }
        return await self.kube.apply(self.tracked(name), body, manager="e2e")

    async def job(self, name: str) -> Object:
        """Read a TrackedCronJob."""
        return await self.kube.get(self.tracked(name))

    async def status(self, name: str) -> Object:
        """Read the status of a TrackedCronJob."""
        found: Object = (await self.job(name)).get("status") or {}
        return found

    async def health(self, name: str, wanted: str, within: float = 200) -> Object:
        """Wait for a health and return the status that has it."""
        return await eventually(
            lambda: self.status(name),
            within,
            what=f"health {wanted} of {self.name}/{name}",
            good=lambda status: status.get("health") == wanted,
        )

    async def condition(self, name: str, kind: str, reason: str, within: float = 60) -> Object:
        """Wait for a condition's reason and return the condition."""

        async def look() -> Object:
            return condition(await self.job(name), kind)

        return await eventually(
            look,
            within,
            what=f"{kind} of {self.name}/{name} with reason {reason}",
            good=lambda one: one.get("reason") == reason,
        )

    async def forbid(self, what: str) -> None:
        """Set a quota of none, of `pods` for example."""
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none"},
            "spec": {"hard": {what: "0"}},
        }
        await self.kube.create(self.core("resourcequotas"), quota)

    async def allow(self) -> None:
        """Take the quota away."""
        await self.kube.request("DELETE", self.core("resourcequotas", "none"))

    async def run_pod(self, name: str, **spec: object) -> Object:
        """Run a pod to its end and return the JSON object that it printed."""
        pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, **spec}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}
        await self.kube.create(self.core("pods"), body)

        async def phase() -> str:
            pod = await self.kube.get(self.core("pods", name))
            return str((pod.get("status") or {}).get("phase"))

        ends = {"Succeeded", "Failed"}
        await eventually(phase, 90, what=f"the end of pod {name}", good=ends.__contains__)
        return await self.kube.get(f"{self.core('pods', name)}/log")


@asynccontextmanager
async def own(kube: client.KubeClient, image: str) -> AsyncIterator[Place]:
    """Make a namespace whose alerts go to the receiver, and delete it at the end."""
    name = f"e2e-{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "labels": MARK}
    await kube.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        yield Place(kube=kube, name=name, image=image)
    finally:
        with suppress(errors.NotFound):
            await kube.request("DELETE", f"{NAMESPACES}/{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """The receiver of the alerts, read through the API server."""

    kube: client.KubeClient
    namespace: str

    async def all(self) -> list[Object]:
        """Return all messages of all tests, oldest first."""
        path = f"/api/v1/namespaces/{self.namespace}/services/http:receiver:8080/proxy/alerts"
        found: list[Object] = (await self.kube.get(path))["value"]
        return found

    async def of(self, place: Place, name: str | None = None) -> list[Object]:
        """Return the payloads about the jobs of a namespace, or about one of them."""
        return [message["payload"] for message in await self.messages(place, name)]

    async def messages(self, place: Place, name: str | None = None) -> list[Object]:
        """Return the same with what came beside them: path, key, whether it is a repetition."""

        def wanted(job: Object | None) -> bool:
            if job is None:  # it is about the cluster
                return False
            return job["namespace"] == place.name and name in {None, job["name"]}

        found = [one for one in await self.all() if one["path"] != "/slack"]
        return [one for one in found if wanted(one["payload"]["cronjob"])]

    async def first(self, place: Place, name: str, kind: str, step: str, within: float) -> Object:
        """Wait for a message such as failing, opened, and return its payload."""

        async def look() -> list[Object]:
            return [
                payload
                for payload in await self.of(place, name)
                if payload["type"] == f"incident.{step}" and payload["incident"]["kind"] == kind
            ]

        what = f"{kind} {step} for {place.name}/{name}"
        return (await eventually(look, within, what=what))[0]


def opened(payloads: list[Object]) -> list[tuple[str, str]]:
    """Return which job opened which kind of incident, for each opening message."""
    return [
        (payload["cronjob"]["name"], payload["incident"]["kind"])
        for payload in payloads
        if payload["type"] == "incident.opened"
    ]
