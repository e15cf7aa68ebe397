"""What a user's SQL text mentions, read from DuckDB's own parse of it, and whether it may run."""

from __future__ import annotations

import difflib
from typing import Any

import duckdb
import msgspec

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.query.views import VIEWS

_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree"})
"""Table functions that read nothing but their arguments."""

_REFUSED_FUNCTIONS = frozenset({"getenv", "current_setting", "getvariable", "current_database", "current_schemas"})
"""Functions that tell about the process instead of the store."""

_HINT = f"the views are {', '.join(VIEWS)}; their columns stand in the reference, or in DESCRIBE <view>"


class Statement(msgspec.Struct, frozen=True):
    """A SELECT that may run: the views it reads, and the names it mentions (None: it may read every column)."""

    views: frozenset[str]
    mentioned: frozenset[str] | None


def parse(cursor: duckdb.DuckDBPyConnection, text: str) -> Statement:
    """Read a user's SQL.

    Raises:
        InvalidInputError: it is no SELECT, more than one, or reads something else than the views
            (code `invalid_sql`).
    """
    # fetchall, not fetchone: DuckDB 2 keeps the connection busy until a result is drained.
    ((parsed,),) = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()
    tree = msgspec.json.decode(parsed)
    if tree["error"]:
        if tree.get("error_type") == "parser":
            raise invalid_sql(text, str(tree["error_message"]))
        raise invalid_sql(text, "only statements that read are allowed: SELECT, WITH, VALUES, DESCRIBE, SUMMARIZE")
    if len(tree["statements"]) != 1:
        raise invalid_sql(text, f"one statement is expected, not {len(tree['statements'])}")
    reader = _Reader(text)
    reader.collect_names(tree)
    reader.visit(tree)
    return Statement(frozenset(reader.views), None if reader.wants_all else frozenset(reader.mentioned))


def invalid_sql(text: str, message: str, *, hint: str = _HINT) -> InvalidInputError:
    """The error for SQL that cannot run."""
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return InvalidInputError(f"sql {shown!r}: {message}", code=ErrorCode.INVALID_SQL, hint=hint)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._names: set[str] = set()  # of common table expressions
        self._aliases: set[str] = set(VIEWS)
        self.views: set[str] = set()
        self.mentioned: set[str] = set()
        self.wants_all = False

    def collect_names(self, node: Any) -> None:
        """Collect what the statement itself gives a name to."""
        if isinstance(node, list):
            for item in node:
                self.collect_names(item)
        elif isinstance(node, dict):
            for entry in (node.get("cte_map") or {}).get("map", ()):
                self._names.add(str(entry["key"]).lower())
            if isinstance(node.get("alias"), str):
                self._aliases.add(node["alias"].lower())
            for item in node.values():
                self.collect_names(item)

    def visit(self, node: Any) -> None:
        """Check one node of the parse tree and those below it."""
        if isinstance(node, list):
            for item in node:
                self.visit(item)
            return
        if not isinstance(node, dict):
            return
        match node.get("type"):
            case "BASE_TABLE":
                self._base_table(node)
            case "TABLE_FUNCTION":
                self._table_function(node)
            case "SHOW_REF":
                if node.get("query") is None:
                    raise invalid_sql(self._text, "SHOW is not allowed", hint=_HINT)
                self.wants_all = True
            case "STAR":
                self.wants_all = True
            case "COLUMN_REF":
                self._column([str(part).lower() for part in node["column_names"]])
            case "JOIN":
                self._join(node)
            case _:
                self._function(node)
        for item in node.values():
            self.visit(item)

    def _base_table(self, node: dict[str, Any]) -> None:
        name = str(node["table_name"])
        if node.get("column_name_alias"):  # columns renamed by their place
            self.wants_all = True
        path = [part for part in (node.get("catalog_name"), node.get("schema_name")) if part]
        if path:
            raise invalid_sql(self._text, f"there is no view {'.'.join([*path, name])!r}: views stand in no schema")
        if name.lower() in VIEWS:  # also where a common table expression has that name: it may read the view
            self.views.add(name.lower())
        elif name.lower() not in self._names:
            close = difflib.get_close_matches(name.lower(), list(VIEWS), n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise invalid_sql(self._text, f"there is no view {name!r}", hint=hint + _HINT)

    def _table_function(self, node: dict[str, Any]) -> None:
        name = str(node["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise invalid_sql(self._text, f"the table function {name!r} is not allowed")

    def _function(self, node: dict[str, Any]) -> None:
        name = str(node.get("function_name", "")).lower()
        if name in _REFUSED_FUNCTIONS:
            raise invalid_sql(self._text, f"the function {name!r} is not allowed")

    def _column(self, parts: list[str]) -> None:
        self.mentioned.update(parts)
        # The bare name of a relation is its whole row.
        if len(parts) == 1 and parts[0] in self._aliases and parts[0] not in _ALL_COLUMNS:
            self.wants_all = True

    def _join(self, node: dict[str, Any]) -> None:
        self.mentioned.update(str(name).lower() for name in node.get("using_columns") or ())
        if node.get("ref_type") == "NATURAL":
            self.wants_all = True


_ALL_COLUMNS = frozenset(column.name for view in VIEWS.values() for column in view.columns)
