"""Steps: their lines, their logs, and what a failure says."""

import io
import sys
from pathlib import Path

import pytest
from cluster import lanes, steps


@pytest.fixture(name="out")
def fixture_out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(name="runner")
def fixture_runner(tmp_path: Path, out: io.StringIO) -> steps.Runner:
    return steps.Runner(logs=tmp_path / "logs", out=out)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.2, "0 s", id="nothing"),
        pytest.param(59.4, "59 s", id="seconds"),
        pytest.param(59.6, "1 min 00 s", id="rounds up to a minute"),
        pytest.param(754, "12 min 34 s", id="minutes"),
    ],
)
def test_durations_read_like_prose(seconds: float, text: str) -> None:
    assert steps.human(seconds) == text


def test_a_finished_step_leaves_one_line_and_a_log(
    runner: steps.Runner, out: io.StringIO, tmp_path: Path
) -> None:
    with runner.step("say hello", advice="none") as step:
        step.run(python("print('hello')"))

    assert out.getvalue().splitlines() == ["  00:00  say hello  (0 s)"]
    assert (tmp_path / "logs/say-hello.log").read_text().endswith("hello\n")


def test_a_failure_says_what_failed_the_end_of_the_log_and_what_to_do(
    runner: steps.Runner, tmp_path: Path
) -> None:
    code = "for n in range(100): print(f'line {n}')\nraise SystemExit(7)"

    with (
        pytest.raises(steps.Failed) as caught,
        runner.step("count", advice="count again") as step,
    ):
        step.run(python(code))

    report = caught.value.report().splitlines()
    assert report[0].startswith("FAILED: count: ")
    assert report[0].endswith("ended with code 7")
    assert [line for line in report if line.startswith("  | line")] == [
        f"  | line {number}" for number in range(80, 100)
    ]
    assert report[-2:] == [f"Whole log: {tmp_path}/logs/count.log", "What to do: count again"]


def test_a_program_that_does_not_answer_is_ended_and_the_log_says_so(
    runner: steps.Runner, tmp_path: Path
) -> None:
    with pytest.raises(steps.Failed, match="code 124"), runner.step("hang", advice="") as step:
        step.run(python("import signal; signal.pause()"), timeout=0.2)

    assert "without an answer" in (tmp_path / "logs/hang.log").read_text()


def test_an_absent_program_is_a_failure_of_its_step(runner: steps.Runner) -> None:
    with (
        pytest.raises(steps.Failed, match="no-such-program"),
        runner.step("start", advice="install it") as step,
    ):
        step.run(["/no-such-program"])


def test_the_first_failure_ends_the_other_lanes(runner: steps.Runner) -> None:
    def endless() -> None:
        with runner.step("endless", advice="") as step:
            step.run(python("import signal; signal.pause()"), timeout=30)

    def failing() -> None:
        with runner.step("failing", advice="") as step:
            step.run(python("raise SystemExit(3)"))

    def never() -> None:
        pytest.fail("a lane went on after its failure")

    def side_by_side() -> None:
        with lanes.Lanes(runner) as beside:
            waiting = beside.lane(endless)
            beside.lane(failing, never)
            waiting[0].result()

    with pytest.raises(steps.Failed, match="failing"):
        side_by_side()
