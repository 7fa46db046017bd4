"""`python -m rollcall`."""

from rollcall.cli.main import main

main()
