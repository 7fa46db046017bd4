"""`python -m bench [NAME …]`: run benchmarks and keep their numbers in build/bench."""

import argparse
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path

from bench import ROOT, machine

NAMES = ("schedule", "detection", "sidecar", "store", "ingest", "alerts", "scale")
RESULTS = ROOT / "build" / "bench"


def main() -> None:
    """Run what was asked for, one after the other; the first error ends it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in names:
        print(f"== {name}", flush=True)
        numbers = importlib.import_module(f"bench.{name}").run()
        print(f"kept in {_keep(name, numbers).relative_to(ROOT)}\n", flush=True)


def _keep(name: str, numbers: object) -> Path:
    """Write the numbers beside what they were measured on."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "results": numbers,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
