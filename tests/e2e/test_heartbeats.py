"""Heartbeats arrive from pods that are watched, and from nobody else."""

from support import kube as kubes
from support import posting


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
