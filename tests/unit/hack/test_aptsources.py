"""Reading this machine's package sources."""

from pathlib import Path

import pytest
from cluster import aptsources

STANZAS = """\
# main archive
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
 bookworm-updates
Components: main
# a comment inside a stanza
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://other.example/tools
Suites: stable
Enabled: no
"""


def pairs(sources: list[aptsources.Source]) -> list[tuple[str, str]]:
    return [(source.uri, source.suite) for source in sources]


def test_stanzas_yield_every_suite_of_every_enabled_binary_source() -> None:
    assert pairs(list(aptsources.parse_stanzas(STANZAS))) == [
        ("http://mirror.example/debian/", "bookworm"),
        ("http://mirror.example/debian/", "bookworm-updates"),
        ("http://mirror.example/debian-security", "bookworm-security"),
    ]


def test_lines_may_bear_options_and_comments() -> None:
    text = """\
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://mirror.example/debian bookworm main
deb-src https://mirror.example/debian bookworm main
# deb https://commented.example/debian bookworm main
deb https://mirror.example/security bookworm-security main  # remark
deb broken
"""
    assert pairs(list(aptsources.parse_list(text))) == [
        ("https://mirror.example/debian", "bookworm"),
        ("https://mirror.example/security", "bookworm-security"),
    ]


def test_the_mirror_of_the_running_release_is_chosen_with_its_security_mirror() -> None:
    chosen = aptsources.choose(aptsources.parse_stanzas(STANZAS), "bookworm")

    assert chosen.lines("trixie") == (
        "deb http://mirror.example/debian trixie main\n"
        "deb http://mirror.example/debian trixie-updates main\n"
        "deb http://mirror.example/debian-security trixie-security main\n"
    )


def test_a_source_on_this_machine_only_is_no_mirror() -> None:
    sources = [
        aptsources.Source(uri="file:/srv/debian", suite="bookworm"),
        aptsources.Source(uri="http://other.example/tools", suite="tools"),
    ]

    with pytest.raises(aptsources.NoMirrorError, match="bookworm"):
        aptsources.choose(sources, "bookworm")


def test_a_mirror_list_stands_for_its_first_address(tmp_path: Path) -> None:
    mirrors = tmp_path / "debian.list"
    mirrors.write_text("https://first.example/debian\nhttps://second.example/debian\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{mirrors} bookworm main\n")

    assert pairs(aptsources.read(tmp_path)) == [("https://first.example/debian", "bookworm")]


def test_both_forms_of_sources_are_read_and_other_files_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "a.sources").write_text(STANZAS)
    (folder / "b.list").write_text("deb http://mirror.example/extra bookworm main\n")
    (folder / "c.list.disabled").write_text("deb http://disabled.example bookworm main\n")

    uris = {source.uri for source in aptsources.read(tmp_path)}

    assert uris == {
        "http://mirror.example/debian/",
        "http://mirror.example/debian-security",
        "http://mirror.example/extra",
    }
