"""The repository's own rules: what must not be in it, and what its documents promise."""

import ast
import re
import stat
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TEXT_LIMIT = 1024 * 1024  # bytes; the longest holds thousands of answers of a cron library
BINARY_ALLOWED: frozenset[str] = frozenset()
# Folders of somebody's machine, hosts of package registries and mirrors.
FORBIDDEN = {
    "a home folder": re.compile(r"(?<![\w.~$}/])/(home|Users)/[a-z]\w*/"),
    "a work folder": re.compile(r"(?<![\w.])/(work|workspace|builds)/[a-z]"),
    "a registry's address": re.compile(
        r"https?://[^\s\"']*(pypi|pythonhosted|goproxy|artifactory)"
    ),
    "an index in a lock file": re.compile(r"^--(extra-)?index-url|^--find-links", re.MULTILINE),
}


@cache
def tracked() -> tuple[Path, ...]:
    """Return every file that is, or is about to be, under version control."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a checkout of git")
    names = done.stdout.decode().split("\0")
    return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def targets() -> frozenset[str]:
    """Return the targets that `make help` shows."""
    text = (ROOT / "Makefile").read_text()
    return frozenset(re.findall(r"^([a-z-]+):.*## \S", text, flags=re.MULTILINE))


@pytest.mark.parametrize("folder", ["operator", "sidecar", "hack", "tests", "demo"])
def test_a_folder_of_code_is_not_a_package_itself(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_every_package_of_the_operator_holds_something() -> None:
    empty = [
        relative(path.parent)
        for path in (ROOT / "operator/rollcall").rglob("__init__.py")
        if not [other for other in path.parent.iterdir() if other.name != "__pycache__"][1:]
    ]
    assert empty == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names_somebodys_machine(what: str) -> None:
    found = [
        f"{relative(path)}: {match[0]}"
        for path in tracked()
        if path != Path(__file__) and (text := _text(path)) is not None
        for match in [FORBIDDEN[what].search(text)]
        if match
    ]
    assert found == []


def test_every_file_is_text() -> None:
    binary = {relative(path) for path in tracked() if _text(path) is None}
    assert binary == BINARY_ALLOWED


def test_no_file_is_huge() -> None:
    huge = [relative(path) for path in tracked() if path.stat().st_size > TEXT_LIMIT]
    assert huge == []


def test_every_pinned_package_has_a_hash() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        pins = re.split(r"\n(?=\S)", path.read_text().strip())
        assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_both_sets_of_pinned_packages_agree() -> None:
    server, dev = (_pins(ROOT / f"requirements/{name}.txt") for name in ("server", "dev"))
    assert server.items() <= dev.items()


def test_help_is_the_first_target() -> None:
    first = re.search(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert first is not None
    assert first[1] == "help"


def test_the_promised_targets_exist() -> None:
    wanted = {
        "help",
        "bench",
        "demo",
        "demo-down",
        "audit",
        "test",
        "check",
        "fmt",
        "manifests",
        "docs",
        "dev",
        "lock",
    }
    assert targets() == wanted


def test_every_target_is_explained_to_contributors() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert {name for name in targets() if f"`make {name}`" not in text} == set()


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert re.findall(r"\bmake ([\w-]+)", script.read_text()) == [
        "demo",
        "demo-down",
        "test",
        "audit",
    ]


@pytest.mark.parametrize("suffix", [".py", ".sh"])
def test_every_script_that_the_makefile_calls_exists(suffix: str) -> None:
    called = re.findall(rf"\bhack/[\w/]+\{suffix}", (ROOT / "Makefile").read_text())
    assert called
    assert [name for name in called if not (ROOT / name).is_file()] == []


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{relative(page)}: {link}"
        for page in tracked()
        if page.suffix == ".md"
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert dead == []


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = re.findall(r"`((?:api|cluster|core|notify|services|store)/\w+(?:\.py)?)`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "operator/rollcall" / name).exists()] == []


def test_decisions_are_numbered_without_gaps_and_fit_on_a_page() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    assert [page.name for page in pages if len(page.read_text().splitlines()) > 60] == []


def test_the_sidecar_imports_the_standard_library_only() -> None:
    # _typeshed exists for type checkers only.
    known = {"rollcall_sidecar", "_typeshed", *sys.stdlib_module_names}
    foreign = {
        f"{relative(path)}: {name}"
        for path in (ROOT / "sidecar").rglob("*.py")
        for name in _imports(path)
        if name not in known
    }
    assert foreign == set()


def test_versions_agree() -> None:
    chart = yaml.safe_load((ROOT / "charts/rollcall/Chart.yaml").read_text())
    code = (ROOT / "operator/rollcall/__init__.py").read_text()
    assert f'__version__ = "{chart["appVersion"]}"' in code


def test_the_floor_of_python_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == "3.11"
    assert "(3, 11)" in (ROOT / "hack/venv.sh").read_text()


def _text(path: Path) -> str | None:
    content = path.read_bytes()
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.\-\[\]]+)==([^\s;\\]+)", path.read_text(), flags=re.MULTILINE))


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
