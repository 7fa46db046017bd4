"""Pods that report all the time: started, told to end, and asked what they said."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rollcall.core import names
from support import bystander, outages, reportaudit
from support import kube as kubes
from support import ledger as ledgers

PROGRAM = (Path(__file__).parent / "reporter.py").read_text()
BYSTANDER = (Path(__file__).parent / "bystander.py").read_text()
BESIDE = f"127.0.0.1:{bystander.PORT}"
GRACE = 30  # seconds that Kubernetes leaves a pod by default
# Prints the largest memory that a pod's sidecar ever had.
PEAK = """
other=$(printf %s "$1" | tr - _)
for process in $(pgrep -f rollcall-sidecar); do
  grep -qsE "$1|$other" "/proc/$process/cgroup" && grep VmHWM "/proc/$process/status"
done
true"""
END = """
for process in $(pgrep -f "$1"); do
  kill "$process"
  sleep "$2"
done"""
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
    """Let a job run once, at the next full minute; `options` are those of `reporter.py`.

    With `beside` among them each pod has a bystander, to compare with.
    """
    schedule = kubes.hourly(kubes.next_slot(ahead=15))
    job = _template(place, pods, options)
    await place.apply_job(name, schedule=schedule, jobTemplate=job)


def _template(place: kubes.Place, pods: int, options: Mapping[str, object]) -> kubes.Object:
    arguments = f"{place.name} '{json.dumps(options)}'"
    job = kubes.job_template(place.image, _script(PROGRAM, arguments))
    pod = job["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = GRACE
    pod["containers"][0]["resources"]["requests"]["cpu"] = "1m"  # fifty fit a node with two cores
    if options.get("beside"):
        other = kubes.container(place.image, _script(BYSTANDER, str(bystander.PORT)))
        other["name"] = "bystander"
        other["resources"]["requests"]["cpu"] = "5m"  # as a sidecar's
        pod["containers"].append(other)
    job["spec"] |= {"completionMode": "Indexed", "completions": pods, "parallelism": pods}
    return job


def _script(program: str, arguments: str) -> str:
    return f"exec python3 - {arguments} <<'END'\n{program}\nEND\n"


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


async def end(place: kubes.Place, *, each: float = 0) -> None:
    """Tell all programs of a namespace to end, one after the other every `each` seconds."""
    await outages.Node().run("sh", "-c", END, "sh", f"^python3 - {place.name}", str(each))


async def said(place: kubes.Place, name: str, within: float) -> list[reportaudit.Said]:
    """Wait until all pods of a job have succeeded, and return what their programs printed."""

    async def phases() -> dict[str, str]:
        pods = await _pods(place, name)
        return {_name(pod): pod["status"]["phase"] for pod in pods}

    await kubes.eventually(
        phases,
        within,
        what=f"the end of all pods of {place.name}/{name}",
        good=lambda seen: set(seen.values()) == {"Succeeded"},
    )
    return [read(printed) for _, printed in await _printed(place, name, "main")]


def read(printed: kubes.Object) -> reportaudit.Said:
    """Read what a program printed."""
    return reportaudit.Said(**{**printed, "slowest": tuple(printed["slowest"])})


async def overtime(place: kubes.Place, name: str, container: str = "main") -> list[float]:
    """Return of each pod how many seconds after its program's last line a container ended.

    Kubernetes cuts the end to a whole second, so that up to a second is missing in each.
    """
    printed = await _printed(place, name, container)
    return [_ended_at(pod, container) - said["ended_at"] for pod, said in printed]


async def _printed(
    place: kubes.Place, name: str, container: str
) -> list[tuple[kubes.Object, kubes.Object]]:
    """Return each pod of a job with what its container printed."""
    return [
        (pod, await place.kube.get(place.core("pods", f"{_name(pod)}/log"), container=container))
        for pod in await _pods(place, name)
    ]


def _ended_at(pod: kubes.Object, container: str) -> float:
    statuses = pod["status"]["containerStatuses"]
    (ended,) = [one["state"]["terminated"] for one in statuses if one["name"] == container]
    return datetime.fromisoformat(ended["finishedAt"]).timestamp()


def _name(pod: kubes.Object) -> str:
    return str(pod["metadata"]["name"])


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
        assert peak, f"not one sidecar in {_name(pod)}: {told}"
        found.append(int(peak[1]))
    return found


async def _pods(place: kubes.Place, name: str) -> list[kubes.Object]:
    selector = f"{names.LABEL_NAME}={name}"
    return [pod async for pod in place.kube.list(place.core("pods"), labelSelector=selector)]
