"""`stratalog log`: the commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stratalog.cli.command import Command
from stratalog.cli.options import (
    as_of_option,
    json_lines_option,
    limit_option,
    parse_reference,
    reading_head,
    resolve,
    row_limit,
    store_option,
)
from stratalog.cli.output import Row, printer_for

if TYPE_CHECKING:
    import pyarrow as pa

    from stratalog.store.store import Store


@click.command(
    cls=Command,
    examples=[
        "stratalog log --limit 20",
        "stratalog log --since -1h --actor ada",
        "stratalog log --entity artifact/3",
        "stratalog log --as-of 2026-11-01 --json",
    ],
)
@click.option("--actor", metavar="NAME", help="Only commits of this actor.")
@click.option("--since", metavar="WHEN", help="Only commits after then: a seq, '2026-11-01', '-2h'.")
@click.option("--entity", metavar="KIND/ID", help="Only commits that touched this node, such as artifact/3.")
@limit_option
@as_of_option
@store_option
@json_lines_option
def log(
    actor: str | None,
    since: str | None,
    entity: str | None,
    limit: int | None,
    when: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """List commits, the newest first: number, seqs, time, who, why, and how many events."""
    printer = printer_for(as_json)
    most = row_limit(limit, is_table=printer.is_table)
    with reading_head(uri) as store:
        if entity is None:
            table = store.log(limit=most, actor=actor, since=since, until=when).arrow()
        else:
            table = _of_entity(store, entity, store.log(actor=actor, since=since, until=when).arrow(), when)
            table = table if most is None else table.slice(0, most)
    if printer.is_table:
        names = ("commit", "seqs", "recorded", "actor", "events", "reason")
        printer.rows(names, [_short_row(row) for row in table.to_pylist()])
    else:
        printer.arrow(table)
    if limit is None and table.num_rows == most:
        printer.note(f"the newest {most}; --limit N for more, --limit 0 for all")


def _short_row(row: dict[str, Any]) -> Row:
    seqs = f"{row['first_seq']}-{row['last_seq']}" if row["first_seq"] != row["last_seq"] else str(row["first_seq"])
    return [row["commit"], seqs, row["recorded"], row["actor"], row["event_count"], row["reason"]]


def _of_entity(store: Store, entity: str, commits: pa.Table, when: str | None) -> pa.Table:
    """Those of some commits that touched a node."""
    import pyarrow as pa

    moment = store if when is None else store.as_of(when)
    kind, id = resolve(moment, parse_reference([entity]))
    touched = set(moment.history(kind, id).arrow()["commit"].to_pylist())
    return commits.filter(pa.array([commit in touched for commit in commits["commit"].to_pylist()], pa.bool_()))


__all__ = ["log"]
