"""Reading the log for the tables: from any commit on, in batches of columns, segments in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow.compute as pc

from stratalog.eventlog.commit import Header, recorded
from stratalog.eventlog.errors import StorageError
from stratalog.eventlog.events import Recorded
from stratalog.eventlog.store import LogStore, Segment
from stratalog.projections.arrays import integers
from stratalog.projections.columns import Batch, Columns
from stratalog.projections.names import PropertyNames
from stratalog.projections.payloads import SEGMENT_COLUMNS
from stratalog.projections.schema import COMMITS, TABLES


class LogFold:
    """A place in the log and the decoder that has come so far.

    `next_commit` is the first commit not folded, `head` the last seq folded.
    """

    def __init__(
        self, log: LogStore, names: PropertyNames, *, next_commit: int, head: int, batch_event_count: int
    ) -> None:
        self._log = log
        self._columns = Columns(names)
        self._batch_event_count = batch_event_count
        self.next_commit = next_commit
        self.head = head
        self._last_failure = -1

    @property
    def names(self) -> PropertyNames:
        """All property names up to `head`."""
        return self._columns.names

    def commits(self, commits: Sequence[tuple[Header, Sequence[Recorded]]]) -> Batch:
        """Fold commits (at least one) that follow the place reached."""
        first = commits[0][0]
        assert (first.commit, first.first_seq) == (self.next_commit, self.head + 1), "commits follow one another"
        return self._reached(self._columns.fold(commits))

    def log(self, stop: int | None) -> Iterator[Batch]:
        """Fold what the log has from the place reached up to commit `stop` (exclusive; None: all there is).

        Raises:
            CorruptLogError: the log is damaged.
        """
        if stop is not None and stop <= self.next_commit:
            return
        while True:
            try:
                for segment in self._log.segments(self.next_commit, stop):
                    yield from self._segment(segment, stop)
                break
            except StorageError:
                # A merge of segments may have removed the file since it was listed: list again, but only while
                # the place moves on; else `read` says what is wrong, or reads around it.
                if self._last_failure == self.next_commit:
                    break
                self._last_failure = self.next_commit
        waiting: list[tuple[Header, Sequence[Recorded]]] = []
        count = 0
        for record in self._log.read(self.next_commit, stop):
            waiting.append((record.header, recorded(record)))
            count += len(record.events)
            if count >= self._batch_event_count:
                yield self.commits(waiting)
                waiting, count = [], 0
        if waiting:
            yield self.commits(waiting)

    def _segment(self, segment: Segment, stop: int | None) -> Iterator[Batch]:
        """Fold the commits of a segment that are still to come, some whole commits at a time."""
        table = segment.table(SEGMENT_COLUMNS)
        numbers = integers(table["commit"])
        start = int(np.searchsorted(numbers, self.next_commit))
        end = len(numbers) if stop is None else int(np.searchsorted(numbers, stop))
        while start < end:
            last = numbers[min(start + self._batch_event_count, end) - 1]
            after = int(np.searchsorted(numbers, last, side="right"))
            yield self._reached(self._columns.fold_segment(table.slice(start, after - start)))
            start = after

    def _reached(self, batch: Batch) -> Batch:
        self.next_commit, self.head = batch.commit, batch.last_seq
        return batch


def split(batch: Batch, seq: int) -> tuple[Batch | None, Batch | None]:
    """The rows of a batch up to `seq`, the last seq of some commit, and those after it; None for no events."""
    if batch.last_seq <= seq:
        return batch, None
    if batch.first_seq > seq:
        return None, batch
    before, after = {}, {}
    for name, table in batch.tables.items():
        is_before = pc.less_equal(table[TABLES[name].place], seq)
        before[name], after[name] = table.filter(is_before), table.filter(pc.invert(is_before))
    return (
        Batch(
            {name: table for name, table in before.items() if table.num_rows},
            commit=before[COMMITS.name]["commit"][-1].as_py() + 1,
            first_seq=batch.first_seq,
            last_seq=seq,
            unknown=[found for found in batch.unknown if found[0] <= seq],
        ),
        Batch(
            {name: table for name, table in after.items() if table.num_rows},
            commit=batch.commit,
            first_seq=seq + 1,
            last_seq=batch.last_seq,
            unknown=[found for found in batch.unknown if found[0] > seq],
        ),
    )


def split_at_commit(batches: Sequence[Batch], stop: int | None) -> tuple[list[Batch], list[Batch]]:
    """The batches of commits before `stop` (None: all), and those of the others."""
    before: list[Batch] = []
    after: list[Batch] = []
    for batch in batches:
        if stop is None or batch.commit <= stop:
            before.append(batch)
            continue
        commits = batch.tables[COMMITS.name]
        last_seqs = commits.filter(pc.less(commits["commit"], stop))["last_seq"]
        first, second = split(batch, last_seqs[-1].as_py()) if len(last_seqs) else (None, batch)
        before.extend(filter(None, [first]))
        after.extend(filter(None, [second]))
    return before, after
