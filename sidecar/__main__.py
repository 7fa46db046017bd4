"""What the image runs: `python3 -I -S <this folder or a zip of it>`, without arguments."""

from rollcall_sidecar import __main__

__main__.main()
