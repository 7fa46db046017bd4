"""Where this machine gets its Debian packages from; no mirror's address stands in this project.

Reads both forms of apt's sources (one line per source, and stanzas), follows `mirror+file:`, and
answers only for Debian: a root file system cannot be made of another distribution's mirror.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

APT = Path("/etc/apt")
# Settings of a network that needs them: a proxy, client certificates, a mirror that stands still.
_ACQUIRE = re.compile(r"^Acquire::(https?|Retries|Check-Valid-Until|Check-Date)\b", re.IGNORECASE)


class NoMirrorError(ValueError):
    """This machine's sources name no Debian mirror."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of binary packages."""

    uri: str
    suite: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Base addresses to which any suite can be appended."""

    main: str
    security: str | None

    def lines(self, suite: str) -> str:
        """Write a `sources.list` for that suite. The root's own keyring verifies it."""
        wanted = [(self.main, suite), (self.main, f"{suite}-updates")]
        if self.security:
            wanted.append((self.security, f"{suite}-security"))
        return "".join(f"deb {uri} {name} main\n" for uri, name in wanted)


def parse_list(text: str) -> Iterator[Source]:
    """Yield the sources of the one-line form: `deb [options] uri suite components`."""
    for raw in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", raw.split("#", 1)[0]).split()
        if len(words) > 2 and words[0] == "deb":
            yield Source(uri=words[1], suite=words[2])


def parse_stanzas(text: str) -> Iterator[Source]:
    """Yield the sources of the deb822 form. Comment lines may stand inside a stanza."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        enabled = "".join(fields.get("enabled", ["yes"])).lower()
        if "deb" not in fields.get("types", []) or enabled in {"no", "false", "0", "off"}:
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield Source(uri=uri, suite=suite)


def choose(sources: Iterable[Source], codename: str) -> Mirrors:
    """Choose the mirror of the running release and its security mirror."""
    network = [source for source in sources if source.uri.startswith(("http:", "https:"))]
    main = next((s.uri for s in network if s.suite in {codename, "stable"}), None)
    if main is None:
        raise NoMirrorError(f"no http source of the Debian suite {codename!r} in {APT}")
    security = next((s.uri for s in network if s.suite.endswith("-security")), None)
    return Mirrors(main=main.rstrip("/"), security=security and security.rstrip("/"))


def read(folder: Path = APT) -> list[Source]:
    """Every enabled source below `folder`, `mirror+file:` replaced by the first address in it."""
    sources: list[Source] = []
    for file in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        parse = {".list": parse_list, ".sources": parse_stanzas}.get(file.suffix)
        if parse and file.is_file():
            sources += parse(file.read_text(errors="replace"))
    return [Source(uri=_resolved(source.uri), suite=source.suite) for source in sources]


def mirrors() -> Mirrors:
    """`ROLLCALL_DEBIAN_MIRROR` and `…_SECURITY_MIRROR` if set, else this machine's own."""
    main = os.environ.get("ROLLCALL_DEBIAN_MIRROR")
    if main:
        security = os.environ.get("ROLLCALL_DEBIAN_SECURITY_MIRROR")
        return Mirrors(main=main.rstrip("/"), security=security and security.rstrip("/"))
    release = _os_release()
    if release.get("ID") != "debian":
        raise NoMirrorError("this is not Debian: set ROLLCALL_DEBIAN_MIRROR to a Debian mirror")
    return choose(read(), release.get("VERSION_CODENAME", ""))


def acquire_options() -> str:
    """Return this machine's apt settings about the network, as a configuration file."""
    dump = programs.ask(["apt-config", "dump"]) or ""
    return "".join(f"{line}\n" for line in dump.splitlines() if _ACQUIRE.match(line))


def _resolved(uri: str) -> str:
    if not uri.startswith("mirror+file:"):
        return uri
    try:
        words = Path(uri.removeprefix("mirror+file:")).read_text(errors="replace").split()
    except OSError:
        return uri
    return next((word for word in words if word.startswith("http")), uri)


def _os_release(file: Path = Path("/etc/os-release")) -> dict[str, str]:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return {}
    return {
        name: value.strip("\"'") for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
    }
