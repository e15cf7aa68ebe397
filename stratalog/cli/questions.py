"""Commands that lay things side by side or tell what changed: compare, history, diff, sql."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from stratalog.cli.changes import print_diff, print_history
from stratalog.cli.command import Command
from stratalog.cli.options import (
    KindWord,
    as_of_option,
    json_document_option,
    json_lines_option,
    limit_option,
    parse_reference,
    reading,
    reading_head,
    resolve,
    row_limit,
    store_option,
    to_kind,
    to_names,
)
from stratalog.cli.output import Printer, arrow_rows, fits, printer_for
from stratalog.eventlog.errors import ErrorCode, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

HIDDEN = frozenset({"created", "updated", "external_id", "type_version"})
"""Attributes that differ in all nodes and say little, left out where nodes stand side by side for people."""

SIDES = 12
"""Up to so many nodes stand side by side on a terminal, one column each; more stand one below the other."""


@click.command(
    cls=Command,
    examples=[
        "stratalog compare executions 3 7 11 --only-different",
        """stratalog compare executions --where "type = 'Train'" -c properties.learning_rate,metrics.accuracy""",
        """stratalog compare artifacts --where "type = 'Model'" --as-of 2026-11-01 --json""",
    ],
)
@click.argument("what", type=KindWord(), metavar="KIND")
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@click.option("--where", "-w", metavar="FILTER", help="Those that match this filter, instead of ids.")
@click.option("--columns", "-c", metavar="A,B,...", help="Only these values: properties.NAME, metrics.NAME, ...")
@click.option("--only-different", "-d", is_flag=True, help="Leave out what is the same in all of them.")
@as_of_option
@store_option
@json_lines_option
def compare(
    what: str,
    ids: Sequence[int],
    where: str | None,
    columns: str | None,
    only_different: bool,
    when: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """Lay nodes of one KIND side by side: properties, custom properties, and the last value of each metric."""
    printer = printer_for(as_json)
    with reading(uri, when) as store:
        table = store.compare(
            to_kind(what),
            list(ids) or None,
            where=where,
            columns=to_names(columns),
            only_different=only_different,
        ).arrow()
    if printer.is_table and 0 < table.num_rows <= SIDES:
        _side_by_side(printer, table)
    else:
        printer.arrow(table)


@click.command(
    cls=Command,
    examples=[
        "stratalog history artifact 12",
        "stratalog history artifact Model:digits-svm-r1 --property stage",
        "stratalog history execution/7 --json",
    ],
)
@click.argument("node", nargs=-1, required=True, metavar="KIND ID")
@click.option("--property", "-p", "property_name", metavar="NAME", help="Only changes of this property.")
@as_of_option
@store_option
@json_lines_option
def history(node: Sequence[str], property_name: str | None, when: str | None, uri: str | None, as_json: bool) -> None:
    """Tell what happened to a node: who changed what, when, from what to what, and why."""
    printer = printer_for(as_json)
    with reading(uri, when) as store:
        kind, id = resolve(store, parse_reference(node))
        table = store.history(kind, id, property=property_name).arrow()
    print_history(printer, table)


@click.command(
    cls=Command,
    examples=["stratalog diff 240", "stratalog diff 2026-11-01 2026-11-08", "stratalog diff -- -2h"],
)
@click.argument("before", metavar="BEFORE")
@click.argument("after", required=False, metavar="[AFTER]")
@click.option("--links", is_flag=True, help="On a terminal: list the links that were added, too.")
@store_option
@json_document_option
def diff(before: str, after: str | None, links: bool, uri: str | None, as_json: bool) -> None:
    """Tell what changed from BEFORE to AFTER (now, unless given): what was added, and fields before and after.

    Moments are written as for --as-of: a seq, a date or time, a while ago.
    """
    printer = printer_for(as_json)
    with reading_head(uri) as store:
        found = store.diff(before, after)
        print_diff(printer, found, with_links=links)


@click.command(
    cls=Command,
    examples=[
        'stratalog sql "SELECT type, count(*) FROM artifacts GROUP BY type"',
        "stratalog sql 'SELECT * FROM metrics WHERE execution_id = $run' -p run=7 --as-of -1d",
        "echo 'SELECT actor, count(*) FROM commits GROUP BY actor' | stratalog sql --json",
    ],
)
@click.argument("text", required=False, metavar="[SQL]")
@click.option("--file", "-f", type=click.File(encoding="utf-8"), help="Read the statement from a file; - is stdin.")
@click.option(
    "--param", "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A value for $NAME: JSON, or else text."
)
@limit_option
@as_of_option
@store_option
@json_lines_option
def sql(
    text: str | None,
    file: IO[str] | None,
    parameters: Sequence[str],
    limit: int | None,
    when: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """Ask one SELECT in DuckDB's SQL, from the argument, a file (-f) or stdin.

    The views: artifacts, executions, contexts, properties, events, attributions, associations, parent_contexts,
    types, commits, metrics. `DESCRIBE artifacts` tells the columns of one. Parameters stand as $name in the text.
    """
    statement = _statement(text, file)
    printer = printer_for(as_json)
    most = row_limit(limit, is_table=printer.is_table)
    with reading(uri, when) as store:
        table = store.sql(statement, **_parameters(parameters)).arrow()
    printer.arrow(table if most is None else table.slice(0, most))
    if most is not None and table.num_rows > most:
        printer.note(f"the first {most} of {table.num_rows}; --limit 0 for all")


def _side_by_side(printer: Printer, table: pa.Table) -> None:
    """One column a node, one row a value; beneath one another if that is too wide."""
    shown = table.select([name for name in table.column_names if name not in HIDDEN])
    rows = list(arrow_rows(shown))
    names = shown.column_names
    heads = ["", *(f"#{row[0]}" for row in rows)]
    turned = [[name, *(row[i] for row in rows)] for i, name in enumerate(names) if name != "id"]
    if fits(printer.console.width, heads, turned):
        printer.rows(heads, turned)
    else:
        printer.rows(names, rows)


def _statement(text: str | None, file: IO[str] | None) -> str:
    if text is not None and file is not None:
        raise InvalidInputError("sql: both a statement and a file", hint="give one of them")
    if file is not None:
        return file.read()
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        raise InvalidInputError(
            "sql: no statement", code=ErrorCode.MISSING_FIELD, hint='stratalog sql "SELECT * FROM artifacts"'
        )
    return sys.stdin.read()


def _parameters(pairs: Sequence[str]) -> dict[str, Any]:
    import json

    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"--param {pair!r} where NAME=VALUE was expected", code=ErrorCode.INVALID_VALUE)
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values


__all__ = ["compare", "diff", "history", "sql"]
