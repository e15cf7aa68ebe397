"""Batches of columns to Parquet parts. Needs pyarrow only, so a process that just writes never loads DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stratalog.projections.columns import Batch
from stratalog.projections.manifest import FileEntry, Manifest, Part, describe, new_name
from stratalog.projections.names import PropertyName
from stratalog.projections.schema import PROP_NAME, ROW_GROUP_ROWS, TABLES

_DICTIONARY_COLUMNS = ["nid", "t", "s", "kind", "type_id", "state", "type", "path", "actor", "run"]


def write_part(folder: Path, batches: Sequence[Batch], absorbed: Sequence[Part]) -> Part:
    """Write the rows of `absorbed` parts and then of `batches` as one part.

    Raises:
        OSError: a file cannot be read or written.
    """
    files = []
    for name, spec in TABLES.items():
        earlier = [folder / file.name for part in absorbed for file in part.files if file.table == name]
        tables = [pq.ParquetFile(path).read() for path in earlier]
        tables += [batch.tables[name] for batch in batches if name in batch.tables]
        if tables:
            rows = pa.concat_tables(tables)
            path = folder / new_name(name, "part", batches[-1].last_seq)
            pq.write_table(
                rows,
                path,
                compression="zstd",
                compression_level=1,
                data_page_version="2.0",
                row_group_size=ROW_GROUP_ROWS,
                use_dictionary=[column for column in spec.schema.names if column in _DICTIONARY_COLUMNS],
            )
            files.append(describe(path, name, "part", rows.num_rows))
    events = sum(batch.event_count for batch in batches) + sum(part.event_count for part in absorbed)
    return Part(events, files)


def absorbable(parts: Sequence[Part], event_count: int, *, event_count_max: int) -> int:
    """How many of the last parts a new part of `event_count` events should take in.

    A part is taken in by one that is at least half its size, so many small seals leave few files; parts of
    `event_count_max` events stay as they are.
    """
    taken = 0
    for part in reversed(parts):
        if part.event_count >= event_count_max or part.event_count > 2 * event_count:
            break
        event_count += part.event_count
        taken += 1
    return taken


def read_names(folder: Path, manifest: Manifest) -> list[PropertyName]:
    """The property names that the files of `manifest` hold.

    Raises:
        OSError, pyarrow.ArrowException: a file cannot be read.
    """
    entries: list[FileEntry] = [file for file in manifest.files() if file.table == PROP_NAME.name]
    rows: list[PropertyName] = []
    for entry in entries:
        table = pq.ParquetFile(folder / entry.name).read()
        columns = (table[name].to_pylist() for name in PropertyName._fields)
        rows.extend(map(PropertyName._make, zip(*columns, strict=True)))
    return rows
