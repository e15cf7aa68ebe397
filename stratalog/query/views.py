"""The SQL views that users may rely on: names, columns, order of rows.

Their text is built for one query: only the joins that its columns need are in it. Rows come in the order of `order`,
which is total, so what depends on the order of rows (sums of floating-point numbers, ties, LIMIT) is the same however
the rows are stored.

Source: docs/reference/sql-views.md.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from stratalog.eventlog.events import (
    INPUT_TYPES,
    ArtifactState,
    ExecutionState,
    Kind,
    LinkType,
    PropertyType,
)
from stratalog.projections.schema import LINK_ASSOCIATION, LINK_ATTRIBUTION, LINK_PARENT


class Column(NamedTuple):
    """A column of a view: its SQL type, the expression over the view's relation, and the joins it needs."""

    name: str
    type: str
    expression: str
    joins: frozenset[str] = frozenset()


class View(NamedTuple):
    """A view over storage tables.

    `relation` and the values of `joins` are SQL with `{table}` for each storage table in `tables` or `join_tables`.
    """

    name: str
    columns: tuple[Column, ...]
    relation: str
    joins: dict[str, str]
    order: str

    def sql(self, source: Callable[[str], str], wanted: frozenset[str] | None) -> str:
        """The SELECT of the view.

        Args:
            source: storage table -> SQL relation.
            wanted: lower-case names that the query mentions; columns that are not among them may be left out.
                None: all columns.
        """
        columns = [column for column in self.columns if wanted is None or column.name in wanted]
        needed = {join for column in columns for join in column.joins}
        tables = _Sources(source)
        text = self.relation.format_map(tables)
        for name, join in self.joins.items():
            if name in needed:
                text += " " + join.format_map(tables)
        # A query may mention no column at all (count(*)): a view needs one.
        listed = ", ".join(f'{column.expression} AS "{column.name}"' for column in columns or self.columns[:1])
        return f"SELECT {listed} FROM {text} ORDER BY {self.order}"


class _Sources(dict[str, str]):
    def __init__(self, source: Callable[[str], str]) -> None:
        super().__init__()
        self._source = source

    def __missing__(self, table: str) -> str:
        return self._source(table)


def _words(column: str, words: type[IntEnum], *, only: frozenset[IntEnum] | None = None) -> str:
    """SQL that turns a number into its word; a number of a newer release stays a number, as text."""
    cases = " ".join(f"WHEN {int(word)} THEN '{word.name}'" for word in words if only is None or word in only)
    return f"CASE {column} {cases} ELSE {column}::VARCHAR END"


def _timestamp(column: str, unit_us: int) -> str:
    """SQL that turns a number since 1970 into a TIMESTAMPTZ; NULL outside the years 1 to 9999."""
    low, high = -62_135_596_800_000_000 // unit_us, 253_402_300_799_999_999 // unit_us
    return f"CASE WHEN {column} BETWEEN {low} AND {high} THEN make_timestamptz({column} * {unit_us}) END"


_COMMIT = frozenset({"commit"})
_TYPE = frozenset({"type"})
_NAME = frozenset({"name"})

_KIND_WORDS = "CASE {0} " + " ".join(f"WHEN {int(kind)} THEN '{kind.word}'" for kind in Kind) + " END"
_RECORDED = Column("recorded", "TIMESTAMPTZ", _timestamp("c.time_us", 1), _COMMIT)


def _commit_join(alias: str) -> dict[str, str]:
    return {"commit": f"ASOF LEFT JOIN {{commits}} c ON {alias}.seq >= c.first_seq"}


def _node_view(name: str, kind: Kind, states: type[IntEnum] | None) -> View:
    columns = [
        Column("id", "BIGINT", "n.id"),
        Column("type_id", "BIGINT", "n.type_id"),
        Column("type", "VARCHAR", "y.name", _TYPE),
        Column("type_version", "VARCHAR", "y.version", _TYPE),
        Column("name", "VARCHAR", "n.name"),
    ]
    if kind is Kind.ARTIFACT:
        columns.append(Column("uri", "VARCHAR", "n.uri"))
    if states is not None:
        columns.append(Column("state", "VARCHAR", _words("n.state", states)))
    columns += [
        Column("external_id", "VARCHAR", "n.external_id"),
        Column("created", "TIMESTAMPTZ", _timestamp("n.create_ms", 1000)),
        Column("updated", "TIMESTAMPTZ", _timestamp("n.update_ms", 1000)),
        _RECORDED,
        Column("seq", "BIGINT", "n.seq"),
        Column("actor", "VARCHAR", "c.actor", _COMMIT),
    ]
    return View(
        name,
        tuple(columns),
        f"(FROM {{node}} WHERE kind = {int(kind)}) n",
        {"type": "LEFT JOIN {type} y ON y.id = n.type_id", **_commit_join("n")},
        "n.id",
    )


# The msgpack of a proto is [type_url, bytes]: the bytes are what follows both headers and the URL.
_PROTO_HEAD = (
    "1 + strlen(p.s) + CASE WHEN strlen(p.s) < 32 THEN 1 WHEN strlen(p.s) < 256 THEN 2 WHEN strlen(p.s) < 65536 THEN 3 "
    "ELSE 5 END"
)
_PROTO_REST = f"octet_length(p.b) - ({_PROTO_HEAD})"
_PROTO_BYTES = (
    f"p.b[{_PROTO_HEAD} + 1 + CASE WHEN {_PROTO_REST} <= 257 THEN 2 WHEN {_PROTO_REST} <= 65538 THEN 3 ELSE 5 END:]"
)


def _of_type(kind: PropertyType, expression: str) -> str:
    return f"CASE WHEN p.t = {int(kind)} THEN {expression} END"


_PROPERTIES = View(
    "properties",
    (
        Column("kind", "VARCHAR", _KIND_WORDS.format("p.nkey & 3")),
        Column("id", "BIGINT", "p.nkey >> 2"),
        Column("name", "VARCHAR", "k.name", _NAME),
        Column("custom", "BOOLEAN", "k.custom", _NAME),
        Column("type", "VARCHAR", _words("p.t", PropertyType)),
        Column("int_value", "BIGINT", _of_type(PropertyType.INT, "p.i")),
        Column("double_value", "DOUBLE", "p.d"),
        Column("string_value", "VARCHAR", _of_type(PropertyType.STRING, "p.s")),
        Column("bool_value", "BOOLEAN", _of_type(PropertyType.BOOLEAN, "p.i = 1")),
        Column("struct_value", "JSON", _of_type(PropertyType.STRUCT, "p.s::JSON")),
        Column("proto_type_url", "VARCHAR", _of_type(PropertyType.PROTO, "p.s")),
        Column("proto_value", "BLOB", _of_type(PropertyType.PROTO, _PROTO_BYTES)),
        Column(
            "text",
            "VARCHAR",
            f"CASE WHEN p.t = {int(PropertyType.BOOLEAN)} THEN (p.i = 1)::VARCHAR "
            "ELSE coalesce(p.s, p.i::VARCHAR, p.d::VARCHAR) END",
        ),
        Column("seq", "BIGINT", "p.seq"),
    ),
    "{prop} p",
    {"name": "JOIN {prop_name} k ON k.nid = p.nid"},
    "p.nkey, p.nid",
)

_INPUTS = ", ".join(str(int(kind)) for kind in sorted(INPUT_TYPES))

_EVENTS = View(
    "events",
    (
        Column("execution_id", "BIGINT", "e.execution"),
        Column("artifact_id", "BIGINT", "e.artifact"),
        Column("type", "VARCHAR", _words("e.type", LinkType)),
        Column("direction", "VARCHAR", f"CASE WHEN e.type IN ({_INPUTS}) THEN 'input' ELSE 'output' END"),
        Column("path", "JSON", "e.path::JSON"),
        Column("happened", "TIMESTAMPTZ", _timestamp("e.ms", 1000)),
        Column("seq", "BIGINT", "e.seq"),
        _RECORDED,
    ),
    "{edge} e",
    _commit_join("e"),
    "e.seq",
)


def _link_view(name: str, kind: int, context: str, member: str) -> View:
    columns = [
        Column(context, "BIGINT", "l.context"),
        Column(member, "BIGINT", "l.nkey >> 2"),
        Column("seq", "BIGINT", "l.seq"),
        _RECORDED,
    ]
    return View(name, tuple(columns), f"(FROM {{link}} WHERE kind = {kind}) l", _commit_join("l"), "l.seq")


_TYPES = View(
    "types",
    (
        Column("id", "BIGINT", "y.id"),
        Column("kind", "VARCHAR", _KIND_WORDS.format("y.kind")),
        Column("name", "VARCHAR", "y.name"),
        Column("version", "VARCHAR", "y.version"),
        Column("description", "VARCHAR", "y.description"),
        Column("external_id", "VARCHAR", "y.external_id"),
        Column("properties", "JSON", "y.properties::JSON"),
        Column("base_type", "VARCHAR", "y.base_type"),
        Column("is_system", "BOOLEAN", "y.seq = 0"),
        Column("seq", "BIGINT", "y.seq"),
        _RECORDED,
    ),
    "{type} y",
    _commit_join("y"),
    "y.id",
)

_COMMITS = View(
    "commits",
    (
        Column("commit", "BIGINT", 'c."commit"'),
        Column("first_seq", "BIGINT", "c.first_seq"),
        Column("last_seq", "BIGINT", "c.last_seq"),
        Column("recorded", "TIMESTAMPTZ", _timestamp("c.time_us", 1)),
        Column("actor", "VARCHAR", "c.actor"),
        Column("request_id", "VARCHAR", "c.request_id"),
        Column("reason", "VARCHAR", "c.reason"),
    ),
    "{commits} c",
    {},
    "c.first_seq",
)

_METRICS = View(
    "metrics",
    (
        Column("execution_id", "BIGINT", "m.run"),
        Column("key", "VARCHAR", "k.name", _NAME),
        Column("step", "BIGINT", "m.step"),
        Column("happened", "TIMESTAMPTZ", _timestamp("m.ts", 1)),
        Column("value", "DOUBLE", "m.v"),
        Column("seq", "BIGINT", "m.seq"),
    ),
    "{point} m",
    {"name": "JOIN {prop_name} k ON k.nid = m.nid"},
    "m.run, m.nid, m.step, m.seq, m.ts, m.v",
)

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        _node_view("artifacts", Kind.ARTIFACT, ArtifactState),
        _node_view("executions", Kind.EXECUTION, ExecutionState),
        _node_view("contexts", Kind.CONTEXT, None),
        _PROPERTIES,
        _EVENTS,
        _link_view("attributions", LINK_ATTRIBUTION, "context_id", "artifact_id"),
        _link_view("associations", LINK_ASSOCIATION, "context_id", "execution_id"),
        _link_view("parent_contexts", LINK_PARENT, "parent_id", "child_id"),
        _TYPES,
        _COMMITS,
        _METRICS,
    )
}
"""The views by name."""
