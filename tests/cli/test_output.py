"""Formats: nothing cut or coloured in a pipe, sound JSON, tables on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from stratalog.cli.output import Format, Printer, cell_text, fits, json_text, plain_text, unique
from stratalog.cli.pages import sparkline
from tests.cli.small_store import LONG_NAME, PROJECT, Run, SmallStore


def test_a_pipe_gets_a_header_and_every_character(run: Run) -> None:
    lines = run("ls", "artifacts").stdout.splitlines()

    assert lines[0].split("\t") == ["id", "type", "name", "state", "uri", "created", "updated", "properties"]
    assert len(lines) == 1 + 4
    assert [line.split("\t")[2] for line in lines[1:]][:3] == ["wine", "first", LONG_NAME]


def test_tabs_newlines_and_escapes_in_a_name_do_not_break_a_line(run: Run) -> None:
    last = run("ls", "artifacts").stdout.splitlines()[-1].split("\t")

    assert last[2] == r"tab\there [bold]line\nbreak \x1b[31mred"
    assert len(last) == 8


def test_values_as_plain_text() -> None:
    moment = datetime(2026, 11, 1, 13, 30, tzinfo=timezone(timedelta(hours=1)))

    assert [plain_text(v) for v in (None, True, 3, 0.1 + 0.2, "x", {"a": [1]}, b"\x00")] == [
        "", "true", "3", "0.30000000000000004", "x", '{"a":[1]}', '"AA=="',
    ]  # fmt: skip
    assert plain_text(moment) == "2026-11-01T12:30:00Z"
    assert plain_text(datetime(2026, 11, 1, 12, 30)) == "2026-11-01T12:30:00Z"


def test_values_as_people_read_them() -> None:
    assert [cell_text(v) for v in (None, False, 0.1 + 0.2, datetime(2026, 11, 1, 12, 30, 5, 999, UTC))] == [
        "", "false", "0.3", "2026-11-01 12:30:05",
    ]  # fmt: skip


def test_json_has_no_numbers_that_json_lacks() -> None:
    assert json.loads(json_text({"a": float("nan"), "b": float("inf")})) == {"a": None, "b": None}


def test_columns_of_one_name_are_told_apart(run: Run) -> None:
    result = run("sql", "SELECT 1 AS a, 2 AS a, 3 AS b", "--json")

    assert json.loads(result.stdout) == {"a": 1, "a_2": 2, "b": 3}
    assert unique(["x", "x", "x"]) == ["x", "x_2", "x_3"]


def test_json_lines_are_objects_one_a_line(run: Run) -> None:
    objects = [json.loads(line) for line in run("ls", "artifacts", "--json").stdout.splitlines()]

    assert [one["id"] for one in objects] == [1, 2, 3, 4]
    assert objects[1]["properties"]["card"] == {"by": "ada", "scores": [1, None]}
    assert objects[1]["custom_properties"]["raw"] == {"type_url": "example.Message", "value": "AAE="}


def test_a_result_without_rows_has_a_header_in_a_pipe_and_nothing_in_json(run: Run) -> None:
    assert run("find", "artifacts", "id = 99").stdout.splitlines()[1:] == []
    assert run("find", "artifacts", "id = 99", "--json").stdout == ""


def test_a_table_that_would_be_unreadable_is_printed_as_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    names = [f"column {i}" for i in range(20)]
    table = pa.table({name: ["a value of some length"] * 2 for name in names})

    Printer(Format.TABLE, Console(width=80)).arrow(table)

    printed = capsys.readouterr().out
    assert not fits(80, names, [["a value of some length"] * 20])
    assert "-- 2 --" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.count("a value of some length") == 40


def test_a_sparkline_follows_the_curve() -> None:
    assert sparkline([0.0, 1.0, 2.0, 7.0]) == "▁▂▃█"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([float("nan")]) == ""
    assert len(sparkline([float(i) for i in range(1000)])) == 16


COMMANDS = """
ls artifacts
ls types
show artifact 2
show execution 1
compare executions
lineage artifact 1
history artifact 2
diff 0 --links
log
sql 'SELECT range FROM range(500)'
"""

SCRIPT = """
import sys, contextlib
from stratalog.cli.app import app
for line in sys.argv[1].strip().splitlines():
    import shlex
    print('\\f' + line)
    with contextlib.suppress(SystemExit):
        app.main(shlex.split(line))
"""


def on_terminal(commands: str, environment: dict[str, str], columns: int = 100) -> dict[str, str]:
    """Run command lines in one process on a terminal of its own: what each printed, escapes and all."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, commands],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": str(columns)},
    )
    os.close(follower)
    printed = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # Linux says so when the last holder of the other end has gone
            break
        if not data:
            break
        printed += data
    os.close(leader)
    assert process.wait(60) == 0
    pages = printed.decode().replace("\r\n", "\n").split("\f")[1:]
    return {line: text for line, _, text in (page.partition("\n") for page in pages)}


@pytest.fixture(scope="session")
def pages(small: SmallStore) -> dict[str, str]:
    path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return on_terminal(COMMANDS, {**os.environ, "STRATALOG_URI": str(small.path), "PYTHONPATH": path})


@pytest.mark.parametrize("command", COMMANDS.strip().splitlines())
def test_a_terminal_gets_tables_of_its_width(pages: dict[str, str], command: str) -> None:
    printed = pages[command]
    shown = re.sub(r"\x1b\[[0-9;]*m", "", printed)

    assert shown.strip()
    assert "error:" not in shown
    assert "\t" not in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert printed != shown, "a terminal gets bold or coloured text"


def test_a_name_cannot_steer_the_terminal_and_is_no_markup(pages: dict[str, str]) -> None:
    for command in ("ls artifacts", "lineage artifact 1"):
        assert "\x1b[31mred" not in pages[command]
        assert "[bold]" in pages[command]
        assert "\\x1b" in pages[command]


def test_a_terminal_gets_the_first_hundred_and_is_told_so(pages: dict[str, str]) -> None:
    printed = pages["sql 'SELECT range FROM range(500)'"]

    assert "the first 100 of 500" in printed
    assert " 99\n" in printed
    assert "100\n" not in printed


def test_the_same_command_in_a_pipe_has_all_rows(run: Run, small: SmallStore) -> None:
    assert len(run("sql", "SELECT range FROM range(500)").stdout.splitlines()) == 501
    assert len(run("sql", "SELECT range FROM range(500)", "--limit", 7).stdout.splitlines()) == 8


def test_a_reader_that_goes_away_ends_the_command_quietly(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "stratalog", "sql", "SELECT range FROM range(1000000)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    assert process.stdout.readline() == b"range\n"
    process.stdout.close()

    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


def test_a_reader_that_is_gone_before_the_first_line_is_no_error_either(environment: dict[str, str]) -> None:
    """The output fits into the buffer: the pipe breaks when it is flushed, and must not break again at exit."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-m", "stratalog", "ls", "types"], stdout=writer, stderr=subprocess.PIPE, env=environment
    )
    os.close(writer)

    _, told = process.communicate(timeout=60)

    assert told == b""
    assert process.returncode == 141
