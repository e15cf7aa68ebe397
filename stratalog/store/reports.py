"""What a store says of itself: counts and sizes, and the verdict of a verification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from stratalog.eventlog.commit import Record, check_sequence, leaf_hash, recorded
from stratalog.eventlog.errors import CorruptLogError, ErrorCode, InvalidInputError
from stratalog.eventlog.events import KINDS, Kind
from stratalog.eventlog.store import LogStore, Segment
from stratalog.eventlog.stores.local import LocalLog
from stratalog.eventlog.tree import TreeRoot
from stratalog.eventlog.verify import Problem, VerifyReport
from stratalog.store.models import Models

if TYPE_CHECKING:
    from stratalog.query.snapshot import Snapshot


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A store in numbers; sizes in bytes.

    `unknown_kinds` counts events of kinds that this release does not know: they are kept, and not interpreted.
    """

    log_id: str
    head: int
    commits: int
    artifacts: int
    executions: int
    contexts: int
    types: int
    links: int
    memberships: int
    metric_points: int
    unsealed_events: int
    segments: int = 0
    journals: int = 0
    log_bytes: int = 0
    view_bytes: int = 0
    unknown_kinds: dict[str, int] = {}


def stats(log: LogStore, models: Models, snapshot: Snapshot) -> Stats:
    """Count what is in a store and how it lies on disk."""
    counts = {
        row["kind"]: row["n"]
        for row in snapshot.query(f"select kind, count(*) as n from {snapshot.table('node')} group by kind").to_pylist()
    }
    on_disk: dict[str, int] = {}
    log_id = ""
    if isinstance(log, LocalLog):
        found = log.stats()
        log_id = found.log_id
        on_disk = {
            "segments": found.segments,
            "journals": found.journals,
            "log_bytes": found.segment_bytes + found.journal_bytes,
        }
    view_bytes = 0
    if models.folder is not None and models.folder.exists():
        view_bytes = sum(file.stat().st_size for file in models.folder.rglob("*") if file.is_file())

    def count(table: str) -> int:
        return int(snapshot.query(f"select count(*) as n from {snapshot.table(table)}")["n"][0].as_py())

    return Stats(
        log_id=log_id,
        head=snapshot.seq,
        commits=models.state.next_commit,
        artifacts=counts.get(Kind.ARTIFACT, 0),
        executions=counts.get(Kind.EXECUTION, 0),
        contexts=counts.get(Kind.CONTEXT, 0),
        types=sum(seq is not None for seq, _ in models.state.types.by_id.values()),
        links=count("edge"),
        memberships=count("link"),
        metric_points=count("point"),
        unsealed_events=models.state.recent_event_count,
        view_bytes=view_bytes,
        unknown_kinds=models.tables.unknown_kinds(),
        **on_disk,
    )


def verify(log: LogStore, models: Models) -> VerifyReport:
    """Check every byte of a log; then fold it anew beside the read models, and compare the two.

    No command may run meanwhile. Problems of the read models stand in the report under `views`; a rebuild mends them.
    """
    report = log.verify() if isinstance(log, LocalLog) else _verify_records(log)
    if not report.ok:
        return report
    return msgspec.structs.replace(report, problems=tuple(_compare_models(log, models)))


def _verify_records(log: LogStore) -> VerifyReport:
    """Verify a log that keeps records as they are: numbers, times, decoding, and the root."""
    tree = TreeRoot()
    kinds: Counter[str] = Counter()
    problems: list[Problem] = []
    time_us = 0
    try:
        for record in check_sequence(log.read(), commit=0, seq=1):
            tree.add(leaf_hash(record))
            kinds.update(event.kind for event in record.events)
            time_us = record.header.time_us
            recorded(record)
    except CorruptLogError as error:
        problems.append(Problem("memory", tree.size, error.code, error.message))
    return VerifyReport(
        log_id="",
        commits=tree.size,
        events=kinds.total(),
        segments=0,
        journals=0,
        size_bytes=0,
        root=tree.root().hex(),
        last_time_us=time_us,
        kinds=dict(sorted(kinds.items())),
        unknown_kinds={kind: count for kind, count in sorted(kinds.items()) if kind not in KINDS},
        problems=tuple(problems),
    )


def _compare_models(log: LogStore, models: Models) -> list[Problem]:
    kept = models.digests()
    with TemporaryDirectory(prefix="stratalog-verify-") as folder:
        fresh = Models(LogUpTo(log, models.state.next_commit), Path(folder), read_only=False)
        try:
            expected = fresh.digests()
        finally:
            fresh.close()
    return [
        Problem(
            file=f"views, {name}",
            commit=None,
            code=ErrorCode.CORRUPT_LOG,
            message=f"{name} is not what the log adds up to; `stratalog rebuild` folds it anew",
        )
        for name, digest in expected.items()
        if kept.get(name) != digest
    ]


class LogUpTo:
    """A log as it was when it had `stop` commits, for reading only."""

    def __init__(self, log: LogStore, stop: int) -> None:
        self._log = log
        self._stop = stop
        self.log_id = getattr(log, "log_id", "")

    def exclusive(self) -> AbstractContextManager[None]:
        """Nothing to hold."""
        return nullcontext()

    def head(self) -> int:
        """The number of commits that it shows."""
        return self._stop

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        """Records, as far as it shows them."""
        return self._log.read(start, self._stop if stop is None else min(stop, self._stop))

    def append(self, at: int, records: Sequence[Record]) -> None:
        """Refuse.

        Raises:
            InvalidInputError: always.
        """
        raise InvalidInputError(f"append of {len(records)} records at {at} to a log that is only read")

    def sync(self) -> None:
        """Nothing to do."""

    def segments(self, start: int = 0, stop: int | None = None) -> Sequence[Segment]:
        """Segments that hold nothing beyond what it shows."""
        stop = self._stop if stop is None else min(stop, self._stop)
        return [segment for segment in self._log.segments(start, stop) if segment.stop <= stop]

    def close(self) -> None:
        """Nothing to release: the log is another's."""
