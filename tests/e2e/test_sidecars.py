"""What becomes of the sidecar is none of the program's business."""

from datetime import datetime

from support import kube as kubes
from support import ledger as ledgers

SLEEPS = 13.0  # seconds
# Beyond what the program itself needs: less than one is promised, and another can be missing where
# Kubernetes cuts a start to whole seconds.
ADDED = 2.0
# As root, in the pod's one PID namespace, it may kill the sidecar; 9 if that was not to be found.
# It prints for how many seconds it has been there.
KILLER = """
BEGAN=$(date +%s.%N) exec python3 - <<'END'
import json, os, signal, sys, time
time.sleep(3)
killed = 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as said:
            words = said.read().split(b"\\0")
    except OSError:
        continue
    if any(word.startswith(b"/opt/rollcall-sidecar") for word in words):
        os.kill(int(pid), signal.SIGKILL)
        killed += 1
time.sleep(10)
print(json.dumps({"seconds": time.time() - float(os.environ["BEGAN"])}), flush=True)
sys.exit(3 if killed == 1 else 9)
END
"""
ALONE = """
exec python3 - <<'END'
import os, socket, sys
free = socket.socket().connect_ex(("127.0.0.1", 7655)) != 0
sys.exit(0 if free and "ROLLCALL_URL" not in os.environ else 7)
END
"""
STORY = """
SELECT v.at, v.message FROM execution_events v JOIN executions e ON e.id = v.execution_id
WHERE e.id = %s AND v.reason = 'SidecarEnded'"""


def template(place: kubes.Place, script: str, **pod: object) -> kubes.Object:
    """Describe a Job whose pod has fields of its own."""
    made = kubes.job_template(place.image, script)
    made["spec"]["template"]["spec"] |= pod
    return made


async def test_a_killed_sidecar_changes_nothing_of_the_run_and_is_told(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    job = template(namespace, KILLER, shareProcessNamespace=True)
    (main,) = job["spec"]["template"]["spec"]["containers"]
    main["securityContext"] = {"runAsUser": 0}
    await namespace.apply_job("killer", jobTemplate=job)
    row = await ledger.ended(namespace, "killer", 180)
    assert (row.status, row.exit_code, row.attempts) == ("failed", 3, 1)
    assert row.started_at
    assert row.ended_at
    needed, lasted = await _durations(namespace, row)
    assert needed >= SLEEPS
    assert needed - 1 <= lasted <= needed + ADDED
    (line,) = await kubes.eventually(
        lambda: ledger.ask(STORY, row.id), 30, what="the sidecar's end in the run's story"
    )
    assert "exit code 137 (SIGKILL)" in line["message"]
    assert row.started_at <= line["at"] <= row.ended_at


async def _durations(place: kubes.Place, run: ledgers.Row) -> tuple[float, float]:
    """Return the seconds that a run's only program needed, and those that its container lasted."""
    selector = f"batch.kubernetes.io/job-name={run.job_name}"
    pods = place.kube.list(place.core("pods"), labelSelector=selector)
    (pod,) = [one async for one in pods]
    (main,) = pod["status"]["containerStatuses"]
    end = main["state"]["terminated"]
    began, ended = (datetime.fromisoformat(end[at]) for at in ("startedAt", "finishedAt"))
    path = place.core("pods", f"{pod['metadata']['name']}/log")
    printed = await place.kube.get(path, container="main")
    return printed["seconds"], (ended - began).total_seconds()


async def test_on_the_nodes_network_no_port_is_opened(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    job = template(namespace, ALONE, hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")
    await namespace.apply_job("on-the-node", jobTemplate=job)
    row = await ledger.ended(namespace, "on-the-node", 180)
    assert (row.status, row.exit_code) == ("succeeded", 0)
    status = await namespace.status("on-the-node")
    assert status["sidecar"] == {"injected": True, "reason": "HostNetwork"}
