import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import agenda, buffer, ingest, intake, report, run, settings

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINT = settings.endpoint("http://api:8080")
OLDER = ingest.Outcome(
    reason="acknowledged", acknowledged=True, status=200, execution={"id": "019a"}
)
ACKNOWLEDGED = OLDER._replace(items=ingest.Settled(0, []))
BUSY = ingest.Outcome(reason="answered 503", status=503, transient=True, retry_after=2)
AWAY = ingest.Outcome(reason="cannot reach api", transient=True)
REFUSED = ingest.Outcome(reason="answered 403", status=403, detail="not known yet")
MALFORMED = ingest.Outcome(reason="answered 422", status=422, detail="items: odd")


class FakeApi:
    """Says what it is told to, then keeps everything."""

    def __init__(self, *outcomes: ingest.Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.posts: list[tuple[settings.Endpoint, dict[str, Any], str, float]] = []
        self.after: dict[int, Callable[[], None]] = {}  # number of posts -> what happens then
        self.poison: set[int] = set()  # numbers of items with which it refuses a whole report

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body, _, _ in self.posts]

    def post(
        self, endpoint: settings.Endpoint, content: bytes, sequence: int, token: str, seconds: float
    ) -> ingest.Outcome:
        body = json.loads(content)
        assert body["seq"] == sequence
        self.posts.append((endpoint, body, token, seconds))
        outcome = self.outcomes.pop(0) if self.outcomes else self.keep(body)
        self.after.get(len(self.posts), lambda: None)()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def keep(self, body: dict[str, Any]) -> ingest.Outcome:
        numbers = [item["seq"] for item in body.get("items", [])]
        if self.poison & set(numbers):
            return MALFORMED
        return OLDER._replace(
            items=ingest.Settled(numbers[-1], []) if numbers else None,
            run={"complete": True} if "run" in body.get("want", []) else None,
            expected_end={} if "expectedEnd" in body.get("want", []) else None,
        )


class Pod:
    """The sidecar without its sockets."""

    def __init__(self, configured: settings.Settings, api: FakeApi) -> None:
        self.known = run.Run(configured)
        self.known.can_be_asked = True
        self.plan = agenda.Agenda()
        self.intake = intake.Intake(buffer.Buffer(), self.plan, self.known)
        self.kept = self.intake.kept
        self.beats = report.Beats(configured, self.known, self.intake, self.plan, api.post)

    def say(self, path: str, *, awaited: bool = False, **fields: object) -> int:
        body = json.dumps(fields).encode()
        return self.intake.take(path, body, "", awaited=awaited).seq

    def beat(self) -> float:
        self.beats.beat()
        return self.plan.due_in


@pytest.fixture
def configured(tmp_path: Path) -> settings.Settings:
    token = tmp_path / "token"
    token.write_text("a-token\n")
    values, _ = settings.read({"ROLLCALL_TOKEN_FILE": str(token)})
    return values._replace(ingest=ENDPOINT)


def test_a_beat_sends_the_latest_state(configured: settings.Settings) -> None:
    api = FakeApi()
    pod = Pod(configured, api)
    pod.beat()
    ((endpoint, body, token, seconds),) = api.posts
    assert (endpoint, token, seconds) == (ENDPOINT, "a-token", 5.0)
    assert (body["v"], body["seq"], body["boot"]) == (1, 1, pod.kept.boot)
    assert body["heartbeat"] == {"uptimeSeconds": 0}
    assert pod.known.view()["complete"] is True


def test_every_attempt_has_a_number_of_its_own(configured: settings.Settings) -> None:
    api = FakeApi(BUSY, REFUSED)
    pod = Pod(configured, api)
    for _ in range(3):
        pod.beat()
    assert [body["seq"] for body in api.bodies] == [1, 2, 3]


def test_what_the_run_is_about_is_asked_until_it_is_complete(
    configured: settings.Settings,
) -> None:
    told = [{"complete": False}, {"complete": True}]
    api = FakeApi(BUSY, ACKNOWLEDGED, *(ACKNOWLEDGED._replace(run=run) for run in told))
    pod = Pod(configured, api)
    for _ in range(6):
        pod.beat()
    asked = [["run"]] * 4 + [None] * 2
    assert [body.get("want") for body in api.bodies] == asked


def test_what_the_run_is_about_is_asked_again_soon_and_then_less_and_less_often(
    configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "chance", lambda: 0.0)
    untold = [OLDER, *[ACKNOWLEDGED._replace(run={"complete": False})] * 5]
    pod = Pod(configured._replace(heartbeat=timedelta(hours=1)), FakeApi(*untold))
    waits = [pod.beat() for _ in range(7)]
    assert waits == pytest.approx([5, 10, 20, 40, 60, 60, 3240], abs=0.1)


def test_asking_again_never_makes_a_beat_come_later(configured: settings.Settings) -> None:
    untold = [ACKNOWLEDGED._replace(run={"complete": False})] * 9
    pod = Pod(configured, FakeApi(*untold))
    assert max(pod.beat() for _ in range(9)) <= 16.5


def test_where_no_program_can_ask_the_interval_is_kept(configured: settings.Settings) -> None:
    pod = Pod(configured, FakeApi(OLDER))
    pod.known.can_be_asked = False
    assert pod.beat() > 13


def test_pods_that_ask_again_do_not_do_so_together() -> None:
    assert report.asking_pause(1, 0) == 5
    assert report.asking_pause(1, 1) == 2.5
    assert report.asking_pause(10**6, 1) == 30


def test_a_report_carries_what_was_said_until_it_is_acknowledged(
    configured: settings.Settings,
) -> None:
    api = FakeApi(BUSY)
    pod = Pod(configured, api)
    pod.say("/progress", done=1)
    pod.say("/error", message="m")
    pod.beat()
    pod.say("/progress", done=2)
    pod.say("/checkpoint", value=7)
    for _ in range(2):
        pod.beat()
    said = [
        (body.get("progress", {}).get("done"), [item["seq"] for item in body.get("items", [])])
        for body in api.bodies
    ]
    assert said == [(1, [1]), (2, [1, 2]), (None, [])]


def test_a_report_has_at_most_200_items_and_192_kib(configured: settings.Settings) -> None:
    api = FakeApi()
    pod = Pod(configured, api)
    for _ in range(250):
        pod.say("/error", message="m")
    for _ in range(5):
        pod.say("/dead-letter", item="i", payload="x" * 65_000)
    while pod.kept.count:
        pod.beat()
    assert [len(body["items"]) for body in api.bodies] == [200, 52, 3]
    assert all(len(json.dumps(body)) < 192 * 1024 for body in api.bodies)


def test_what_is_left_follows_soon_and_at_once_if_somebody_waits(
    configured: settings.Settings,
) -> None:
    pod = Pod(configured, FakeApi())
    for _ in range(401):
        pod.say("/error", message="m")
    assert 0.1 <= pod.beat() <= 1
    pod.say("/error", message="m", awaited=True)
    assert pod.beat() <= 0.1
    assert pod.beat() > 13


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(BUSY, id="busy"),
        pytest.param(REFUSED, id="not known yet"),
        pytest.param(ACKNOWLEDGED, id="settles nothing"),
        pytest.param(OLDER, id="an older api"),
    ],
)
def test_an_api_that_keeps_nothing_is_not_pressed(
    configured: settings.Settings, outcome: ingest.Outcome
) -> None:
    pod = Pod(configured, FakeApi(outcome))
    pod.say("/error", message="m", awaited=True)
    least = 2 if outcome.transient else 13
    assert pod.beat() >= least - 0.1
    pod.say("/error", message="m")
    assert pod.plan.due_in >= least - 0.1
    assert pod.kept.count == 2


def test_an_older_api_is_named_once_and_leaves_everything_where_it_is(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi(OLDER, OLDER, OLDER)
    pod = Pod(configured, api)
    pod.beat()
    pod.say("/result", result="partial")
    pod.beat()
    pod.beat()
    assert capfd.readouterr().err.count("older than the sidecar") == 1
    pod.beat()
    assert [len(body.get("items", [])) for body in api.bodies] == [0, 1, 1, 1]
    assert pod.kept.count == 0


def test_an_older_api_does_not_settle_a_progress_and_is_not_pressed_either(
    configured: settings.Settings,
) -> None:
    api = FakeApi(OLDER, OLDER)
    pod = Pod(configured, api)
    pod.say("/progress", done=1)
    assert pod.beat() > 13
    assert pod.beat() > 13
    assert pod.kept.moved
    pod.beat()
    assert not pod.kept.moved
    assert [body["progress"]["done"] for body in api.bodies] == [1, 1, 1]


def test_a_refused_item_is_told_to_who_waits_and_said_once(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    def refusing(*numbers: int) -> ingest.Outcome:
        refused = [buffer.Verdict(n, 429, "1,000 dead letters are kept") for n in numbers]
        return ACKNOWLEDGED._replace(items=ingest.Settled(numbers[-1], refused))

    pod = Pod(configured, FakeApi(refusing(1, 2), refusing(3)))
    first = pod.say("/dead-letter", item="i", awaited=True)
    pod.say("/dead-letter", item="i")
    pod.beat()
    pod.kept.forget(first)
    third = pod.say("/dead-letter", item="i", awaited=True)
    pod.beat()
    assert pod.kept.verdict(third, 0) == buffer.Verdict(3, 429, "1,000 dead letters are kept")
    said = capfd.readouterr().err
    assert said.count("the api refused item 1: 429: 1,000 dead letters are kept") == 1


def test_a_refusal_that_nobody_heard_is_told_the_api_as_a_loss_without_waiting_for_a_beat(
    configured: settings.Settings,
) -> None:
    refused = ingest.Settled(1, [buffer.Verdict(1, 429, "1,000 dead letters are kept")])
    api = FakeApi(ACKNOWLEDGED._replace(items=refused), AWAY)
    pod = Pod(configured, api)
    pod.say("/dead-letter", item="i")
    assert pod.beat() <= 1
    pod.beat()
    pod.beat()
    assert [body.get("lost", {}).get("deadLetter") for body in api.bodies] == [None, 1, 1]
    assert pod.beat() > 13


def test_a_refusal_of_the_final_report_is_left_for_the_termination_message(
    configured: settings.Settings,
) -> None:
    refused = ingest.Settled(1, [buffer.Verdict(1, 429, "1,000 dead letters are kept")])
    pod = Pod(configured, FakeApi(ACKNOWLEDGED._replace(items=refused)))
    pod.say("/dead-letter", item="i")
    pod.beats.farewell(0.8, 4.8)
    left = pod.kept.remains()
    assert (left.items, left.lost["deadLetter"], left.told) == ([], 1, False)


def test_an_item_with_which_whole_reports_are_refused_is_found_and_given_up(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi()
    api.poison = {17}
    pod = Pod(configured, api)
    for _ in range(40):
        pod.say("/error", message="m")
    bad = next(item for item in pod.kept.remains().items if item.seq == 17)
    while pod.kept.count:
        assert pod.beat() <= 16.5
    assert pod.kept.remains().lost["error"] == 1
    assert bad.seq not in {item["seq"] for item in api.bodies[-1].get("items", [])}
    assert "refuses every report with this error: 422: items: odd" in capfd.readouterr().err
    pod.beat()
    assert api.bodies[-1]["lost"]["error"] == 1


def test_each_change_of_outcome_is_said_once(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    pod = Pod(configured, FakeApi(REFUSED, REFUSED, BUSY, BUSY, REFUSED))
    for _ in range(7):
        pod.beat()
    assert capfd.readouterr().err.splitlines() == [
        "rollcall: heartbeat: answered 403: not known yet",
        "rollcall: heartbeat: answered 503",
        "rollcall: heartbeat: answered 403: not known yet",
        "rollcall: heartbeat: acknowledged",
    ]


def test_a_fault_of_our_own_costs_one_beat_and_reveals_nothing(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi(RuntimeError("a-token in a message"))
    pod = Pod(configured._replace(heartbeat=timedelta(0)), api)
    api.after[3] = lambda: pod.beats.farewell(0.8, 4.8)  # ends the loop from inside
    pod.beats.forever()
    assert [body.get("final") for body in api.bodies] == [None, None, None, True]
    assert pod.known.view()["heartbeat"]["acknowledged"] == 3
    said = capfd.readouterr().err
    assert "unexpected RuntimeError at FakeApi.post:" in said
    assert "a-token" not in said


def test_nothing_follows_the_final_report(configured: settings.Settings) -> None:
    api = FakeApi()
    pod = Pod(configured, api)
    pod.beat()
    pod.beats.farewell(0.8, 4.8)
    pod.beat()
    pod.beats.forever()
    assert [(body["seq"], body.get("final")) for body in api.bodies] == [(1, None), (2, True)]
    assert api.posts[-1][3] == pytest.approx(0.8, abs=0.1)


def test_the_final_report_asks_for_nothing(configured: settings.Settings) -> None:
    api = FakeApi()
    pod = Pod(configured, api)
    pod.beat()
    pod.known.view()
    pod.beats.farewell(0.8, 4.8)
    assert [body.get("want") for body in api.bodies] == [["run"], None]


def test_while_something_is_unacknowledged_the_farewell_goes_on_trying(
    configured: settings.Settings,
) -> None:
    api = FakeApi(AWAY, AWAY)
    pod = Pod(configured, api)
    pod.say("/result", result="partial")
    pod.beats.farewell(0.8, 4.8)
    assert [len(body["items"]) for body in api.bodies] == [1, 1, 1]
    assert pod.kept.count == 0
    assert 1 <= api.posts[0][3] <= 2.4  # one replica that hangs leaves time for another


def test_an_api_that_asks_for_more_time_than_the_farewell_has_is_tried_again_all_the_same(
    configured: settings.Settings,
) -> None:
    api = FakeApi(*[BUSY._replace(retry_after=5)] * 2)
    pod = Pod(configured, api)
    pod.say("/result", result="partial")
    started = time.monotonic()
    pod.beats.farewell(0.8, 4.8)
    assert time.monotonic() - started < 2
    assert [len(body["items"]) for body in api.bodies] == [1, 1, 1]
    assert pod.kept.count == 0


def test_a_farewell_tries_until_too_little_time_is_left_for_an_answer(
    configured: settings.Settings,
) -> None:
    api = FakeApi(*[BUSY._replace(retry_after=5)] * 99)
    pod = Pod(configured, api)
    pod.say("/result", result="partial")
    started = time.monotonic()
    pod.beats.farewell(0.2, 1.6)
    assert 1 <= time.monotonic() - started <= 1.6
    assert 3 <= len(api.posts) <= 6
    assert 0.4 <= api.posts[-1][3] <= 0.6


@given(left=st.floats(-1, 5), chance=st.floats(0, 1))
def test_the_pauses_of_a_farewell_are_short_and_leave_time_for_an_attempt(
    left: float, chance: float
) -> None:
    seconds = report.farewell_pause(BUSY, left, chance)
    assert (seconds is None) == (left <= 0.5)
    assert seconds is None or (seconds <= 0.75 and left - seconds >= 0.499)


@pytest.mark.parametrize("outcome", [REFUSED, OLDER], ids=["refused", "older"])
def test_a_farewell_that_time_cannot_help_ends_at_once(
    configured: settings.Settings, outcome: ingest.Outcome
) -> None:
    api = FakeApi(outcome)
    pod = Pod(configured, api)
    pod.say("/result", result="partial")
    pod.beats.farewell(0.8, 4.8)
    assert len(api.posts) == 1
    assert pod.kept.count == 1


def test_without_items_the_farewell_is_one_report(configured: settings.Settings) -> None:
    api = FakeApi(AWAY)
    pod = Pod(configured, api)
    pod.say("/progress", done=1)
    pod.beats.farewell(0.8, 4.8)
    assert len(api.posts) == 1
    assert pod.kept.moved


def test_a_farewell_that_fails_is_no_failure(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    Pod(configured, FakeApi(MemoryError())).beats.farewell(0.8, 4.8)
    assert "unexpected MemoryError" in capfd.readouterr().err


def test_without_a_place_to_report_to_nothing_is_sent(configured: settings.Settings) -> None:
    api = FakeApi()
    pod = Pod(configured._replace(ingest=None), api)
    delay = pod.beat()
    assert api.posts == []
    assert 13.4 <= delay <= 16.5
    assert "ROLLCALL_INGEST_URL" in pod.known.view()["heartbeat"]["lastError"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"two words", b"two\nlines", b"null\x00byte", b"\xff\xfe", b"x" * 17_000],
    ids=["empty", "blank", "two words", "two lines", "a null byte", "no text", "too long"],
)
def test_a_file_without_a_token_is_refused_unquoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"token does not hold a token$"):
        report.read_token(str(path))


def test_a_refused_beat_keeps_the_interval_with_a_tenth_of_jitter() -> None:
    assert report.pause(REFUSED, failures=0, interval=15, chance=0) == pytest.approx(13.5)
    assert report.pause(REFUSED, failures=0, interval=15, chance=1) == pytest.approx(16.5)


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)]
)
def test_the_back_off_doubles_up_to_a_minute(failures: int, longest: int) -> None:
    unreachable = ingest.Outcome(reason="cannot reach api", transient=True)
    assert report.pause(unreachable, failures=failures, interval=15, chance=1) == longest
    assert report.pause(unreachable, failures=failures, interval=15, chance=0) == 0


def test_the_api_is_not_asked_before_it_wants_to_be() -> None:
    assert report.pause(BUSY, failures=1, interval=15, chance=0) == 2
    assert report.pause(BUSY, failures=1, interval=15, chance=1) == 3


@given(
    failures=st.integers(0, 10**6),
    retry_after=st.floats(0, 1e300),
    chance=st.floats(0, 1),
)
def test_no_back_off_is_longer_than_a_minute(
    failures: int, retry_after: float, chance: float
) -> None:
    outcome = BUSY._replace(retry_after=retry_after)
    seconds = report.pause(outcome, failures=failures, interval=15, chance=chance)
    assert min(retry_after, 60) <= seconds <= 60


def test_failures_are_forgotten_after_an_answer(
    configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "chance", lambda: 1.0)
    pod = Pod(configured, FakeApi(AWAY, AWAY, AWAY, REFUSED, AWAY))
    waits = [pod.beat() for _ in range(5)]
    assert waits == pytest.approx([1, 2, 4, 16.5, 1], abs=0.1)
