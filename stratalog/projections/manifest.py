"""The manifest of `views/`: which files make up the tables, and which place of the log they have reached.

The files of a manifest never change; a new manifest is published by rename. Nothing is synced: the tables can always
be folded again, so it is enough to notice that something is wrong. A file is taken as it stands when its size and time
are those of the manifest and the machine has not been started anew since; otherwise its checksum decides. Any doubt
(a missing or damaged file, another log, another format) means: no manifest.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from stratalog.eventlog.errors import CorruptLogError
from stratalog.eventlog.events import INT64_MAX
from stratalog.eventlog.store import LogStore, Segment

MANIFEST_FORMAT = 1
MANIFEST_NAME = "manifest.json"
FILE_PREFIX = "table-"
"""Every Parquet file of ours in `views/` begins with this."""

Role = Literal["cur", "hist", "part"]


class FileEntry(msgspec.Struct, frozen=True):
    """One Parquet file: `time_ns` is its modification time, `checksum` the CRC-32 of its bytes."""

    table: str
    role: Role
    name: str
    row_count: int
    size_bytes: int
    time_ns: int
    checksum: int


class Part(msgspec.Struct, frozen=True):
    """Rows of some commits in a row after the merged ones: at most one file a table."""

    event_count: int
    files: list[FileEntry]

    @property
    def row_count(self) -> int:
        """Rows of all tables together."""
        return sum(file.row_count for file in self.files)


class Manifest(msgspec.Struct, frozen=True):
    """What the files of `views/` hold: commits below `commit`, events up to `seq`; merged up to `merged_seq`.

    `log_id` and `mark` (see `mark_of`) tell whether it was made from a given log as that stands now.
    """

    format: int
    tables_format: int
    boot: str
    commit: int
    seq: int
    merged_seq: int
    log_id: str
    mark: str
    merged: list[FileEntry]
    parts: list[Part]
    unknown: dict[str, int]

    def files(self) -> Iterator[FileEntry]:
        """All files, merged ones first, then parts in the order of the log."""
        yield from self.merged
        for part in self.parts:
            yield from part.files

    def paths(self, folder: Path, table: str, role: Role) -> list[Path]:
        """The files of one table in one role, in the order of the log."""
        return [folder / file.name for file in self.files() if file.table == table and file.role == role]


class _Sealed(msgspec.Struct, frozen=True):
    """The manifest as it stands on disk: its JSON, and the CRC-32 of that."""

    checksum: int
    manifest: msgspec.Raw


Stamp = tuple[int, int, int]
"""Inode, time and size of the manifest: another stamp means that somebody published another one."""

_encode = msgspec.json.Encoder().encode
_decode_sealed = msgspec.json.Decoder(_Sealed).decode
_decode = msgspec.json.Decoder(Manifest).decode


def empty_manifest() -> Manifest:
    """The manifest of tables that hold nothing."""
    from stratalog.projections.schema import TABLES_FORMAT

    return Manifest(MANIFEST_FORMAT, TABLES_FORMAT, boot_id(), 0, 0, 0, "", "", [], [], {})


def boot_id() -> str:
    """What tells one run of the machine from another; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def stamp(folder: Path) -> Stamp | None:
    """The stamp of the manifest in `folder`, None if there is none."""
    try:
        status = (folder / MANIFEST_NAME).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def publish(folder: Path, manifest: Manifest) -> Stamp | None:
    """Make `manifest` the one that counts, and return its stamp.

    Raises:
        OSError: the folder cannot be written.
    """
    body = _encode(manifest)
    temporary = folder / f"{MANIFEST_NAME}.{os.getpid()}.tmp"
    temporary.write_bytes(_encode(_Sealed(zlib.crc32(body), msgspec.Raw(body))))
    temporary.replace(folder / MANIFEST_NAME)
    return stamp(folder)


def load(folder: Path, log: LogStore) -> Manifest | None:
    """The manifest in `folder`, if it and all its files are whole and made from `log`."""
    from stratalog.projections.schema import TABLES_FORMAT

    try:
        sealed = _decode_sealed((folder / MANIFEST_NAME).read_bytes())
        if zlib.crc32(sealed.manifest) != sealed.checksum:
            return None
        manifest = _decode(sealed.manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if (manifest.format, manifest.tables_format) != (MANIFEST_FORMAT, TABLES_FORMAT):
        return None
    is_same_boot = manifest.boot != "" and manifest.boot == boot_id()
    if not all(_is_whole(folder / file.name, file, is_same_boot) for file in manifest.files()):
        return None
    return manifest if _is_of(manifest, log) else None


def are_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether all files of a manifest are there with the bytes that were written; reads them all."""
    return all(_is_whole(folder / file.name, file, False) for file in manifest.files())


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock file against other processes; gives False where another has it or the file cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough: a forked child may have the handle too
    finally:
        os.close(handle)


def _is_whole(path: Path, file: FileEntry, is_same_boot: bool) -> bool:
    try:
        status = path.stat()
        if status.st_size != file.size_bytes:
            return False
        if is_same_boot and status.st_mtime_ns == file.time_ns:
            return True
        return checksum(path) == file.checksum
    except OSError:
        return False


def _is_of(manifest: Manifest, log: LogStore) -> bool:
    """Whether the log is the one that the manifest names, and still has, in its place, the last commit covered."""
    if manifest.log_id != id_of(log):
        return False
    return manifest.commit == 0 or mark_of(log, manifest.commit - 1) == manifest.mark


def id_of(log: LogStore) -> str:
    """The log's own id, "" for a log that has none."""
    return str(getattr(log, "log_id", ""))


def mark_of(log: LogStore, commit: int) -> str | None:
    """What is remembered of a commit: its number, its last seq and its time; None if the log does not have it."""
    for segment in log.segments(commit, commit + 1):
        if segment.start <= commit < segment.stop:
            return _mark_in(segment, commit)
    try:
        record = next(iter(log.read(commit, commit + 1)), None)
    except CorruptLogError:
        return None
    if record is None:
        return None
    return f"{record.header.commit}-{record.end_seq - 1}-{record.header.time_us}"


def _mark_in(segment: Segment, commit: int) -> str | None:
    """The same from a segment, of which only the columns needed are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(
            segment.path, columns=["seq", "time"], filters=[("commit", "==", commit)], partitioning=None
        )
    except (OSError, pa.ArrowException):
        return None
    if not rows.num_rows:
        return None
    time_us = rows["time"].cast(pa.int64())[-1]
    return f"{commit}-{rows['seq'][-1]}-{time_us}"


def checksum(path: Path) -> int:
    """CRC-32 of a file's bytes."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def describe(path: Path, table: str, role: Role, row_count: int) -> FileEntry:
    """The entry of a file that was just written."""
    crc = checksum(path)
    status = path.stat()
    return FileEntry(table, role, path.name, row_count, status.st_size, status.st_mtime_ns, crc)


def new_name(table: str, role: Role, seq: int) -> str:
    """A name for a new file with rows up to `seq`; no two files ever get the same."""
    return f"{FILE_PREFIX}{table}-{role}-{min(seq, INT64_MAX):020d}-{os.urandom(6).hex()}.parquet"


def sweep(folder: Path, manifest: Manifest, *, older_than_ns: int) -> None:
    """Delete files of ours that `manifest` does not name and that nobody has touched since `older_than_ns`."""
    named = {file.name for file in manifest.files()}
    for path in folder.glob(f"{FILE_PREFIX}*"):
        try:
            if path.name not in named and path.stat().st_mtime_ns <= older_than_ns:
                path.unlink()
        except OSError:
            continue


def retire(folder: Path, files: list[FileEntry]) -> None:
    """Start the period of grace of files that no manifest names any more: readers may still be in them."""
    for file in files:
        try:
            os.utime(folder / file.name)
        except OSError:
            continue
