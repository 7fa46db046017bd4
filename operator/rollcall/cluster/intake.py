"""The one door through which objects of the cluster come in, from watches and from full lists.

Nothing here waits or writes: an object goes into a map, a key into a queue, an observation to the
inbox. A DELETED event is a hint only; who acts on it confirms it by a read.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rollcall.cluster import fields, inventory, mapping, seen
from rollcall.core import executions, names

Object = dict[str, Any]


class Inbox(Protocol):
    """Where observations go."""

    def job(self, job: executions.JobObservation) -> None:
        """Take the latest reading of a Job."""

    def pod(self, attempt: executions.Attempt) -> None:
        """Take the latest reading of a Pod."""

    def deleted(self, job_uid: str) -> None:
        """Take the hint that a Job was deleted, of which the last reading was just given."""

    def vanished(self, job_uid: str) -> None:
        """Take the hint that a Job is gone, and nobody saw it go."""


class Channels(Protocol):
    """Where AlertChannels go, and what their selectors look at."""

    def put(self, body: Object) -> None:
        """Take an AlertChannel."""

    def remove(self, name: str) -> None:
        """Forget an AlertChannel."""

    def put_namespace(self, body: Object) -> None:
        """Take a namespace's labels."""

    def remove_namespace(self, name: str) -> None:
        """Forget a namespace."""

    def put_job(self, namespace: str, name: str, labels: Mapping[str, str]) -> None:
        """Take a TrackedCronJob's labels."""

    def remove_job(self, namespace: str, name: str) -> None:
        """Forget a TrackedCronJob."""


class Intake:
    """Sorts objects by kind."""

    def __init__(
        self,
        *,
        inventory: inventory.Inventory,
        inbox: Inbox,
        reconcile: Callable[[inventory.Key], None],
        channels: Channels,
        pod_seen: Callable[[Object, executions.Attempt], None] = lambda _body, _attempt: None,
        tracked_seen: Callable[[inventory.Key, Object], None] = lambda _key, _body: None,
    ) -> None:
        self._inventory = inventory
        self._inbox = inbox
        self._reconcile = reconcile
        self._channels = channels
        self._pod_seen = pod_seen
        self._tracked_seen = tracked_seen
        self._versions: dict[str, tuple[object, ...]] = {}  # of AlertChannels
        self._namespaces: dict[str, Mapping[str, Any]] = {}  # their labels
        self.seen = seen.Seen()
        self._comes: Mapping[seen.Kind, Callable[[Object], None]] = {
            seen.Kind.NAMESPACE: self._namespace,
            seen.Kind.CHANNEL: self._channel,
            seen.Kind.CRONJOB: self._cronjob,
            seen.Kind.TRACKED: self._tracked,
            seen.Kind.JOB: self._job,
            seen.Kind.POD: self._pod,
        }
        self._goes: Mapping[seen.Kind, Callable[[Object], None]] = {
            seen.Kind.NAMESPACE: self._namespace_gone,
            seen.Kind.CHANNEL: self._channel_gone,
            seen.Kind.CRONJOB: self._cronjob_gone,
            seen.Kind.TRACKED: self._tracked_gone,
            seen.Kind.JOB: self._job_gone,
            seen.Kind.POD: self._pod_gone,
        }

    def take(self, kind: seen.Kind, body: Object) -> None:
        """Take an object as it is now."""
        self.seen.note(kind, body)
        self._comes[kind](body)

    def gone(self, kind: seen.Kind, body: Object) -> None:
        """Take an object that was deleted, as it was last seen."""
        self.seen.drop(kind, body)
        self._goes[kind](body)

    def _tracked(self, body: Object) -> None:
        key = inventory.key_of(body)
        self._tracked_seen(key, body)
        if self._inventory.put(body):
            self._channels.put_job(*key, fields.mapping(body, "metadata", "labels"))
            self._reconcile(key)

    def _tracked_gone(self, body: Object) -> None:
        key = inventory.key_of(body)
        self._inventory.drop(key)
        self._channels.remove_job(*key)
        self._reconcile(key)

    def _cronjob(self, body: Object) -> None:
        # It may come before its TrackedCronJob, which then asks for the same.
        key = inventory.key_of(body)
        if self._inventory.put_child(body) and key in self._inventory:
            self._reconcile(key)

    def _cronjob_gone(self, body: Object) -> None:
        key = inventory.key_of(body)
        if self._inventory.drop_child(key, fields.text(body, "metadata", "uid")):
            self._reconcile(key)

    def _job(self, body: Object) -> None:
        observation = mapping.job(body)
        if observation:
            self._inbox.job(observation)

    def _job_gone(self, body: Object) -> None:
        last = mapping.job(body)
        if last:
            self._inbox.job(last)
            self._inbox.deleted(last.job_uid)
            return
        uid = fields.text(body, "metadata", "uid")
        if uid:  # a list did without it: nothing tells its end
            self._inbox.vanished(uid)

    def _pod(self, body: Object) -> None:
        self._take_pod(body, gone=False)

    def _pod_gone(self, body: Object) -> None:
        # One that only lost our label has no time of deletion.
        self._take_pod(body, gone=bool(fields.text(body, "metadata", "deletionTimestamp")))

    def _channel(self, body: Object) -> None:
        name = inventory.key_of(body).name
        version = tuple(fields.mapping(body, "metadata").get(one) for one in ("uid", "generation"))
        self._channels.put(body)
        if self._versions.get(name) != version:
            self._versions[name] = version
            self._reconcile_naming(name)

    def _channel_gone(self, body: Object) -> None:
        name = inventory.key_of(body).name
        self._channels.remove(name)
        if self._versions.pop(name, None):
            self._reconcile_naming(name)

    def _namespace(self, body: Object) -> None:
        # Its labels decide which channels its jobs may use.
        name = inventory.key_of(body).name
        labels = fields.mapping(body, "metadata", "labels")
        self._channels.put_namespace(body)
        if self._namespaces.get(name) == labels:
            return
        self._namespaces[name] = labels
        for key in self._inventory.tracked_keys():
            if key.namespace == name and self._inventory.channels(key):
                self._reconcile(key)

    def _namespace_gone(self, body: Object) -> None:
        name = inventory.key_of(body).name
        self._channels.remove_namespace(name)
        self._namespaces.pop(name, None)

    def _take_pod(self, body: Object, *, gone: bool) -> None:
        name = fields.text(body, "metadata", "labels", names.LABEL_NAME) or ""
        key = inventory.Key(inventory.key_of(body).namespace, name)
        found = mapping.attempt(body, self._inventory.container(key), gone=gone)
        if found:
            _, attempt = found
            self._inbox.pod(attempt)
            self._pod_seen(body, attempt)

    def _reconcile_naming(self, channel: str) -> None:
        for key in self._inventory.tracked_keys():
            if channel in self._inventory.channels(key):
                self._reconcile(key)
