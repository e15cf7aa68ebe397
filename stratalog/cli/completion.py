"""`stratalog completion`: the script that teaches a shell to complete stratalog's command lines."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from stratalog.cli.command import Command

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=Command,
    examples=[
        "source <(stratalog completion bash)                       # now; or in ~/.bashrc",
        "stratalog completion zsh > ~/.zfunc/_stratalog            # a folder in $fpath",
        "stratalog completion fish > ~/.config/fish/completions/stratalog.fish",
    ],
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish).

    It completes commands, options, kinds, and the names of types in the store.
    """
    completer = get_completion_class(shell)
    assert completer is not None, shell
    click.echo(completer(context.find_root().command, {}, "stratalog", "_STRATALOG_COMPLETE").source())


__all__ = ["completion"]
