"""The second DuckDB instance, in which users' own SQL runs.

It sees the merged files of the tables and the recent rows as Arrow, and nothing else: no other file, no network, no
setting can be reached, and only statements that read the documented views are let in. It works with one thread and
joins in the order written, over views whose rows are in a total order. So a query gives the same bytes whenever it is
asked as of the same seq, whatever was sealed, merged, rebuilt or copied in between.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from stratalog.projections.engine import Frozen, system_type_rows
from stratalog.projections.schema import TABLES, TYPE
from stratalog.projections.tables import Tables, leave_to_parent
from stratalog.projections.visibility import visible
from stratalog.query.statement import Statement, invalid_sql, parse
from stratalog.query.views import VIEWS

Parameters = Sequence[object] | Mapping[str, object]

_STORAGE_OF = {
    name: frozenset(table for table in TABLES if "{" + table + "}" in " ".join((view.relation, *view.joins.values())))
    for name, view in VIEWS.items()
}
"""The storage tables that a view may read."""

_MAYBE_DAMAGE = (
    duckdb.IOException,
    duckdb.InvalidInputException,
    duckdb.SerializationException,
    duckdb.FatalException,
    duckdb.InternalException,
)
"""What DuckDB raises for bytes that it cannot read; some of it for wrong SQL, too."""

_sandboxes: weakref.WeakKeyDictionary[Tables, Sandbox] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def sandbox_of(tables: Tables) -> Sandbox:
    """The one sandbox of some tables."""
    with _making:
        found = _sandboxes.get(tables)
        if found is None or found.pid != os.getpid():
            leave_to_parent(found)
            found = _sandboxes[tables] = Sandbox(str(tables.folder) if tables.folder is not None else None)
        return found


class Sandbox:
    """A locked DuckDB instance.

    Args:
        folder: the only folder whose files may be read; None: no files at all.
    """

    def __init__(self, folder: str | None) -> None:
        self.pid = os.getpid()
        self._connection = duckdb.connect()
        for setting in (
            "threads = 1",
            "TimeZone = 'UTC'",
            "disabled_optimizers = 'join_order,build_side_probe_side'",
            "parquet_metadata_cache = true",
            "python_enable_replacements = false",
            "temp_directory = ''",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
        ):
            self._connection.execute(f"SET {setting}")
        if folder is not None:
            quoted = folder.replace("'", "''")
            self._connection.execute(f"SET allowed_directories = ['{quoted}']")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def run(self, tables: Tables, seq: int, text: str, parameters: Parameters) -> pa.Table:
        """Answer a user's SQL as of `seq`.

        Raises:
            InvalidInputError: it may not run, or DuckDB refuses it (code `invalid_sql`).
            duckdb.Error: a file of the tables may be damaged or gone; if none is, the SQL is to blame after all.
        """
        cursor = self._connection.cursor()
        try:
            statement = parse(cursor, text)
            needed = frozenset[str]().union(*(_STORAGE_OF[name] for name in statement.views))
            self._define(cursor, statement, tables.frozen(needed), seq)
            bound = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
            try:
                return _in_utc(cursor.sql(text, params=bound or None).to_arrow_table())
            except _MAYBE_DAMAGE:
                raise
            except (duckdb.Error, TypeError, ValueError, OverflowError) as error:
                raise invalid_sql(text, first_line(error), hint=_columns_hint(statement)) from error
        finally:
            cursor.close()

    def _define(self, cursor: duckdb.DuckDBPyConnection, statement: Statement, frozen: Frozen, seq: int) -> None:
        for name, rows in frozen.recent.items():
            cursor.register(f"recent_{name}", rows)
        cursor.register("superseded", frozen.superseded)
        cursor.register("system_type", system_type_rows())

        def source(table: str) -> str:
            spec = TABLES[table]
            text = visible(spec, str(seq), frozen.merged, recent=f"recent_{table}", superseded="superseded")
            if spec is TYPE:
                text += f" UNION ALL SELECT {spec.columns} FROM system_type"
            return f"({text})"

        for name in sorted(statement.views):
            view = VIEWS[name].sql(source, statement.mentioned)
            cursor.execute(f"CREATE TEMP VIEW {name} AS {view}")


def _in_utc(rows: pa.Table) -> pa.Table:
    """The same rows with times in "UTC", which DuckDB calls "Etc/UTC" or "UTC" by its version."""
    fields = [
        field.with_type(pa.timestamp(field.type.unit, tz="UTC"))
        if pa.types.is_timestamp(field.type) and field.type.tz is not None
        else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def first_line(error: BaseException) -> str:
    """DuckDB's message without the drawing of the place, and without a list of columns: the hint has them all."""
    return str(error).split("\n\nLINE ")[0].split("\nCandidate bindings")[0].strip()


def _columns_hint(statement: Statement) -> str:
    if not statement.views:
        return f"the views are {', '.join(VIEWS)}"
    return "; ".join(
        f"{name} has {', '.join(column.name for column in VIEWS[name].columns)}" for name in sorted(statement.views)
    )
