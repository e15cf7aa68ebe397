"""A snapshot: the tables pinned at one seq. Every question is asked of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stratalog.projections.names import PropertyNames
from stratalog.projections.tables import Tables

if TYPE_CHECKING:
    import pyarrow as pa

Parameters = Sequence[object] | Mapping[str, object]
"""Values bound to a query: a sequence for `$1` or `?`, a mapping for `$name`."""


class Snapshot:
    """The tables as of `seq`. It holds no resources, never changes, and may be used by any number of threads.

    Args:
        tables: the read model.
        seq: what is known then: events up to this number; one that `tables` have or the log has.
    """

    def __init__(self, tables: Tables, seq: int) -> None:
        self._tables = tables
        self._seq = int(seq)

    def __repr__(self) -> str:
        return f"Snapshot(seq={self._seq})"

    @property
    def seq(self) -> int:
        """The seq that the snapshot is pinned at."""
        return self._seq

    @property
    def tables(self) -> Tables:
        """The read model beneath."""
        return self._tables

    @property
    def names(self) -> PropertyNames:
        """The numbers of property names; also of names first used after `seq`, which no row of the snapshot has."""
        return self._tables.names()

    def table(self, name: str) -> str:
        """The SQL relation with a storage table (see `projections.schema.TABLES`) as of the snapshot's seq."""
        return self._tables.source(name, self._seq)

    def query(self, sql: str, params: Parameters = ()) -> pa.Table:
        """Run internal SQL over `table(...)` relations. Rows come in no order but that of ORDER BY.

        Raises:
            duckdb.Error: the SQL is wrong.
        """

        def work() -> pa.Table:
            if self._tables.head < self._seq:
                self._tables.refresh()
            cursor = self._tables.cursor()
            try:
                return cursor.sql(sql, params=_bound(params)).to_arrow_table()
            finally:
                cursor.close()

        return self._tables.retrying(work)

    def sql(self, text: str, params: Parameters = ()) -> pa.Table:
        """Run a user's SQL over the documented views, as of the snapshot's seq; see docs/reference/sql-views.md.

        Args:
            text: one SELECT (or WITH, VALUES, FROM, DESCRIBE, SUMMARIZE).
            params: values for `?`, `$1` or `$name`.

        Raises:
            InvalidInputError: it is something else, reads something else, or DuckDB refuses it (code `invalid_sql`).
        """
        import duckdb

        from stratalog.query.sandbox import first_line, sandbox_of
        from stratalog.query.statement import invalid_sql

        def work() -> pa.Table:
            if self._tables.head < self._seq:
                self._tables.refresh()
            return sandbox_of(self._tables).run(self._tables, self._seq, text, params)

        try:
            return self._tables.retrying(work)
        except duckdb.Error as error:
            raise invalid_sql(text, first_line(error)) from error


def _bound(params: Parameters) -> object:
    bound = dict(params) if isinstance(params, Mapping) else list(params)
    return bound or None
