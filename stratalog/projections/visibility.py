"""The rule of visibility as SQL.

A version with number `seq` is visible at `as_of` iff seq <= as_of and no event with prev = seq has seq <= as_of. Rows
of tables without versions are visible from their seq on.

Up to `merged_seq` the rule is resolved in files: *cur* holds the versions that were open then, *hist* those that were
closed, with the seq that closed them in `seq_to`. Everything later is *recent*: all its versions in one relation per
table, and all (old, new) pairs of seqs in one small relation, `superseded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from stratalog.projections.schema import TableSpec


class Merged(msgspec.Struct, frozen=True):
    """The merged state of the tables: SQL relations (a file to scan, or a table), and the last seq in them.

    A table without merged rows is missing from `cur` or `hist`.
    """

    seq: int = 0
    cur: Mapping[str, str] = {}
    hist: Mapping[str, str] = {}


def visible(spec: TableSpec, as_of: str, merged: Merged, *, recent: str, superseded: str) -> str:
    """SELECT of the rows of one table that are visible at `as_of`.

    Branches that a constant `as_of` rules out cost nothing: DuckDB folds the comparison and drops the scan.

    Args:
        as_of: SQL for the seq: a number, or the parameter of a macro.
        recent: relation with all rows after `merged.seq`.
        superseded: relation with the pairs (old, new) of events after `merged.seq`.
    """
    place = spec.place
    cur, hist = merged.cur.get(spec.name), merged.hist.get(spec.name)
    # As a join this takes half the time that it takes as NOT EXISTS, which DuckDB makes a correlated subquery of.
    gone = f" ANTI JOIN (SELECT old FROM {superseded} WHERE new <= {as_of}) x ON x.old = r.{place}"
    still_open = f"r{gone if spec.versioned else ''}"
    branches = [f"SELECT {spec.columns} FROM {recent} {still_open} WHERE {place} <= {as_of}"]
    if cur is not None:
        branches.append(f"SELECT {spec.columns} FROM {cur} {still_open} WHERE {as_of} >= {merged.seq}")
        branches.append(f"SELECT {spec.columns} FROM {cur} WHERE {as_of} < {merged.seq} AND {place} <= {as_of}")
    if hist is not None:
        branches.append(
            f"SELECT {spec.columns} FROM {hist} "
            f"WHERE {as_of} < {merged.seq} AND {place} <= {as_of} AND seq_to > {as_of}"
        )
    return " UNION ALL ".join(branches)


def everything(spec: TableSpec, merged: Merged, *, recent: str) -> str:
    """SELECT of all rows of one table, open and closed."""
    relations = [recent, merged.cur.get(spec.name), merged.hist.get(spec.name)]
    return " UNION ALL ".join(f"SELECT {spec.columns} FROM {name}" for name in relations if name is not None)


def scan(paths: list[Path]) -> str:
    """The relation that reads Parquet files of ours."""
    return f"read_parquet([{', '.join(map(quote_path, paths))}])"


def quote_path(path: Path) -> str:
    """A path as a SQL literal that stands for this file only, whatever signs are in its name."""
    text = "".join(f"[{sign}]" if sign in "[*?" else sign for sign in str(path))
    return "'" + text.replace("'", "''") + "'"
