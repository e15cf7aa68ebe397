"""`python -m stratalog` is the command line."""

from stratalog.cli import main

main()
