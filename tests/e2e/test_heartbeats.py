"""Heartbeats arrive from pods that are watched, and from nobody else."""

import pytest
from support import kube as kubes

INGEST = "http://rollcall-api.rollcall-system.svc:8080/ingest/v1/reports"
# Prints the statuses of one report without a token and one with each token of the pod.
POST = f"""
python3 - <<'END'
import datetime, json, pathlib, urllib.error, urllib.request
now = datetime.datetime.now(datetime.timezone.utc).isoformat()
body = json.dumps({{"v": 1, "seq": 1, "sentAt": now, "startedAt": now,
                   "heartbeat": {{"uptimeSeconds": 1}}}}).encode()
def post(token):
    headers = {{"Content-Type": "application/json"}}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request("{INGEST}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return repr(error)
tokens = {{path.name: path.read_text() for path in pathlib.Path("/tokens").glob("[a-z]*")}}
found = {{name: post(token) for name, token in tokens.items()}}
print(json.dumps(found | {{"none": post(None), "forged": post("a.b.c")}}))
END
"""


async def test_a_run_that_beats_is_heard(namespace: kubes.Place) -> None:
    await namespace.apply_job("beating", "sleep 5", tracking={"heartbeatInterval": "10s"})
    reporting = await namespace.condition("beating", "Reporting", "Heard", within=150)
    assert reporting["status"] == "True"
    status = await namespace.health("beating", "Healthy")
    assert status["sidecar"] == {"injected": True}


@pytest.fixture
async def statuses(namespace: kubes.Place) -> kubes.Object:
    """Post from a pod that is not tracked, which has a token for us and one for others."""
    tokens = [
        {"serviceAccountToken": {"path": "ours", "audience": "rollcall.dev/ingest"}},
        {"serviceAccountToken": {"path": "others", "audience": "somebody.example.com"}},
        {"serviceAccountToken": {"path": "kubernetes"}},
    ]
    main = kubes.container(namespace.image, POST)
    main["volumeMounts"] = [{"name": "tokens", "mountPath": "/tokens", "readOnly": True}]
    return await namespace.run_pod(
        "stranger",
        containers=[main],
        volumes=[{"name": "tokens", "projected": {"sources": tokens}}],
    )


async def test_a_report_needs_a_token_for_us_of_a_pod_that_is_tracked(
    statuses: kubes.Object,
) -> None:
    assert statuses == {"none": 401, "forged": 401, "others": 401, "kubernetes": 401, "ours": 403}
