"""The development server: when it starts anew, and what the api process is told."""

from pathlib import Path

import dev
import pytest

A, B = Path("a.py"), Path("b.py")


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        pytest.param({A: 1}, {A: 1}, [], id="nothing"),
        pytest.param({A: 1}, {A: 2}, [A], id="written"),
        pytest.param({A: 1}, {A: 1, B: 1}, [B], id="added"),
        pytest.param({A: 1, B: 1}, {A: 1}, [B], id="removed"),
        pytest.param({B: 1}, {A: 1}, [A, B], id="renamed"),
    ],
)
def test_what_changed_is_found(
    before: dict[Path, int], after: dict[Path, int], news: list[Path]
) -> None:
    assert dev.changed(before, after) == news


def test_settings_of_scripts_do_not_reach_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_CACHE", "/nowhere")
    monkeypatch.setenv("ROLLCALL_LOG_LEVEL", "DEBUG")
    env = dev.environment("postgresql://x")
    assert "ROLLCALL_CACHE" not in env
    assert env["ROLLCALL_LOG_LEVEL"] == "DEBUG"
    assert env["ROLLCALL_DATABASE_DSN"] == "postgresql://x"


def test_a_context_that_somebody_names_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kubeconfig-rollcall-demo").touch()
    monkeypatch.setenv("ROLLCALL_CACHE", str(tmp_path))
    monkeypatch.delenv("ROLLCALL_KUBE_CONTEXT", raising=False)
    assert dev.environment("x")["ROLLCALL_KUBE_CONTEXT"] == "kind-rollcall-demo"
    monkeypatch.setenv("ROLLCALL_KUBE_CONTEXT", "mine")
    monkeypatch.setenv("KUBECONFIG", "/my/config")
    env = dev.environment("x")
    assert (env["ROLLCALL_KUBE_CONTEXT"], env["KUBECONFIG"]) == ("mine", "/my/config")


def test_without_a_cluster_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROLLCALL_CACHE", str(tmp_path))
    monkeypatch.delenv("ROLLCALL_KUBE_CONTEXT", raising=False)
    assert dev.main() == 1
    assert "run `make demo` first" in capsys.readouterr().err
