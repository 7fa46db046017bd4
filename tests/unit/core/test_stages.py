"""The stages of a run, told from its story."""

from datetime import timedelta

from rollcall.core import executions, stages
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)


def entered(minutes: int, name: str, pod: str = "pod-1") -> executions.Event:
    return executions.Event(
        at=AT + minutes * MINUTE,
        source=stages.SOURCE,
        reason=stages.REASON,
        message=stages.line(pod, name),
    )


def told(*events: executions.Event, **ends: int) -> list[tuple[str, str, int, int | None]]:
    """Return name, pod, and the minutes of beginning and end."""
    pods = [
        builders.attempt(name, pod_name=name, ended_at=AT + end * MINUTE)
        for name, end in ((key.replace("_", "-"), end) for key, end in ends.items() if key != "run")
    ]
    over = AT + ends["run"] * MINUTE if "run" in ends else None
    return [
        (
            one.name,
            one.pod_name,
            (one.began_at - AT) // MINUTE,
            (one.ended_at - AT) // MINUTE if one.ended_at else None,
        )
        for one in stages.of(events, pods, over)
    ]


def test_a_stage_lasts_until_the_next_one_and_the_last_goes_on() -> None:
    assert told(entered(0, "load"), entered(5, "store")) == [
        ("load", "pod-1", 0, 5),
        ("store", "pod-1", 5, None),
    ]


def test_the_last_ends_with_its_pod_or_with_the_run() -> None:
    assert told(entered(0, "load"), pod_1=7, run=9) == [("load", "pod-1", 0, 7)]
    assert told(entered(0, "load"), run=9) == [("load", "pod-1", 0, 9)]


def test_a_stage_that_is_read_after_the_end_of_its_pod_makes_the_one_before_no_longer() -> None:
    assert told(entered(0, "load"), entered(90, "store"), pod_1=7) == [
        ("load", "pod-1", 0, 7),
        ("store", "pod-1", 90, 7),
    ]


def test_each_pod_has_stages_of_its_own() -> None:
    events = (entered(0, "load"), entered(1, "load", "pod-2"), entered(4, "store", "pod-2"))
    assert told(*events) == [
        ("load", "pod-1", 0, None),
        ("load", "pod-2", 1, 4),
        ("store", "pod-2", 4, None),
    ]


def test_what_is_said_again_is_the_same_stage_and_what_comes_again_another() -> None:
    events = (entered(0, "load"), entered(2, "load"), entered(3, "store"), entered(4, "load"))
    assert [one[:1] + one[2:] for one in told(*events)] == [
        ("load", 0, 3),
        ("store", 3, 4),
        ("load", 4, None),
    ]


def test_other_lines_of_the_story_are_no_stages() -> None:
    other = executions.Event(at=AT, source="report", reason="ReportsLost", message="pod-1: load")
    assert told(other) == []


def test_a_stage_may_have_a_colon_in_its_name() -> None:
    assert told(entered(0, "load: orders"))[0][:2] == ("load: orders", "pod-1")


def test_how_long_it_lasts_is_told_up_to_now_while_it_goes_on_and_is_never_less_than_nothing() -> (
    None
):
    (stage,) = stages.of([entered(0, "load")], [], None)
    assert stage.lasted(AT + MINUTE) == MINUTE
    assert stage.lasted(AT - MINUTE) == timedelta()
    (over,) = stages.of([entered(0, "load")], [], AT + 2 * MINUTE)
    assert over.lasted(AT + 9 * MINUTE) == 2 * MINUTE
