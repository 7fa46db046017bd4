"""Makes `hack/cluster` importable as the package `cluster`, as its own entry does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "hack"))
