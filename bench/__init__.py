"""Benchmarks: `make bench` runs all, `make bench ONLY=scale` one.

They use the scripts in `hack` and what the tests use to start servers.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

sys.path[:0] = [str(ROOT / "hack"), str(ROOT / "tests")]
