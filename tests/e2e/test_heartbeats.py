"""Heartbeats arrive from pods that are watched, and from nobody else."""

import asyncio
import contextlib
from datetime import UTC, datetime

from rollcall.core import errors
from support import kube as kubes
from support import kubectl, posting
from support import ledger as ledgers

# Through the API server, which sends its own credentials nowhere else.
REPORTS = (
    f"/api/v1/namespaces/{kubes.SYSTEM}/services/http:rollcall-api:8080/proxy/ingest/v1/reports"
)
REMEMBERED = 75  # seconds: our minute, and what the API server adds to it


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
        "huge": 431,
    }


async def test_a_token_that_was_changed_or_has_no_pod_is_worth_nothing(
    namespace: kubes.Place,
) -> None:
    pod = await _hanging(namespace)
    bound, unbound = await posting.token(namespace, pod), await posting.token(namespace)
    changed = posting.tampered(bound)
    answers = await posting.post(namespace, "sender", bound=bound, unbound=unbound, **changed)
    assert {name: answers[name]["status"] for name in ("bound", "unbound", *changed)} == {
        "bound": 403,
        "unbound": 403,
        **dict.fromkeys(changed, 401),
    }


async def test_a_token_outlives_its_pod_by_a_minute_at_most(namespace: kubes.Place) -> None:
    pod = await _hanging(namespace)
    token = await posting.token(namespace, pod)
    before = await posting.post(namespace, "before", replayed=token)
    assert before["replayed"]["status"] == 403  # genuine, but of no run

    path = namespace.core("pods", "hanging")
    await namespace.kube.request("DELETE", path, query={"gracePeriodSeconds": 0})

    async def is_gone() -> bool:
        with contextlib.suppress(errors.NotFound):
            await namespace.kube.get(path)
            return False
        return True

    await kubes.eventually(is_gone, 60, what="the end of the pod")
    await asyncio.sleep(REMEMBERED)
    replayed = {f"replay-{number}": token for number in range(10)}  # to several replicas
    answers = await posting.post(namespace, "after", **replayed)
    assert {answers[name]["status"] for name in replayed} == {401}


async def test_who_has_no_token_can_cause_nothing(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("going", kubes.HANG, schedule="0 0 29 2 *")
    await namespace.condition("going", "Ready", "Reconciled")
    await kubectl.run("-n", namespace.name, "create", "job", "by-hand", "--from=cronjob/going")
    run = await ledger.reached(namespace, "going", "running", 60)
    await asyncio.sleep(5)  # of its pod may be told in two writes
    rows, told = await ledger.rows(namespace), await ledger.reports(namespace, "going")
    (pod,) = [one async for one in namespace.kube.list(namespace.core("pods"))]
    assert [one.pod_uid for one in told] == [pod["metadata"]["uid"]]

    forged = _forged(run, pod)
    assert await _refusal(namespace, "POST", forged) == 401
    for method in ("PUT", "PATCH", "DELETE"):
        assert await _refusal(namespace, method, forged) == 405, method
    assert await ledger.rows(namespace) == rows
    assert await ledger.reports(namespace, "going") == told
    jobs = [one async for one in namespace.kube.list(namespace.group("batch/v1", "jobs"))]
    assert [one["metadata"]["name"] for one in jobs] == ["by-hand"]


def _forged(run: ledgers.Row, pod: kubes.Object) -> kubes.Object:
    """Make a report with something of every kind, which says itself whose it is."""
    now = datetime.now(UTC).isoformat()
    about = {
        "executionId": str(run.id),
        "cronjob": run.cronjob,
        "jobName": run.job_name,
        "jobUid": run.job_uid,
        "namespace": pod["metadata"]["namespace"],
        "podName": pod["metadata"]["name"],
        "podUid": pod["metadata"]["uid"],
    }
    told = (
        {"kind": "checkpoint", "value": "forged"},
        {"kind": "error", "type": "Forged"},
        {"kind": "deadLetter", "item": "forged"},
        {"kind": "result", "result": "failed"},
    )
    return {
        "v": 1,
        "seq": 1,
        "sentAt": now,
        "startedAt": now,
        "boot": "0123456789abcdef",
        "heartbeat": {"uptimeSeconds": 1},
        "progress": {"seq": 1, "at": now, "done": 1, "total": 2, "stage": "forged"},
        "items": [{"seq": seq, "at": now, **one} for seq, one in enumerate(told, start=2)],
        "final": True,
        **about,
        "execution": about,
    }


async def _hanging(place: kubes.Place) -> kubes.Object:
    """Make a pod that stays, of no job."""
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [kubes.container(place.image, kubes.HANG)],
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hanging"}, "spec": spec}
    return await place.kube.create(place.core("pods"), body)


async def _refusal(place: kubes.Place, method: str, report: kubes.Object) -> int:
    """Return the status of an answer of the api that is none of success; 0 for success."""
    try:
        await place.kube.request(method, REPORTS, body=report)
    except errors.NotFound:
        return 404
    except errors.Refused as error:
        return error.status
    except errors.ClusterUnavailable as error:
        # The client takes a 401 for its own token, which the API server did accept.
        return 401 if "HTTP 401" in str(error) else 503
    return 0
