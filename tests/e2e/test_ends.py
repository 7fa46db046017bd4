"""How a run can end, or fail to begin: each time the ledger says it as the Job does, and why."""

from contextlib import suppress

from support import kube as kubes
from support import ledger as ledgers

ON_42 = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
# On cgroup v1 a child is killed, and its container ends three seconds later: containerd learns of
# both in any order, and forgets why a container ended that it has seen end (containerd/containerd
# #12260; 3 of 42 containers whose first process was killed, on a busy machine, none of 42 like
# this). On cgroup v2 the kubelet has the whole container killed.
EAT = "python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'; code=$?; sleep 3; exit $code"
# Fails until the half of the minute: by then it was tried again.
LATER = 'test "$(date +%S)" -ge 30'
SECOND_FAILS = 'test "$JOB_COMPLETION_INDEX" = 0'


def template(
    place: kubes.Place, script: str = "exit 0", *, main: kubes.Object | None = None, **job: object
) -> kubes.Object:
    """Describe a Job with fields of its own, and its container with others."""
    made = kubes.job_template(place.image, script)
    pod = made["spec"]["template"]["spec"]
    pod["containers"][0] |= main or {}
    pod |= job.pop("pod", {})  # type: ignore[operator]
    made["spec"] |= job
    return made


def cases(place: kubes.Place) -> dict[str, kubes.Object]:
    """Return the templates by the names of their jobs."""
    nowhere = {"nodeSelector": {"example.com/nowhere": "true"}}
    missing = {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "x"}}}]}
    return {
        "succeeds": template(place),
        "fails": template(place, "exit 3"),
        "eats": template(place, EAT),
        "lasts": template(place, kubes.HANG, activeDeadlineSeconds=8),
        "gives-up": template(place, "exit 42", backoffLimit=4, podFailurePolicy={"rules": [ON_42]}),
        "tries-again": template(place, LATER, backoffLimit=6),
        "parallel": template(place, parallelism=3, completions=3),
        "indexed": template(
            place,
            SECOND_FAILS,
            completionMode="Indexed",
            parallelism=2,
            completions=2,
            backoffLimit=6,
            backoffLimitPerIndex=0,
        ),
        "no-image": template(place, main={"image": "localhost/rollcall/none:none"}),
        "no-config": template(place, main=missing),
        "no-node": template(place, pod=nowhere),
    }


# Status and reason; the exit code where there is one.
EXPECTED = {
    "succeeds": ("succeeded", None, 0),
    "fails": ("failed", "BackoffLimitExceeded", 3),
    "eats": ("failed", "OOMKilled", 137),
    "lasts": ("failed", "DeadlineExceeded", None),
    "gives-up": ("failed", "PodFailurePolicy", 42),
    "tries-again": ("succeeded", None, 0),
    "parallel": ("succeeded", None, 0),
    "indexed": ("failed", "FailedIndexes", 1),
    "no-image": ("pending", "ImagePullBackOff", None),
    "no-config": ("pending", "CreateContainerConfigError", None),
    "no-node": ("pending", "Unschedulable", None),
}


async def test_each_end_of_a_run_has_its_verdict_and_reason(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    slot = kubes.next_slot(ahead=15)
    for name, job in cases(namespace).items():
        await namespace.apply_job(name, schedule=kubes.hourly(slot), jobTemplate=job)

    async def look() -> dict[str, ledgers.Row]:
        return {row.cronjob: row for row in await ledger.rows(namespace)}

    def told(rows: dict[str, ledgers.Row]) -> dict[str, tuple[str, str | None, int | None]]:
        return {name: _told(row, EXPECTED[name]) for name, row in rows.items()}

    with suppress(AssertionError):  # the comparison below says more
        await kubes.eventually(
            look, 190, what="all verdicts", good=lambda rows: told(rows) == EXPECTED
        )
    rows = await look()
    assert told(rows) == EXPECTED
    assert {row.slot_at for row in rows.values()} == {slot}
    assert {row.trigger for row in rows.values()} == {"schedule"}
    assert rows["tries-again"].attempts >= 2
    assert rows["parallel"].attempts == 3
    assert await ledger.indices(namespace, "indexed") == [0, 1]
    assert all(row.message for row in rows.values() if row.status == "failed")


def _told(
    row: ledgers.Row, expected: tuple[str, str | None, int | None]
) -> tuple[str, str | None, int | None]:
    """Return what the row says of what is expected; a success needs no reason."""
    reason = row.reason if row.status != "succeeded" else None
    return row.status, reason, row.exit_code if expected[2] is not None else None
