"""Ways to break an installation of Rollcall in a cluster, and to see that it is whole again."""

from dataclasses import dataclass

from support import kube as kubes

LEASE = "rollcall-operator"
WORKLOADS = (
    ("deployments", "rollcall-operator"),
    ("deployments", "rollcall-api"),
    ("statefulsets", "rollcall-postgres"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The installation."""

    place: kubes.Place

    async def ready(self, within: float) -> None:
        """Wait until every replica is ready."""
        for kind, name in WORKLOADS:
            await self._count(kind, name, within=within)

    async def leader(self) -> str:
        """Return the identity of the present leader; it begins with the pod's name."""
        lease = await self.place.kube.get(
            self.place.group("coordination.k8s.io/v1", "leases", LEASE)
        )
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    async def pods(self, component: str) -> list[str]:
        """Return the names of a component's pods."""
        selector = f"app.kubernetes.io/component={component}"
        pods = self.place.kube.list(self.place.core("pods"), labelSelector=selector)
        return [pod["metadata"]["name"] async for pod in pods]

    async def kill(self, pod: str) -> None:
        """End a pod without a chance to say good-bye."""
        await self.place.kube.request(
            "DELETE", self.place.core("pods", pod), query={"gracePeriodSeconds": 0}
        )

    async def scale_postgres(self, replicas: int) -> None:
        """Stop or start the embedded database, and wait for it."""
        path = self.place.group("apps/v1", "statefulsets", "rollcall-postgres")
        await self.place.kube.merge(path, {"spec": {"replicas": replicas}}, manager="e2e")
        await self._count("statefulsets", "rollcall-postgres", within=120)

    async def _count(self, kind: str, name: str, *, within: float) -> None:
        async def look() -> kubes.Object:
            return await self.place.kube.get(self.place.group("apps/v1", kind, name))

        def whole(found: kubes.Object) -> bool:
            status, wanted = found.get("status") or {}, found["spec"]["replicas"]
            now = [status.get(field) or 0 for field in ("replicas", "readyReplicas")]
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            return seen and now == [wanted, wanted]

        await kubes.eventually(look, within, what=f"{kind}/{name} whole", good=whole)
