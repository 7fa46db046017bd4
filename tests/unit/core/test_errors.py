"""Errors carry what those who handle them go by."""

import pytest

from rollcall.core import errors


@pytest.mark.parametrize("kind", [errors.ClusterUnavailable, errors.StoreUnavailable])
def test_a_dependency_that_is_away_may_name_a_pause(kind: type[errors.Unavailable]) -> None:
    with pytest.raises(errors.Unavailable, match=r"^starting up$") as raised:
        raise kind("starting up", retry_after=2.5)
    assert raised.value.retry_after == 2.5
    assert kind("starting up").retry_after is None


def test_a_refusal_keeps_status_and_reason_of_the_answer() -> None:
    with pytest.raises(errors.RollcallError, match=r"^no such field$") as raised:
        raise errors.Refused("no such field", status=422, reason="Invalid")
    assert isinstance(raised.value, errors.Refused)
    assert (raised.value.status, raised.value.reason) == (422, "Invalid")
    assert errors.Refused("no", status=403).reason == ""
