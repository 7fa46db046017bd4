"""Every reason that an execution or an attempt can have: a closed list, each with what to do.

docs/reference/reasons.md is made of it. What Kubernetes says in other words becomes one of these,
with the original in the message (`core.upstream`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a reason means, and what a person can do about it."""

    about: str  # the part of the list it stands in
    meaning: str
    action: str


_listed: dict[str, Explanation] = {}


def _section(about: str, **names: tuple[str, str]) -> None:
    for name, (meaning, action) in names.items():
        _listed[name] = Explanation(about=about, meaning=meaning, action=action)


WAITS = "A run that waits"
FAILED = "A run or an attempt that failed"
ENDED = "A run that ended without a verdict of its own"
NO_RUN = "A slot without a run"
SUCCEEDED = "A run that succeeded"
STORY = "A line of a run's story"

_section(
    WAITS,
    ImagePullBackOff=(
        "an image of the pod cannot be pulled",
        (
            "Read the message: a wrong name or tag, missing credentials (imagePullSecrets), or a"
            " registry that does not answer."
        ),
    ),
    CreateContainerConfigError=(
        "a ConfigMap, Secret or key that a container needs does not exist",
        "Create what the message names, or mark the reference `optional: true`.",
    ),
    ContainerCannotStart=(
        "the image is there, and the runtime could not start the command",
        "Check command, arguments, working directory and the architecture of the image.",
    ),
    CrashLoopBackOff=(
        "a container ended with an error and waits to be restarted",
        "Read the container's log; with `restartPolicy: Never` each try is a pod of its own.",
    ),
    Unschedulable=(
        "no node takes the pod",
        (
            "The message counts nodes by cause: free or add capacity, or correct requests, node"
            " selectors, affinity and tolerations."
        ),
    ),
    VolumeNotReady=(
        "a volume of the pod cannot be attached or mounted",
        (
            "Create the ConfigMap, Secret or claim that the message names, or look at the storage"
            " driver."
        ),
    ),
    SandboxNotReady=(
        "the node could not set up the pod's sandbox, mostly its network",
        "Look at the network plugin and the node that the message names.",
    ),
    QuotaExceeded=(
        "a ResourceQuota of the namespace does not admit the Job or its pods",
        "The message names the quota and its numbers: raise it, or delete what uses it up.",
    ),
    AdmissionDenied=(
        (
            "a rule of the cluster does not admit the Job or its pods: a webhook, Pod Security, a"
            " LimitRange, a missing PriorityClass"
        ),
        "Change the template as the message says, or the rule.",
    ),
    PodsRefused=(
        "pods of the Job could not be created for another cause",
        "Read the message: mostly a missing ServiceAccount, or a webhook that does not answer.",
    ),
    Waiting=(
        "a container waits for a cause that this list does not name",
        "Read the message: it begins with the word of Kubernetes.",
    ),
)

_section(
    FAILED,
    OOMKilled=(
        "a container used more memory than its limit",
        "Raise the limit, or let the program use less.",
    ),
    DeadlineExceeded=(
        "the Job or its pod ran longer than `activeDeadlineSeconds`",
        "Raise it, or find out what takes so long.",
    ),
    BackoffLimitExceeded=(
        "as many attempts failed as `backoffLimit` allows",
        "Read the message: exit code, signal and last words of the last attempt.",
    ),
    PodFailurePolicy=(
        "a rule of `podFailurePolicy` failed the Job at once",
        "The message names the container, its exit code and the rule.",
    ),
    MaxFailedIndexesExceeded=(
        "more indexes failed than `maxFailedIndexes` allows",
        "Look at the attempts of the failed indexes.",
    ),
    FailedIndexes=(
        "all indexes ended, and some of them failed",
        "Look at the attempts of the failed indexes.",
    ),
    Error=(
        "a container ended with an exit code other than 0",
        (
            "Read the message and the container's log. Above 128 it is a signal: 137 is SIGKILL,"
            " 143 SIGTERM."
        ),
    ),
    Evicted=(
        (
            "the node or an operator took the pod off the node: node pressure, a drain, a taint, a"
            " shutdown"
        ),
        (
            "Nothing if the Job tries again; else raise requests, or let `podFailurePolicy` ignore"
            " disruptions."
        ),
    ),
    Preempted=(
        "the scheduler removed the pod for one of higher priority",
        "Give the job a PriorityClass, or more room.",
    ),
    NodeLost=(
        "the node of the pod went away or stopped answering",
        "Look at the node; a job that may run twice can try again.",
    ),
    NodeRefused=(
        "the node refused the pod that the scheduler had given it",
        "Read the message: mostly used up resources or changed labels of the node.",
    ),
    PodDeleted=(
        "the pod was deleted before it ended",
        "Find out who deleted it: the audit log of the cluster knows.",
    ),
    JobFailed=(
        "the Job failed for a cause that this list does not name",
        "Read the message: it begins with the word of Kubernetes.",
    ),
)

_section(
    ENDED,
    Replaced=(
        "`concurrencyPolicy: Replace` deleted the Job for the next slot's",
        "Nothing, if runs may be cut short; else let runs be faster or slots rarer.",
    ),
    JobDeleted=(
        "somebody deleted the Job before it ended",
        "Find out who deleted it: the audit log of the cluster knows.",
    ),
    OwnerDeleted=(
        "the TrackedCronJob or its CronJob was deleted, and with it the Job",
        "Nothing.",
    ),
    JobGone=(
        "the Job went while nobody saw, so its end is unknown",
        (
            "Keep Jobs for longer (`ttlSecondsAfterFinished`, history limits), or look at the"
            " program's own traces."
        ),
    ),
)

_section(
    NO_RUN,
    ForbidConcurrent=(
        (
            "an earlier run was going on all the time, and `concurrencyPolicy: Forbid` let no other"
            " start"
        ),
        "Let runs be faster or slots rarer; the message names the run.",
    ),
    ControllerDown=(
        "the CronJob controller started nothing anywhere",
        "Look at kube-controller-manager.",
    ),
    TooLate=(
        (
            "the CronJob controller came to it too late: after its start deadline, or when later"
            " slots were due already"
        ),
        "Find out why the controller was late; raise `startingDeadlineSeconds` if that ran out.",
    ),
    NotSeen=(
        "Rollcall could not see the cluster for so long that a Job may have come and gone",
        "Look at the program's own traces; find out what kept Rollcall from seeing.",
    ),
    Suspended=(
        "the CronJob was suspended",
        "Resume it; the message says who suspended it.",
    ),
    CronJobDeleted=(
        "the CronJob did not exist when the slot was due",
        "Nothing: it is applied again by itself. Find out who deleted it.",
    ),
    UnknownTimeZone=(
        "the CronJob controller does not know the time zone",
        "Use a name that the zone database of the control plane has.",
    ),
    UnparseableSchedule=(
        "the CronJob controller cannot read the schedule",
        "Correct `schedule`.",
    ),
    InvalidSchedule=(
        "the CronJob controller finds no time at which the schedule fires",
        "Correct `schedule`.",
    ),
    NotStarted=(
        "no Job was created, and nothing says why",
        "Look at the Events of the CronJob and at kube-controller-manager.",
    ),
)

_section(
    SUCCEEDED,
    CompletionsReached=("as many pods succeeded as `completions` asks for", "Nothing."),
    SuccessPolicy=("a rule of `successPolicy` held", "Nothing."),
    PartialResult=(
        "the program reported that it did a part of its work",
        ("Read the message. The next run is given the same window again, and the last checkpoint."),
    ),
    JobSucceeded=(
        "the Job succeeded for a cause that this list does not name",
        "Nothing; the message begins with the word of Kubernetes.",
    ),
)

_section(
    STORY,
    Started=("a pod's first container started", "Nothing."),
    Completed=("a pod ended well", "Nothing."),
    SidecarEnded=(
        (
            "a pod's sidecar was killed or crashed, and what it had not sent is lost; while the pod"
            " goes on, it starts again"
        ),
        (
            "With OOMKilled, see whether a program floods it; with another reason, read the log of"
            " that container (`kubectl logs --previous -c rollcall`). It decides nothing about the"
            " run."
        ),
    ),
    StageEntered=("a pod's program named another stage of its work than before", "Nothing."),
    Untracked=(
        "a pod runs without its sidecar, which could not start, so that it is not heard",
        "The message has the kubelet's words: mostly the sidecar's image cannot be pulled there.",
    ),
    ReportsLost=(
        "a pod ended before its sidecar could deliver what the message counts",
        (
            "Find out why the api did not answer then. A program that must know waits for each"
            " answer (`?wait=5s`). Lost last words were cut: something adds containers to the pod."
        ),
    ),
)

REASONS: Mapping[str, Explanation] = MappingProxyType(_listed)
