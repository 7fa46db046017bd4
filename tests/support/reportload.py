"""Pods that report all the time: started, told to end, and asked what they said."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rollcall.core import names
from support import kube as kubes
from support import ledger as ledgers
from support import outages, reportaudit

PROGRAM = (Path(__file__).parent / "reporter.py").read_text()
GRACE = 30  # seconds that Kubernetes leaves a pod by default
# Prints the largest memory that a pod's sidecar ever had.
PEAK = """
other=$(printf %s "$1" | tr - _)
for process in $(pgrep -f rollcall-sidecar); do
  grep -qsE "$1|$other" "/proc/$process/cgroup" && grep VmHWM "/proc/$process/status"
done
true"""
_ITEMS = """
WITH job AS (SELECT id FROM cronjobs WHERE namespace = %s AND name = %s)
SELECT 'error' AS kind, item FROM execution_errors JOIN job ON job.id = cronjob_id
UNION ALL
SELECT 'deadLetter', item FROM dead_letters JOIN job ON job.id = cronjob_id
UNION ALL
SELECT 'checkpoint', value->>'item' FROM checkpoints JOIN job ON job.id = cronjob_id"""
_GROUPED = """
SELECT coalesce(sum(s.count), 0) AS count
FROM error_signatures s JOIN cronjobs c ON c.id = s.cronjob_id
WHERE c.namespace = %s AND c.name = %s"""


async def start(
    place: kubes.Place, name: str, options: Mapping[str, object], *, pods: int = 1
) -> None:
    """Let a job run once, at the next full minute; `options` are those of `reporter.py`."""
    schedule = kubes.hourly(kubes.next_slot(ahead=15))
    job = _template(place, pods, options)
    await place.apply_job(name, schedule=schedule, jobTemplate=job)


def _template(place: kubes.Place, pods: int, options: Mapping[str, object]) -> kubes.Object:
    command = f"exec python3 - {place.name} '{json.dumps(options)}'"
    job = kubes.job_template(place.image, f"{command} <<'END'\n{PROGRAM}\nEND\n")
    pod = job["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = GRACE
    pod["containers"][0]["resources"]["requests"]["cpu"] = "1m"  # fifty fit a node with two cores
    job["spec"] |= {"completionMode": "Indexed", "completions": pods, "parallelism": pods}
    return job


async def beyond(
    ledger: ledgers.Ledger, place: kubes.Place, name: str, steps: float = 0, *, pods: int = 1
) -> None:
    """Wait until all pods of a job have told of more than so many steps."""
    await kubes.eventually(
        lambda: ledger.reports(place, name),
        300,
        what=f"more than {steps:.0f} steps of {pods} pods of {place.name}/{name}",
        good=lambda told: len([one for one in told if (one.done or 0) > steps]) == pods,
    )


async def end(place: kubes.Place) -> None:
    """Tell all programs of a namespace to end."""
    await outages.Node().run("pkill", "-TERM", "-f", f"^python3 - {place.name}")


async def said(place: kubes.Place, name: str, within: float) -> list[reportaudit.Said]:
    """Wait until all pods of a job have succeeded, and return what their programs printed."""

    async def phases() -> dict[str, str]:
        pods = await _pods(place, name)
        return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods}

    ended = await kubes.eventually(
        phases,
        within,
        what=f"the end of all pods of {place.name}/{name}",
        good=lambda seen: set(seen.values()) == {"Succeeded"},
    )
    paths = [place.core("pods", f"{pod}/log") for pod in ended]
    printed = [await place.kube.get(path, container="main") for path in paths]
    return [read(one) for one in printed]


def read(printed: kubes.Object) -> reportaudit.Said:
    """Read what a program printed."""
    return reportaudit.Said(**{**printed, "slowest": tuple(printed["slowest"])})


async def overtime(place: kubes.Place, name: str, said: Sequence[reportaudit.Said]) -> list[float]:
    """Return for each program how many seconds after its last line its container ended.

    Kubernetes cuts the end to a whole second, so that up to a second is missing in each.
    """
    ends = {pod["metadata"]["uid"]: _ended_at(pod) for pod in await _pods(place, name)}
    return [ends[one.pod_uid] - one.ended_at for one in said]


def _ended_at(pod: kubes.Object) -> float:
    statuses = pod["status"]["containerStatuses"]
    (ended,) = [one["state"]["terminated"] for one in statuses if one["name"] == "main"]
    return datetime.fromisoformat(ended["finishedAt"]).timestamp()


async def stored(ledger: ledgers.Ledger, place: kubes.Place, name: str) -> reportaudit.Stored:
    """Read what is there of a job's reports."""
    items = await ledger.ask(_ITEMS, place.name, name)
    (grouped,) = await ledger.ask(_GROUPED, place.name, name)
    return reportaudit.Stored(
        pods=await ledger.reports(place, name),
        items=[(row["kind"], row["item"]) for row in items],
        errors=int(grouped["count"]),
    )


async def peaks(place: kubes.Place, name: str) -> list[int]:
    """Return the largest memory in KiB that the sidecar of each running pod of a job ever had."""
    found = []
    for pod in await _pods(place, name):
        told = await outages.Node().run("sh", "-c", PEAK, "sh", pod["metadata"]["uid"])
        peak = re.fullmatch(r"VmHWM:\s+(\d+) kB\s*", told)
        assert peak, f"not one sidecar in {pod['metadata']['name']}: {told}"
        found.append(int(peak[1]))
    return found


async def _pods(place: kubes.Place, name: str) -> list[kubes.Object]:
    selector = f"{names.LABEL_NAME}={name}"
    return [pod async for pod in place.kube.list(place.core("pods"), labelSelector=selector)]
