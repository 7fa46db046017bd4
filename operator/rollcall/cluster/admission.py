"""Would the API server accept a job's pods, with and without the sidecar? Asked by dry run.

Answers are kept by the hash of what was asked. An acceptance stays; a refusal is asked again after
a growing while, since quotas, limits and policies change without any word to us.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollcall.cluster import client, outcomes, paths
from rollcall.core import errors, injection, manifests

logger = logging.getLogger(__name__)

FIRST_AGAIN = timedelta(seconds=15)
LONGEST_AGAIN = timedelta(minutes=10)
_CANNOT_SAY = "does not support dry run"  # of an admission webhook with side effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of the question."""

    obstacle: injection.Obstacle | None = None  # only the sidecar is refused
    refused: str | None = None  # the pods are refused either way
    again: timedelta | None = None  # ask again after this; None: the answer stays


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    answer: Answer
    until: datetime | None


class Admission:
    """Asks, and remembers per job."""

    def __init__(self, *, kube: client.KubeClient, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[str, _Kept]] = {}

    async def ask(self, plan: manifests.Plan, without: manifests.Plan) -> Answer:
        """Say whether pods of `plan` are accepted, or else those of the same job without us."""
        metadata = plan.cronjob["metadata"]
        key = (metadata["namespace"], metadata["name"])
        asked, kept = self._kept.get(key, ("", None))
        now = self._clock()
        same = kept if kept and asked == plan.spec_hash else None
        if same and same.until and now < same.until:
            return _still(same.answer, same.until - now)
        if same and same.until is None:
            return same.answer
        answer = await self._ask(key, plan, without, same.answer.again if same else None)
        until = now + answer.again if answer.again else None
        self._kept[key] = (plan.spec_hash, _Kept(answer=answer, until=until))
        return answer

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is remembered of a job."""
        self._kept.pop((namespace, name), None)

    async def _ask(
        self,
        key: tuple[str, str],
        plan: manifests.Plan,
        without: manifests.Plan,
        waited: timedelta | None,
    ) -> Answer:
        again = min(2 * waited, LONGEST_AGAIN) if waited else FIRST_AGAIN
        try:
            refused = await self._refusal(key, plan)
            if refused is None:
                return Answer()
            if plan.obstacle is None and await self._refusal(key, without) is None:
                guess = injection.Obstacle(
                    reason="SidecarRefused", message=f"only with it: {refused}", is_guess=True
                )
                return Answer(obstacle=guess, again=again)
        except errors.Unavailable as error:
            # Perhaps only a webhook for pods is down: that must not keep the CronJob from being.
            logger.warning("pods could not be tried", extra={"key": key, "error": str(error)})
            return Answer(again=again)
        return Answer(refused=refused, again=again)

    async def _refusal(self, key: tuple[str, str], plan: manifests.Plan) -> str | None:
        namespace, name = key
        try:
            await self._kube.create(
                paths.pods(namespace), _pod(name, plan), dryRun="All", fieldValidation="Ignore"
            )
        except (errors.Refused, errors.Conflict, errors.NotFound) as error:
            own = isinstance(error, errors.Refused) and outcomes.is_ours_to_mend(error)
            return None if own or _CANNOT_SAY in str(error) else str(error)
        return None


def _pod(name: str, plan: manifests.Plan) -> dict[str, Any]:
    given = plan.pod.get("metadata") or {}
    kept = {field: given[field] for field in ("labels", "annotations") if given.get(field)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        # One name for all trials: it stands in refusals, which are compared.
        "metadata": {"name": f"{name}-trial", **kept},
        "spec": plan.pod["spec"],
    }


def _still(answer: Answer, left: timedelta) -> Answer:
    return Answer(obstacle=answer.obstacle, refused=answer.refused, again=left)
