import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import handler, refusals


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        pytest.param("", 0, id="no query"),
        pytest.param("wait=0s", 0, id="not at all"),
        pytest.param("wait=30s", 30, id="seconds"),
        pytest.param("wait=1m", 60, id="a minute"),
        pytest.param("wait=0m5s", 5, id="minutes and seconds"),
        pytest.param("wait=61s", 60, id="cut to a minute"),
        pytest.param("wait=9999m9999s", 60, id="far too long"),
    ],
)
def test_a_wait_is_a_duration_of_at_most_a_minute(query: str, seconds: int) -> None:
    assert handler.wait_seconds("/run", query) == seconds


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("wait", "30s", id="no value"),
        pytest.param("wait=30", "30s", id="no unit"),
        pytest.param("wait=-1s", "30s", id="negative"),
        pytest.param("wait=1h", "30s", id="hours"),
        pytest.param("wait=99999s", "30s", id="too many digits"),
        pytest.param("wait=1s&wait=1s", "30s", id="twice"),
        pytest.param("timeout=1s", "timeout", id="another name"),
    ],
)
def test_everything_else_says_what_to_write(query: str, names: str) -> None:
    with pytest.raises(refusals.Refused, match=names):
        handler.wait_seconds("/run", query)


@given(st.text())
def test_no_query_breaks_it(query: str) -> None:
    try:
        assert 0 <= handler.wait_seconds("/run", query) <= 60
    except refusals.Refused as refusal:
        assert refusal.detail  # noqa: PT017 - any query may be refused, in words
