"""Parts and the merged files to the next merged files, by SQL over Parquet.

Memory is bounded: DuckDB spills what does not fit into a folder inside `views/`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from stratalog.projections.manifest import FileEntry, Manifest, Role, describe, new_name
from stratalog.projections.schema import NODE, ROW_GROUP_ROWS, TABLES, TYPE, TableSpec
from stratalog.projections.visibility import scan

_COPY_OPTIONS = f"(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"


def merge_files(folder: Path, manifest: Manifest, *, memory_limit: str) -> list[FileEntry]:
    """Write the merged files that hold everything `manifest` covers, and return their entries.

    A table to which the parts add nothing keeps its files.

    Raises:
        duckdb.Error, OSError: a file cannot be read or written.
    """
    spill = folder / "table-spill"
    connection = duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spill)})
    try:
        return _Merger(connection, folder, manifest).run()
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)


class _Merger:
    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> None:
        self._connection = connection
        self._folder = folder
        self._manifest = manifest

    def run(self) -> list[FileEntry]:
        has_superseded = self._collect_superseded()
        entries: list[FileEntry] = []
        for spec in TABLES.values():
            if self._paths(spec, "part") or (spec.versioned and has_superseded):
                entries.extend(self._merge(spec))
            else:
                entries.extend(file for file in self._manifest.merged if file.table == spec.name)
        return entries

    def _paths(self, spec: TableSpec, role: Role) -> list[Path]:
        return self._manifest.paths(self._folder, spec.name, role)

    def _collect_superseded(self) -> bool:
        pairs = [
            f"SELECT prev AS old, seq AS new FROM {scan(paths)} WHERE prev IS NOT NULL"
            for spec in (NODE, TYPE)
            if (paths := self._paths(spec, "part"))
        ]
        select = " UNION ALL ".join(pairs) or "SELECT 0::BIGINT AS old, 0::BIGINT AS new WHERE false"
        self._connection.execute(
            f"CREATE TEMP TABLE superseded AS SELECT old, min(new) AS new FROM ({select}) GROUP BY old"
        )
        ((count,),) = self._connection.execute("SELECT count(*) FROM superseded").fetchall()
        return int(count) > 0

    def _merge(self, spec: TableSpec) -> list[FileEntry]:
        columns = spec.columns
        opened = self._paths(spec, "cur") + self._paths(spec, "part")
        order = ", ".join(dict.fromkeys((*spec.sort, spec.place)))
        if not spec.versioned:
            return self._copy(spec, "cur", f"SELECT {columns} FROM {scan(opened)} ORDER BY {order}")
        if not opened:
            return [file for file in self._manifest.merged if file.table == spec.name]
        candidates = f"(SELECT {columns} FROM {scan(opened)})"
        cur = (
            f"SELECT {columns} FROM {candidates} r "
            f"WHERE NOT EXISTS (FROM superseded x WHERE x.old = r.{spec.place}) ORDER BY {order}"
        )
        hist = f"SELECT {columns}, x.new AS seq_to FROM {candidates} r JOIN superseded x ON x.old = r.{spec.place}"
        closed = self._paths(spec, "hist")
        if closed:
            hist += f" UNION ALL SELECT {columns}, seq_to FROM {scan(closed)}"
        return self._copy(spec, "cur", cur) + self._copy(spec, "hist", f"{hist} ORDER BY {order}")

    def _copy(self, spec: TableSpec, role: Role, select: str) -> list[FileEntry]:
        path = self._folder / new_name(spec.name, role, self._manifest.seq)
        target = "'" + str(path).replace("'", "''") + "'"
        ((row_count,),) = self._connection.execute(f"COPY ({select}) TO {target} {_COPY_OPTIONS}").fetchall()
        if row_count == 0:
            path.unlink(missing_ok=True)
            return []
        return [describe(path, spec.name, role, int(row_count))]
