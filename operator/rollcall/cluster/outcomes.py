"""What the last reconciliation of a job came to, as its status shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from rollcall.cluster import fields
from rollcall.core import errors, injection

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
PODS_REFUSED = "PodsRefused"  # reason of Healthy


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Status, reason and message of one condition."""

    status: str
    reason: str
    message: str = ""


NOT_STALLED = Condition(status=FALSE, reason="Progressing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """Whether the next pods have the sidecar; without an obstacle they have."""

    obstacle: injection.Obstacle | None = None
    beats_only: bool = False  # it takes no reports of programs


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob:
    """The CronJob as applied."""

    name: str
    uid: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome for one generation of a TrackedCronJob; None means that nothing is known."""

    generation: int
    ready: Condition
    stalled: Condition = NOT_STALLED
    pods_refused: str | None = None  # the API server's words, if it refuses pods either way
    sidecar: Sidecar | None = None
    cronjob: CronJob | None = None


def unready(
    tracked: Mapping[str, Any], reason: str, message: str, *, stalled: bool = True
) -> Outcome:
    """Describe a job whose CronJob is not as its spec wishes."""
    ready, needs_a_person = blocked(reason, message)
    return Outcome(
        generation=fields.number(tracked, "metadata", "generation") or 0,
        ready=ready,
        stalled=needs_a_person if stalled else NOT_STALLED,
    )


def blocked(reason: str, message: str) -> tuple[Condition, Condition]:
    """Return Ready and Stalled of a job that needs a person."""
    return (
        Condition(status=FALSE, reason=reason, message=message),
        Condition(status=TRUE, reason=reason, message=message),
    )


def refused(tracked: Mapping[str, Any], error: errors.Refused) -> Outcome:
    """Describe a CronJob that the API server refused, in its words."""
    message = fields.clean(str(error))
    if "being terminated" in message:
        return unready(tracked, "NamespaceTerminating", message, stalled=False)
    return unready(tracked, _reason(error, message), message)


def _reason(error: errors.Refused, message: str) -> str:
    if "denied the request" in message:  # the API server's words for admission webhooks
        return "AdmissionDenied"
    if error.status in {400, 413, 422, 500}:
        return "InvalidTemplate"
    if "exceeded quota" in message:
        return "QuotaExceeded"
    if is_ours_to_mend(error):
        return "PermissionDenied"
    return "AdmissionDenied" if error.status == HTTPStatus.FORBIDDEN else "Refused"


def is_ours_to_mend(error: errors.Refused) -> bool:
    """Whether the operator's own rights are missing, which says nothing about the job."""
    is_forbidden = error.status == HTTPStatus.FORBIDDEN
    return is_forbidden and " cannot " in str(error) and " resource " in str(error)


def stalled_of(tracked: Mapping[str, Any]) -> Condition | None:
    """Return the condition Stalled as the status of a TrackedCronJob has it."""
    for condition in fields.items(tracked, "status", "conditions"):
        if condition.get("type") == "Stalled":
            return Condition(
                status=str(condition.get("status")),
                reason=str(condition.get("reason")),
                message=str(condition.get("message") or ""),
            )
    return None
