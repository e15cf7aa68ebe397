"""Commands about nodes: list them, find them, show one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from stratalog.cli.command import Command
from stratalog.cli.entities import COLUMNS, TYPE_COLUMNS, to_object, to_row, type_names, type_object, type_row
from stratalog.cli.options import (
    TABLE_ROWS,
    KindWord,
    as_of_option,
    json_document_option,
    json_lines_option,
    limit_option,
    parse_reference,
    reading,
    resolve,
    row_limit,
    store_option,
    to_kind,
    to_names,
    type_option,
)
from stratalog.cli.output import Format, Printer, printer_for
from stratalog.cli.pages import show_node, show_type
from stratalog.eventlog.events import Kind, Node

if TYPE_CHECKING:
    import pyarrow as pa

    from stratalog.query.find import FindResult
    from stratalog.store.reads import Reads

PAGE_ROWS = 5_000
"""Nodes that are fetched at once: a listing of a million takes no more memory than one of these."""

VALUE_WIDTH = 24
"""Characters of a property's value in a listing on a terminal."""

ATTRIBUTES = frozenset({"id", "type", "name", "external_id", "uri", "state", "created", "updated"})


@click.command(
    cls=Command,
    examples=[
        "stratalog ls artifacts",
        "stratalog ls executions --type Train --reverse --limit 10",
        "stratalog ls artifacts --context Experiment:digits --as-of -1d",
        "stratalog ls types --json",
    ],
)
@click.argument("what", type=KindWord("types"), metavar="WHAT")
@type_option
@click.option("--context", metavar="CONTEXT", help="Only members of this context: an id or TYPE:NAME.")
@click.option("--reverse", "-r", is_flag=True, help="The newest first.")
@limit_option
@as_of_option
@store_option
@json_lines_option
def ls(
    what: str,
    type_name: str | None,
    context: str | None,
    reverse: bool,
    limit: int | None,
    when: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """List WHAT: artifacts, executions, contexts or types, in the order of their ids.

    Links, metrics, commits and everything else can be listed with `stratalog sql`.
    """
    printer = printer_for(as_json)
    with reading(uri, when) as store:
        most = row_limit(limit, is_table=printer.is_table)
        if what == "types":
            _list_types(store, printer, type_name, reverse, limit)
            return
        kind = to_kind(what)
        pages = _nodes(store, kind, None, "id", reverse, most, type_name, _context_id(store, context))
        _print_nodes(store, printer, kind, pages, limit)


@click.command(
    cls=Command,
    examples=[
        """stratalog find artifacts "type = 'Model' AND properties.accuracy > 0.95\"""",
        """stratalog find executions "properties.learning_rate < 0.01" --columns name,metrics.accuracy""",
        """stratalog find artifacts "contexts_a.name = 'digits'" --as-of 2026-11-01""",
        """stratalog find artifacts -t Model --order-by properties.accuracy --desc --limit 5 --json""",
    ],
)
@click.argument("what", type=KindWord(), metavar="KIND")
@click.argument("where", required=False, metavar="[FILTER]")
@type_option
@click.option("--context", metavar="CONTEXT", help="Only members of this context: an id or TYPE:NAME.")
@click.option(
    "--columns",
    "-c",
    metavar="A,B,...",
    help="What to print beside the id: attributes, properties.NAME, custom_properties.NAME, metrics.NAME.",
)
@click.option(
    "--order-by",
    default="id",
    show_default=True,
    metavar="COLUMN",
    help="id, create_time, update_time, name, properties.NAME or metrics.NAME.",
)
@click.option("--desc", is_flag=True, help="The largest first.")
@limit_option
@as_of_option
@store_option
@json_lines_option
def find(
    what: str,
    where: str | None,
    type_name: str | None,
    context: str | None,
    columns: str | None,
    order_by: str,
    desc: bool,
    limit: int | None,
    when: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """Find artifacts, executions or contexts that match FILTER.

    A filter compares attributes (id, type, name, uri, state, external_id, created, updated), properties
    (properties.lr, custom_properties.`my key`) and neighbours (contexts_a.name, events_a.type), with = != < <= > >=
    IN, LIKE, IS NULL, AND, OR, NOT. Times may be written as ISO dates.
    """
    printer = printer_for(as_json)
    kind = to_kind(what)
    with reading(uri, when) as store:
        most = row_limit(limit, is_table=printer.is_table)
        context_id = _context_id(store, context)
        chosen = to_names(columns)
        if chosen is None:
            pages = _nodes(store, kind, where, order_by, desc, most, type_name, context_id)
            _print_nodes(store, printer, kind, pages, limit)
            return
        table = store.find(
            kind,
            where,
            order_by=order_by,
            descending=desc,
            limit=most,
            type=type_name,
            context=context_id,
            columns=[name for name in chosen if name not in ATTRIBUTES],
        ).arrow()
        table = table.select(["id", *(name for name in chosen if name != "id")])
        printer.arrow(_short_names(table) if printer.is_table else table)
        _note_limit(printer, table.num_rows, limit)


@click.command(
    cls=Command,
    examples=[
        "stratalog show artifact 3",
        "stratalog show artifact/3 --as-of 2026-11-01",
        "stratalog show execution Train:digits-svm-r1",
        "stratalog show type artifact:Model --json",
    ],
)
@click.argument("node", nargs=-1, required=True, metavar="KIND ID")
@as_of_option
@store_option
@json_document_option
def show(node: Sequence[str], when: str | None, uri: str | None, as_json: bool) -> None:
    """Show one node with its properties, contexts, links and metrics, who made it and who changed it.

    A node is named by kind and id, or by kind, type and name; a type by `type ID` or `type KIND:NAME`.
    """
    printer = printer_for(as_json)
    reference = parse_reference(node, with_type=True)
    with reading(uri, when) as store:
        if reference.word == "type":
            show_type(store, printer, reference)
        else:
            show_node(store, printer, *resolve(store, reference))


def _context_id(store: Reads, text: str | None) -> int | None:
    if text is None:
        return None
    return resolve(store, parse_reference(["context", text]))[1]


def _nodes(
    store: Reads,
    kind: Kind,
    where: str | None,
    order_by: str,
    descending: bool,
    most: int | None,
    type_name: str | None,
    context_id: int | None,
) -> Iterator[Node]:
    """The nodes that match; the first page is fetched at once (a wrong filter is told now), the others when needed."""

    def fetch(token: str | None, left: int | None) -> FindResult:
        return store.find(
            kind,
            where,
            order_by=order_by,
            descending=descending,
            limit=PAGE_ROWS if left is None else min(PAGE_ROWS, left),
            page_token=token,
            type=type_name,
            context=context_id,
        )

    def follow(page: FindResult) -> Iterator[Node]:
        left = most
        while True:
            yield from page.nodes()
            left = None if left is None else left - len(page)
            if page.next_page_token is None or left == 0:
                return
            page = fetch(page.next_page_token, left)

    return follow(fetch(None, most))


def _print_nodes(store: Reads, printer: Printer, kind: Kind, nodes: Iterator[Node], limit: int | None) -> None:
    types = type_names(store)
    columns = COLUMNS[kind]
    match printer.format:
        case Format.JSON:
            printer.json_lines(to_object(kind, node, types) for node in nodes)
        case Format.PLAIN:
            printer.rows(columns, (to_row(kind, node, types) for node in nodes))
        case Format.TABLE:
            rows = [to_row(kind, node, types, value_width=VALUE_WIDTH) for node in nodes]
            # Long and rarely read: `show`, a pipe and --json have them.
            kept = [i for i, name in enumerate(columns) if name not in ("created", "uri")]
            printer.rows([columns[i] for i in kept], [[row[i] for i in kept] for row in rows])
            _note_limit(printer, len(rows), limit)


def _short_names(table: pa.Table) -> pa.Table:
    """`accuracy` for `properties.accuracy`, where no other column is called so."""
    short = [name.removeprefix("properties.").removeprefix("metrics.") for name in table.column_names]
    return table.rename_columns(
        [s if short.count(s) == 1 else name for s, name in zip(short, table.column_names, strict=True)]
    )


def _note_limit(printer: Printer, count: int, limit: int | None) -> None:
    """Say that there may be more, where nobody asked for a limit."""
    if limit is None and count == TABLE_ROWS:
        printer.note(f"the first {count}; --limit N for more, --limit 0 for all")


def _list_types(store: Reads, printer: Printer, name: str | None, reverse: bool, limit: int | None) -> None:
    types = [type for type in store.get_types() if name in (None, type.name)]
    if reverse:
        types.reverse()
    types = types[: row_limit(limit, is_table=printer.is_table)]
    if printer.format is Format.JSON:
        printer.json_lines(type_object(type) for type in types)
    else:
        printer.rows(TYPE_COLUMNS, [type_row(type) for type in types])
        _note_limit(printer, len(types), limit)


__all__ = ["find", "ls", "show"]
