"""`stratalog demo`: play the story, then ask the questions with the very commands that the reader sees."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stratalog.cli.command import Command
from stratalog.cli.options import reading_head
from stratalog.cli.output import Format, Printer

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from stratalog.demo.models import Scores
    from stratalog.demo.questions import Question
    from stratalog.demo.steps import Run
    from stratalog.demo.story import Round

FOLDER = "stratalog-demo"
PIPE_WIDTH = 100
"""Columns of the demo's tables where stdout is no terminal."""


@click.command(cls=Command, examples=["stratalog demo", "stratalog demo /tmp/tryout"])
@click.argument("folder", required=False, default=FOLDER, type=click.Path(path_type=Path), metavar="[FOLDER]")
def demo(folder: Path) -> None:
    """Train scikit-learn models on the data that it ships, record every step in a store, and ask the questions.

    The store is FOLDER (./stratalog-demo unless given); data and models lie in FOLDER/artifacts. Run it again and
    it adds another round of runs. Needs scikit-learn: pip install 'stratalog[demo]'.
    """
    from rich.console import Console

    from stratalog.demo.questions import questions
    from stratalog.demo.story import play

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=PIPE_WIDTH)
    with Progress(console) as progress:
        played = play(folder, progress)
    _tell_round(console, folder, played)
    with reading_head(str(folder)) as store:
        asked = questions(store, played)
    for number, question in enumerate(asked, start=1):
        _ask(console, folder, number, question)
    _tell_end(console)


class Progress:
    """Shows how far the story is: a bar on a terminal, and a line for each run."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._console = console
        self._task = self._bar.add_task("begin", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def expect(self, run_count: int) -> None:
        """So many runs will follow."""
        self._bar.update(self._task, total=run_count)

    def doing(self, what: str) -> None:
        """This begins now."""
        self._bar.update(self._task, description=f"{what:<32}")

    def done(self, run: Run, scores: Scores) -> None:
        """A run is over, and recorded."""
        parameters = ", ".join(f"{name} {value:g}" for name, value in run.recipe.parameters.items())
        self._console.print(
            f"  [green]✓[/] {run.name:<24} accuracy [bold]{scores.accuracy:.3f}[/]   "
            f"[dim]{run.actor:<8} {parameters}[/]"
        )
        self._bar.advance(self._task)


def _tell_round(console: Console, folder: Path, played: Round) -> None:
    from rich.text import Text

    console.print()
    if played.number > 1:
        console.print(f"This was round {played.number}: it went into the same store, after what was there.")
    console.print(
        f"Trained [bold]{played.run_count}[/] models on [bold]{played.data_set_count}[/] data sets and recorded every "
        f"step in {played.seconds:.1f} s. Now ask the store; first, in your shell:"
    )
    console.print()
    line = f"  $ export STRATALOG_URI={shlex.quote(str(folder))}"
    console.print(Text(line, style="bold cyan"), soft_wrap=True)


def _ask(console: Console, folder: Path, number: int, question: Question) -> None:
    from rich.rule import Rule
    from rich.text import Text

    from stratalog.cli.app import app

    console.print()
    console.print(Rule(Text(f"{number}. {question.text}", style="bold"), align="left", style="dim"))
    for line in command_lines(question.arguments, console.width):
        console.print(Text(line, style="bold cyan"), soft_wrap=True)
    console.print()
    printer = Printer(Format.TABLE, console)
    arguments = [*question.arguments, "--store", str(folder)]
    with (
        suppress(click.exceptions.Exit),
        app.make_context("stratalog", arguments, obj=printer) as context,
    ):
        app.invoke(context)


def _tell_end(console: Console) -> None:
    console.print()
    console.print(
        "In Python all of this is [bold cyan]stratalog.open(...)[/] with find, compare, lineage, diff, history, as_of "
        "and sql: see docs/tutorial.md. Run the demo again to add a round."
    )


def command_lines(arguments: tuple[str, ...], width: int) -> list[str]:
    """A command line as one types it, broken before options where it is wider than `width`."""
    words = ["stratalog", *(quote(argument) for argument in arguments)]
    lines, line = [], "  $"
    for index, word in enumerate(words):
        is_option = word.startswith("--")
        needed = len(word) + (len(words[index + 1]) + 1 if is_option and index + 1 < len(words) else 0)
        if is_option and len(line) + 1 + needed + 2 > width:
            lines.append(f"{line} \\")
            line = "     "
        line = f"{line} {word}"
    return [*lines, line]


def quote(word: str) -> str:
    """A word for the shell: as it is, or in double quotes if it holds single ones."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


__all__ = ["command_lines", "demo", "quote"]
