"""What a run ran with: the template of its Job, the images behind it, its nodes and its schedule.

What is not known is absent, so that nothing is said of it: a Job that was never seen, an image that
was not pulled, a run from before this was kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from rollcall.core.executions import Trigger

# The parts of a template that are told apart, with the fields that each takes together.
OF_CONTAINER: Mapping[str, tuple[str, ...]] = {
    "command": ("command",),
    "args": ("args",),
    "env": ("env", "envFrom"),
    "resources": ("resources", "resizePolicy"),
    "mounts": ("volumeMounts", "volumeDevices"),
    "securityContext": ("securityContext",),
}
OF_POD: Mapping[str, tuple[str, ...]] = {
    "volumes": ("volumes",),
    "serviceAccount": ("serviceAccountName", "automountServiceAccountToken"),
    "placement": (
        "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "nodeName",
        "schedulerName", "schedulingGates", "priorityClassName", "runtimeClassName",
    ),
    "imagePullSecrets": ("imagePullSecrets",),
    "podSecurityContext": ("securityContext",),
}  # fmt: skip
OF_JOB = (
    "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "completionMode",
    "completions", "maxFailedIndexes", "parallelism", "podFailurePolicy", "successPolicy",
)  # fmt: skip
VERSION = 1  # of what is kept of a template; another is compared by its images alone
REST = "settings"  # all that has no name of its own
OTHER_CONTAINERS = "otherContainers"  # of a Pod that has very many


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What is known of one pod of a run."""

    ended_well: bool
    node: str | None
    image_ids: Mapping[str, str]  # by container, of those that were pulled


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """By what the slot of a run came about."""

    schedule: str
    time_zone: str
    concurrency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What one run ran with. Images and parts are None where its template is not known."""

    run_id: UUID
    slot_at: datetime
    trigger: Trigger
    ended_at: datetime | None
    template_hash: str | None = None
    version: int | None = None  # of what is kept of a template
    images: Mapping[str, str] | None = None  # as written, by container
    parts: Mapping[str, str] | None = None  # hashes, by name
    pods: Sequence[Pod] = field(default=())  # the newest of them, oldest first
    rhythm: Rhythm | None = None  # of a scheduled run

    @property
    def image_ids(self) -> dict[str, str]:
        """What ran in each container: of several pods the last counts, one that ended well most."""
        found: dict[str, str] = {}
        for pod in sorted(self.pods, key=lambda pod: pod.ended_well):
            found |= pod.image_ids
        return found

    @property
    def nodes(self) -> list[str]:
        """Where its pods ran."""
        return sorted({pod.node for pod in self.pods if pod.node})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The setup of a run, and that of the last success before it, whatever started that."""

    run: Setup
    success: Setup | None
