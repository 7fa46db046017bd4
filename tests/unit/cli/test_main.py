"""What is wrong with the call or the settings is one line, never a traceback."""

import re
from pathlib import Path

import pytest

from rollcall.cli import main
from support import surroundings

DSN = "postgresql://rollcall@127.0.0.1:1/rollcall"  # nobody listens there


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a database; outside a cluster."""
    surroundings.forget_settings(monkeypatch)
    monkeypatch.setenv("ROLLCALL_DATABASE_DSN", DSN)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    told = capsys.readouterr()
    assert ended.value.code == code
    assert told.out == ""
    return told.err.splitlines()[-1]


@pytest.mark.parametrize("command", [("api",), ("operator",), ("db", "secret", "--name", "x")])
def test_without_a_way_to_a_cluster_it_says_what_to_set(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nowhere = str(tmp_path / "absent")
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", nowhere)
    line = said(capsys, *command, code=2)
    assert line.startswith("rollcall: no way to a cluster: ")
    assert line.endswith("set KUBECONFIG, and with several contexts ROLLCALL_KUBE_CONTEXT")


@pytest.mark.parametrize("command", [("executions", "list"), ("db", "check")])
def test_without_a_database_that_answers_it_says_so(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Connection refused" in said(capsys, *command, code=1)


def test_a_status_that_there_is_not_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = said(capsys, "executions", "list", "--status", "lost", code=2)
    assert re.search(r"'lost' \(choose from '?pending'?, '?queued'?, ", line)
