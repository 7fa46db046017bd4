"""Where objects are in the Kubernetes API."""

from urllib.parse import quote

from rollcall.core import names

TRACKED = f"/apis/{names.API_VERSION}/trackedcronjobs"
CHANNELS = f"/apis/{names.API_VERSION}/alertchannels"
CRONJOBS = "/apis/batch/v1/cronjobs"
JOBS = "/apis/batch/v1/jobs"
PODS = "/api/v1/pods"
NAMESPACES = "/api/v1/namespaces"


def tracked(namespace: str, name: str) -> str:
    """One TrackedCronJob."""
    return f"/apis/{names.API_VERSION}/namespaces/{_in(namespace)}/trackedcronjobs/{_in(name)}"


def cronjob(namespace: str, name: str) -> str:
    """One CronJob."""
    return f"/apis/batch/v1/namespaces/{_in(namespace)}/cronjobs/{_in(name)}"


def jobs(namespace: str) -> str:
    """All Jobs of a namespace."""
    return f"/apis/batch/v1/namespaces/{_in(namespace)}/jobs"


def job(namespace: str, name: str) -> str:
    """One Job."""
    return f"{jobs(namespace)}/{_in(name)}"


def pods(namespace: str) -> str:
    """All Pods of a namespace."""
    return f"/api/v1/namespaces/{_in(namespace)}/pods"


def pod(namespace: str, name: str) -> str:
    """One Pod."""
    return f"{pods(namespace)}/{_in(name)}"


def events(namespace: str) -> str:
    """All Events of a namespace."""
    return f"/api/v1/namespaces/{_in(namespace)}/events"


def leases(namespace: str) -> str:
    """All Leases of a namespace."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{_in(namespace)}/leases"


def _in(part: str) -> str:
    return quote(part, safe="")
