"""The group of commands: help, errors and their exit codes, what is loaded when."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import stratalog
from stratalog.cli import questions
from stratalog.cli.app import COMMANDS, app
from stratalog.cli.command import Command
from stratalog.eventlog.errors import CODES, ErrorCode, InternalError, StorageError
from tests.cli.small_store import PROJECT, Run, SmallStore, Spawn


def command_of(name: str) -> Command:
    with click.Context(app) as context:
        command = app.get_command(context, name)
    assert isinstance(command, Command)
    return command


def test_help_lists_every_command_and_loads_neither_a_command_nor_a_heavy_package() -> None:
    script = (
        "import sys, contextlib\n"
        "from stratalog.cli import main\n"
        "sys.argv = ['stratalog', '--help']\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'rich', 'sklearn', 'msgspec', 'stratalog.cli.nodes'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT, check=True)

    assert "loaded: []" in done.stdout
    listing = done.stdout.partition("Commands:")[2]
    assert [line.split()[0] for line in listing.splitlines() if line.startswith("  ") and line[2] != " "] == list(
        COMMANDS
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(run: Run, name: str) -> None:
    result = run(name, "--help")

    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_a_command_line_that_parses(name: str) -> None:
    for example in command_of(name).examples:
        words = shlex.split(example, comments=True)
        if "stratalog" in words:
            words = words[words.index("stratalog") + 1 :]
        else:
            words = shlex.split(example.removeprefix("source <(stratalog ").partition(")")[0])
        ends = [words.index(sign) for sign in ("|", ">") if sign in words]
        words = words[: min(ends, default=len(words))]
        assert words[0] == name, example

        command_of(name).make_context(name, words[1:])


def test_without_a_command_it_prints_the_help(run: Run) -> None:
    result = run()

    assert result.exit_code == 0
    assert "Commands:" in result.stdout


def test_version(run: Run) -> None:
    assert run("--version").stdout.startswith("stratalog ")


def test_an_unknown_command_is_refused_with_the_nearest_one(run: Run) -> None:
    result = run("lss")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: no command 'lss'; did you mean 'ls'?",
        "hint: see 'stratalog --help'",
        "code: invalid_argument",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "artifact", 999), ErrorCode.NOT_FOUND),
        (("show", "artifact", "Model:nobody"), ErrorCode.NOT_FOUND),
        (("show", "type", "artifact:Nothing"), ErrorCode.TYPE_NOT_FOUND),
        (("show", "type", 999), ErrorCode.TYPE_NOT_FOUND),
        (("show", "type", "nothing:Model"), ErrorCode.INVALID_VALUE),
        (("show", "artefact", 1), ErrorCode.INVALID_VALUE),
        (("show", "artifact", "one"), ErrorCode.INVALID_VALUE),
        (("find", "artifacts", "type ="), ErrorCode.INVALID_FILTER),
        (("find", "artifacts", "--order-by", "nothing"), ErrorCode.INVALID_ARGUMENT),
        (("ls", "nothing"), ErrorCode.INVALID_ARGUMENT),
        (("ls", "artifacts", "--limit", -1), ErrorCode.INVALID_ARGUMENT),
        (("ls", "artifacts", "--as-of", "yesterday-ish"), ErrorCode.INVALID_TIME),
        (("sql", "SELECT * FROM nothing"), ErrorCode.INVALID_SQL),
        (("sql", "SELECT 1", "-p", "no value"), ErrorCode.INVALID_VALUE),
        (("compare", "executions", 1, 999), ErrorCode.NOT_FOUND),
        (("lineage", "context", 1), ErrorCode.INVALID_VALUE),
        (("history", "execution", 999), ErrorCode.NOT_FOUND),
        (("diff", 5, 3), ErrorCode.INVALID_VALUE),
        (("log", "--entity", "artifact/999"), ErrorCode.NOT_FOUND),
    ],
)
def test_an_error_ends_with_the_exit_code_of_its_class_and_says_nothing_else(
    run: Run, arguments: tuple[object, ...], code: ErrorCode
) -> None:
    result = run(*arguments)

    assert result.exit_code == CODES[code].exit_code
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[-1] == f"code: {code.value}"
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_no_store_is_told_and_nothing_is_made(run: Run, tmp_path: Path) -> None:
    for arguments in (["ls", "artifacts"], ["log"], ["verify"], ["stats"], ["seal"], ["rebuild"]):
        result = run(*arguments, store=tmp_path / "nothing")

        assert result.exit_code == 3, arguments
        assert "code: store_not_found" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_store_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"sun")

    result = run("ls", "artifacts", store=tmp_path)

    assert result.exit_code == 6
    assert "code: not_a_store" in result.stderr


@pytest.mark.parametrize("has_views", [True, False], ids=["found by verify", "found on opening"])
def test_a_damaged_log_ends_with_7(run: Run, small: SmallStore, tmp_path: Path, has_views: bool) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.path, copy)
    if not has_views:
        shutil.rmtree(copy / "views")
    segment = next((copy / "log").glob("*.parquet"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)

    result = run("verify", store=copy)

    assert result.exit_code == 7
    assert "error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_bug_is_told_as_one_and_shows_its_traceback_on_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(questions, "_statement", fail)

    result = run("sql", "SELECT 1")

    assert result.exit_code == CODES[ErrorCode.INTERNAL].exit_code
    assert result.stderr.startswith("error: RuntimeError: out of cheese\nhint: this is a bug")
    assert isinstance(run("--traceback", "sql", "SELECT 1").exception, RuntimeError)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (StorageError("no space", code=ErrorCode.DISK_FULL, hint="make room"), 6),
        (InternalError("odd"), 8),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_of_other_classes(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stratalog, "open", fail)

    assert run("stats").exit_code == exit_code


def test_the_traceback_can_be_asked_for_by_environment(spawn: Spawn) -> None:
    result = spawn("show", "artifact", 999, env={"STRATALOG_TRACEBACK": "1"})

    assert "Traceback" in result.stderr
    assert "NotFoundError" in result.stderr
