"""Pods are kept with what they left: those of a Job, and those that outlive theirs.

A Job that is replaced or deleted is gone at once, and its pods have their grace period to end. What
they say in it counts like anything else; their run stays as it ended.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from rollcall.core import executions, pod_events
from rollcall.services import last_words, ports

Pods = last_words.Pods


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLate:
    """Of which pods everything is kept, by UID, and the jobs of which something is new."""

    pod_uids: Collection[str]
    cronjob_ids: Collection[UUID]


async def keep(
    transaction: ports.Transaction, found: Sequence[last_words.Found]
) -> Mapping[UUID, Pods]:
    """Keep pods and what they left; return all pods of each run, oldest first."""
    seen = {one.run: [last_words.for_people(pod) for pod in one.seen] for one in found}
    stored = await transaction.attempts.observe(seen)
    return await last_words.keep(
        transaction, [replace(one, stored=stored[one.run.id]) for one in found]
    )


async def keep_outliving(transaction: ports.Transaction, pods: Pods) -> KeptLate:
    """Keep pods whose Job is gone; those that are not known, or whose run goes on, are left out."""
    known = await transaction.attempts.of_runs_over([pod.pod_uid for pod in pods])
    by_run: dict[executions.Execution, list[executions.Attempt]] = defaultdict(list)
    for pod in pods:
        outlived = known.get(pod.pod_uid)
        # Its sidecar may end, and leave something, after its program has been seen to end.
        if outlived and (pod.sidecar_said or not outlived.pod_has_ended):
            by_run[outlived.run].append(pod)
    if by_run:
        await _keep_late(transaction, by_run)
    return KeptLate(pod_uids=set(known), cronjob_ids={run.cronjob_id for run in by_run})


async def _keep_late(
    transaction: ports.Transaction, by_run: Mapping[executions.Execution, Pods]
) -> None:
    stored = await keep(
        transaction,
        [
            last_words.Found(run=run, job_name=run.job_name or "", seen=late)
            for run, late in by_run.items()
        ],
    )
    stories = [(run, pod_events.of_attempts(stored[run.id])) for run in by_run]
    await transaction.events.record_all(stories)
