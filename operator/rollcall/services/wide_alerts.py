"""Messages about a cluster as a whole: each channel reads of the jobs that it may know of."""

from collections.abc import Mapping, Sequence

from rollcall.core import incidents, messages, policies
from rollcall.services import ports, steps

Routes = Mapping[str, Sequence[str]]  # by channel: the jobs that its reader may know of


async def write(
    transaction: ports.Transaction, cluster: str, step: incidents.Step, routes: Routes
) -> bool:
    """Write a step and, if it is to be told, its messages; says whether channels are told.

    Nothing is written if another process took a step first.
    """
    transition = await steps.save(transaction, step, is_heard=bool(routes))
    if transition is None:
        return False
    await _enqueue(transaction, cluster, step, transition, routes)
    return True


async def tell_others(
    transaction: ports.Transaction, cluster: str, incident: incidents.Incident, routes: Routes
) -> bool:
    """Tell channels that have not heard of an open incident, as its jobs became theirs too."""
    told = await transaction.outbox.told(incident.id)
    others = {channel: jobs for channel, jobs in routes.items() if channel not in told}
    step = incidents.Step(incident=incident, transition=None, notify=True, why="Opened")
    await _enqueue(transaction, cluster, step, incidents.Transition.OPENED, others)
    return bool(others)


def routes(
    directory: ports.Directory, incident: incidents.Incident, troubles: Sequence[ports.Trouble]
) -> Routes:
    """Return who hears of it: of causes all who would hear of one of the jobs otherwise."""
    kind, severity = incident.kind, incident.severity
    if kind is policies.Kind.BLIND:
        return dict.fromkeys(directory.channels_of_cluster(kind=kind, severity=severity), ())
    found: dict[str, set[str]] = {}
    for one in troubles:
        job = one.job
        for of in (kind, one.kind):
            for channel in directory.channels_for(
                job.namespace, job.name, kind=of, severity=severity, wanted=_wanted(job)
            ):
                found.setdefault(channel, set()).add(f"{job.namespace}/{job.name}")
    return {channel: sorted(jobs) for channel, jobs in sorted(found.items())}


def known_jobs(
    directory: ports.Directory, incident: incidents.Incident, jobs: Sequence[ports.TrackedJob]
) -> Routes:
    """Return by channel which of these jobs it selects, whether or not they name it."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        for channel in directory.channels_for(
            job.namespace, job.name, kind=incident.kind, severity=incident.severity, wanted=None
        ):
            found.setdefault(channel, []).append(f"{job.namespace}/{job.name}")
    return found


def is_told_of(incident: incidents.Incident) -> bool:
    """Whether it lasts and is told, so that who has not heard of it should."""
    return incident.is_open and incident.announced_at is not None and not incident.silenced_by


def _wanted(job: ports.TrackedJob) -> Sequence[str] | None:
    """Return the channels that a job names, whatever else its policy may say."""
    alerts = job.policy.get("alerts")
    return alerts.get("channels") if isinstance(alerts, Mapping) else None


async def _enqueue(
    transaction: ports.Transaction,
    cluster: str,
    step: incidents.Step,
    transition: incidents.Transition,
    routes: Routes,
) -> None:
    for channel, jobs in routes.items():
        payload = messages.of_cluster(
            step.incident,
            transition,
            at=transaction.now,
            cluster=cluster,
            jobs=jobs,
            suppressed=step.told_suppressed,
            resolution=step.resolution,
        )
        await transaction.outbox.enqueue(step.incident, [channel], payload)
