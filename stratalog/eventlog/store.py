"""The protocol between the committer and a place that keeps a log: seven methods, nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import msgspec

from stratalog.eventlog.commit import Record

if TYPE_CHECKING:
    import pyarrow as pa


class Segment(msgspec.Struct, frozen=True):
    """An immutable Parquet part of the log: commits `[start, stop)`, one row an event.

    `path` is a local file. The columns stand in docs/format.md, "Segments".
    """

    start: int
    stop: int
    generation: int
    path: str

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the segment (or some columns of it), rows in the order of seq.

        Raises:
            CorruptLogError: the file is damaged.
            StorageError: the file cannot be read.
        """
        from stratalog.eventlog.segment import read_table

        return read_table(self.path, columns)


class LogStore(Protocol):
    """Numbered records, append-only.

    Commits are numbered 0, 1, 2 ... without gaps. Only a caller inside `exclusive()` may call `append`; `read` and
    `segments` need no lock. A store is used by many threads; `append`, `sync` come from one thread at a time.
    """

    def exclusive(self) -> AbstractContextManager[object]:
        """Hold the log against every other writer, in this process and others.

        Leaving twice is as good as once, or a RuntimeError: whoever was interrupted on the way out makes sure.

        Raises:
            StorageError: the lock cannot be taken, or this store failed before (then it is dead until reopened).
        """
        ...

    def head(self) -> int:
        """The number of the next commit. Inside `exclusive()` this has seen what all other writers appended."""
        ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        """Records `start` to `stop` (exclusive; None: all there are), in order.

        Raises:
            CorruptLogError: bytes that must be there are missing or damaged.
        """
        ...

    def append(self, at: int, records: Sequence[Record]) -> None:
        """Write `records`, in order, as commits `at`, `at + 1`, ...; all of them or none.

        They are visible to others at once, and durable after the next `sync()`.

        Raises:
            ConflictError: `at` is not the head; nothing was written.
            StorageError: the write failed; nothing of it will be acknowledged and this store is dead for writing.
        """
        ...

    def sync(self) -> None:
        """Return once everything appended is durable. May be called outside `exclusive()`.

        Raises:
            StorageError: the sync failed; this store is dead for writing.
        """
        ...

    def segments(self, start: int = 0, stop: int | None = None) -> Sequence[Segment]:
        """Immutable parts that cover commits from `start` on without a gap, as far as they reach; may be empty."""
        ...

    def close(self) -> None:
        """Release every handle. What was acknowledged stays."""
        ...
