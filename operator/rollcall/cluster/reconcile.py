"""One TrackedCronJob: registered, brought to the cluster, and how that went kept for its status.

- A key is all that is asked for; everything else is gathered anew. Doing it again changes nothing.
- The row of a job in the store is written only where it says something else.
- A spec that cannot be used changes nothing: row and CronJob stay as they were last applied.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from rollcall import config
from rollcall.cluster import (
    client,
    converge,
    events,
    fields,
    inventory,
    outcomes,
    paths,
    timestamps,
)
from rollcall.core import errors, injection, policies, tracking
from rollcall.services import ports

TRY_AGAIN = timedelta(minutes=5)  # what the API server refused

Object = client.Object
Key = inventory.Key


class Reconciler:
    """Makes CronJobs follow TrackedCronJobs."""

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        store: ports.Store,
        inventory: inventory.Inventory,
        settings: config.Settings,
        refused_channels: Callable[[str, str, Sequence[str]], Sequence[str]],
        forget: Callable[[UUID], Awaitable[None]],
        changed: Callable[[UUID], None],
        events: events.Events,
        withheld: Callable[[Key], injection.Obstacle | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._store = store
        self._inventory = inventory
        self._settings = settings
        self._forget = forget
        self._changed = changed
        self._events = events
        self._converger = converge.Converger(
            kube=kube,
            inventory=inventory,
            settings=settings.sidecar,
            refused_channels=refused_channels,
            withheld=withheld,
            events=events,
            clock=clock,
        )
        self._rows: dict[Key, ports.JobRow] = {}
        self._outcomes: dict[UUID, outcomes.Outcome] = {}

    def remember(self, rows: Sequence[ports.JobRow]) -> None:
        """Take the rows that the store has, once, before the first reconciliation."""
        self._rows = {Key(row.job.namespace, row.job.name): row for row in rows}

    def outcome(self, cronjob_id: UUID) -> outcomes.Outcome | None:
        """Return how the last reconciliation went, None before the first."""
        return self._outcomes.get(cronjob_id)

    async def reconcile(self, key: Key) -> timedelta | None:
        """Reconcile one job; returns when to look again without being asked.

        Raises errors.Unavailable, and errors.Conflict when somebody was faster: try again.
        """
        tracked = await self._find(key)
        if tracked is None:
            await self._let_go(key)
            return None
        if fields.text(tracked, "metadata", "deletionTimestamp"):
            return None  # its children go first; they must not come back
        try:
            result = await self._converge(key, tracked)
        except errors.InvalidSpec as error:
            result = converge.Result(outcome=outcomes.unready(tracked, error.reason, str(error)))
        except errors.Refused as error:
            result = converge.Result(outcome=outcomes.refused(tracked, error), again=TRY_AGAIN)
        await self._keep(tracked, result.outcome)
        return result.again

    async def _find(self, key: Key) -> Object | None:
        """Return the TrackedCronJob; before a CronJob is made for it, it is read anew."""
        known = self._inventory.tracked(key)
        if known and self._inventory.child(key):
            return known
        try:
            self._inventory.put(await self._kube.get(paths.tracked(*key)))
        except errors.NotFound:
            self._inventory.drop(key)
        return self._inventory.tracked(key)

    async def _let_go(self, key: Key) -> None:
        row = self._rows.get(key)
        if row:
            await self._forget(row.job.id)
            self._outcomes.pop(row.job.id, None)
            del self._rows[key]
        self._converger.forget(key)

    async def _converge(self, key: Key, tracked: Object) -> converge.Result:
        policies.read(fields.mapping(tracked, "spec"), self._settings.defaults)
        plan = self._converger.plan(tracked)
        row = await self._registered(key, tracked)
        refused = self._was_refused(tracked)
        result = await self._converger.converge(key, tracked, row, plan, was_refused=refused)
        if result.applied:
            await self._write_applied(key, row, result.applied)
        return result

    async def _registered(self, key: Key, tracked: Object) -> ports.JobRow:
        job, row = self._job(key, tracked), self._rows.get(key)
        if row and row.job.id != job.id:  # deleted, and made again under the same name
            await self._let_go(key)
            row = None
        if row is None or row.job != job:
            row = await self._store.run(lambda transaction: transaction.registry.register(job))
            self._rows[key] = row
        return row

    async def _write_applied(self, key: Key, row: ports.JobRow, applied: ports.Applied) -> None:
        await self._store.run(lambda transaction: transaction.registry.applied(row.job.id, applied))
        self._rows[key] = replace(
            row,
            cronjob_uid=applied.cronjob_uid,
            generation=applied.generation,
            spec_hash=applied.spec_hash,
        )

    def _job(self, key: Key, tracked: Object) -> ports.TrackedJob:
        spec, metadata = fields.mapping(tracked, "spec"), fields.mapping(tracked, "metadata")
        created_at = timestamps.parse(metadata.get("creationTimestamp"))
        if created_at is None:
            raise errors.ClusterUnavailable(f"{key} came without its time of creation")
        return ports.TrackedJob(
            id=self._inventory.id_of(tracked),
            cluster=self._settings.cluster,
            uid=metadata["uid"],
            namespace=key.namespace,
            name=key.name,
            group=tracking.read(spec, fields.mapping(metadata, "labels")).group,
            policy=_policy(spec),
            created_at=created_at,
        )

    def _was_refused(self, tracked: Object) -> bool:
        before = self._outcomes.get(self._inventory.id_of(tracked))
        if before:
            return before.pods_refused is not None
        return any(
            condition.get("reason") == outcomes.PODS_REFUSED
            for condition in fields.items(tracked, "status", "conditions")
        )

    async def _keep(self, tracked: Object, outcome: outcomes.Outcome) -> None:
        cronjob_id = self._inventory.id_of(tracked)
        before = self._outcomes.get(cronjob_id)
        self._outcomes[cronjob_id] = outcome
        if outcome != before:
            self._changed(cronjob_id)
        told = before.stalled if before else outcomes.stalled_of(tracked)
        if outcome.stalled.status == outcomes.TRUE and outcome.stalled != told:
            await self._events.post(
                tracked,
                reason=outcome.stalled.reason,
                message=outcome.stalled.message,
                warning=True,
            )


def _policy(spec: Mapping[str, Any]) -> Object:
    policy = {name: dict(fields.mapping(spec, name)) for name in ("rules", "alerts")}
    if isinstance(spec.get("window"), Mapping):  # an empty one asks for windows, too
        policy["window"] = dict(fields.mapping(spec, "window"))
    heartbeat = fields.mapping(spec, "tracking").get("heartbeatInterval")
    if heartbeat:
        policy["tracking"] = {"heartbeatInterval": heartbeat}
    return policy
