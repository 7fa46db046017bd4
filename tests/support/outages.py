"""Ways to break an installation of Rollcall in a cluster, and to see that it is whole again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from support import kube as kubes
from support import kubectl

LEASE = "rollcall-operator"
WORKLOADS = (
    ("deployments", "rollcall-operator"),
    ("deployments", "rollcall-api"),
    ("statefulsets", "rollcall-postgres"),
)

KUBERNETES = "/etc/kubernetes"
# Kills a pod's processes of ours. A control group carries the pod's UID, with underscores where
# systemd made it.
SIGKILL = """
other=$(printf %s "$1" | tr - _)
for process in $(pgrep -f rollcall); do
  grep -qsE "$1|$other" "/proc/$process/cgroup" && kill -9 "$process"
done
true"""


class Node:
    """The one node of a cluster that `hack` made, reached past Kubernetes."""

    async def run(self, *command: str) -> str:
        """Return what a command on the node writes."""
        known = kubectl.record()
        assert known, "this needs a cluster of hack/cluster"
        line = [known["engine"], "exec", known["node"], *command]
        return await kubectl.output(line, known["environment"])

    async def stop_api_server(self) -> None:
        """Take the API server away; it is gone when this returns."""
        await self.run("mv", f"{KUBERNETES}/manifests/kube-apiserver.yaml", KUBERNETES)

        async def left() -> str:
            return await self.run("sh", "-c", "pgrep -x kube-apiserver || true")

        await kubes.eventually(left, 90, what="the end of the API server", good=lambda pid: not pid)

    async def start_api_server(self) -> None:
        """Bring it back; harmless where it is there."""
        away = f"{KUBERNETES}/kube-apiserver.yaml"
        await self.run("sh", "-c", f"test ! -e {away} || mv {away} {KUBERNETES}/manifests/")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The installation."""

    place: kubes.Place

    async def ready(self, within: float) -> None:
        """Wait until every replica is ready."""
        for kind, name in WORKLOADS:
            await self._count(kind, name, within=within)

    async def leader(self) -> str:
        """Return the identity of the present leader, empty without one; it begins with its pod."""
        lease = await self.place.kube.get(
            self.place.group("coordination.k8s.io/v1", "leases", LEASE)
        )
        holder = str((lease.get("spec") or {}).get("holderIdentity") or "")
        pod, _, _ = holder.partition("_")
        return holder if pod in await self.pods("operator") else ""

    async def pods(self, component: str, *, going: bool = False) -> list[str]:
        """Return the names of a component's pods, those that are going only on demand."""
        metadata = [pod["metadata"] for pod in await self._pods(component)]
        return [one["name"] for one in metadata if going or "deletionTimestamp" not in one]

    async def at_work(self, component: str) -> list[str]:
        """Return the names of a component's pods that are ready and not going."""
        return [
            pod["metadata"]["name"]
            for pod in await self._pods(component)
            if kubes.condition(pod, "Ready").get("status") == "True"
            and "deletionTimestamp" not in pod["metadata"]
        ]

    async def kill(self, pod: str) -> None:
        """End a pod without a chance to say good-bye."""
        await self.place.kube.request(
            "DELETE", self.place.core("pods", pod), query={"gracePeriodSeconds": 0}
        )

    async def sigkill(self, pod: str) -> None:
        """End a pod's processes at once, and then the pod, whose restarts would be delayed."""
        found = await self.place.kube.get(self.place.core("pods", pod))
        await Node().run("sh", "-c", SIGKILL, "sh", found["metadata"]["uid"])
        await self.kill(pod)

    async def answers(self, within: float) -> None:
        """Wait until the API server is back and its controllers work."""
        lease = self.place.kube.get
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"

        async def renewed() -> str:
            return str((await lease(path))["spec"]["renewTime"])

        before = await kubes.eventually(renewed, within, what="the API server answers")
        await kubes.eventually(
            renewed, within, what="its controllers work", good=lambda now: now != before
        )

    async def scale_postgres(self, replicas: int) -> None:
        """Stop or start the embedded database, and wait for it."""
        path = self.place.group("apps/v1", "statefulsets", "rollcall-postgres")
        await self._scale(path, replicas)
        await self._count("statefulsets", "rollcall-postgres", within=120)

    @asynccontextmanager
    async def without(self, component: str) -> AsyncIterator[None]:
        """Take all pods of `operator` or `api` away in here; then all is ready again."""
        path = self.place.group("apps/v1", "deployments", f"rollcall-{component}")
        replicas = (await self.place.kube.get(path))["spec"]["replicas"]

        async def left() -> list[str]:
            return await self.pods(component, going=True)

        try:
            await self._scale(path, 0)
            what = f"the end of the {component}"
            await kubes.eventually(left, 120, what=what, good=lambda pods: not pods)
            yield
        finally:
            await self._scale(path, replicas)
            await self.ready(within=300)

    async def _pods(self, component: str) -> list[kubes.Object]:
        selector = f"app.kubernetes.io/component={component}"
        pods = self.place.kube.list(self.place.core("pods"), labelSelector=selector)
        return [pod async for pod in pods]

    async def _scale(self, path: str, replicas: int) -> None:
        await self.place.kube.merge(path, {"spec": {"replicas": replicas}}, manager="e2e")

    async def _count(self, kind: str, name: str, *, within: float) -> None:
        async def look() -> kubes.Object:
            return await self.place.kube.get(self.place.group("apps/v1", kind, name))

        def whole(found: kubes.Object) -> bool:
            status, wanted = found.get("status") or {}, found["spec"]["replicas"]
            now = [status.get(field) or 0 for field in ("replicas", "readyReplicas")]
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            return seen and now == [wanted, wanted]

        await kubes.eventually(look, within, what=f"{kind}/{name} whole", good=whole)
