"""Entry of `python3 hack/cluster`: makes the folder importable as the package `cluster`."""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  a system's own Python may be older
    sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from cluster import cli  # noqa: E402  the line above makes it importable

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
