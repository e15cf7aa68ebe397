"""Digests of tables that depend on their rows alone: not on files, batches, merges or the order of rows."""

from __future__ import annotations

import duckdb

from stratalog.projections.schema import TableSpec
from stratalog.projections.visibility import Merged, everything


def digest(cursor: duckdb.DuckDBPyConnection, spec: TableSpec, merged: Merged, *, recent: str) -> str:
    """`<rows>-<sum of the rows' MD5, 32 hex digits>` over the full history of one table.

    A row's MD5 is taken over its values as text, with bars between them and its length before each text that may hold
    a bar itself, so no two rows read alike.
    """
    text = " || '|' || ".join(
        _text(name, kind) for name, kind in zip(spec.schema.names, spec.schema.types, strict=True)
    )
    rows = everything(spec, merged, recent=recent)
    # Halves of 64 bits summed as 128: the sum cannot overflow below 2^63 rows.
    ((count, lower, upper),) = cursor.execute(
        f"SELECT count(*), coalesce(sum(md5_number_lower(m)), 0), coalesce(sum(md5_number_upper(m)), 0) "
        f"FROM (SELECT {text} AS m FROM ({rows}))"
    ).fetchall()
    return f"{count}-{(int(lower) + (int(upper) << 64)) % (1 << 128):032x}"


def _text(name: str, kind: object) -> str:
    """SQL for one value as text that cannot be mistaken for its neighbour's."""
    match str(kind):
        case "string":
            return f"""coalesce(strlen("{name}") || ':' || "{name}", '-')"""
        case "binary":
            return f"""coalesce('x' || hex("{name}"), '-')"""
        case _:
            return f"""coalesce("{name}"::VARCHAR, '')"""
