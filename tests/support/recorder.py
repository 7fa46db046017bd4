"""What the cluster itself did, recorded while it does it, without a line of Rollcall's code.

CronJobs and Jobs of some namespaces are listed and watched through `kubectl proxy`, and the Lease
of Rollcall's leader. While the API server is away nothing is seen; a Job that the next list does
without went at some time since it was last seen.
"""

import json
import queue
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPResponse
from typing import Any, Self

from support import kubectl

SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
AGAIN = 1.0  # seconds until the next try after an error
LEASES = "/apis/coordination.k8s.io/v1/namespaces/rollcall-system/leases"
SILENT = timedelta(seconds=10)  # five renewals of the Lease that did not come
WATCHED_FOR = 240  # seconds; then everything is listed anew
DECIDED = {"SuccessCriteriaMet": "succeeded", "FailureTarget": "failed"}
FINISHED = {"Complete": "succeeded", "Failed": "failed"}  # and all its pods have ended

Object = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Job:
    """One Job as it was last seen."""

    uid: str
    name: str
    cronjob_uid: str
    slot_at: datetime | None
    created_at: datetime
    end: str | None = None  # succeeded or failed, as soon as it is decided
    finished_at: datetime | None = None  # Complete or Failed: all its pods have ended
    gone_after: datetime | None = None  # it was there then, and later no more
    gone_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How a CronJob started Jobs, from when we saw it on."""

    seen_at: datetime
    schedule: str
    suspended: bool
    concurrency: str
    deadline: int  # seconds


@dataclass(slots=True, kw_only=True)
class CronJob:
    """One CronJob and its rhythms, oldest first."""

    uid: str
    namespace: str
    name: str
    created_at: datetime
    rhythms: list[Rhythm] = field(default_factory=list)


class Recorder:
    """Records until closed. Use as a context manager."""

    def __init__(self, namespaces: Sequence[str]) -> None:
        self.jobs: dict[str, Job] = {}
        self.cronjobs: dict[str, CronJob] = {}
        self.leaderless: list[tuple[datetime, datetime]] = []
        self._namespaces = namespaces
        self._renewal: tuple[str | None, datetime] | None = None  # by whom the newest was, and when
        self._stop = threading.Event()
        self._proxy: subprocess.Popen[str] | None = None
        self._base = ""

    def __enter__(self) -> Self:
        self._proxy, self._base = _proxy()
        paths = [
            f"/apis/batch/v1/namespaces/{namespace}/{kind}"
            for namespace in self._namespaces
            for kind in ("cronjobs", "jobs")
        ]
        for path in (*paths, LEASES):
            threading.Thread(target=self._follow, args=(path,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._proxy:
            self._proxy.kill()
            self._proxy.wait()
            if self._proxy.stdout:
                self._proxy.stdout.close()

    def jobs_of(self, cronjob: CronJob) -> list[Job]:
        """Return the Jobs of a CronJob."""
        return [job for job in self.jobs.values() if job.cronjob_uid == cronjob.uid]

    def _follow(self, path: str) -> None:
        present: set[str] = set()
        contact = _now()
        while not self._stop.is_set():
            with suppress(OSError, ValueError, HTTPException):
                for kind, body in self._changes(path, present, contact):
                    contact = _now()
                    self._take(body)
                    uid = body["metadata"]["uid"]
                    if kind == "DELETED":
                        present.discard(uid)
                        self._went(uid, contact)
                    else:
                        present.add(uid)
            self._stop.wait(AGAIN)

    def _changes(
        self, path: str, present: set[str], contact: datetime
    ) -> Iterator[tuple[str, Object]]:
        """List once, then watch; what was there at the last contact and is not listed has gone."""
        with _open(f"{self._base}{path}", within=10) as answer:
            page = json.load(answer)
        for uid in present - {item["metadata"]["uid"] for item in page["items"]}:
            present.discard(uid)
            self._went(uid, contact)
        yield from (("LISTED", item) for item in page["items"])
        version = page["metadata"]["resourceVersion"]
        query = f"watch=1&resourceVersion={version}&timeoutSeconds={WATCHED_FOR}"
        with _open(f"{self._base}{path}?{query}", within=30) as lines:
            for line in lines:
                change = json.loads(line)
                if change["type"] == "ERROR":
                    return
                yield change["type"], change["object"]

    def _take(self, body: Object) -> None:
        uid = body["metadata"]["uid"]
        if "renewTime" in body["spec"]:
            self._renewed(
                body["spec"].get("holderIdentity") or "", _instant(body["spec"]["renewTime"])
            )
        elif "jobTemplate" in body["spec"]:
            known = self.cronjobs.setdefault(uid, _cronjob(body))
            rhythm = _rhythm(body)
            if not known.rhythms or _differs(known.rhythms[-1], rhythm):
                known.rhythms.append(rhythm)
        else:
            _update(self.jobs.setdefault(uid, _job(body)), body)

    def _renewed(self, holder: str | None, at: datetime) -> None:
        before, self._renewal = self._renewal, (holder, at)
        if before and (before[0] != holder or at - before[1] > SILENT):
            self.leaderless.append((before[1], at))

    def _went(self, uid: str, last_seen: datetime) -> None:
        job = self.jobs.get(uid)
        if job:
            job.gone_after, job.gone_before = last_seen, _now()


def _differs(last: Rhythm, new: Rhythm) -> bool:
    return replace(last, seen_at=new.seen_at) != new


def _cronjob(body: Object) -> CronJob:
    metadata = body["metadata"]
    return CronJob(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        created_at=_created_at(body),
    )


def _job(body: Object) -> Job:
    metadata = body["metadata"]
    slot = (metadata.get("annotations") or {}).get(SLOT)
    owners = [one for one in metadata.get("ownerReferences") or () if one["kind"] == "CronJob"]
    return Job(
        uid=metadata["uid"],
        name=metadata["name"],
        cronjob_uid=owners[0]["uid"] if owners else "",
        slot_at=_instant(slot) if slot else None,
        created_at=_created_at(body),
    )


def _update(job: Job, body: Object) -> None:
    for condition in (body.get("status") or {}).get("conditions") or ():
        if condition["status"] == "True":
            kind = condition["type"]
            job.end = job.end or DECIDED.get(kind) or FINISHED.get(kind)
            if kind in FINISHED:
                job.finished_at = _instant(condition["lastTransitionTime"])


def _rhythm(body: Object) -> Rhythm:
    spec = body["spec"]
    return Rhythm(
        seen_at=_now(),
        schedule=spec["schedule"],
        suspended=bool(spec.get("suspend")),
        concurrency=spec.get("concurrencyPolicy") or "Allow",
        deadline=spec["startingDeadlineSeconds"],
    )


def _created_at(body: Object) -> datetime:
    return _instant(body["metadata"]["creationTimestamp"])


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _now() -> datetime:
    return datetime.now(UTC)


def _open(url: str, *, within: float) -> HTTPResponse:
    answer: HTTPResponse = urllib.request.urlopen(url, timeout=within)  # noqa: S310 - our proxy's
    return answer


def _proxy() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        kubectl.command("proxy", "--port=0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    threading.Thread(
        target=lambda: lines.put(stdout.readline() if stdout else ""), daemon=True
    ).start()
    try:
        address = re.search(r"127\.0\.0\.1:\d+", lines.get(timeout=15))
    except queue.Empty:
        process.kill()
        process.wait()
        raise
    return process, f"http://{address[0] if address else ''}"
