"""What a program says of its own work, over all pods of a run.

The rules:
- The verdict is the Job's. What the program says only refines a success: to `partial`.
- A program that says `failed` and ends with exit code 0 contradicts itself. Its Job has succeeded,
  retries nothing, and lets what waits for it begin: so does the ledger, and shows the words.
- Of several pods the worst counts. A failed pod that another one took over from does not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rollcall.core.executions import Attempt
from rollcall.core.reporting import Verdict


def counting(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Return the pods that stand for the run: of each index those that have not failed.

    Where all of an index failed, its newest stands for it. Pods of a Job that is not indexed are
    all of index 0, and may run side by side.
    """
    of_index: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda one: (one.created_at, one.pod_uid)):
        of_index[attempt.index].append(attempt)
    return [
        attempt
        for _, pods in sorted(of_index.items())
        for attempt in ([pod for pod in pods if not pod.reason] or pods[-1:])
    ]


def worst(attempts: Sequence[Attempt]) -> Attempt | None:
    """Return the pod whose result is the run's, None where none reported any."""
    told = [(Verdict(pod.result), pod) for pod in counting(attempts) if pod.result]
    order = list(Verdict)
    return max(told, key=lambda pair: order.index(pair[0]), default=(None, None))[1]


def is_partial(attempts: Iterable[Attempt]) -> bool:
    """Whether any pod that stands for the run did a part of its work."""
    return any(pod.result == Verdict.PARTIAL for pod in counting(attempts))
