"""Reading the log without its lock: at any time, in any process, while others append, seal and merge.

A list of the folder says which file to read at a position; a file that has gone meanwhile makes the reader list
again. The active journal stays open, with the place of each of its commits, so that following it costs one small read.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator

from stratalog.eventlog.commit import Record, decode_record
from stratalog.eventlog.errors import CorruptLogError, ErrorCode, InvalidInputError
from stratalog.eventlog.files import Files, storage_error
from stratalog.eventlog.folder import Listing, SegmentName, list_log
from stratalog.eventlog.journal import HEADER_BYTES, JournalFile, Scan, first_check, read_journal, scan
from stratalog.eventlog.settings import LogSettings

_TRIES = 8
"""How often a folder that changes under the reader is listed again before a missing file is called missing."""


class LogReader:
    """The lock-free side of a log folder; used by many threads."""

    def __init__(self, files: Files, folder: str, log_id: uuid.UUID, settings: LogSettings) -> None:
        self._files = files
        self._folder = folder
        self._log_id = log_id
        self._settings = settings
        self._mutex = threading.Lock()
        self._journal: JournalFile | None = None
        self._places: list[tuple[int, int]] = []
        self._is_closed = False

    def close(self) -> None:
        """Close the journal that is followed."""
        with self._mutex:
            self._is_closed = True
            self._forget()

    def abandon(self) -> None:
        """In a forked child: close the inherited descriptor; another thread of the parent may have held the mutex."""
        if self._journal is not None:
            self._journal.close()

    def head(self) -> int:
        """The number of the next commit.

        Raises:
            CorruptLogError: the log is damaged.
            OSError: it cannot be read.
        """
        with self._mutex:
            journal = self._follow()
            if not journal.is_ended:
                return journal.commit
            # Its successor does not exist yet; a large record may already stand behind it, in a segment.
            return max(journal.commit, list_log(self._files, self._folder).stop)

    def read(self, start: int, stop: int | None) -> Iterator[Record]:
        """Records `start` to `stop`, as far as there are any.

        Raises:
            CorruptLogError: something that must be there is missing or damaged.
            StorageError: a file cannot be read.
        """
        position = start
        tries = 0
        while stop is None or position < stop:
            before = position
            try:
                part = self._part(position, stop)
                if part is None:
                    return
                for record in part:
                    yield record
                    position += 1
            except FileNotFoundError as error:
                if tries == _TRIES:
                    raise self._missing(position) from error
                time.sleep(0.002 * tries)
                tries += 1
                continue
            except OSError as error:
                raise storage_error(error, self._folder, "read the log") from error
            if position == before:
                return
            tries = 0

    def segments(self, start: int, stop: int | None) -> list[SegmentName]:
        """Segments that cover commits from `start` on; the first may begin before `start`."""
        listing = list_log(self._files, self._folder)
        found = []
        position = start
        while stop is None or position < stop:
            segment = listing.segment_at(position)
            if segment is None:
                break
            found.append(segment)
            position = segment.stop
        return found

    def _part(self, position: int, stop: int | None) -> Iterator[Record] | None:
        """Records from `position` on out of one file, or None at the end of the log.

        Raises:
            FileNotFoundError: the folder changed, or what holds `position` is missing.
        """
        with self._mutex:
            journal = self._follow()
            if journal.start <= position:
                if position < journal.commit:
                    end = journal.commit if stop is None else min(stop, journal.commit)
                    found = self._bodies(journal, position, end)
                    return _decoded(found, position, None, journal.path)
                if not journal.is_ended:
                    return None
            is_last_ended = journal.is_ended
        listing = list_log(self._files, self._folder)
        segment = listing.segment_at(position)
        if segment is not None:
            from stratalog.eventlog.segment import read_records

            return read_records(f"{self._folder}/{segment.file}", position, stop, files=self._files)
        start = listing.journal_at(position)
        if start is not None:
            frozen, _, scanned = read_journal(self._files, self._folder, start, self._log_id)
            if position < frozen.commit:
                return _decoded(scanned, start, (position, stop), frozen.path)
            if not frozen.is_ended:
                self._check_last(frozen, listing)
                return None
            if is_last_ended and listing.stop <= position and listing.journals[-1] <= position:
                return None
        raise FileNotFoundError(f"no file holds commit {position}")

    def _check_last(self, journal: JournalFile, listing: Listing) -> None:
        if listing.journals[-1] != journal.start:
            raise CorruptLogError(
                f"{journal.path}: ends at commit {journal.commit} without an END frame, but journal "
                f"{listing.journals[-1]} follows it",
                hint="the file is damaged: restore it from a copy",
            )

    def _missing(self, position: int) -> CorruptLogError:
        try:
            listing = list_log(self._files, self._folder)
        except OSError as error:
            raise storage_error(error, self._folder, "list the log") from error
        later = [start for start in (*listing.journals, *(s.start for s in listing.segments)) if start > position]
        reach = f"commits {position} to {min(later) - 1}" if later else f"commits from {position} on"
        return CorruptLogError(
            f"{self._folder}: no file holds {reach}",
            code=ErrorCode.MISSING_FILE,
            hint="a segment or journal was removed: restore the folder from a copy",
        )

    def _follow(self) -> JournalFile:
        """Bring the place in the newest journal up to date; it is ended only if no other follows it."""
        for attempt in range(_TRIES + 1):
            try:
                journal = self._journal or self._open_newest()
                if self._follow_open(journal):
                    return journal
                newest = list_log(self._files, self._folder).journals
                if newest and newest[-1] == journal.start and self._is_same_file(journal):
                    return journal
                self._forget()
            except FileNotFoundError:
                self._forget()
                if attempt == _TRIES:
                    raise
                time.sleep(0.002 * attempt)
        return self._journal or self._open_newest()

    def _follow_open(self, journal: JournalFile) -> bool:
        """Read on in the open journal; True unless it is ended."""
        before = journal.torn_bytes
        try:
            for part in journal.follow(self._settings.probe_bytes):
                self._places.extend(zip(part.ends, part.checks, strict=True))
            if journal.is_torn and journal.torn_bytes != before:
                # A frame that is just being written, or a tear, or damage, or frames that were undone: look at all.
                self._load(journal)
        except BaseException:
            # Interrupted (say, by Ctrl-C), the file and the places may not agree: start afresh.
            self._forget()
            raise
        return not journal.is_ended

    def _is_same_file(self, journal: JournalFile) -> bool:
        """False if an ended, empty journal was replaced by a new one of its name."""
        if journal.commit != journal.start:
            return True
        other = JournalFile(self._files, self._folder, journal.start, self._log_id)
        try:
            other.load()
            return other.is_ended
        finally:
            other.close()

    def _open_newest(self) -> JournalFile:
        if self._is_closed:
            raise InvalidInputError(f"{self._folder}: the log was closed", code=ErrorCode.STORE_CLOSED)
        starts = list_log(self._files, self._folder).journals
        if not starts:
            raise FileNotFoundError(f"no journal in {self._folder}")
        journal = JournalFile(self._files, self._folder, starts[-1], self._log_id)
        try:
            self._load(journal)
        except BaseException:
            journal.close()
            raise
        self._journal = journal
        return journal

    def _load(self, journal: JournalFile) -> None:
        _, found = journal.load()
        self._places = [
            (HEADER_BYTES, first_check(journal.start)),
            *zip(found.ends, found.checks, strict=True),
        ]

    def _bodies(self, journal: JournalFile, position: int, end: int) -> Scan:
        offset, check = self._places[position - journal.start]
        data = self._files.pread(journal.descriptor, self._places[end - journal.start][0] - offset, offset)
        found = scan(data, 0, position, check, journal.path)
        if len(found.bodies) == end - position:
            return found
        # A writer undid frames that it could not write in full, or the file changed: start afresh.
        self._forget()
        raise FileNotFoundError(f"{journal.path}: commit {position + len(found.bodies)} is not where it was")

    def _forget(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal, self._places = None, []


def _decoded(found: Scan, first: int, only: tuple[int, int | None] | None, path: str) -> Iterator[Record]:
    for commit, body in enumerate(found.bodies, first):
        if only is not None and (commit < only[0] or (only[1] is not None and commit >= only[1])):
            continue
        yield decode_record(body, where=f"{path}, commit {commit}")
