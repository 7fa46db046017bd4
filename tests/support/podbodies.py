"""Jobs and Pods as a 1.36 API server hands them out, cut down to what is read."""

import copy
from typing import Any

Object = dict[str, Any]

TRACKED_UID = "14522fca-478c-432f-9b6b-c21ca3ee7533"
CRONJOB_UID = "78fb03e2-7a54-45bd-8e75-2ff8f0975dbd"
JOB_UID = "b373e795-475e-4813-bcbf-6657bb9562ab"
POD_UID = "543547c0-85d3-4058-ab90-a5a22c1f82e5"
SECRET = "hunter2-of-the-database"
LABELS = {"rollcall.dev/name": "minutely", "rollcall.dev/uid": TRACKED_UID}


def at(second: int) -> str:
    """Return a time in the minute in which everything happens."""
    return f"2026-11-25T12:53:{second:02}Z"


def job(
    *,
    conditions: list[Object] | None = None,
    annotations: Object | None = None,
    status: Object | None = None,
    **metadata: object,
) -> Object:
    """Build a Job of ours."""
    slot = {"batch.kubernetes.io/cronjob-scheduled-timestamp": at(0)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "minutely-29926853",
            "namespace": "team",
            "uid": JOB_UID,
            "creationTimestamp": at(0),
            "labels": dict(LABELS),
            "annotations": slot if annotations is None else annotations,
            "ownerReferences": [_owner("CronJob", "minutely", CRONJOB_UID)],
            **metadata,
        },
        "spec": {"suspend": False},
        "status": {"startTime": at(0), "conditions": conditions or [], **(status or {})},
    }


def made_from(spec: Object | None = None, **of_job: Any) -> Object:  # noqa: ANN401
    """Build a Job as the API server has it: with what it adds for this one."""
    body = job(**of_job)
    labels = {"app": "report", **LABELS}
    uid, name = body["metadata"]["uid"], body["metadata"]["name"]
    labels |= {"controller-uid": uid, "batch.kubernetes.io/controller-uid": uid}
    labels |= {"job-name": name, "batch.kubernetes.io/job-name": name}
    body["spec"] |= {
        "backoffLimit": 6,
        "ttlSecondsAfterFinished": 900,
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "template": {
            "metadata": {"creationTimestamp": None, "labels": labels, "annotations": {"a": "1"}},
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "registry.test/app:1",
                        "args": ["--all"],
                        "env": [{"name": "PASSWORD", "value": SECRET}],
                        "resources": {},
                        "imagePullPolicy": "Always",
                    }
                ],
                "restartPolicy": "Never",
                "volumes": [{"name": "data", "emptyDir": {}}],
            },
        },
    } | (spec or {})
    return body


def condition(kind: str, reason: str, message: str = "", second: int = 8) -> Object:
    """Build a condition that holds."""
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(second),
    }


def pod(
    *states: Object,
    phase: str = "Running",
    sidecar: Object | None = None,
    inits: dict[str, Object] | None = None,
    conditions: list[Object] | None = None,
    restart_policy: str = "Never",
    status: Object | None = None,
    **metadata: object,
) -> Object:
    """Build a Pod of ours; `states` are those of its containers main, other, third."""
    names = ["main", "other", "third"][: max(1, len(states))]
    initial = {"rollcall": sidecar or running(0), **(inits or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "minutely-29926853-ds2c2",
            "namespace": "team",
            "uid": POD_UID,
            "creationTimestamp": at(0),
            "labels": {**LABELS, "batch.kubernetes.io/controller-uid": JOB_UID},
            "ownerReferences": [_owner("Job", "minutely-29926853", JOB_UID)],
            **metadata,
        },
        "spec": {
            "restartPolicy": restart_policy,
            "containers": [{"name": name} for name in names],
            "initContainers": [{"name": name} for name in initial],
            "volumes": [{"name": "rollcall-token"}],
        },
        "status": {
            "phase": phase,
            "startTime": at(0),
            "conditions": conditions or [],
            "containerStatuses": [
                {"name": name, **copy.deepcopy(state)}
                for name, state in zip(names, states, strict=False)
            ],
            "initContainerStatuses": [
                {"name": name, **copy.deepcopy(state)} for name, state in initial.items()
            ],
            **(status or {}),
        },
    }


def waiting(reason: str) -> Object:
    """Build a container status."""
    return {"state": {"waiting": {"reason": reason}}, "lastState": {}}


def running(second: int) -> Object:
    """Build a container status."""
    return {"state": {"running": {"startedAt": at(second)}}, "lastState": {}}


def ended(
    code: int, reason: str = "Error", *, started: str | None = None, second: int = 5, **more: object
) -> Object:
    """Build a container status."""
    terminated = {
        "exitCode": code,
        "reason": "Completed" if code == 0 and reason == "Error" else reason,
        "startedAt": started or at(1),
        "finishedAt": at(second),
        **more,
    }
    return {"state": {"terminated": terminated}, "lastState": {}}


def crashed(code: int) -> Object:
    """Build the status of a container that will be restarted."""
    last = ended(code)["state"]
    return {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": last}


def _owner(kind: str, name: str, uid: str) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
