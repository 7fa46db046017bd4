"""What becomes of the CronJob: refused, taken, adopted, without the sidecar, changed by hand."""

import asyncio
import copy

from support import kube as kubes
from support import kubectl
from support import ledger as ledgers

NEVER = "0 0 29 2 *"  # a slot that no test will see
SOMEBODY = "somebody"  # a field manager that is not ours


async def test_a_template_that_the_server_refuses_stalls_the_job(namespace: kubes.Place) -> None:
    template = kubes.job_template(namespace.image, "exit 0")
    template["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    await namespace.apply_job("refused", jobTemplate=template)
    ready = await namespace.condition("refused", "Ready", "InvalidTemplate")
    assert ready["status"] == "False"
    assert "restartPolicy" in ready["message"]
    stalled = kubes.condition(await namespace.job("refused"), "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidTemplate")

    await namespace.apply_job("refused")
    ready = await namespace.condition("refused", "Ready", "Reconciled")
    assert ready["status"] == "True"
    assert kubes.condition(await namespace.job("refused"), "Stalled")["status"] == "False"


async def test_a_cronjob_of_the_same_name_is_left_as_it_is(namespace: kubes.Place) -> None:
    spec = {
        "schedule": "0 0 1 1 *",
        "jobTemplate": kubes.job_template(namespace.image, "echo theirs"),
    }
    theirs = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "taken"},
        "spec": spec,
    }
    before = await namespace.kube.create(namespace.cronjobs(), theirs)
    await namespace.apply_job("taken")
    ready = await namespace.condition("taken", "Ready", "NameTaken")
    assert ready["status"] == "False"
    assert kubes.condition(await namespace.job("taken"), "Stalled")["status"] == "True"
    after = await namespace.kube.get(namespace.cronjobs("taken"))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    await namespace.kube.request("DELETE", namespace.cronjobs("taken"))
    await namespace.condition("taken", "Ready", "Reconciled", within=90)
    ours = await namespace.kube.get(namespace.cronjobs("taken"))
    assert ours["spec"]["schedule"] == kubes.EACH_MINUTE


async def test_a_cronjob_that_asks_for_it_is_taken_over_with_its_running_job(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    before = await _plain(namespace, "adopted", {"name": "FOREIGN", "value": "1"})
    running = await _started(namespace, "before")
    await namespace.apply_job("adopted", schedule=NEVER)
    await namespace.condition("adopted", "Ready", "Reconciled")
    after = await namespace.kube.get(namespace.cronjobs("adopted"))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    owners = [one["uid"] for one in after["metadata"]["ownerReferences"]]
    assert owners == [(await namespace.job("adopted"))["metadata"]["uid"]]
    assert _variables(before) == {"FOREIGN"}
    assert "FOREIGN" not in _variables(after)
    assert (await _event(namespace, "adopted", "Adopted"))["type"] == "Normal"

    await _started(namespace, "after")
    run = await ledger.ended(namespace, "adopted", 60)
    assert (run.trigger, run.status, run.job_name) == ("manual", "succeeded", "after")
    assert len(await ledger.rows(namespace)) == 1  # what ran before has no mark of ours
    still = await namespace.kube.get(namespace.group("batch/v1", "jobs", "before"))
    assert still["metadata"]["uid"] == running["metadata"]["uid"]
    assert still["metadata"]["ownerReferences"][0]["uid"] == before["metadata"]["uid"]
    assert still["status"]["active"] == 1


async def _plain(place: kubes.Place, name: str, variable: kubes.Object) -> kubes.Object:
    """Make a CronJob of somebody's that has one variable and asks to be taken over."""
    template = kubes.job_template(place.image, kubes.HANG)
    template["spec"]["template"]["spec"]["containers"][0]["env"] = [variable]
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "annotations": {"rollcall.dev/adopt": name}},
        "spec": {"schedule": NEVER, "jobTemplate": template},
    }
    return await place.kube.create(place.cronjobs(), body, fieldManager=SOMEBODY)


async def _started(place: kubes.Place, job: str) -> kubes.Object:
    """Start a Job of the CronJob `adopted` by hand, and wait for its pod."""
    await kubectl.run("-n", place.name, "create", "job", job, "--from=cronjob/adopted")
    path = place.group("batch/v1", "jobs", job)
    return await kubes.eventually(
        lambda: place.kube.get(path),
        30,
        what=f"a pod of {job}",
        good=lambda one: {"active", "succeeded"} & one.get("status", {}).keys(),
    )


def _variables(cronjob: kubes.Object) -> set[str]:
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return {one["name"] for one in pod["containers"][0].get("env", ())}


async def _event(place: kubes.Place, name: str, reason: str) -> kubes.Object:
    """Wait for an Event about a TrackedCronJob."""
    about = f"involvedObject.kind=TrackedCronJob,involvedObject.name={name},reason={reason}"

    async def look() -> list[kubes.Object]:
        events = place.kube.list(place.core("events"), fieldSelector=about)
        return [one async for one in events]

    return (await kubes.eventually(look, 10, what=f"the Event {reason} of {name}"))[0]


async def test_where_a_limit_refuses_the_sidecar_only_the_job_runs_without_it(
    namespace: kubes.Place,
) -> None:
    floor = {"type": "Container", "min": {"memory": "64Mi"}}
    await namespace.kube.create(
        namespace.core("limitranges"),
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "floor"},
            "spec": {"limits": [floor]},
        },
    )
    template = kubes.job_template(namespace.image, "exit 0")
    main = template["spec"]["template"]["spec"]["containers"][0]
    main["resources"] = {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    await namespace.apply_job("narrow", jobTemplate=template)
    status = await namespace.health("narrow", "Healthy")
    assert status["lastExecution"]["status"] == "succeeded"
    assert status["sidecar"]["injected"] is False
    reporting = kubes.condition(await namespace.job("narrow"), "Reporting")
    assert (reporting["status"], reporting["reason"]) == ("False", "NotInjected")
    assert "64Mi" in reporting["message"]


async def test_a_schedule_changed_by_hand_is_put_back(namespace: kubes.Place) -> None:
    await namespace.apply_job("drifting", schedule="0 3 * * *")
    await namespace.condition("drifting", "Ready", "Reconciled")
    path = namespace.cronjobs("drifting")
    await namespace.kube.merge(path, {"spec": {"schedule": "0 4 * * *"}}, manager=SOMEBODY)

    async def look() -> kubes.Object:
        return await namespace.kube.get(path)

    await kubes.eventually(
        look,
        10,
        what="the schedule as before",
        good=lambda cronjob: cronjob["spec"]["schedule"] == "0 3 * * *",
    )
    told = await _event(namespace, "drifting", "Reverted")
    assert told["message"] == f"the CronJob was changed by {SOMEBODY}; edit this instead"


async def test_a_suspension_by_hand_stays_while_the_spec_is_silent_about_it(
    namespace: kubes.Place,
) -> None:
    await namespace.apply_job("held", schedule="0 3 * * *")
    await namespace.condition("held", "Ready", "Reconciled")
    path = namespace.cronjobs("held")
    await namespace.kube.merge(path, {"spec": {"suspend": True}}, manager=SOMEBODY)
    await asyncio.sleep(12)  # longer than drift may live
    assert (await namespace.kube.get(path))["spec"]["suspend"] is True

    await namespace.apply_job("held", schedule="0 3 * * *", suspend=False)

    async def look() -> kubes.Object:
        return await namespace.kube.get(path)

    await kubes.eventually(
        look,
        10,
        what="no suspension, as the spec says now",
        good=lambda cronjob: cronjob["spec"].get("suspend") is False,
    )


async def test_the_cronjob_ends_with_the_tracked_one(namespace: kubes.Place) -> None:
    await namespace.apply_job("brief", schedule="0 3 * * *")
    await namespace.condition("brief", "Ready", "Reconciled")
    cronjob = copy.deepcopy(await namespace.kube.get(namespace.cronjobs("brief")))
    tracked = await namespace.job("brief")
    owner = cronjob["metadata"]["ownerReferences"][0]
    assert owner["uid"] == tracked["metadata"]["uid"]
    await namespace.kube.request("DELETE", namespace.tracked("brief"))

    async def left() -> list[str]:
        return [one["metadata"]["name"] async for one in namespace.kube.list(namespace.cronjobs())]

    await kubes.eventually(left, 60, what="no CronJob", good=lambda names: not names)
