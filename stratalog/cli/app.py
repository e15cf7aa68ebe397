"""The group of all commands: which module holds which, and how each way of failing ends the process.

Source: docs/reference/cli.md, "Exit codes".
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

import click

from stratalog.eventlog.errors import CODES, ErrorCode, StoreError

INTERRUPTED, BROKEN_PIPE = 130, 141
"""Exit codes of a shell for a process that SIGINT or SIGPIPE ended."""


class Entry(NamedTuple):
    """Where a command lives, and its line in the list of commands."""

    module: str
    attribute: str
    short_help: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("demo", "demo", "Train a few real models, record every step, and ask the questions."),
    "init": Entry("upkeep", "init", "Make an empty store."),
    "ls": Entry("nodes", "ls", "List artifacts, executions, contexts or types."),
    "show": Entry("nodes", "show", "Show one artifact, execution, context or type, with all that touches it."),
    "log": Entry("commits", "log", "List the commits: when, who, why, what."),
    "find": Entry("nodes", "find", "Find nodes by a filter over attributes, properties and neighbours."),
    "compare": Entry("questions", "compare", "Lay executions or artifacts side by side."),
    "lineage": Entry("lineage", "lineage", "Follow links from nodes up to sources or down to results."),
    "history": Entry("questions", "history", "Tell who changed a node, when, from what to what, and why."),
    "diff": Entry("questions", "diff", "Tell what changed between two moments."),
    "sql": Entry("questions", "sql", "Ask in SQL over the documented views."),
    "verify": Entry("upkeep", "verify", "Check the whole log and the tables folded from it."),
    "rebuild": Entry("upkeep", "rebuild", "Throw the folded tables away and fold the log again."),
    "seal": Entry("upkeep", "seal", "Turn the journal into Parquet segments now."),
    "stats": Entry("upkeep", "stats", "Count what the store holds, and its bytes."),
    "serve": Entry("serve", "serve", "Serve a store to MLMD's clients over gRPC."),
    "completion": Entry("completion", "completion", "Print the shell's completion script."),
}
"""Every command in the order of `--help`. The short helps stand here so that the list loads no module."""


class App(click.Group):
    """A group that loads a command's module when the command is called, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        """The commands' names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Load one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(f"stratalog.cli.{entry.module}"), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest command's name when there is none of this one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            also = f"; did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"no command {args[0]!r}{also}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """The list of commands, made from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in COMMANDS.items()])

    def main(  # type: ignore[override]  # the group is only ever run as a whole program
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        **extra: Any,
    ) -> NoReturn:
        """Run a command line and exit: 0, or the code of the error's class after telling of it on stderr."""
        arguments = list(sys.argv[1:] if args is None else args)
        name = prog_name or "stratalog"
        self._main_shell_completion(extra, name, complete_var)
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name must not end a listing
        sys.exit(self._exit_code(arguments, name))

    def _exit_code(self, arguments: Sequence[str], name: str) -> int:
        try:
            with self.make_context(name, list(arguments)) as context:
                self.invoke(context)
            sys.stdout.flush()
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else name
            return _tell(error.format_message(), f"see '{where} --help'", ErrorCode.INVALID_ARGUMENT)
        except click.ClickException as error:
            return _tell(error.format_message(), None, ErrorCode.INVALID_ARGUMENT)
        except BrokenPipeError:
            # The reader has gone. Python flushes stdout once more at exit: give it somewhere to write.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            return INTERRUPTED
        except StoreError as error:
            if wants_traceback(arguments):
                raise
            return _tell(error.message, error.hint, error.code)
        except Exception as error:
            if wants_traceback(arguments):
                raise
            return _tell(
                f"{type(error).__name__}: {error}",
                "this is a bug: run again with STRATALOG_TRACEBACK=1 and report what it prints",
                ErrorCode.INTERNAL,
            )
        return 0


def wants_traceback(arguments: Sequence[str]) -> bool:
    """True where the caller asked to see where an error was raised."""
    return "--traceback" in arguments or os.environ.get("STRATALOG_TRACEBACK", "0") not in {"", "0"}


def _tell(message: str, hint: str | None, code: ErrorCode) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    click.echo(f"code: {code.value}", err=True)
    return CODES[code].exit_code


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from stratalog import __version__

    click.echo(f"stratalog {__version__}")
    context.exit()


@click.command(
    "stratalog",
    cls=App,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.option("--traceback", is_flag=True, help="Show where an error was raised. [env var: STRATALOG_TRACEBACK]")
@click.pass_context
def app(context: click.Context, traceback: bool) -> None:  # noqa: ARG001  # see wants_traceback
    """Stratalog: the append-only metadata log for machine learning.

    Every command takes --store URI (a folder, 'file:/path', or $STRATALOG_URI; './.stratalog' when neither is
    given). Questions take --as-of WHEN: a seq, a date or time ('2026-11-01', '2026-11-01T12:30Z'), or a while ago
    ('-2h'). On a terminal you get tables; in a pipe tab-separated text with a header line; with --json JSON.

    Start with `stratalog demo`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


__all__ = ["COMMANDS", "App", "app", "wants_traceback"]
