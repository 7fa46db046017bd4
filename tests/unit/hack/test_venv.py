"""What uv is told of pip's configuration."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "hack" / "venv.sh"
FUNCTIONS = f"source <(sed -n '/^pip_says()/,/^}}/p; /^tell_uv()/,/^}}/p' {SCRIPT})"


@pytest.mark.parametrize(
    "said",
    [r":env:.find-links='/one /two'", r"global.find-links='\n/one\n/two'"],
    ids=["environment", "file"],
)
def test_several_places_reach_uv_as_it_wants_them(said: str) -> None:
    tell = 'configuration=$1; tell_uv UV_FIND_LINKS find-links ","; echo "$UV_FIND_LINKS"'
    done = subprocess.run(
        ["bash", "-euc", f"{FUNCTIONS}; {tell}", "-", said],
        capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert [part for part in done.stdout.strip().split(",") if part] == ["/one", "/two"]
