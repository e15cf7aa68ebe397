"""The command line. Commands are loaded when they are called, so that `stratalog --help` starts fast."""

from __future__ import annotations


def main() -> None:
    """Run the command line on `sys.argv` and exit the process."""
    from stratalog.cli.app import app

    app.main()


__all__ = ["main"]
