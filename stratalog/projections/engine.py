"""The DuckDB instance behind the tables: merged relations, recent rows in memory, one macro a table.

`<table>_at(as_of)` gives a table as of a seq; of tables with versions `<table>_all_at(as_of)` gives all versions up to
a seq. What the macros read changes in one transaction, so each query sees the rows before a merge or those after it,
never a mixture, and the text of a query stays right for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from stratalog.projections.columns import type_table
from stratalog.projections.digest import digest
from stratalog.projections.manifest import Manifest
from stratalog.projections.payloads import Rows
from stratalog.projections.schema import NODE, TABLES, TYPE, TableSpec
from stratalog.projections.system_types import SYSTEM_TYPES
from stratalog.projections.visibility import Merged, everything, scan, visible

SUPERSEDED = "rec_superseded"


def recent_name(table: str) -> str:
    """The name of the in-memory table with the rows of `table` after the merged ones."""
    return f"rec_{table}"


def system_type_rows() -> pa.Table:
    """The system types as rows of the table `type`, with seq 0."""
    return type_table(Rows([0] * len(SYSTEM_TYPES), SYSTEM_TYPES, [None] * len(SYSTEM_TYPES)))


def merged_of(folder: Path, manifest: Manifest) -> Merged:
    """The merged files of a manifest as relations."""
    return Merged(
        manifest.merged_seq,
        {file.table: scan([folder / file.name]) for file in manifest.merged if file.role == "cur"},
        {file.table: scan([folder / file.name]) for file in manifest.merged if file.role == "hist"},
    )


class Frozen(msgspec.Struct, frozen=True):
    """What a second engine needs to answer as of any seq up to `head`: merged files, and all other rows as Arrow.

    `superseded` has the columns old and new: a version's seq, and that of the event which replaced it.
    """

    head: int
    merged: Merged
    recent: dict[str, pa.Table]
    superseded: pa.Table


class Engine:
    """One in-memory database. Its owner calls everything but `cursor` under one lock.

    Args:
        merged: the merged relations to start with.
        is_shared: whether they are files, which other engines can read.
    """

    def __init__(self, merged: Merged, *, is_shared: bool = True) -> None:
        self._is_shared = is_shared
        self._last_frozen: Frozen | None = None
        self._connection = duckdb.connect()
        # The default folder for what does not fit into memory lies in the current directory: none instead.
        statements = [
            "SET parquet_metadata_cache = true",
            "SET python_enable_replacements = false",
            "SET temp_directory = ''",
            f"CREATE TABLE {SUPERSEDED} (old BIGINT, new BIGINT)",
            f"CREATE TABLE system_type ({TYPE.definition})",
            *(f"CREATE TABLE {recent_name(spec.name)} ({spec.definition})" for spec in TABLES.values()),
        ]
        self._connection.execute("; ".join(statements))
        self._connection.register("incoming", system_type_rows())
        self._connection.execute("INSERT INTO system_type FROM incoming")
        self._connection.unregister("incoming")
        self.merged = merged
        self._generation = 0
        self._define_macros()

    def _define_macros(self) -> None:
        statements = []
        for spec in TABLES.values():
            text = visible(spec, "as_of", self.merged, recent=recent_name(spec.name), superseded=SUPERSEDED)
            if spec is TYPE:
                text += f" UNION ALL SELECT {spec.columns} FROM system_type"
            statements.append(f"CREATE OR REPLACE MACRO {spec.name}_at(as_of) AS TABLE {text}")
            if spec.versioned:
                versions = everything(spec, self.merged, recent=recent_name(spec.name))
                text = f"SELECT {spec.columns} FROM ({versions}) WHERE {spec.place} <= as_of"
                statements.append(f"CREATE OR REPLACE MACRO {spec.name}_all_at(as_of) AS TABLE {text}")
        self._connection.execute("; ".join(statements))

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one query or one thread."""
        return self._connection.cursor()

    def load_parts(self, folder: Path, manifest: Manifest) -> None:
        """Read the parts of a manifest into the recent tables."""
        for spec in TABLES.values():
            paths = manifest.paths(folder, spec.name, "part")
            if paths:
                self._insert(spec, scan(paths))

    def add(self, batches: Iterable[Mapping[str, pa.Table]]) -> None:
        """Add rows to the recent tables: all of them become visible at once."""
        batches = list(batches)
        self._connection.execute("BEGIN")
        try:
            for name, spec in TABLES.items():
                tables = [batch[name] for batch in batches if name in batch]
                if tables:
                    self._connection.register("incoming", pa.concat_tables(tables))
                    self._insert(spec, "incoming")
                    self._connection.unregister("incoming")
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def _insert(self, spec: TableSpec, relation: str) -> None:
        self._connection.execute(f"INSERT INTO {recent_name(spec.name)} SELECT {spec.columns} FROM {relation}")
        if spec in (NODE, TYPE):
            self._connection.execute(
                f"INSERT INTO {SUPERSEDED} SELECT prev, seq FROM {relation} WHERE prev IS NOT NULL"
            )

    def adopt(self, merged: Merged) -> None:
        """Go over to newer merged relations; recent rows that they hold are dropped."""
        self._connection.execute("BEGIN")
        try:
            for spec in TABLES.values():
                self._connection.execute(f"DELETE FROM {recent_name(spec.name)} WHERE {spec.place} <= {merged.seq}")
            self._connection.execute(f"DELETE FROM {SUPERSEDED} WHERE new <= {merged.seq}")
            before, self.merged = self.merged, merged
            try:
                self._define_macros()
                self._connection.execute("COMMIT")
            except BaseException:
                self.merged = before
                raise
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def merge_in_memory(self, head: int) -> None:
        """The merge of tables without a folder: merged rows become sorted tables of this database."""
        self._generation += 1
        cur: dict[str, str] = {}
        hist: dict[str, str] = {}
        for spec in TABLES.values():
            cur[spec.name] = f"cur_{spec.name}_{self._generation}"
            order = ", ".join(dict.fromkeys((*spec.sort, spec.place)))
            recent = recent_name(spec.name)
            opened = everything(spec, Merged(0, self.merged.cur), recent=recent)
            closing = f"{SUPERSEDED} x WHERE x.old = r.{spec.place}"
            keep = f"WHERE NOT EXISTS (FROM {closing})" if spec.versioned else ""
            self._connection.execute(
                f"CREATE TABLE {cur[spec.name]} AS SELECT * FROM ({opened}) r {keep} ORDER BY {order}"
            )
            if spec.versioned:
                hist[spec.name] = f"hist_{spec.name}_{self._generation}"
                earlier = self.merged.hist.get(spec.name)
                text = f"SELECT r.*, x.new AS seq_to FROM ({opened}) r, {closing}"
                if earlier is not None:
                    text += f" UNION ALL FROM {earlier}"
                self._connection.execute(f"CREATE TABLE {hist[spec.name]} AS FROM ({text}) ORDER BY {order}")
        before = self.merged
        self.adopt(Merged(head, cur, hist))
        for name in (*before.cur.values(), *before.hist.values()):
            self._connection.execute(f"DROP TABLE {name}")

    def frozen(self, head: int, tables: frozenset[str]) -> Frozen:
        """Some tables as Arrow and files; the caller sees to it that `head` has been reached and stays."""
        shared = self.merged if self._is_shared else Merged()
        last = self._last_frozen
        if last is None or last.head != head or last.merged != shared:
            last = Frozen(head, shared, {}, self._superseded())
        for name in tables - last.recent.keys():
            relation = recent_name(name)
            if not self._is_shared:
                relation = f"({everything(TABLES[name], self.merged, recent=relation)})"
            rows = self.cursor().sql(f"FROM {relation}").to_arrow_table()
            last = msgspec.structs.replace(last, recent={**last.recent, name: rows})
        self._last_frozen = last
        return last

    def _superseded(self) -> pa.Table:
        if self._is_shared:
            return self.cursor().sql(f"FROM {SUPERSEDED}").to_arrow_table()
        versions = " UNION ALL ".join(
            f"SELECT prev AS old, seq AS new FROM ({everything(spec, self.merged, recent=recent_name(spec.name))})"
            for spec in (NODE, TYPE)
        )
        return self.cursor().sql(f"FROM ({versions}) WHERE old IS NOT NULL").to_arrow_table()

    def recent_row_count(self) -> int:
        """Rows in all recent tables together."""
        counts = " + ".join(f"(SELECT count(*) FROM {recent_name(name)})" for name in TABLES)
        ((count,),) = self.cursor().execute(f"SELECT {counts}").fetchall()
        return int(count)

    def digests(self) -> dict[str, str]:
        """The digest of each table over its full history; see `digest.digest`."""
        cursor = self.cursor()
        return {name: digest(cursor, spec, self.merged, recent=recent_name(name)) for name, spec in TABLES.items()}
