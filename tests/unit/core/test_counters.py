"""What the numbers of a run should be, and what is said of those that are not so."""

from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import counters, errors, findings, policies, progress, reporting, rules
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
HOUR = timedelta(hours=1)
LISTED = [
    {"name": "rows", "min": 10},
    {"name": "skipped", "min": 0, "maxPercentOf": {"counter": "rows", "percent": 5}},
]
BOUNDS = counters.read("counters", LISTED)


@pytest.mark.parametrize(
    ("counted", "complaints"),
    [
        ({"rows": 10, "skipped": 0.5}, []),
        ({"rows": 9, "skipped": 0}, ["rows is 9, below 10"]),
        ({"rows": 100, "skipped": 6}, ["skipped is 6, above 5 % of rows, 100"]),
        ({"skipped": 1}, ["rows was not reported", "rows was not reported"]),
        ({}, ["rows was not reported", "skipped was not reported"]),
    ],
    ids=["within", "too few", "too large a share", "of what is absent", "nothing"],
)
def test_counters_are_held_to_their_bounds(
    counted: dict[str, float], complaints: list[str]
) -> None:
    assert counters.complaints(BOUNDS, counted, {}) == complaints


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ([], "a list of 1 to 16"),
        ("rows", "a list of 1 to 16"),
        ([LISTED[0]] * 17, "a list of 1 to 16"),
        (["rows"], r"counters\[0\]: write name"),
        ([LISTED[0], {"name": "rows"}], r"counters\[1\]: write name, and min, max"),
        ([{"name": "rows", "min": "many"}], "min: write a number"),
        ([{"name": "rows", "min": True}], "min: write a number"),
        ([{"name": "rows", "min": -1}], "min: write a number"),
        ([{"name": "rows", "maxPercentOf": "all"}], "maxPercentOf: write counter and percent"),
        ([{"name": "rows", "maxPercentOf": {"counter": "all"}}], "percent: write a number"),
    ],
)
def test_a_wrong_list_says_what_to_write(listed: object, words: str) -> None:
    spec = {"rules": {"counter": {"warning": 1, "counters": listed}}}
    with pytest.raises(errors.InvalidSpec, match=words):
        policies.read(spec, policies.defaults())


def run(hours_ago: int, status: Status = Status.SUCCEEDED, **changes: Any) -> Execution:  # noqa: ANN401 - fields of an execution
    return builders.execution(slot_at=AT - hours_ago * HOUR, status=status, **changes)


def found(*told: tuple[Execution, dict[str, float] | None], **rule: Any) -> findings.Finding | None:  # noqa: ANN401 - of a spec
    reported = {one.id: findings.Reported(counters=counted) for one, counted in told}
    reported |= rule.pop("reported", {})
    spec = {"rules": {"counter": {"warning": 1, "critical": 2, "counters": LISTED} | rule}}
    facts = findings.Facts(
        now=AT,
        policy=policies.read(spec, policies.defaults()),
        rhythms=(),
        concurrency="Forbid",
        suspended=False,
        recent=[one for one, _ in told],
        unstarted=None,
        last_success_at=AT,
        active_since=None,
        first_slot_final=True,
        typical_duration=None,
        reported=reported,
    )
    return rules.check(facts)[Kind.COUNTER].finding


def test_a_success_with_odd_numbers_is_found_until_a_later_one_is_within() -> None:
    odd = (run(1), {"rows": 0, "skipped": 0})
    finding = found((run(0, Status.FAILED), {}), odd)
    assert finding
    assert (finding.severity, finding.execution_id) == (Severity.WARNING, odd[0].id)
    assert finding.message == f"{odd[0].job_name} succeeded, and rows is 0, below 10"
    assert found((run(0), {"rows": 10, "skipped": 0}), odd) is None
    both = found((run(0), {}))
    assert both
    assert both.severity is Severity.CRITICAL


def test_a_run_by_hand_and_one_that_reported_nothing_at_all_alarm_nobody() -> None:
    assert found((run(0, trigger=Trigger.MANUAL), {})) is None
    assert found((run(0), None)) is None
    assert found() is None


OWN = [{"name": "rows", "deviates": True}]
USUAL = {"rows": [float(1000 + number) for number in range(40)]}


@pytest.mark.parametrize(
    ("counted", "history", "complaint"),
    [
        ({"rows": 990}, USUAL, None),
        (
            {"rows": 12},
            USUAL,
            "rows is 12, far from 1019.5, the median of 40 runs before (spread 14.83)",
        ),
        ({"rows": 12}, {"rows": USUAL["rows"][:19]}, None),
        ({"rows": 12}, {}, None),
        ({"others": 12}, USUAL, "rows was not reported"),
    ],
    ids=["near", "far", "too few", "none", "absent"],
)
def test_a_counter_is_held_to_its_own_history(
    counted: dict[str, float], history: dict[str, list[float]], complaint: str | None
) -> None:
    bounds = counters.read("counters", OWN)
    said = counters.complaints(bounds, counted, history)
    assert said == ([complaint] if complaint else [])
    is_far = bool(complaint and "far from" in complaint)
    assert bool(counters.deviations(bounds, counted, history)) is is_far


def test_what_is_far_is_shown_with_what_it_usually_is() -> None:
    newest = run(0)
    told = findings.Reported(counters={"rows": 12}, before=USUAL)
    finding = found((newest, {}), counters=OWN, reported={newest.id: told})
    assert finding
    assert finding.evidence["deviations"] == {
        "rows": {"value": 12, "median": 1019.5, "spread": 14.826, "runs": 40}
    }


def test_one_that_is_not_to_deviate_and_nothing_else_is_held_to_nothing() -> None:
    spec = {"rules": {"counter": {"counters": [{"name": "rows", "deviates": False}]}}}
    with pytest.raises(errors.InvalidSpec, match="deviates: true"):
        policies.read(spec, policies.defaults())


def test_the_bounds_stay_where_a_job_names_thresholds_alone() -> None:
    ours = policies.defaults({"counter": {"counters": LISTED}})
    rule = policies.read({"rules": {"counter": {"info": 1}}}, ours).rules[Kind.COUNTER]
    assert (rule.thresholds, rule.bounds) == ({Severity.INFO: 1}, BOUNDS)


def heard(pod_uid: str, **changes: Any) -> reporting.Heard:  # noqa: ANN401 - fields of what was heard
    names = reporting.Heard.__dataclass_fields__
    values: dict[str, Any] = dict.fromkeys(names) | {"errors": 0, "dead_letters": 0, "lost": {}}
    return reporting.Heard(**values | {"pod_uid": pod_uid, "last_heartbeat_at": AT} | changes)


def test_the_counters_of_a_run_are_the_sums_over_its_pods_and_results_come_before_progress() -> (
    None
):
    pods = [builders.attempt(f"pod-{number}", index=number) for number in (1, 2)]
    moving = reporting.Progress(seq=1, counters={"rows": 5, "skipped": 1})
    told = [
        heard("pod-1", progress=moving, result_counters={"rows": 7}),
        heard("pod-2", progress=moving),
        heard("another", progress=moving),
    ]
    assert progress.counted(pods, told) == {"rows": 12, "skipped": 2}
    assert progress.counted(pods, [heard("pod-1")]) == {}


def test_a_run_of_which_nothing_was_heard_has_no_counters_and_a_last_word_counts() -> None:
    pods = [builders.attempt("pod-1")]
    assert progress.counted(pods, [heard("pod-1", last_heartbeat_at=None)]) is None
    left = heard(
        "pod-1",
        last_heartbeat_at=None,
        result=reporting.Verdict.SUCCEEDED,
        result_counters={"rows": 1},
    )
    assert progress.counted(pods, [left]) == {"rows": 1}
