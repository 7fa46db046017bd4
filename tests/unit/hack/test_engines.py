"""Which container engine holds the clusters."""

from pathlib import Path

import pytest
from cluster import engines

NODE = "localhost/rollcall/node:v1-key"


class Machine:
    """A machine whose only container engines are scripts that answer as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(self, engine: str, *good: str, hangs: str = "-") -> None:
        """Install an engine for which the commands that start with one of `good` work."""
        patterns = "|".join(f'"{start}"*' for start in good) or "-"
        script = self.folder / engine
        script.write_text(
            f'#!/bin/sh\ncase "$*" in\n"{hangs}"*) exec sleep 30;;\n'
            f"{patterns}) echo sha256:0;;\n*) exit 1;;\nesac\n"
        )
        script.chmod(0o755)


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("ROLLCALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(engines, "_HYBRID_CGROUPS", tmp_path / "absent")
    machine = Machine(tmp_path / "bin")
    machine.install("docker")  # neither may be one that this test's machine really has
    machine.install("podman")
    return machine


def chosen() -> tuple[str, bool, bool]:
    engine = engines.choose(NODE)
    return engine.name, engine.pulls, bool(engine.settings)


def test_docker_that_can_pull_the_node_image_is_used_as_it_is(machine: Machine) -> None:
    machine.install("docker", "info", "manifest inspect")

    assert chosen() == ("docker", True, False)


def test_podman_that_can_pull_is_used_where_docker_does_not_run(machine: Machine) -> None:
    machine.install("docker", "manifest inspect")
    machine.install("podman", "info", "manifest inspect")

    assert chosen() == ("podman", True, False)


def test_podman_gets_our_settings_where_control_groups_are_of_both_versions(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_HYBRID_CGROUPS", tmp_path)
    machine.install("podman", "info", "manifest inspect")

    assert chosen() == ("podman", True, True)


def test_without_a_registry_the_image_is_built_with_podman_under_our_settings(
    machine: Machine, tmp_path: Path
) -> None:
    machine.install("docker", "info")

    assert chosen() == ("podman", False, True)
    assert 'runtime = "runc"' in (tmp_path / "cache/containers.conf").read_text()


def test_a_registry_that_does_not_answer_counts_as_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PROBE_SECONDS", 0.2)
    machine.install("docker", "info", hangs="manifest inspect")

    assert chosen() == ("podman", False, True)


def test_a_node_image_that_was_built_before_needs_no_registry(machine: Machine) -> None:
    machine.install("docker", "info", "manifest inspect")
    machine.install("podman", f"image inspect --format {{{{.Id}}}} {NODE}")

    assert chosen() == ("podman", False, True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("25816542\n", "25.8 MB"),
        ("1234567890\n", "1234.6 MB"),
        ("", "of unknown size"),
        (None, "of unknown size"),
    ],
)
def test_the_size_of_an_image_is_said_in_megabytes(answer: str | None, said: str) -> None:
    assert engines.megabytes(answer) == said


def test_an_engine_is_asked_how_much_room_an_image_takes(machine: Machine) -> None:
    script = machine.folder / "podman"
    script.write_text(
        '#!/bin/sh\ntest "$*" = "image inspect --format {{.Size}} here:1" && echo 7000000\n'
    )

    assert engines.Engine(name="podman", pulls=True).image_size("here:1") == "7.0 MB"
