"""The logical tables: columns, sort orders, and which of them hold versions.

These are the storage tables beneath the SQL views; they may change with any release, as `views/` is folded again then.
`TABLES_FORMAT` goes up with each change to a column or to its meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

TABLES_FORMAT = 1
"""Version of the columns and files of `views/`; another one on disk means: fold again."""

ROW_GROUP_ROWS = 122_880

_SQL_TYPES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
}
_STRING, _INT8, _INT32, _INT64, _DOUBLE = pa.string(), pa.int8(), pa.int32(), pa.int64(), pa.float64()


class TableSpec(NamedTuple):
    """One logical table.

    `sort` is the order of rows in merged files. `place` is the column with the seq at which a row came to be.
    `versioned` tables hold versions, which later ones supersede; rows of the others stay for ever.
    """

    name: str
    schema: pa.Schema
    sort: tuple[str, ...]
    versioned: bool = False
    place: str = "seq"

    @property
    def columns(self) -> str:
        """The columns as SQL text, in order."""
        return ", ".join(f'"{name}"' for name in self.schema.names)

    @property
    def definition(self) -> str:
        """The columns with their SQL types, as CREATE TABLE wants them."""
        return ", ".join(f'"{field.name}" {_SQL_TYPES[str(field.type)]}' for field in self.schema)


NODE = TableSpec(
    "node",
    pa.schema(
        [
            ("nkey", _INT64),
            ("kind", _INT8),
            ("id", _INT64),
            ("seq", _INT64),
            ("prev", _INT64),
            ("type_id", _INT64),
            ("name", _STRING),
            ("external_id", _STRING),
            ("uri", _STRING),
            ("state", _INT8),
            ("create_ms", _INT64),
            ("update_ms", _INT64),
        ]
    ),
    ("kind", "type_id", "id"),
    versioned=True,
)
"""Versions of artifacts, executions and contexts; nkey = id << 2 | kind; times in ms since 1970 UTC."""

PROP = TableSpec(
    "prop",
    pa.schema(
        [
            ("nid", _INT32),
            ("nkey", _INT64),
            ("seq", _INT64),
            ("t", _INT8),
            ("i", _INT64),
            ("d", _DOUBLE),
            ("s", _STRING),
            ("b", pa.binary()),
        ]
    ),
    ("nid", "nkey"),
    versioned=True,
)
"""One value of one version of a node.

t is a `PropertyType`; i holds integers and booleans (0, 1), d doubles, s strings, the JSON text of a struct, the type
URL of a proto; b is the msgpack of a struct or a proto, from which the value can be had back whole.
"""

PROP_NAME = TableSpec(
    "prop_name",
    pa.schema([("nid", _INT32), ("kind", _INT8), ("custom", pa.bool_()), ("name", _STRING), ("seq", _INT64)]),
    ("nid",),
)

EDGE = TableSpec(
    "edge",
    pa.schema(
        [
            ("execution", _INT64),
            ("artifact", _INT64),
            ("type", _INT8),
            ("path", _STRING),
            ("ms", _INT64),
            ("seq", _INT64),
        ]
    ),
    ("execution",),
)
"""Links; path is JSON, ms is when it happened, in ms since 1970 UTC."""

LINK = TableSpec(
    "link",
    pa.schema([("kind", _INT8), ("context", _INT64), ("nkey", _INT64), ("seq", _INT64)]),
    ("kind", "context"),
)
"""Members of contexts, see the three kinds below; of a parent link, context is the parent and nkey the child."""

LINK_ATTRIBUTION, LINK_ASSOCIATION, LINK_PARENT = 1, 2, 3

POINT = TableSpec(
    "point",
    pa.schema([("run", _INT64), ("nid", _INT32), ("step", _INT64), ("ts", _INT64), ("v", _DOUBLE), ("seq", _INT64)]),
    ("run", "nid", "step"),
)
"""Points of metrics; run is the execution's id, ts is µs since 1970 UTC."""

TYPE = TableSpec(
    "type",
    pa.schema(
        [
            ("id", _INT64),
            ("kind", _INT8),
            ("name", _STRING),
            ("version", _STRING),
            ("description", _STRING),
            ("external_id", _STRING),
            ("properties", _STRING),
            ("base_type", _STRING),
            ("input_type", pa.binary()),
            ("output_type", pa.binary()),
            ("seq", _INT64),
            ("prev", _INT64),
        ]
    ),
    ("kind", "id"),
    versioned=True,
)
"""Versions of types; properties is a JSON object of name -> word of `PropertyType`. System types have seq 0."""

COMMITS = TableSpec(
    "commits",
    pa.schema(
        [
            ("commit", _INT64),
            ("first_seq", _INT64),
            ("last_seq", _INT64),
            ("time_us", _INT64),
            ("actor", _STRING),
            ("request_id", _STRING),
            ("reason", _STRING),
        ]
    ),
    ("commit",),
    place="first_seq",
)

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in (NODE, PROP, PROP_NAME, EDGE, LINK, POINT, TYPE, COMMITS)}
