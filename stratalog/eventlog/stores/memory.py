"""A log in memory: for tests, notebooks and caches. Durable as long as the process lives."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from stratalog.eventlog.commit import Record
from stratalog.eventlog.errors import ConflictError
from stratalog.eventlog.store import Segment


class MemoryLog:
    """`LogStore` over a list; any number of committers in one process may share it."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._lock = threading.RLock()

    def exclusive(self) -> AbstractContextManager[object]:
        """Hold the log against every other thread."""
        return self._lock

    def head(self) -> int:
        """The number of the next commit."""
        return len(self._records)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        """Records `start` to `stop`, as they stand when the reading begins."""
        yield from self._records[start:stop]

    def append(self, at: int, records: Sequence[Record]) -> None:
        """Add `records` at the end, if `at` is the end.

        Raises:
            ConflictError: `at` is not the head; nothing was written.
        """
        with self._lock:
            if at != len(self._records):
                raise ConflictError(f"append at commit {at}, but the head is {len(self._records)}")
            self._records.extend(records)

    def sync(self) -> None:
        """Nothing to do: memory is as durable as it gets."""

    def segments(self, start: int = 0, stop: int | None = None) -> Sequence[Segment]:  # noqa: ARG002
        """None: nothing is sealed."""
        return ()

    def close(self) -> None:
        """Nothing to release."""
