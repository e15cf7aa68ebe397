"""How changes are printed: the history of a node, and what differs between two moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stratalog.cli.entities import shortened
from stratalog.cli.output import Format, Printer, Row, arrow_rows, plain_text

if TYPE_CHECKING:
    import pyarrow as pa

    from stratalog.query.diff import Diff

VALUE_WIDTH = 30
"""Characters of a value on a terminal; a pipe and JSON have all."""

DIFF_COLUMNS = (
    "change", "kind", "id", "type", "name", "field", "before", "after", "to_kind", "to_id", "seq", "actor", "recorded",
)  # fmt: skip
"""The columns of `stratalog diff` in a pipe: nodes that were added, fields that changed, links that were added."""


def decoded(text: str | None) -> Any:
    """A value from its JSON text; text that is no JSON, such as NaN, stays as it is."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def for_people(text: str | None, *, keep_end: bool = False) -> str:
    """A value from its JSON text as one reads it: no quotes, doubles to six digits, long ones cut."""
    value = decoded(text)
    if value is None:
        return "·"
    shown = f"{value:.6g}" if isinstance(value, float) else plain_text(value)
    if keep_end and len(shown) > VALUE_WIDTH:
        return f"…{shown[1 - VALUE_WIDTH :]}"
    return shortened(shown, VALUE_WIDTH)


def print_history(printer: Printer, table: pa.Table) -> None:
    """Print what `store.history` found."""
    match printer.format:
        case Format.JSON:
            printer.json_lines(row | _decoded_ends(row) for row in table.to_pylist())
        case Format.PLAIN:
            printer.arrow(table)
        case Format.TABLE:
            printer.rows(("when", "who", "what", "why"), _history_rows(table.to_pylist()))


def _decoded_ends(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"before": decoded(row["before"]), "after": decoded(row["after"])}


def _history_rows(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """One line a change; when, who and why stand at the first of a commit's."""
    found: list[Row] = []
    last = None
    for row in rows:
        if row["change"] == "created" and row["field"] == "created":
            continue  # the commit's own time, but for imports: `show` has it
        is_first = row["commit"] != last
        last = row["commit"]
        head = (row["recorded"], row["actor"]) if is_first else ("", "")
        found.append([*head, change_text(row), row["reason"] if is_first else ""])
    return found


def change_text(row: Mapping[str, Any]) -> str:
    """One row of a history in words."""
    field, after = row["field"].removeprefix("properties."), decoded(row["after"])
    match row["change"]:
        case "created":
            return f"{field} = {for_people(row['after'], keep_end=field == 'uri')}"
        case "changed":
            return f"{field}: {for_people(row['before'])} → {for_people(row['after'])}"
        case "logged" if isinstance(after, dict):
            return f"{field}: {after['points']} point(s), last {after['last']:.6g}"
        case "linked" if isinstance(after, dict):
            return _link_text(field, after)
    return f"{row['change']} {field} {for_people(row['after'])}"


def _link_text(field: str, end: Mapping[str, Any]) -> str:
    """A link in words, from the object that names its other end."""
    match end:
        case {"type": type, "execution": id}:
            return f"{str(type).lower()} of execution/{id}"
        case {"type": type, "artifact": id}:
            return f"{str(type).lower()}: artifact/{id}"
        case {"context": id}:
            return f"joined context/{id}"
        case {"parent": id}:
            return f"placed below context/{id}"
        case {"child": id}:
            return f"context/{id} placed below it"
    word, id = next(iter(end.items()), (field, "?"))
    return f"{word}/{id} joined"


def print_diff(printer: Printer, found: Diff, *, with_links: bool) -> None:
    """Print what `store.diff` found."""
    match printer.format:
        case Format.JSON:
            fields = [row | _decoded_ends(row) for row in found.fields.to_pylist()]
            printer.document(
                {
                    "seq_before": found.seq_before,
                    "seq_after": found.seq_after,
                    "counts": found.counts(),
                    "entities": found.entities.to_pylist(),
                    "fields": fields,
                    "links": found.links.to_pylist(),
                }
            )
        case Format.PLAIN:
            printer.rows(DIFF_COLUMNS, [[row.get(name) for name in DIFF_COLUMNS] for row in _diff_rows(found)])
        case Format.TABLE:
            _print_diff_tables(printer, found, with_links)


def _diff_rows(found: Diff) -> list[dict[str, Any]]:
    entities = found.entities.to_pylist()
    names = {(row["kind"], row["id"]): {"type": row["type"], "name": row["name"]} for row in entities}
    added = [row for row in entities if row["change"] == "added"]
    changed = [row | names[row["kind"], row["id"]] | {"change": "changed"} for row in found.fields.to_pylist()]
    links = [
        {
            "change": "linked",
            "kind": row["from_kind"],
            "id": row["from_id"],
            "field": row["what"],
            "after": row["type"],
            "to_kind": row["to_kind"],
            "to_id": row["to_id"],
            "seq": row["seq"],
        }
        for row in found.links.to_pylist()
    ]
    return [*added, *changed, *links]


def _print_diff_tables(printer: Printer, found: Diff, with_links: bool) -> None:
    from rich.text import Text

    rows = _diff_rows(found)
    added = [[f"{r['kind']}/{r['id']}", r["type"], r["name"]] for r in rows if r["change"] == "added"]
    changed = [
        [
            f"{row['kind']}/{row['id']}",
            row["name"],
            row["field"],
            for_people(row["before"]),
            for_people(row["after"]),
            row["actor"],
        ]
        for row in rows
        if row["change"] == "changed"
    ]
    if added:
        printer.rows(("added", "type", "name"), added)
    if changed:
        printer.show(*([Text("")] if added else []))
        printer.rows(("changed", "name", "field", "before", "after", "by"), changed)
    if with_links and found.links.num_rows:
        printer.show(Text(""))
        names = ("what", "from_kind", "from_id", "to_kind", "to_id", "type")
        printer.rows(("linked", *names[1:]), list(arrow_rows(found.links.select(names))))
    said = ", ".join(_counted(name, count) for name, count in found.counts().items() if count)
    printer.note(f"seq {found.seq_before} to {found.seq_after}: {said or 'nothing changed'}")


def _counted(name: str, count: int) -> str:
    """`artifacts_added`, 1 -> `1 artifact added`."""
    noun, _, verb = name.partition("_")
    noun = noun.removesuffix("s") if count == 1 else noun
    return f"{count} {noun} {verb}".rstrip()


__all__ = ["change_text", "decoded", "for_people", "print_diff", "print_history"]
