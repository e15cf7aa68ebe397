"""Segments: immutable Parquet files of a range of commits, one row an event.

The file is ordinary Parquet. Between its last page and its footer stands a *seal*, which Parquet readers skip: the
checksums of the footer and of the pages, so that with the pages' own checksums every byte is held by one.

Source: docs/format.md, "Segments".
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record, leaf_hash
from stratalog.eventlog.errors import CorruptLogError, ErrorCode, InternalError
from stratalog.eventlog.events import INT64_MIN, Event
from stratalog.eventlog.files import (
    LOCAL_FILES,
    FileReader,
    Files,
    FileWriter,
    discard,
    storage_error,
    write_all,
)
from stratalog.eventlog.folder import SegmentName, temporary_file
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.tree import TreeRoot

SEGMENT_FORMAT = 1

SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("commit", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("version", pa.int16(), nullable=False),
        pa.field("subject_kind", pa.int8(), nullable=False),
        pa.field("subject_id", pa.int64(), nullable=False),
        pa.field("prev", pa.int64()),
        pa.field("actor", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("request_id", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("writer", pa.binary(16), nullable=False),
        pa.field("writer_seq", pa.int64(), nullable=False),
        pa.field("format", pa.int16(), nullable=False),
        pa.field("payload", pa.large_binary(), nullable=False),
    ]
)

_COUNTED = ("seq", "commit", "time", "subject_id", "prev", "writer_seq")
"""Columns of numbers that climb in small steps."""

_WORDS = ("kind", "actor", "request_id", "reason", "writer", "version", "subject_kind", "format")
"""Columns with few different values."""

_MEASURED = [name for name in SCHEMA.names if name != "payload"]
"""Columns with statistics."""

SEAL_MAGIC = b"EVLOGS01"
SEAL_BYTES = 16
_PARQUET_END = b"PAR1"
_DAMAGED = "the file is damaged: restore it from a copy"


class SegmentInfo(NamedTuple):
    """What a segment says of itself: commits `[start, stop)`, events `[first_seq, end_seq)`, and the tree's root."""

    log_id: uuid.UUID
    start: int
    stop: int
    first_seq: int
    end_seq: int
    last_time_us: int
    root: bytes
    written_by: str

    @property
    def events(self) -> int:
        """The number of rows."""
        return self.end_seq - self.first_seq

    def metadata(self) -> dict[str, str]:
        """The file's key-value metadata."""
        return {
            "stratalog.segment_format": str(SEGMENT_FORMAT),
            "stratalog.log_id": str(self.log_id),
            "stratalog.start": str(self.start),
            "stratalog.stop": str(self.stop),
            "stratalog.first_seq": str(self.first_seq),
            "stratalog.end_seq": str(self.end_seq),
            "stratalog.events": str(self.events),
            "stratalog.last_time_us": str(self.last_time_us),
            "stratalog.root": self.root.hex(),
            "stratalog.written_by": self.written_by,
        }


class _Slice(NamedTuple):
    record: Record
    first: int
    events: list[Event]
    payloads: list[bytes]


def write_segment(
    files: Files,
    folder: str,
    log_id: uuid.UUID,
    records: Iterable[Record],
    settings: LogSettings,
    check: Callable[[str], None] | None = None,
) -> SegmentName:
    """Write records that follow one another as a new segment, durably; memory holds one row group.

    Args:
        files: the file system.
        folder: the log folder.
        log_id: goes into the file.
        records: at least one.
        settings: sizes of row groups and pages.
        check: called with the finished file's path before the file gets its name; raises if it should not.

    Raises:
        OSError: there is no segment, or (when only the folder's sync failed) its name may not last.
    """
    writer = SegmentWriter(files, folder, settings)
    try:
        root = TreeRoot()
        first: Header | None = None
        last: Record | None = None
        for group in _row_groups(_with_leaves(records, root), settings):
            first = first or group[0].record.header
            last = group[-1].record
            writer.write(_group_table(group))
        if first is None or last is None:
            raise InternalError("a segment needs at least one record")
        return writer.finish(
            SegmentInfo(
                log_id,
                first.commit,
                last.header.commit + 1,
                first.first_seq,
                last.end_seq,
                last.header.time_us,
                root.root(),
                written_by(),
            ),
            check,
        )
    finally:
        writer.close()


def check_records(files: Files, records: Sequence[Record]) -> Callable[[str], None]:
    """A `check` for `write_segment`: the file gives back exactly `records`."""

    def check(path: str) -> None:
        with OpenSegment(files, path) as segment:
            segment.check_pages()
            if list(segment.records()) != list(records):
                raise CorruptLogError(f"{path}: a new segment does not hold what was written to it", hint=_DAMAGED)

    return check


def written_by() -> str:
    """Name and version of the program, for the metadata."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"stratalog {version('stratalog')}"
    except PackageNotFoundError:
        return "stratalog"


class SegmentWriter:
    """A segment in the making: row groups, then `finish`; `close` in any case."""

    def __init__(self, files: Files, folder: str, settings: LogSettings) -> None:
        self._files = files
        self._folder = folder
        self._path = f"{folder}/{temporary_file('segment.parquet')}"
        self._sink = FileWriter(files, self._path)
        self._is_named = False
        self._parquet = pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            SCHEMA,
            version="2.6",
            compression="zstd",
            compression_level=1,
            use_dictionary=list(_WORDS),  # pyright: ignore[reportArgumentType]
            column_encoding=dict.fromkeys(_COUNTED, "DELTA_BINARY_PACKED"),
            write_statistics=_MEASURED,  # pyright: ignore[reportArgumentType]
            data_page_size=settings.page_bytes,
            write_page_checksum=True,
            write_page_index=False,
        )

    def write(self, table: pa.Table) -> None:
        """Write one row group."""
        self._parquet.write_table(table, row_group_size=max(1, table.num_rows))

    def finish(self, info: SegmentInfo, check: Callable[[str], None] | None = None, generation: int = 0) -> SegmentName:
        """Write the footer and the seal, sync, check, and give the file its name, durably."""
        self._parquet.add_key_value_metadata(info.metadata())
        self._parquet.close()
        self._sink.push()
        self._write_seal()
        self._files.sync_all(self._sink.descriptor)
        if check is not None:
            check(self._path)
        name = SegmentName(info.start, info.stop, generation)
        # Bytes before the name: a segment that has its name is whole and on the disk.
        self._files.rename(self._path, f"{self._folder}/{name.file}")
        self._is_named = True
        self._files.sync_directory(self._folder)
        return name

    def close(self) -> None:
        """Close the file; one that was not finished goes."""
        if self._sink.failure is None and not self._is_named:
            self._sink.failure = InternalError("the segment was given up")
        if self._parquet.is_open:
            # pyarrow writes a footer on closing, which the refusing sink turns into an error of no interest.
            self._parquet.is_open = False
        self._sink.close()
        if not self._is_named:
            discard(self._files, self._path)

    def _write_seal(self) -> None:
        descriptor, size = self._sink.descriptor, self._sink.tell()
        end = self._files.pread(descriptor, 8, size - 8)
        begin = size - 8 - int.from_bytes(end[:4], "little")
        footer = self._files.pread(descriptor, size - begin, begin)
        seal = SEAL_MAGIC + zlib.crc32(footer).to_bytes(4, "little") + self._pages_check(begin).to_bytes(4, "little")
        write_all(self._files, descriptor, seal + footer, begin)

    def _pages_check(self, size: int) -> int:
        return _checksum(lambda length, offset: self._files.pread(self._sink.descriptor, length, offset), size)


def _checksum(read: Any, size: int) -> int:
    check, offset = 0, 0
    while offset < size:
        data = read(min(FileWriter.STEP, size - offset), offset)
        if not data:
            break
        check = zlib.crc32(data, check)
        offset += len(data)
    return check


def _with_leaves(records: Iterable[Record], root: TreeRoot) -> Iterator[Record]:
    for record in records:
        root.add(leaf_hash(record))
        yield record


def _row_groups(records: Iterable[Record], settings: LogSettings) -> Iterator[list[_Slice]]:
    """Cut records into groups of at most so many rows and, but for a single larger event, so many payload bytes."""
    group: list[_Slice] = []
    rows, size = 0, 0
    for record in records:
        first = 0
        while first < len(record.events):
            events = record.events[first : first + settings.row_group_rows]
            payloads = [event.payload for event in events]
            lengths = sum(map(len, payloads))
            while lengths > settings.row_group_bytes and len(events) > 1:
                events = events[: len(events) // 2]
                payloads = payloads[: len(events)]
                lengths = sum(map(len, payloads))
            if group and (rows + len(events) > settings.row_group_rows or size + lengths > settings.row_group_bytes):
                yield group
                group, rows, size = [], 0, 0
            group.append(_Slice(record, first, events, payloads))
            rows += len(events)
            size += lengths
            first += len(events)
    if group:
        yield group


def _group_table(group: Sequence[_Slice]) -> pa.Table:
    """One row group as a table of `SCHEMA`, made column by column."""
    headers = [part.record.header for part in group]
    counts = [len(part.events) for part in group]
    events = group[0].events if len(group) == 1 else [event for part in group for event in part.events]
    payloads = group[0].payloads if len(group) == 1 else [payload for part in group for payload in part.payloads]
    first_seq = headers[0].first_seq + group[0].first
    each = pa.array(np.repeat(np.arange(len(group), dtype=np.int32), counts))

    def spread(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind).take(each)

    columns = [
        pa.array(np.arange(first_seq, first_seq + len(events), dtype=np.int64)),
        spread([header.commit for header in headers], pa.int64()),
        spread([header.time_us for header in headers], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        pa.array([event.kind for event in events], pa.string()).dictionary_encode(),
        pa.array([event.version for event in events], pa.int16()),
        pa.array([event.subject_kind for event in events], pa.int8()),
        pa.array([event.subject_id for event in events], pa.int64()),
        pa.array([event.prev for event in events], pa.int64()),
        spread([header.actor for header in headers], pa.string()).dictionary_encode(),
        spread([header.request_id for header in headers], pa.string()),
        spread([header.reason for header in headers], pa.string()),
        spread([header.writer for header in headers], pa.binary(16)),
        spread([header.writer_seq for header in headers], pa.int64()),
        spread([header.format for header in headers], pa.int16()),
        pa.array(payloads, pa.large_binary()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


class OpenSegment:
    """A segment that is open for reading; its footer and metadata have been checked."""

    def __init__(self, files: Files, path: str) -> None:
        """Open `path`.

        Raises:
            FileNotFoundError: it is not there (any more).
            CorruptLogError: the footer is damaged, or the file is not a segment.
        """
        self.path = path
        self._reader = FileReader(files, path)
        try:
            self._pages_end, self._pages_check = self._check_seal()
            with _damage(path):
                self.parquet = pq.ParquetFile(self._reader, page_checksum_verification=True)
                self.info = self._read_info()
        except BaseException:
            self._reader.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> OpenSegment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_seal(self) -> tuple[int, int]:
        size = self._reader.size
        end = self._reader.read_at(8, max(0, size - 8))
        footer_begin = size - 8 - int.from_bytes(end[:4], "little")
        pages_end = footer_begin - SEAL_BYTES
        if end[4:] != _PARQUET_END or pages_end < 4:
            raise CorruptLogError(f"{self.path}: not a whole Parquet file: it ends in {end!r}", hint=_DAMAGED)
        seal = self._reader.read_at(size - pages_end, pages_end)
        if seal[:8] != SEAL_MAGIC or zlib.crc32(seal[SEAL_BYTES:]) != int.from_bytes(seal[8:12], "little"):
            raise CorruptLogError(f"{self.path}: the footer does not have the checksum in its seal", hint=_DAMAGED)
        return pages_end, int.from_bytes(seal[12:16], "little")

    def _read_info(self) -> SegmentInfo:
        found = {key.decode(): value.decode() for key, value in (self.parquet.metadata.metadata or {}).items()}
        if int(found["stratalog.segment_format"]) > SEGMENT_FORMAT:
            raise CorruptLogError(
                f"{self.path}: segment of format {found['stratalog.segment_format']}, this release reads up to "
                f"{SEGMENT_FORMAT}",
                code=ErrorCode.FORMAT_TOO_NEW,
                hint="open the store with the release that wrote it, or a newer one",
            )
        return SegmentInfo(
            uuid.UUID(found["stratalog.log_id"]),
            int(found["stratalog.start"]),
            int(found["stratalog.stop"]),
            int(found["stratalog.first_seq"]),
            int(found["stratalog.end_seq"]),
            int(found["stratalog.last_time_us"]),
            bytes.fromhex(found["stratalog.root"]),
            found["stratalog.written_by"],
        )

    def check_pages(self) -> None:
        """Read every byte before the footer and compare its checksum with the seal's.

        Raises:
            CorruptLogError: they differ.
        """
        if _checksum(self._reader.read_at, self._pages_end) != self._pages_check:
            raise CorruptLogError(
                f"{self.path}: the pages do not have the checksum in the seal "
                f"(commits {self.info.start} to {self.info.stop - 1})",
                hint=_DAMAGED,
            )

    def row_groups(self, start: int | None = None, stop: int | None = None) -> Iterator[pa.Table]:
        """The row groups that hold commits of `[start, stop)`, whole, one after another.

        Raises:
            CorruptLogError: a page is damaged.
        """
        metadata = self.parquet.metadata
        place = self.parquet.schema_arrow.get_field_index("commit")
        for index in range(metadata.num_row_groups):
            range_ = metadata.row_group(index).column(place).statistics
            if start is not None and range_ is not None and range_.max < start:
                continue
            if stop is not None and range_ is not None and range_.min >= stop:
                break
            with _damage(self.path):
                table = self.parquet.read_row_group(index, use_threads=False)
            yield table

    def records(self, start: int | None = None, stop: int | None = None) -> Iterator[Record]:
        """The records of commits `[start, stop)`, as they were appended; memory holds a row group and a record.

        Raises:
            CorruptLogError: the file is damaged or its rows do not follow one another.
        """
        waiting: tuple[Header, list[Event]] | None = None
        for table in self.row_groups(start, stop):
            with _damage(self.path):
                parts = _records_of(table, self.path)
            for header, events in parts:
                if waiting is not None and waiting[0].commit == header.commit:
                    waiting[1].extend(events)
                    continue
                if waiting is not None and _is_within(waiting[0], start, stop):
                    yield Record(*waiting)
                waiting = (header, events)
        if waiting is not None and _is_within(waiting[0], start, stop):
            yield Record(*waiting)


def _is_within(header: Header, start: int | None, stop: int | None) -> bool:
    return (start is None or header.commit >= start) and (stop is None or header.commit < stop)


@contextmanager
def _damage(path: str) -> Iterator[None]:
    """Give what a damaged file makes pyarrow raise the class it deserves."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorruptLogError(f"{path}: cannot be read as a segment: {error}", hint=_DAMAGED) from error


def _records_of(table: pa.Table, path: str) -> list[tuple[Header, list[Event]]]:
    """Headers and events of a row group; the first may go on from the group before, the last into the next."""
    table = table.combine_chunks()

    def numbers(name: str) -> Any:
        return table.column(name).cast(pa.int64()).to_numpy()

    seqs, commits = numbers("seq"), numbers("commit")
    if len(seqs) == 0:
        return []
    if (np.diff(seqs) != 1).any() or (np.diff(commits) < 0).any() or (np.diff(commits) > 1).any():
        raise CorruptLogError(f"{path}: rows from seq {seqs[0]} on do not follow one another", hint=_DAMAGED)
    prevs = table.column("prev").fill_null(INT64_MIN).to_numpy().tolist()
    events = list(
        map(
            Event,
            _texts(table.column("kind")),
            numbers("version").tolist(),
            numbers("subject_kind").tolist(),
            numbers("subject_id").tolist(),
            [None if prev == INT64_MIN else prev for prev in prevs],
            _payloads(table.column("payload")),
        )
    )
    bounds = [0, *(np.flatnonzero(np.diff(commits)) + 1).tolist()]
    heads = table.drop_columns(["payload"]).take(pa.array(bounds))
    if max(heads.column("format").to_pylist()) > RECORD_FORMAT:
        raise CorruptLogError(
            f"{path}: a record of a format above {RECORD_FORMAT}",
            code=ErrorCode.FORMAT_TOO_NEW,
            hint="open the store with the release that wrote it, or a newer one",
        )
    headers = map(
        Header,
        heads.column("format").to_pylist(),
        heads.column("commit").to_pylist(),
        heads.column("seq").to_pylist(),
        heads.column("time").cast(pa.int64()).to_pylist(),
        heads.column("writer").to_pylist(),
        heads.column("writer_seq").to_pylist(),
        _texts(heads.column("actor")),
        heads.column("request_id").to_pylist(),
        heads.column("reason").to_pylist(),
    )
    ends = [*bounds[1:], len(events)]
    return [(header, events[first:end]) for header, first, end in zip(headers, bounds, ends, strict=True)]


def _texts(column: pa.ChunkedArray) -> list[str]:
    """A dictionary column as texts, one object for each different one."""
    found: list[str] = []
    for chunk in column.chunks:
        words = chunk.dictionary.to_pylist()
        found.extend([words[code] for code in chunk.indices.to_numpy().tolist()])
    return found


def _payloads(column: pa.ChunkedArray) -> list[bytes]:
    """A binary column as bytes, cut out of its one buffer."""
    found: list[bytes] = []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
        view = memoryview(data) if data is not None else memoryview(b"")
        found.extend([bytes(view[a:b]) for a, b in pairwise(bounds)])
    return found


def read_table(path: str, columns: Sequence[str] | None = None, *, files: Files = LOCAL_FILES) -> pa.Table:
    """Read a segment, or some of its columns; n events by the columns of `SCHEMA`, in the order of seq.

    Raises:
        CorruptLogError: the file is damaged.
        StorageError: the file cannot be read.
    """
    try:
        with OpenSegment(files, path) as segment, _damage(path):
            return segment.parquet.read(columns=None if columns is None else list(columns))
    except OSError as error:
        raise storage_error(error, path, "read the segment") from error


def read_records(
    path: str, start: int | None = None, stop: int | None = None, *, files: Files = LOCAL_FILES
) -> Iterator[Record]:
    """The records of a segment's commits `[start, stop)`, streamed.

    Raises:
        FileNotFoundError: the file is not there (any more).
        CorruptLogError: the file is damaged.
    """
    with OpenSegment(files, path) as segment:
        yield from segment.records(start, stop)


def verify_segment(path: str, *, files: Files = LOCAL_FILES) -> SegmentInfo:
    """Check every byte, every record and the root of a segment.

    Raises:
        CorruptLogError: something differs from what was written.
    """
    with OpenSegment(files, path) as segment:
        segment.check_pages()
        root = TreeRoot()
        for record in segment.records():
            root.add(leaf_hash(record))
        if root.root() != segment.info.root or root.size != segment.info.stop - segment.info.start:
            raise CorruptLogError(f"{path}: its commits do not have the root in its metadata", hint=_DAMAGED)
        return segment.info
