"""The AlertChannels: which there are, who may use them, how to send to them, and their status.

- Bodies come from a watch, which may lag: a channel that is asked for and not known is read.
- A channel whose Secret is missing keeps its place in the routing. What is written for it waits,
  and is sent when the Secret appears. One whose templates are broken has the built-in words.
- `Ready` follows from the spec, the Secrets and the receiver's last word; only we write it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from rollcall.cluster import channel_secrets, channel_specs, channel_status, client
from rollcall.core import errors, pacing, policies, routing, undelivered
from rollcall.services import deliver, ports

logger = logging.getLogger(__name__)

PATH = "/apis/rollcall.dev/v1alpha1/alertchannels"
TICK = timedelta(seconds=1)
BETWEEN_WRITES = timedelta(seconds=5)  # per channel
AFTER_FAILED_WRITE = timedelta(seconds=30)
RECHECK_BROKEN = timedelta(seconds=30)
RECHECK_READY = timedelta(minutes=5)  # a Secret may be deleted while nothing is to be sent

Factory = Callable[[Mapping[str, str], Mapping[str, str]], ports.Sender]  # settings, templates


class Api(channel_secrets.Reader, Protocol):
    """What is asked of the API server."""

    async def merge(self, path: str, body: client.Object) -> client.Object:
        """Apply a JSON merge patch."""


@dataclass(slots=True)
class _Known:
    """One AlertChannel as we hold it."""

    name: str
    uid: str
    generation: int
    spec: channel_specs.Spec | None  # None: a person must mend it
    problem: errors.InvalidSpec | None
    tally: channel_status.Tally
    written: Mapping[str, Any]  # the status as the API server has it, as far as we know
    checked: bool = False
    check_at: float = 0.0  # monotonic, as all of these
    write_at: float = 0.0
    config: Mapping[str, str] | None = field(default=None, repr=False)  # secrets are in it


class Channels:
    """Directory and senders of all AlertChannels."""

    def __init__(
        self,
        *,
        api: Api,
        namespace: str,
        factories: Mapping[str, Factory],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._factories = factories
        self._clock = clock
        self._monotonic = monotonic
        self._secrets = channel_secrets.Secrets(api, namespace, monotonic)
        self._known: dict[str, _Known] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._terminating: set[str] = set()
        self._jobs: dict[tuple[str, str], Mapping[str, str]] = {}

    # What the watches say.

    def put(self, body: client.Object) -> None:
        """Take an AlertChannel as it is now; the echo of our own status changes nothing."""
        metadata = body["metadata"]
        name, uid, generation = metadata["name"], metadata["uid"], metadata.get("generation", 0)
        known = self._known.get(name)
        if known and (known.uid, known.generation) == (uid, generation):
            return
        same = known if known and known.uid == uid else None
        spec, problem = self._parse(body)
        status = same.written if same else body.get("status") or {}
        tally = same.tally if same else channel_status.read(status)
        if status.get("observedGeneration") != generation:
            tally.refused = None  # that was said about another spec
        self._known[name] = _Known(
            name=name,
            uid=uid,
            generation=generation,
            spec=spec,
            problem=problem,
            tally=tally,
            written=status,
            write_at=same.write_at if same else 0.0,
        )

    def remove(self, name: str) -> None:
        """Forget a deleted AlertChannel."""
        self._known.pop(name, None)

    def put_namespace(self, body: client.Object) -> None:
        """Take a namespace's labels, and whether it is being deleted."""
        metadata = body["metadata"]
        self._namespaces[metadata["name"]] = metadata.get("labels") or {}
        if metadata.get("deletionTimestamp"):
            self._terminating.add(metadata["name"])
        else:
            self._terminating.discard(metadata["name"])

    def remove_namespace(self, name: str) -> None:
        """Forget a deleted namespace."""
        self._namespaces.pop(name, None)
        self._terminating.discard(name)

    def is_terminating(self, namespace: str) -> bool:
        """Whether everything in the namespace is on its way out."""
        return namespace in self._terminating

    def put_job(self, namespace: str, name: str, labels: Mapping[str, str]) -> None:
        """Take a TrackedCronJob's labels."""
        self._jobs[namespace, name] = labels

    def remove_job(self, namespace: str, name: str) -> None:
        """Forget a deleted TrackedCronJob."""
        self._jobs.pop((namespace, name), None)

    # Directory.

    def channels_for(
        self,
        namespace: str,
        name: str,
        *,
        kind: policies.Kind,
        severity: policies.Severity,
        wanted: Sequence[str] | None,
    ) -> Sequence[str]:
        """Return the names of the channels that are told."""
        subject = self._subject(namespace, name, wanted)
        return routing.select(self._routes(), subject, kind=kind, severity=severity)

    def channels_of_cluster(
        self, *, kind: policies.Kind, severity: policies.Severity
    ) -> Sequence[str]:
        """Return the names of the channels that are told of what is true of all jobs."""
        return routing.select_all(self._routes(), kind=kind, severity=severity)

    def readiness(self) -> Mapping[str, undelivered.Unready | None]:
        """Return what keeps each channel that is not suspended from being ready, if anything."""
        return {
            known.name: channel_status.unready(
                self._ready(known) if known.checked else None, known.written, self._clock()
            )
            for known in self._known.values()
            if not (known.spec and known.spec.route.suspended)
        }

    def labels_of(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return a job's labels; none for one that was not seen yet."""
        return self._jobs.get((namespace, name), {})

    def refused(self, namespace: str, name: str, wanted: Sequence[str] | None) -> list[str]:
        """Return a sentence for each wanted channel that this job cannot use."""
        broken = {known.name for known in self._known.values() if known.spec is None}
        names = [channel for channel in wanted or () if channel not in broken]
        problems = routing.refused(self._routes(), self._subject(namespace, name, names))
        return problems + [
            f"AlertChannel {channel} is not valid" for channel in wanted or () if channel in broken
        ]

    def of_kinds(self, kinds: frozenset[str]) -> list[str]:
        """Return the names of the channels of these kinds that are not suspended."""
        return [
            known.name
            for known in self._known.values()
            if known.spec and known.spec.kind in kinds and not known.spec.route.suspended
        ]

    def pace(self, channel: str) -> pacing.Pace:
        """Return how a channel wants its messages; of one that is not known, as they come."""
        known = self._known.get(channel)
        return known.spec.pace if known and known.spec else pacing.PLAIN

    # Senders.

    async def sender(self, channel: str) -> ports.Sender | None:
        """Return the channel with its Secrets read, None if it does not exist (any more).

        Raises errors.InvalidSpec, errors.ClusterUnavailable.
        """
        known = self._known.get(channel) or await self._fetch(channel)
        if known is None:
            return None
        if known.spec and known.spec.route.suspended:
            raise errors.InvalidSpec(deliver.SUSPENDED, f"AlertChannel {channel} is suspended")
        return await self._build(known)

    def problem(self, channel: str) -> errors.InvalidSpec | None:
        """Return what a person must mend, as far as it was looked at."""
        known = self._known.get(channel)
        return known.problem if known else None

    def report(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        """Keep the outcome for the channel's status."""
        known = self._known.get(channel)
        if known:
            known.tally.add(delivery, at)

    # Status.

    async def run(self) -> None:
        """Check channels and write their status until cancelled."""
        while True:
            try:
                await self.tick()
            except Exception:
                logger.exception("AlertChannels could not be checked")
            await asyncio.sleep(TICK.total_seconds())

    async def tick(self) -> None:
        """Do what is due now: checks first, then status writes."""
        for known in list(self._known.values()):
            if self._monotonic() >= known.check_at:
                await self._check(known)
            if known.checked and self._monotonic() >= known.write_at:
                await self._write(known)

    async def _check(self, known: _Known) -> None:
        try:
            await self._build(known)
        except errors.InvalidSpec:
            pass  # kept by _build
        except errors.ClusterUnavailable as error:
            logger.warning(
                "Secrets of an AlertChannel cannot be read now",
                extra={"channel": known.name, "error": str(error)},
            )
            known.check_at = self._monotonic() + RECHECK_BROKEN.total_seconds()

    async def _build(self, known: _Known) -> ports.Sender:
        """Read the Secrets, build the sender, and keep what that says about the channel."""
        if known.spec is None:
            problem = known.problem or errors.InvalidSpec("InvalidChannel", "not readable")
            self._checked(known, problem)
            raise errors.InvalidSpec(problem.reason, str(problem))
        try:
            config = await self._secrets.resolve(known.spec.settings)
            sender, wordless = self._make(known.spec, config)
        except errors.InvalidSpec as error:
            self._checked(known, error)
            raise
        if known.config is not None and config != known.config:
            known.tally.refused = None  # that was said about another secret
        known.config = config
        self._checked(known, wordless)
        return sender

    def _make(
        self, spec: channel_specs.Spec, config: Mapping[str, str]
    ) -> tuple[ports.Sender, errors.InvalidSpec | None]:
        """Build the sender, and say why not with its templates."""
        make = self._factories[spec.kind]
        try:
            return make(config, spec.templates), None
        except errors.InvalidSpec as error:
            if error.reason != ports.INVALID_TEMPLATES:
                raise
            return make(config, {}), error

    def _checked(self, known: _Known, problem: errors.InvalidSpec | None) -> None:
        known.problem = problem.with_traceback(None) if problem else None
        known.checked = True
        broken = problem or known.tally.refused
        wait = RECHECK_BROKEN if broken else RECHECK_READY
        known.check_at = self._monotonic() + wait.total_seconds()

    async def _write(self, known: _Known) -> None:
        status = channel_status.write(
            known.tally,
            generation=known.generation,
            ready=self._ready(known),
            before=known.written,
            now=self._clock(),
        )
        if status == known.written:
            return
        wait = BETWEEN_WRITES
        try:
            await self._api.merge(f"{PATH}/{known.name}/status", {"status": status})
            known.written = status
        except errors.NotFound:
            self.remove(known.name)
        except (errors.ClusterUnavailable, errors.Conflict, errors.Refused) as error:
            wait = AFTER_FAILED_WRITE
            logger.warning(
                "Status of an AlertChannel could not be written",
                extra={"channel": known.name, "error": str(error)},
            )
        known.write_at = self._monotonic() + wait.total_seconds()

    def _ready(self, known: _Known) -> channel_status.Ready:
        return channel_status.ready(known.spec, known.problem, known.tally)

    async def _fetch(self, name: str) -> _Known | None:
        try:
            self.put(await self._api.get(f"{PATH}/{name}"))
        except errors.NotFound:
            return None
        except errors.Refused as error:
            raise errors.ClusterUnavailable(f"AlertChannel {name}: {error}") from error
        return self._known.get(name)

    def _parse(
        self, body: client.Object
    ) -> tuple[channel_specs.Spec | None, errors.InvalidSpec | None]:
        try:
            return channel_specs.read(body, frozenset(self._factories)), None
        except errors.InvalidSpec as error:
            return None, error.with_traceback(None)

    def _routes(self) -> list[routing.Channel]:
        return [known.spec.route for known in self._known.values() if known.spec]

    def _subject(self, namespace: str, name: str, wanted: Sequence[str] | None) -> routing.Subject:
        return routing.Subject(
            labels=self._jobs.get((namespace, name), {}),
            namespace_labels=self._namespaces.get(namespace, {}),
            wanted=None if wanted is None else tuple(wanted),
        )
