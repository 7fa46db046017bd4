"""Compares what is stored of pods' reports with what their programs were told.

Nothing here knows how reports travel. What the store is held to:
- what was answered as committed is there; nothing is there twice, and nothing that nobody said;
- what was accepted is there or counted as lost;
- of a pod's checkpoints the newest three are there;
- counts, result and progress of a pod say the same as its items.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from support import ledger as ledgers

CHECKPOINTS = 3  # that are kept of each pod
EACH_KEPT = ("error", "deadLetter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one pod said and was answered, as `reporter.py` prints it; items by kind, numbered."""

    pod_uid: str
    steps: int
    accepted: Mapping[str, Sequence[int]]
    committed: Mapping[str, Sequence[int]]
    refused: Mapping[str, int]  # by kind and status
    unanswered: Sequence[str]
    slowest: tuple[float, str]  # seconds, and which, of calls without `?wait`
    slowest_beside: float  # seconds, of calls to a bystander; 0 without one
    most_bytes: int  # that were not acknowledged
    lost: Mapping[str, int]  # by kind, as the sidecar told; without zeros
    delivered: bool  # whether the sidecar had delivered all when the program ended
    ended_at: float  # seconds since 1970, by the pod's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is there of one job's reports."""

    pods: Sequence[ledgers.Told]
    items: Sequence[tuple[str, str]]  # kind and name of each row; names are `POD_UID/NUMBER`
    errors: int  # as the groups of the job count them

    def numbers(self, pod_uid: str, kind: str) -> list[int]:
        """Return the numbers of a pod's items, in order."""
        named = [name.partition("/") for its, name in self.items if its == kind]
        return sorted(int(number) for pod, _, number in named if pod == pod_uid)


def findings(programs: Sequence[Said], store: Stored) -> list[str]:
    """Say in what the store differs from what these programs, all of one job, were told."""
    found = [f"{one.pod_uid}: {what}" for one in programs for what in _of_pod(one, store)]
    pods = {one.pod_uid for one in programs}
    strange = [name for _, name in store.items if name.partition("/")[0] not in pods]
    if strange:
        found.append(f"of no pod that spoke: {strange}")
    errors = sum(kind == "error" for kind, _ in store.items)
    if errors != store.errors:
        found.append(f"{errors} errors, in groups that count {store.errors}")
    return found


def _of_pod(one: Said, store: Stored) -> Iterator[str]:
    row = next((pod for pod in store.pods if pod.pod_uid == one.pod_uid), None)
    if row is None:
        yield "it has no row"
        return
    kept = {kind: store.numbers(one.pod_uid, kind) for kind in one.accepted}
    lost = _lost(row)
    for kind in EACH_KEPT:
        yield from _of_items(kind, one, kept[kind], lost.get(kind, 0))
    yield from _of_checkpoints(one.accepted["checkpoint"], kept["checkpoint"], lost)
    yield from _of_counts(one, row, kept)
    yield from _of_losses(one, lost)


def _of_items(kind: str, one: Said, kept: Sequence[int], lost: int) -> Iterator[str]:
    accepted = one.accepted[kind]
    for what, numbers in (
        ("acknowledged and not there", set(one.committed[kind]) - set(kept)),
        ("there twice", {number for number, count in Counter(kept).items() if count > 1}),
        ("there and never accepted", set(kept) - set(accepted)),
    ):
        if numbers:
            yield f"{kind} {sorted(numbers)}: {what}"
    gone = len(accepted) - len(kept)
    if gone != lost:
        yield f"{gone} times {kind} is gone, and {lost} times counted as lost"


def _of_checkpoints(
    accepted: Sequence[int], kept: Sequence[int], lost: Mapping[str, int]
) -> Iterator[str]:
    wanted = min(CHECKPOINTS, len(accepted) - lost.get("checkpoint", 0))
    if len(kept) != wanted or not set(kept) <= set(accepted):
        yield f"checkpoints {kept}, and not {wanted} of {accepted}"
    newest = accepted[-wanted:] if not lost.get("checkpoint") else accepted[-1:]
    if not set(newest) <= set(kept):
        yield f"checkpoints {kept}, without {newest}"


def _of_counts(one: Said, row: ledgers.Told, kept: Mapping[str, Sequence[int]]) -> Iterator[str]:
    for what, counted, true in (
        ("errors", row.errors, len(kept["error"])),
        ("dead letters", row.dead_letters, len(kept["deadLetter"])),
        ("steps", row.done, one.steps),
        ("its result", row.result_message, f"{one.steps} steps"),
    ):
        if counted != true:
            yield f"{what}: {counted}, and it is {true}"


def _of_losses(one: Said, lost: Mapping[str, int]) -> Iterator[str]:
    """Where the sidecar lived to tell, both say the same."""
    if one.delivered and lost != one.lost:
        yield f"lost: {lost}, and the sidecar said {one.lost}"
    if others := lost.keys() - {*EACH_KEPT, "checkpoint"}:
        yield f"lost: {sorted(others)}"


def _lost(row: ledgers.Told) -> dict[str, int]:
    known = row.lost or {"counts": {}, "earlier": {}}
    counts = Counter(known["counts"]) + Counter(known["earlier"])
    return dict(counts)
