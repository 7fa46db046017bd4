"""Heartbeats arrive from pods that are watched, and from nobody else."""

from rollcall.core import errors
from support import kube as kubes
from support import posting

# Through the API server, which sends its own credentials nowhere else.
API = f"/api/v1/namespaces/{kubes.SYSTEM}/services/http:rollcall-api:8080/proxy"


async def test_a_run_that_beats_is_heard(namespace: kubes.Place) -> None:
    await namespace.apply_job("beating", "sleep 5", tracking={"heartbeatInterval": "10s"})
    reporting = await namespace.condition("beating", "Reporting", "Heard", within=150)
    assert reporting["status"] == "True"
    status = await namespace.health("beating", "Healthy")
    assert status["sidecar"] == {"injected": True}


async def test_a_report_needs_a_token_for_us_of_a_pod_that_is_tracked(
    namespace: kubes.Place,
) -> None:
    answers = await posting.post(namespace, "stranger")
    assert {token: answer["status"] for token, answer in answers.items()} == {
        "none": 401,
        "forged": 401,
        "others": 401,
        "kubernetes": 401,
        "ours": 403,
    }


async def test_who_has_no_token_can_cause_nothing(namespace: kubes.Place) -> None:
    await namespace.apply_job("asleep", schedule="0 0 29 2 *")
    await namespace.condition("asleep", "Ready", "Reconciled")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in (
            "/ingest/v1/reports",
            f"/api/v1/namespaces/{namespace.name}/cronjobs/asleep/trigger",
            f"/api/v1/namespaces/{namespace.name}/cronjobs/asleep",
            f"/api/v1/namespaces/{namespace.name}/cronjobs/asleep/executions",
            "/api/v1/commands",
            "/",
        ):
            answer = await _refusal(namespace, method, path)
            assert answer in {401, 404, 405}, f"{method} {path}: {answer}"
    assert [one async for one in namespace.kube.list(namespace.group("batch/v1", "jobs"))] == []


async def _refusal(place: kubes.Place, method: str, path: str) -> int:
    """Return the status of an answer of the api that is none of success; 0 for success."""
    try:
        await place.kube.request(method, f"{API}{path}", body={"v": 1})
    except errors.NotFound:
        return 404
    except errors.Refused as error:
        return error.status
    except errors.ClusterUnavailable as error:
        # The client takes a 401 for its own token, which the API server did accept.
        return 401 if "HTTP 401" in str(error) else 503
    return 0
