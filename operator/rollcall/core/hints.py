"""What helps whoever is told: the last runs, what to do about the reason, what to type next."""

from collections.abc import Mapping, Sequence
from typing import Any

from rollcall.core import executions, incidents, policies, reasons

MOST_RUNS = 10
NOTHING = "Nothing."  # the advice of reasons that need none
# Of what is about no run, where the list of reasons says nothing or speaks of runs.
_OF_CLUSTER: Mapping[policies.Kind, str] = {
    policies.Kind.BLIND: (
        "Find out why the API server does not answer the operator, or Rollcall's own database."
    ),
    policies.Kind.CANNOT_DELIVER: (
        "Mend the Secret or the settings that the status of the AlertChannel names, and try it."
        " What was given up is not sent again: look at what is open."
    ),
}


def last_runs(recent: Sequence[executions.Execution]) -> list[Mapping[str, Any]]:
    """Return the newest runs and slots, oldest first; `recent` is newest first."""
    return [{"at": run.slot_at, "status": run.status.value} for run in reversed(recent[:MOST_RUNS])]


def advice(incident: incidents.Incident, execution: executions.Execution | None) -> str | None:
    """Say what to do about the reason of an open incident, where the list of reasons knows."""
    if not incident.is_open:
        return None
    if incident.kind in _OF_CLUSTER:
        return _OF_CLUSTER[incident.kind]
    # Of what is wrong with many jobs, the reason that most of them have.
    most = incident.evidence.get("mostly")
    for reason in (incident.reason, execution.reason if execution else None, most):
        known = reasons.REASONS.get(reason or "")
        if known and known.action != NOTHING:
            return known.action
    return None


def commands_of_cluster(incident: incidents.Incident) -> list[str]:
    """Return what to type to see more of an open incident of a cluster."""
    if not incident.is_open:
        return []
    if incident.kind is policies.Kind.BLIND:
        return ["kubectl get --raw '/readyz?verbose'"]
    if incident.channel:
        return [
            f"kubectl describe alertchannel {incident.channel}",
            f"rollcall channel test {incident.channel}",
            f"rollcall alerts show {incident.id}",
        ]
    return ["kubectl get trackedcronjobs -A", f"rollcall alerts show {incident.id}"]


def commands(
    incident: incidents.Incident,
    execution: executions.Execution | None,
    *,
    namespace: str,
    name: str,
) -> list[str]:
    """Return what to type to see more of an open incident."""
    if not incident.is_open:
        return []
    job = execution.job_name if execution else None
    if not job:
        return [f"kubectl -n {namespace} describe cronjob {name}"]
    if execution and incident.kind is policies.Kind.ERRORS:
        letters = f"rollcall dead-letters list -n {namespace} --cronjob {name} --state open"
        has_errors = incident.reason == "ErrorsReported"
        return [f"rollcall errors show {execution.id}", letters] if has_errors else [letters]
    return [
        f"kubectl -n {namespace} describe job {job}",
        f"kubectl -n {namespace} logs job/{job} --all-containers --tail=100",
    ]
