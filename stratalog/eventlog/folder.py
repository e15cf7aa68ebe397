"""The folder of a store: its names, its FORMAT file, and which file to read at a position.

Source: docs/format.md, "The folder".
"""

from __future__ import annotations

import itertools
import os
import re
import uuid
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stratalog.eventlog.errors import ErrorCode, NotFoundError, StorageError
from stratalog.eventlog.files import Files, read_file

FORMAT = 1
"""Version of the folder as a whole; a store of a higher one is refused."""

FORMAT_FILE = "FORMAT"
LOCK_FILE = "lock"
LOG_FOLDER = "log"

_SEGMENT = re.compile(r"(\d{20})-(\d{20})-(\d+)\.parquet")
_JOURNAL = re.compile(r"(\d{20})\.journal")
_TEMPORARY = re.compile(r"\..+\.tmp")
_FORMAT_TEXT = re.compile(rb"stratalog format (\d+)\nlog id ([0-9a-f-]{36})\ncrc32 ([0-9a-f]{8})\n")
_FORMAT_START = re.compile(rb"stratalog format (\d+)\n")

_temporary_numbers = itertools.count()


class SegmentName(NamedTuple):
    """A segment's file: commits `[start, stop)`; of equal ranges the highest generation counts."""

    start: int
    stop: int
    generation: int

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.start:020d}-{self.stop:020d}-{self.generation}.parquet"

    def covers(self, other: SegmentName) -> bool:
        """True if all that `other` holds is here too, and `other` is another file."""
        return (
            self != other
            and self.start <= other.start
            and other.stop <= self.stop
            and (self[:2] != other[:2] or self.generation > other.generation)
        )


def journal_file(start: int) -> str:
    """The name of the journal whose first commit is `start`."""
    return f"{start:020d}.journal"


def temporary_file(name: str) -> str:
    """A name, never used before, for a file that will become `name`."""
    return f".{name}.{os.getpid()}.{next(_temporary_numbers)}.tmp"


class Listing(NamedTuple):
    """What a log folder holds: segments and journals in the order of their first commits, and temporary files."""

    segments: list[SegmentName]
    journals: list[int]
    temporaries: list[str]

    def segment_at(self, commit: int) -> SegmentName | None:
        """The segment to read at a position: of those that hold it, the one that reaches furthest."""
        return cover(self.segments, commit)

    def journal_at(self, commit: int) -> int | None:
        """The first commit of the journal that may hold a position."""
        return max((start for start in self.journals if start <= commit), default=None)

    @property
    def stop(self) -> int:
        """The commit after the last one that a segment holds."""
        return max((segment.stop for segment in self.segments), default=0)


def cover(segments: Iterable[SegmentName], commit: int) -> SegmentName | None:
    """Of the segments that hold `commit`, the one that reaches furthest, then the one of the highest generation."""
    return max(
        (segment for segment in segments if segment.start <= commit < segment.stop),
        key=lambda segment: (segment.stop, segment.generation, -segment.start),
        default=None,
    )


def list_log(files: Files, folder: str) -> Listing:
    """List a log folder; other names in it are left alone.

    Raises:
        OSError: the folder is not there or cannot be read.
    """
    segments, journals, temporaries = [], [], []
    for name in files.listdir(folder):
        if match := _SEGMENT.fullmatch(name):
            segments.append(SegmentName(int(match[1]), int(match[2]), int(match[3])))
        elif match := _JOURNAL.fullmatch(name):
            journals.append(int(match[1]))
        elif _TEMPORARY.fullmatch(name):
            temporaries.append(name)
    return Listing(sorted(segments), sorted(journals), temporaries)


def format_text(log_id: uuid.UUID) -> bytes:
    """The bytes of the FORMAT file."""
    text = f"stratalog format {FORMAT}\nlog id {log_id}\n".encode()
    return text + f"crc32 {zlib.crc32(text):08x}\n".encode()


def read_format(files: Files, folder: str) -> uuid.UUID:
    """The log's id, from the FORMAT file.

    Raises:
        FileNotFoundError: there is none.
        StorageError: the store is of a newer format (FORMAT_TOO_NEW), or the file is something else (NOT_A_STORE).
    """
    path = f"{folder}/{FORMAT_FILE}"
    data = read_file(files, path)
    begin = _FORMAT_START.match(data)
    if begin is not None and int(begin[1]) > FORMAT:
        raise StorageError(
            f"{path}: the store has format {int(begin[1])}, this release reads up to {FORMAT}",
            code=ErrorCode.FORMAT_TOO_NEW,
            hint="open it with the release that wrote it, or a newer one",
        )
    match = _FORMAT_TEXT.fullmatch(data)
    if match is None or zlib.crc32(data[: match.start(3) - len("crc32 ")]) != int(match[3], 16):
        raise StorageError(
            f"{path}: {data[:40]!r} is not what a store's FORMAT file holds",
            code=ErrorCode.NOT_A_STORE,
            hint="give the path of a store, or restore this file from a copy",
        )
    return uuid.UUID(match[2].decode())


def refuse_foreign(folder: str, names: Sequence[str]) -> StorageError:
    """The error for a folder with something in it, but no FORMAT file."""
    if LOG_FOLDER in names:
        return StorageError(
            f"{folder}: there is a folder {LOG_FOLDER!r} with a log in it, but no file {FORMAT_FILE!r}",
            code=ErrorCode.NOT_A_STORE,
            hint=f"restore {FORMAT_FILE!r} from a copy of the store",
        )
    found = ", ".join(repr(name) for name in sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    return StorageError(
        f"{folder}: not a store: found {found}, but no file {FORMAT_FILE!r}",
        code=ErrorCode.NOT_A_STORE,
        hint="give the path of a store, or of an empty folder for a new one",
    )


def no_store(folder: str) -> NotFoundError:
    """The error for a place where a store could be, but is not."""
    return NotFoundError(
        f"{folder}: there is no store here",
        code=ErrorCode.STORE_NOT_FOUND,
        hint="check the path, or let a new store be made there",
    )
