import random
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import ingest, report, run, settings

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINT = settings.endpoint("http://api:8080")
ACKNOWLEDGED = ingest.Outcome(reason="acknowledged", acknowledged=True, execution={"id": "019a"})
BUSY = ingest.Outcome(reason="answered 503", transient=True, retry_after=2)
REFUSED = ingest.Outcome(reason="answered 403", detail="not known yet")


class FakeApi:
    """Says what it is told to, then acknowledges."""

    def __init__(self, *outcomes: ingest.Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.posts: list[tuple[settings.Endpoint, dict[str, Any], str, float]] = []
        self.after: dict[int, Callable[[], None]] = {}  # number of posts -> what happens then

    def post(
        self, endpoint: settings.Endpoint, body: dict[str, Any], token: str, seconds: float
    ) -> ingest.Outcome:
        self.posts.append((endpoint, body, token, seconds))
        outcome = self.outcomes.pop(0) if self.outcomes else ACKNOWLEDGED
        self.after.get(len(self.posts), lambda: None)()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def configured(tmp_path: Path) -> settings.Settings:
    token = tmp_path / "token"
    token.write_text("a-token\n")
    values, _ = settings.read({"ROLLCALL_TOKEN_FILE": str(token)})
    return values._replace(ingest=ENDPOINT)


def beating(configured: settings.Settings, api: FakeApi) -> tuple[report.Beats, run.Run]:
    known = run.Run(configured)
    return report.Beats(configured, known, api.post), known


def test_a_beat_sends_the_latest_state(configured: settings.Settings) -> None:
    api = FakeApi()
    beats, known = beating(configured, api)
    beats.beat()
    ((endpoint, body, token, seconds),) = api.posts
    assert (endpoint, token, seconds) == (ENDPOINT, "a-token", 5.0)
    assert body["v"] == 1
    assert body["seq"] == 1
    assert body["heartbeat"] == {"uptimeSeconds": 0}
    assert known.view()["complete"] is True


def test_every_attempt_has_a_number_of_its_own(configured: settings.Settings) -> None:
    api = FakeApi(BUSY, REFUSED)
    beats, _ = beating(configured, api)
    for _ in range(3):
        beats.beat()
    assert [body["seq"] for _, body, _, _ in api.posts] == [1, 2, 3]


def test_each_change_of_outcome_is_said_once(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    beats, _ = beating(configured, FakeApi(REFUSED, REFUSED, BUSY, BUSY, REFUSED))
    for _ in range(7):
        beats.beat()
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
    beats, known = beating(configured._replace(heartbeat=timedelta(0)), api)
    api.after[3] = lambda: beats.farewell(0.8)  # ends the loop from inside
    beats.forever()
    assert [body.get("final") for _, body, _, _ in api.posts] == [None, None, None, True]
    assert known.view()["heartbeat"]["acknowledged"] == 3
    said = capfd.readouterr().err
    assert "unexpected RuntimeError at FakeApi.post:" in said
    assert "a-token" not in said


def test_nothing_follows_the_final_report(configured: settings.Settings) -> None:
    api = FakeApi()
    beats, _ = beating(configured, api)
    beats.beat()
    beats.farewell(0.8)
    beats.beat()
    beats.forever()
    assert [(body["seq"], body.get("final")) for _, body, _, _ in api.posts] == [
        (1, None),
        (2, True),
    ]
    assert api.posts[-1][3] == 0.8


def test_a_farewell_that_fails_is_no_failure(
    configured: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    beats, _ = beating(configured, FakeApi(MemoryError()))
    beats.farewell(0.8)
    assert "unexpected MemoryError" in capfd.readouterr().err


def test_without_a_place_to_report_to_nothing_is_sent(configured: settings.Settings) -> None:
    api = FakeApi()
    beats, known = beating(configured._replace(ingest=None), api)
    delay = beats.beat()
    assert api.posts == []
    assert 13.5 <= delay <= 16.5
    assert "ROLLCALL_INGEST_URL" in known.view()["heartbeat"]["lastError"]


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
    monkeypatch.setattr(random, "random", lambda: 1.0)
    unreachable = ingest.Outcome(reason="cannot reach api", transient=True)
    api = FakeApi(unreachable, unreachable, unreachable, REFUSED, unreachable)
    beats, _ = beating(configured, api)
    assert [round(beats.beat(), 3) for _ in range(5)] == [1, 2, 4, 16.5, 1]
