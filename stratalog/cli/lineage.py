"""`stratalog lineage`: what led to some nodes, or what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from stratalog.cli.command import Command
from stratalog.cli.options import (
    as_of_option,
    complete_types,
    json_document_option,
    parse_reference,
    reading,
    resolve,
    store_option,
)
from stratalog.cli.output import Format, Printer, arrow_rows, printable, printer_for
from stratalog.eventlog.events import Kind

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from stratalog.query.lineage import Lineage
    from stratalog.query.lineage_tree import TreeNode

CHILDREN_SHOWN = 20
"""Nodes below one node of a tree; a list, a pipe and JSON have all."""


@click.command(
    cls=Command,
    examples=[
        "stratalog lineage artifact 12 --direction up",
        "stratalog lineage artifact DataSet:wine --direction down --types Model --list",
        "stratalog lineage execution/7 --hops 2 --as-of 2026-11-01 --json",
    ],
)
@click.argument("node", nargs=-1, required=True, metavar="KIND ID")
@click.option(
    "--direction",
    "-d",
    type=click.Choice(["up", "down", "both"]),
    default="both",
    show_default=True,
    help="To the sources, to the results, or both.",
)
@click.option("--hops", type=click.IntRange(min=0), metavar="N", help="How far; a hop goes over one link.")
@click.option(
    "--types",
    "-t",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete_types,
    help="Only nodes of this type (may be given again); the walk goes through others.",
)
@click.option("--list", "as_list", is_flag=True, help="A table of the nodes instead of a tree.")
@as_of_option
@store_option
@json_document_option
def lineage(
    node: Sequence[str],
    direction: str,
    hops: int | None,
    types: Sequence[str],
    as_list: bool,
    when: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """Follow the links from an artifact or an execution: up to where it came from, down to what came of it.

    On a terminal it is a tree, in which each node stands in full once, at its shortest distance. In a pipe it is the
    nodes with their distance in hops; JSON has nodes and links.
    """
    printer = printer_for(as_json)
    with reading(uri, when) as store:
        kind, id = resolve(store, parse_reference(node))
        found = store.lineage(kind, id, direction=direction, max_hops=hops, types=list(types) or None)
        _print(printer, found, as_list)


def _print(printer: Printer, found: Lineage, as_list: bool) -> None:
    match printer.format:
        case Format.JSON:
            printer.document({"nodes": found.nodes.to_pylist(), "links": found.links.to_pylist()})
        case Format.PLAIN:
            printer.arrow(found.nodes)
        case Format.TABLE if as_list:
            table = found.nodes
            printer.rows(["kind", "id", "type", "name", "state", "hops"], _short_rows(found))
            printer.note(f"{table.num_rows} nodes")
        case Format.TABLE:
            for root in found.tree(max_children=CHILDREN_SHOWN):
                printer.show(_branch(root))


def _short_rows(found: Lineage) -> list[Sequence[object]]:
    return list(arrow_rows(found.nodes.select(["kind", "id", "type", "name", "state", "hops"])))


def _branch(root: TreeNode) -> Tree:
    """A tree for rich, built without recursion: lineages may be deep."""
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(_label(root), guide_style="dim")
    waiting = [(root, tree)]
    while waiting:
        node, branch = waiting.pop()
        waiting.extend((child, branch.add(_label(child))) for child in node.children)
        if node.more:
            branch.add(Text(f"... and {node.more} more", style="dim"))
    return tree


def _label(node: TreeNode) -> Text:
    from rich.text import Text

    text = Text()
    text.append(printable(node.type or "?"), style="bold green" if node.kind is Kind.EXECUTION else "bold cyan")
    if node.name:
        text.append(f" {printable(node.name)}")
    text.append(f"  {node.kind.word}/{node.id}", style="dim")
    if node.is_repeat:
        text.append("  (see above)", style="dim italic")
    return text


__all__ = ["lineage"]
