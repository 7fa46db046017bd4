"""People start, stop and hold runs by hand."""

from support import kube as kubes
from support import kubectl
from support import ledger as ledgers

NEVER = "0 0 29 2 *"  # a slot that no test will see


async def test_a_run_started_by_hand_is_manual_and_its_failure_alarms_nobody(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("asked", "exit 5", schedule=NEVER)
    await namespace.condition("asked", "Ready", "Reconciled")
    await kubectl.run("-n", namespace.name, "create", "job", "by-hand", "--from=cronjob/asked")
    run = await ledger.ended(namespace, "asked", 60)
    assert (run.trigger, run.status, run.exit_code) == ("manual", "failed", 5)
    assert run.job_name == "by-hand"

    await namespace.kube.create(
        namespace.group("batch/v1", "jobs"), await _like_argo_cd(namespace, "asked")
    )
    rows = await ledger.wait(
        namespace,
        "asked",
        60,
        what="the second run by hand",
        good=lambda rows: [row.status for row in rows] == ["failed"] * 2,
    )
    assert {row.trigger for row in rows} == {"manual"}
    assert (await namespace.status("asked"))["consecutiveFailures"] == 0
    assert await receiver.of(namespace) == []


async def _like_argo_cd(place: kubes.Place, name: str) -> kubes.Object:
    """Describe the Job that its action "create job" makes: an owner, and no annotation."""
    cronjob = await place.kube.get(place.cronjobs(name))
    template = cronjob["spec"]["jobTemplate"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name}
    owner |= {"uid": cronjob["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    metadata = {
        "name": f"{name}-202611251412",
        "labels": template["metadata"]["labels"],
        "ownerReferences": [owner],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


async def test_a_running_job_that_is_deleted_by_hand_is_cancelled(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    slot = kubes.next_slot()
    await namespace.apply_job("stopped", kubes.HANG, schedule=kubes.hourly(slot))
    run = await ledger.reached(namespace, "stopped", "running", 120)
    path = namespace.group("batch/v1", "jobs", run.job_name or "")
    await namespace.kube.request("DELETE", path, query={"propagationPolicy": "Background"})
    run = await ledger.ended(namespace, "stopped", 30)
    assert (run.status, run.reason, run.slot_at) == ("cancelled", "JobDeleted", slot)
    assert run.ended_at
    assert len(await ledger.rows(namespace)) == 1
    assert await receiver.of(namespace) == []


async def test_a_pod_that_is_evicted_fails_its_run_and_is_named_as_the_reason(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    slot = kubes.next_slot()
    await namespace.apply_job("drained", kubes.HANG, schedule=kubes.hourly(slot))
    await ledger.reached(namespace, "drained", "running", 120)
    pods = [one["metadata"]["name"] async for one in namespace.kube.list(namespace.core("pods"))]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pods[0]}}
    await namespace.kube.create(f"{namespace.core('pods', pods[0])}/eviction", eviction)
    rows = await ledger.wait(
        namespace,
        "drained",
        60,
        what="a run whose pod was evicted",
        good=lambda rows: rows[0].reason == "Evicted",
    )
    assert [row.status for row in rows] == ["failed"]
    await receiver.first(namespace, "drained", "failing", "opened", 30)
    assert kubes.opened(await receiver.of(namespace)) == [("drained", "failing")]


async def test_a_pod_whose_node_is_deleted_fails_its_run_as_lost(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    nodes, lost = "/api/v1/nodes", f"lost-{namespace.name}"
    metadata = {"name": lost}
    await namespace.kube.create(nodes, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    try:
        slot = kubes.next_slot()
        template = kubes.job_template(namespace.image, kubes.HANG)
        template["spec"]["template"]["spec"]["nodeName"] = lost
        await namespace.apply_job("astray", schedule=kubes.hourly(slot), jobTemplate=template)
        await ledger.reached(namespace, "astray", "pending", 120)
    finally:
        await namespace.kube.request("DELETE", f"{nodes}/{lost}")
    # The control plane looks for pods without a node every 20 s, and waits 40 s for each.
    run = await ledger.ended(namespace, "astray", 150)
    assert (run.status, run.reason, run.slot_at) == ("failed", "NodeLost", slot)
    await receiver.first(namespace, "astray", "failing", "opened", 30)
    assert kubes.opened(await receiver.of(namespace)) == [("astray", "failing")]


async def test_a_job_that_is_held_is_queued_until_it_is_let_go(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    template = kubes.job_template(namespace.image, "exit 0")
    template["spec"]["suspend"] = True
    slot = kubes.next_slot()
    await namespace.apply_job(
        "waiting",
        schedule=kubes.hourly(slot),
        jobTemplate=template,
    )
    run = await ledger.reached(namespace, "waiting", "queued", 120)
    assert run.started_at is None
    path = namespace.group("batch/v1", "jobs", run.job_name or "")
    await namespace.kube.merge(path, {"spec": {"suspend": False}}, manager="somebody")
    run = await ledger.ended(namespace, "waiting", 60)
    assert (run.status, run.slot_at) == ("succeeded", slot)
