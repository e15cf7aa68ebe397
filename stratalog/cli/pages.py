"""`stratalog show`: everything about one node, or one type, on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from stratalog.cli.entities import (
    link_word,
    path_text,
    property_word,
    time_of,
    to_object,
    type_label,
    type_names,
    type_object,
)
from stratalog.cli.options import Reference
from stratalog.cli.output import Format, Printer, cell_text, grid
from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Kind, Link, LinkType, Node, Type

if TYPE_CHECKING:
    from stratalog.store.reads import Reads

ROWS_SHOWN = 20
"""Links, contexts or metrics on a terminal's page; a pipe and JSON get all."""

SECTIONS = ("contexts", "links", "metrics")

_BARS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 16


class _Page(NamedTuple):
    """What there is to say of a node: the node as JSON, and lists of rows as dicts."""

    node: dict[str, Any]
    contexts: list[dict[str, Any]]
    links: list[dict[str, Any]]
    metrics: list[dict[str, Any]]


def show_node(store: Reads, printer: Printer, kind: Kind, id: int) -> None:
    """Print one node.

    Raises:
        NotFoundError: there is none.
    """
    page = _collect(store, kind, id)
    match printer.format:
        case Format.JSON:
            sections = {name: getattr(page, name) for name in SECTIONS}
            printer.document(page.node | {name: _without(rows, "curve") for name, rows in sections.items()})
        case Format.PLAIN:
            printer.rows(("field", "value"), _plain_rows(page))
        case Format.TABLE:
            _print_page(printer, kind, page)


def show_type(store: Reads, printer: Printer, reference: Reference) -> None:
    """Print one type.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: the reference names no kind.
    """
    type = _find_type(store, reference)
    found = type_object(type)
    count = len(store.find(Kind(type.kind), type=type.name, type_version=type.version).ids())
    if printer.format is Format.JSON:
        printer.document(found | {"count": count})
        return
    fields = {name: value for name, value in found.items() if name != "properties" and value is not None}
    rows = [*fields.items(), (f"{Kind(type.kind).word}s of it", count)]
    rows += [(f"properties.{name}", property_word(number)) for name, number in type.properties.items()]
    printer.rows(("field", "value"), rows)


def _find_type(store: Reads, reference: Reference) -> Type:
    if reference.id is not None:
        for kind in Kind:
            for type in store.get_types(kind, with_system=True):
                if type.id == reference.id:
                    return type
        return store.get_type(Kind.ARTIFACT, id=reference.id)  # raises, and says what there is
    assert reference.type_name is not None
    if reference.type_name.lower() not in {kind.word for kind in Kind}:
        raise InvalidInputError(
            f"type {reference.type_name}:{reference.name}: {reference.type_name!r} is no kind of nodes",
            code=ErrorCode.INVALID_VALUE,
            hint="write 'type 10' or 'type artifact:Model'",
        )
    return store.get_type(reference.type_name, reference.name)


def _collect(store: Reads, kind: Kind, id: int) -> _Page:
    types = type_names(store)
    node = _get(store, kind, id)
    return _Page(
        to_object(kind, node, types) | _makers(store, kind, id),
        [{"id": c.id, "type": type_label(types, c.type_id), "name": c.name} for c in _contexts(store, kind, id)],
        _links(store, kind, id, types),
        _metrics(store, id) if kind is Kind.EXECUTION else [],
    )


def _makers(store: Reads, kind: Kind, id: int) -> dict[str, Any]:
    """Who made the node, and who changed it last: commits in short."""
    versions = [row for row in store.history(kind, id) if row["change"] in ("created", "changed")]
    names = ("commit", "recorded", "actor", "reason")
    made, changed = ({name: row[name] for name in names} for row in (versions[0], versions[-1]))
    return {"made": made, "changed": changed if changed != made else None}


def _get(store: Reads, kind: Kind, id: int) -> Node:
    match kind:
        case Kind.ARTIFACT:
            return store.get_artifact(id)
        case Kind.EXECUTION:
            return store.get_execution(id)
        case Kind.CONTEXT:
            return store.get_context(id)


def _contexts(store: Reads, kind: Kind, id: int) -> Sequence[Node]:
    match kind:
        case Kind.ARTIFACT:
            return store.get_contexts(artifact=id)
        case Kind.EXECUTION:
            return store.get_contexts(execution=id)
        case Kind.CONTEXT:
            return store.get_parent_contexts(id)


def _links(store: Reads, kind: Kind, id: int, types: Mapping[int, Type]) -> list[dict[str, Any]]:
    """The links of an artifact or an execution, each with the node at its other end; outputs last."""
    links: list[Link]
    others: Mapping[int, Node]
    if kind is Kind.ARTIFACT:
        links = store.get_links(artifacts=id)
        others = {node.id: node for node in store.get_executions({link.execution_id for link in links})}
        ends = [("execution", link.execution_id) for link in links]
    elif kind is Kind.EXECUTION:
        links = store.get_links(executions=id)
        others = {node.id: node for node in store.get_artifacts({link.artifact_id for link in links})}
        ends = [("artifact", link.artifact_id) for link in links]
    else:
        return []
    rows = [
        {
            "link": link_word(link.type),
            "kind": word,
            "id": other,
            "type": type_label(types, others[other].type_id) if other in others else None,
            "name": others[other].name if other in others else None,
            "path": path_text(link),
            "happened": time_of(link.time_ms or 0),
            "is_input": LinkType(link.type).is_input if link.type in set(LinkType) else None,
        }
        for link, (word, other) in zip(links, ends, strict=True)
    ]
    # An artifact is first made, then read; a step first reads, then makes.
    rows.sort(key=lambda row: bool(row["is_input"]) is (kind is Kind.ARTIFACT))
    return _without(rows, "is_input")


def _metrics(store: Reads, id: int) -> list[dict[str, Any]]:
    rows = store.sql("select key, step, value from metrics where execution_id = $id order by key, step, seq", id=id)
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        curves.setdefault(row["key"], []).append((row["step"], row["value"]))
    return [
        {
            "metric": key,
            "points": len(points),
            "first": points[0][1],
            "last": points[-1][1],
            "min": min(value for _, value in points),
            "max": max(value for _, value in points),
            "last_step": points[-1][0],
            "curve": sparkline([value for _, value in points]) if len(points) > 1 else None,
        }
        for key, points in curves.items()
    ]


def sparkline(values: Sequence[float], width: int = _SPARK_WIDTH) -> str:
    """A curve in one line of text; steps that share a sign are averaged, values that are no numbers left out."""
    finite = [value for value in values if value - value == 0]
    if not finite:
        return ""
    count = min(width, len(finite))
    edges = [round(i * len(finite) / count) for i in range(count + 1)]
    means = [sum(finite[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(_BARS[int((mean - low) / span * (len(_BARS) - 1))] if span else _BARS[0] for mean in means)


def _without(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != name} for row in rows]


def _fields(page: _Page) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        (name, value)
        for name, value in page.node.items()
        if name not in ("properties", "custom_properties", "type_id", "made", "changed") and value is not None
    ]
    for group in ("properties", "custom_properties"):
        rows += [(f"{group}.{name}", value) for name, value in sorted(page.node[group].items())]
    return rows


def _plain_rows(page: _Page) -> list[tuple[str, object]]:
    """The page as pairs of a field and its value: `links.2.name`, `metrics.1.last` ..."""
    rows = _fields(page)
    for word in ("made", "changed"):
        rows += [(f"{word}.{name}", value) for name, value in (page.node[word] or {}).items() if value is not None]
    for section in SECTIONS:
        for number, row in enumerate(_without(getattr(page, section), "curve"), start=1):
            rows += [(f"{section}.{number}.{name}", value) for name, value in row.items() if value is not None]
    return rows


def _print_page(printer: Printer, kind: Kind, page: _Page) -> None:
    from rich.text import Text

    title = f"{kind.word} {page.node['id']}: {page.node['type']}"
    if page.node["name"]:
        title += f" {cell_text(page.node['name'])}"
    printer.show(Text(title, style="bold"), Text(""))
    fields = [(name, value) for name, value in _fields(page) if name not in _TOLD]
    fields += [(word, _commit_text(page.node[word])) for word in ("made", "changed") if page.node[word]]
    printer.show(grid(("", ""), [(Text(name, style="dim"), value) for name, value in fields], header=False))
    links = [row | {"path": row["path"] or None} for row in _without(page.links, "kind")]
    sections = {"parents" if kind is Kind.CONTEXT else "contexts": page.contexts, "links": links}
    for name, rows in (sections | {"metrics": page.metrics}).items():
        if rows:
            printer.show(Text(""), Text(name, style="bold"))
            printer.rows(list(rows[0]), [list(row.values()) for row in rows[:ROWS_SHOWN]])
            if len(rows) > ROWS_SHOWN:
                printer.note(f"... and {len(rows) - ROWS_SHOWN} more; a pipe and --json have all")


_TOLD = frozenset({"kind", "id", "type", "name", "created", "updated"})
"""Fields that a page's title and its last lines tell."""


def _commit_text(commit: Mapping[str, Any]) -> str:
    why = f": {commit['reason']}" if commit["reason"] else ""
    return f"{cell_text(commit['recorded'])} by {commit['actor']}{why}"


__all__ = ["show_node", "show_type", "sparkline"]
