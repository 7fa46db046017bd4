"""What the image runs: `python3 -I -S THIS_FILE`, without arguments.

The file, not its folder: to run a folder Python imports seven modules more before it looks inside.
"""

import sys

sys.path.insert(0, __file__.rpartition("/")[0])  # -I leaves it out

from rollcall_sidecar import __main__

__main__.main()
