"""Reading a whole log and checking all that can be checked: `stratalog verify`."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from stratalog.eventlog.commit import Record, decode_record, leaf_hash, recorded
from stratalog.eventlog.errors import CorruptLogError, ErrorCode
from stratalog.eventlog.events import KINDS
from stratalog.eventlog.files import Files
from stratalog.eventlog.folder import Listing, SegmentName, journal_file, list_log
from stratalog.eventlog.journal import JournalFile, Scan, read_journal
from stratalog.eventlog.tree import TreeRoot

_TRIES = 5
_PROBLEMS_MAX = 100


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it was written: in which file, at or behind which commit (None: not known)."""

    file: str
    commit: int | None
    code: ErrorCode
    message: str


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification read and found.

    `root` is the RFC 9162 root over all commits, in hex. `kinds` counts the events by kind, `unknown_kinds` those
    that this release does not know: not a problem, they are kept. Sizes are in bytes. `problems` holds the first
    100, `more_problems` counts the others.
    """

    log_id: str
    commits: int
    events: int
    segments: int
    journals: int
    size_bytes: int
    root: str
    last_time_us: int
    kinds: dict[str, int]
    unknown_kinds: dict[str, int]
    problems: tuple[Problem, ...]
    more_problems: int = 0

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems


def verify_log(
    files: Files, folder: str, log_id: uuid.UUID, progress: Callable[[int], None] | None = None
) -> VerifyReport:
    """Check every file of a log folder: checksums, chains, roots, decoding, and that all follows without a gap.

    Args:
        files: the file system.
        folder: the log folder.
        log_id: what every file must carry.
        progress: called now and then with the number of commits read.

    Raises:
        OSError: a file cannot be read.
    """
    run = _Verification(files, folder, log_id, progress)
    run.walk()
    run.covered()
    return run.report()


class _Verification:
    def __init__(self, files: Files, folder: str, log_id: uuid.UUID, progress: Callable[[int], None] | None) -> None:
        self.files = files
        self.folder = folder
        self.log_id = log_id
        self.progress = progress
        self.problems: list[Problem] = []
        self.more = 0
        self.kinds: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.root = TreeRoot()
        self.commit, self.seq, self.time_us = 0, 1, 0
        self.commits = 0
        self.read: set[str] = set()
        self.size = 0

    def report(self) -> VerifyReport:
        return VerifyReport(
            log_id=str(self.log_id),
            commits=self.commits,
            events=sum(self.kinds.values()),
            segments=sum(name.endswith(".parquet") for name in self.read),
            journals=sum(name.endswith(".journal") for name in self.read),
            size_bytes=self.size,
            root=self.root.root().hex(),
            last_time_us=self.time_us,
            kinds=dict(sorted(self.kinds.items())),
            unknown_kinds=dict(sorted(self.unknown.items())),
            problems=tuple(self.problems),
            more_problems=self.more,
        )

    def walk(self) -> None:
        """Follow the files that readers use, from the first commit to the last."""
        misses = 0
        while True:
            listing = list_log(self.files, self.folder)
            position = self.commit
            try:
                if (segment := listing.segment_at(position)) is not None:
                    self.segment(segment, position)
                elif (start := listing.journal_at(position)) is not None and journal_file(start) not in self.read:
                    self.journal(start, position, listing)
                elif not self.skip_missing(listing, misses):
                    return
            except FileNotFoundError:
                misses = misses + 1 if self.commit == position else 0
                if misses > _TRIES:
                    raise
                continue
            if self.commit != position:
                misses = 0
            elif misses <= _TRIES:
                misses += 1
                time.sleep(0.001)

    def skip_missing(self, listing: Listing, misses: int) -> bool:
        """At a position that no file holds: False at the end of the log, else go on behind the gap."""
        later = [start for start in (*listing.journals, *(s.start for s in listing.segments)) if start > self.commit]
        if not listing.journals:
            self.add(self.folder, None, "the log has no journal, in which it must end", ErrorCode.MISSING_FILE)
        if not later:
            return False
        if misses > _TRIES:
            message = f"no file holds commits {self.commit} to {min(later) - 1}"
            self.add(self.folder, self.commit, message, ErrorCode.MISSING_FILE)
            self.commit, self.seq = min(later), 0
        return True

    def segment(self, name: SegmentName, position: int) -> None:
        from stratalog.eventlog.segment import OpenSegment

        path = f"{self.folder}/{name.file}"
        self.note(name.file)
        end_seq = 0
        try:
            with OpenSegment(self.files, path) as segment:
                info = segment.info
                end_seq = info.end_seq
                if (info.log_id, info.start, info.stop) != (self.log_id, name.start, name.stop):
                    self.add(name.file, None, f"{path}: it says of itself {info.metadata()}")
                segment.check_pages()
                root = TreeRoot()
                self.records(name.file, segment.records(position), root)
                if position == name.start and root.root() != info.root:
                    self.add(name.file, None, f"{path}: its commits do not have the root in its metadata")
        except CorruptLogError as error:
            self.add(name.file, self.commit, error.message, error.code)
        if self.commit != name.stop:
            if not self.problems or self.problems[-1].file != name.file:
                self.add(name.file, self.commit, f"{path}: it ends before commit {self.commit}")
            self.commit, self.seq = name.stop, end_seq

    def journal(self, start: int, position: int, listing: Listing) -> None:
        name = journal_file(start)
        path = f"{self.folder}/{name}"
        is_last = start == listing.journals[-1]
        try:
            journal, found, rest = self.settled(start)
            self.note(name)
            bodies = enumerate(found.bodies, start)
            records = (decode_record(b, where=f"{path}, commit {n}") for n, b in bodies if n >= position)
            self.records(name, records, TreeRoot())
        except CorruptLogError as error:
            self.note(name)
            self.add(name, self.commit, error.message, error.code)
            return
        if rest:
            message = (
                f"{path}, offset {found.end}: {len(rest)} bytes behind commit {journal.commit - 1} are no frame: "
                "torn by a stop in the middle of a write (the next writer cuts them), or damaged"
            )
            self.add(name, journal.commit, message)
        if not is_last and not journal.is_ended:
            self.add(name, journal.commit, f"{path}: it has no END frame, but another journal follows it")
        if is_last and not journal.is_ended and listing.stop > journal.commit:
            self.add(name, journal.commit, f"{path}: it ends before commit {listing.stop - 1}, which a segment holds")

    def settled(self, start: int) -> tuple[JournalFile, Scan, bytes]:
        """A journal, its frames, and what stands behind them, without the zeros at the end."""
        tries = 0
        while True:
            journal, data, found = read_journal(self.files, self.folder, start, self.log_id)
            rest = data[found.end :].rstrip(b"\0")
            tries += 1
            if not rest or tries == _TRIES:
                return journal, found, rest
            # Another process may be in the middle of a write.
            time.sleep(0.01)

    def records(self, file: str, records: Iterable[Record], root: TreeRoot) -> None:
        for record in records:
            header = record.header
            self.check_place(file, record)
            leaf = leaf_hash(record)
            root.add(leaf)
            self.root.add(leaf)
            self.check_events(file, record)
            self.commit, self.seq, self.time_us = header.commit + 1, record.end_seq, header.time_us
            self.commits += 1
            if self.progress is not None and self.commits % 1000 == 0:
                self.progress(self.commits)

    def check_place(self, file: str, record: Record) -> None:
        header = record.header
        if header.commit != self.commit or not record.events or (self.seq and header.first_seq != self.seq):
            message = (
                f"commit {header.commit} with {len(record.events)} events from seq {header.first_seq} on stands "
                f"where commit {self.commit}, seq {self.seq} was expected"
            )
            self.add(file, header.commit, message)
        if header.time_us < self.time_us:
            message = f"commit {header.commit} is of {header.time_us} µs, the one before it of {self.time_us} µs"
            self.add(file, header.commit, message)

    def check_events(self, file: str, record: Record) -> None:
        seq = record.header.first_seq
        for event in record.events:
            self.kinds[event.kind] += 1
            known = KINDS.get(event.kind)
            if known is None or event.version > known[1]:
                self.unknown[event.kind] += 1
            if event.prev is not None and not 0 < event.prev < seq:
                message = f"seq {seq} replaces seq {event.prev}, which is not before it"
                self.add(file, record.header.commit, message)
            seq += 1
        try:
            recorded(record)
        except CorruptLogError as error:
            self.add(file, record.header.commit, error.message, error.code)

    def covered(self) -> None:
        """Check the files that readers pass over: covered segments, journals whose segment is there."""
        from stratalog.eventlog.segment import verify_segment

        listing = list_log(self.files, self.folder)
        for segment in listing.segments:
            if segment.file not in self.read:
                try:
                    verify_segment(f"{self.folder}/{segment.file}", files=self.files)
                    self.note(segment.file)
                except FileNotFoundError:
                    continue
                except CorruptLogError as error:
                    self.add(segment.file, segment.start, error.message, error.code)
        for start in listing.journals:
            if journal_file(start) not in self.read:
                try:
                    read_journal(self.files, self.folder, start, self.log_id)
                    self.note(journal_file(start))
                except FileNotFoundError:
                    continue
                except CorruptLogError as error:
                    self.add(journal_file(start), start, error.message, error.code)

    def note(self, name: str) -> None:
        self.size += self.files.stat(f"{self.folder}/{name}").size
        self.read.add(name)

    def add(self, file: str, commit: int | None, message: str, code: ErrorCode = ErrorCode.CORRUPT_LOG) -> None:
        if len(self.problems) == _PROBLEMS_MAX:
            self.more += 1
        else:
            self.problems.append(Problem(file, commit, code, message))
