"""Cached things are complete or absent, and named by what they are made of."""

from pathlib import Path

import pytest
from cluster import cachedir


def test_what_takes_shape_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    final = tmp_path / "tool"

    with cachedir.taking_shape(final) as draft:
        (draft / "program").write_text("done")
        assert not final.exists()

    assert (final / "program").read_text() == "done"
    assert list(tmp_path.iterdir()) == [final]


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with cachedir.taking_shape(tmp_path / "tool") as draft:
            (draft / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_the_lock_removes_drafts_of_a_killed_run_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_CACHE", str(tmp_path))
    (tmp_path / "tools/.kind.x1y2").mkdir(parents=True)
    (tmp_path / "tools/kind").mkdir()
    (tmp_path / ".record.json.tmp").write_text("{")

    with cachedir.locked():
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}

    assert left == {"lock", "tools", "tools/kind"}


def test_a_key_depends_on_names_contents_and_modes_but_not_on_byte_code(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    file = source / "a.py"
    file.write_text("one")
    first = cachedir.tree_key(tmp_path, [source])

    (source / "__pycache__").mkdir()
    (source / "__pycache__/a.pyc").write_text("compiled")
    assert cachedir.tree_key(tmp_path, [source]) == first

    file.write_text("two")
    second = cachedir.tree_key(tmp_path, [source])
    file.chmod(0o755)
    third = cachedir.tree_key(tmp_path, [source])
    file.rename(source / "b.py")
    fourth = cachedir.tree_key(tmp_path, [source])
    assert len({first, second, third, fourth}) == 4


def test_the_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert cachedir.recipe_key("ab", "c") != cachedir.recipe_key("a", "bc")
