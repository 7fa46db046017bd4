"""Installs the demo's receiver and jobs, waits for the alerts, and shows what came.

It ends well when, within four minutes of the installation, each broken job has caused exactly one
opened alert and no other job any, and each job's health says how it is. Where the demo is up
already, alerts of before count as far as their problems go on.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from string import Template
from typing import Any

import deploy
from cluster import toolbox

DEMO = deploy.ROOT / "demo"
RECEIVER = "demo-receiver"  # all that belongs to it has this name
BROKEN = ("demo/blocked", "demo/failing", "demo/hanging")
# failing is a warning at first, and critical from the third run on.
HEALTH = {
    "demo/blocked": {"Failing"},
    "demo/failing": {"Degraded", "Failing"},
    "demo/hanging": {"Degraded"},
    "demo/healthy": {"Healthy"},
    "demo/paused": {"Suspended"},
}
# What hangs has not succeeded for ten minutes some time, which is critical.
LATER = {"demo/hanging": {"Degraded", "Failing"}}
ALERTS = f"/api/v1/namespaces/{deploy.NAMESPACE}/services/{RECEIVER}:8080/proxy/alerts"
WITHIN_SECONDS = 240
SAY_SECONDS = 15
STATUS_LAG = 6  # seconds; a status is written at most every five
ENDS = {"incident.resolved", "incident.withdrawn"}
SECONDS = len("2026-11-25T16:35:06")  # of an instant's text


def install(cluster: deploy.Target) -> None:
    """Apply everything; what is there already stays as it is."""
    install_receiver(cluster)
    _apply(cluster, "jobs.yaml", deploy.images(cluster.name)["operator"])


def install_receiver(cluster: deploy.Target) -> None:
    """Apply the receiver of alerts and its channel, and wait until they are ready."""
    here = ("--namespace", deploy.NAMESPACE)
    if not cluster.kubectl("get", "secret", RECEIVER, *here, "--ignore-not-found", "-o", "name"):
        key = f"--from-literal=signing={secrets.token_urlsafe(24)}"
        cluster.kubectl("create", "secret", "generic", RECEIVER, key, *here)
    cluster.kubectl("apply", "-f", "-", text=json.dumps(_script()))
    image = deploy.images(cluster.name)["operator"]
    # A new image would restart the receiver, which keeps the alerts in memory.
    _apply(cluster, "receiver.yaml", _receiver_image(cluster) or image)
    cluster.kubectl("rollout", "status", f"deployment/{RECEIVER}", *here, "--timeout=3m")
    ready = ("wait", "--for=condition=Ready", f"alertchannel/{RECEIVER}", "--timeout=60s")
    cluster.kubectl(*ready)


def received(cluster: deploy.Target) -> list[dict[str, Any]]:
    """Return the alerts that came, oldest first; none while the receiver cannot be asked."""
    said = cluster.kubectl("get", "--raw", ALERTS, check=False)
    alerts: list[dict[str, Any]] = json.loads(said) if said else []
    return alerts


def opened(alerts: list[dict[str, Any]], since: str = "") -> Counter[str]:
    """Count the opening messages per job; one that was delivered twice has one key, and is one.

    What came before `since` (UTC, to the second) counts only if its problem goes on.
    """
    told = [
        (alert, one)
        for alert in alerts
        for one in alert["payload"].get("incidents") or [alert["payload"]]
    ]
    over = {one["incident"]["id"] for _, one in told if one.get("type") in ENDS}
    messages = {
        (_whose(one["cronjob"]), one["incident"]["id"], alert["key"])
        for alert, one in told
        if one.get("type") == "incident.opened"
        and (alert["receivedAt"][:SECONDS] >= since or one["incident"]["id"] not in over)
    }
    return Counter(whose for whose, *_ in messages)


def _whose(job: dict[str, str] | None) -> str:
    return f"{job['namespace']}/{job['name']}" if job else "the cluster"


def wait(cluster: deploy.Target, since: str) -> str | None:
    """Wait until all is as it should be; say what is not if it takes too long, else None."""
    started, said = time.monotonic(), float(-SAY_SECONDS)
    while True:
        alerts = received(cluster)
        wrong = verdict(alerts, health(cluster), since)
        waited = time.monotonic() - started
        if wrong is None or waited > WITHIN_SECONDS:
            return wrong
        if waited >= said + SAY_SECONDS:
            said = waited
            missing = [job for job in BROKEN if job not in opened(alerts, since)]
            what = f"no alert yet for {', '.join(missing)}" if missing else wrong
            print(f"  {waited:4.0f} s  {what}", flush=True)
        time.sleep(1)


def health(cluster: deploy.Target) -> dict[str, str]:
    """Return the health of every job."""
    listed = json.loads(cluster.kubectl("get", "trackedcronjobs", "-A", "-o", "json"))
    return {
        f"{job['metadata']['namespace']}/{job['metadata']['name']}": str(
            job.get("status", {}).get("health")
        )
        for job in listed["items"]
    }


def sickness(found: dict[str, str], *, was_up: bool = False) -> list[str]:
    """Say which jobs' health is not what it should be; `was_up`: the demo, before this one."""
    return [
        f"the health of {job} is {found.get(job)} instead of {' or '.join(sorted(expected))}"
        for job, expected in (HEALTH | (LATER if was_up else {})).items()
        if found.get(job) not in expected
    ]


def show(cluster: deploy.Target, alerts: list[dict[str, Any]]) -> None:
    """Print the jobs, the alerts, and what to try next."""
    print("\n$ kubectl get tcj -A")
    print(cluster.kubectl("get", "trackedcronjobs", "--all-namespaces"))
    print("Alerts received so far:")
    for alert in alerts:
        print(f"  {alert['receivedAt'][11:19]} {alert['line']}")
    print("\nWhat to try next:")
    if not shutil.which("kubectl"):
        print(f'  export PATH="{toolbox.folder()}:$PATH"')
    print(_NEXT.substitute(context=cluster.context, system=deploy.NAMESPACE, receiver=RECEIVER))


def verdict(alerts: list[dict[str, Any]], healths: dict[str, str], since: str = "") -> str | None:
    """Say what is wrong with alerts and health, None if nothing is."""
    found = opened(alerts, since)
    wrong = [
        f"{job}: {found[job]} opened alerts instead of {int(job in BROKEN)}"
        for job in sorted({*BROKEN, *found})
        if found[job] != (job in BROKEN)
    ]
    was_up = any(alert["receivedAt"][:SECONDS] < since for alert in alerts)
    return "; ".join([*wrong, *sickness(healths, was_up=was_up)]) or None


def _apply(cluster: deploy.Target, name: str, image: str) -> None:
    text = Template((DEMO / name).read_text()).substitute(image=image)
    cluster.kubectl("apply", "-f", "-", text=text)


def _receiver_image(cluster: deploy.Target) -> str:
    where = ("deployment", RECEIVER, "--namespace", deploy.NAMESPACE)
    path = "-o=jsonpath={.spec.template.spec.containers[0].image}"
    return cluster.kubectl("get", *where, "--ignore-not-found", path)


def _script() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": RECEIVER, "namespace": deploy.NAMESPACE},
        "data": {"receiver.py": (DEMO / "receiver/receiver.py").read_text()},
    }


_NEXT = Template("""\
  kubectl config use-context $context
  kubectl describe tcj -n demo failing          # conditions, the open incident, the last run
  kubectl logs -n $system deploy/$receiver -f   # alerts as they come
  kubectl patch tcj -n demo paused --type=merge -p '{"spec":{"suspend":false}}'
  kubectl delete resourcequota -n demo no-pods    # the Job that waits starts: a resolve message
  make demo-down                                # remove it all""")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="NAME")
    try:
        cluster = deploy.target(parser.parse_args().name)
        began = datetime.now(UTC).isoformat()[:SECONDS]
        print("installing five jobs and a receiver of alerts", flush=True)
        install(cluster)
        print("waiting for the alerts of three broken jobs: two or three minutes")
        late = f"not as it should be {WITHIN_SECONDS} s after the installation"
        if not (wrong := wait(cluster, began)):
            late = f"as it should be, and {STATUS_LAG} s later not any more"
            time.sleep(STATUS_LAG)
            wrong = verdict(received(cluster), health(cluster), began)
        show(cluster, received(cluster))
    except deploy.DeployError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; `make demo` goes on, `make demo-down` removes it", file=sys.stderr)
        return 130
    if wrong:
        advice = f"look at: kubectl logs -n {deploy.NAMESPACE} deploy/rollcall-operator"
        print(f"\n{late}: {wrong}\n{advice}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
