"""Commands as they are typed, on a database of the test's own."""

import pytest

from rollcall.cli import main
from support import builders, commands, surroundings


@pytest.fixture
def command(
    dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> commands.Command:
    """Run `rollcall` with these arguments, and return what it says, in an error on stderr."""
    surroundings.forget_settings(monkeypatch)
    monkeypatch.setenv("ROLLCALL_DATABASE_DSN", dsn)
    monkeypatch.setenv("ROLLCALL_CLUSTER", builders.CLUSTER)

    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return said.err if code else said.out

    return run
