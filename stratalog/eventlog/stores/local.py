"""The log in a local folder: one growing journal, immutable segments, any number of processes.

Appending goes through the newest journal, under a lock on the file `lock`. The bytes are visible to other processes
as soon as they are written, and durable after `sync`, which needs no lock: whoever syncs makes all before it
durable too. Whatever fails while writing or syncing ends this object's life as a writer, because nobody can tell
what reached the disk; opening the store again finds out and writes the doubtful part anew.

Source: docs/format.md.
"""

from __future__ import annotations

import errno
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from stratalog.eventlog.commit import Record, decode_record, encode_record
from stratalog.eventlog.errors import (
    ConflictError,
    CorruptLogError,
    ErrorCode,
    InvalidInputError,
    StorageError,
    StoreError,
)
from stratalog.eventlog.files import LOCAL_FILES, READ, Files, storage_error
from stratalog.eventlog.folder import LOCK_FILE, LOG_FOLDER, journal_file, list_log
from stratalog.eventlog.journal import Journal, create_journal
from stratalog.eventlog.opening import NO_LOCK, open_folder, open_lock
from stratalog.eventlog.reader import LogReader
from stratalog.eventlog.sealing import seal_journal
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.store import Segment
from stratalog.eventlog.verify import VerifyReport, verify_log

_EVENT_BYTES = 32
"""About what an event takes in a record besides its payload."""


class LogStats(msgspec.Struct, frozen=True, kw_only=True):
    """The log in numbers: commits in all and in segments, files by sort, sizes in bytes.

    `covered_segments` counts the segments that a longer one has replaced; they are among `segments`.
    """

    log_id: str
    commits: int
    sealed_commits: int
    segments: int
    covered_segments: int
    journals: int
    segment_bytes: int
    journal_bytes: int


class LocalLog:
    """`LogStore` over a folder.

    A folder that cannot be written is opened for reading only. The object may be used by many threads and goes on
    working in a forked child.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        files: Files = LOCAL_FILES,
        settings: LogSettings | None = None,
        read_only: bool = False,
        create: bool = True,
        durability: Literal["commit", "group"] = "commit",
        group_ms: int = 20,
    ) -> None:
        """Open the store in `path`.

        Args:
            path: the store's folder.
            files: the file system.
            settings: sizes; the defaults are good for work.
            read_only: never write anything.
            create: make a new store if there is none; else that is an error.
            durability: "commit": `sync` returns when everything appended is on the disk. "group": `sync` returns at
                once and a thread syncs within `group_ms` milliseconds; a power cut may take the commits of that
                time, in whole commits from the end, while a killed process loses none.
            group_ms: see `durability`.

        Raises:
            NotFoundError: there is no store, and none is to be made (STORE_NOT_FOUND).
            StorageError: the folder is something else (NOT_A_STORE), is of a newer format (FORMAT_TOO_NEW), or
                cannot be read or made.
            CorruptLogError: the log folder is missing (MISSING_FILE).
        """
        if durability not in ("commit", "group"):
            raise InvalidInputError(f"durability {durability!r}: expected 'commit' or 'group'")
        self.path = str(Path(path).absolute())
        self._files = files
        self._settings = settings or LogSettings()
        self._folder = f"{self.path}/{LOG_FOLDER}"
        self._group_s = group_ms / 1000 if durability == "group" else 0.0
        self._is_closed = False
        self._dead: StoreError | None = None
        try:
            self._id = open_folder(files, self.path, create=create and not read_only)
            self._lock_descriptor = NO_LOCK if read_only else open_lock(files, self.path)
        except OSError as error:
            raise storage_error(error, self.path, "open the store") from error
        self._read_only = self._lock_descriptor == NO_LOCK
        self._begin()

    def _begin(self) -> None:
        """Set everything that belongs to one process."""
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._sync_mutex = threading.Lock()
        self._owner = 0
        self._depth = 0
        self._is_fresh = False
        self._journal: Journal | None = None
        self._next = 0
        self._end_seq: int | None = None
        self._durable = 0
        self._journal_events = 0
        self._caught: list[Record] = []
        self._caught_from = 0
        self._is_caught_read = False
        self._is_place_lost = False
        self._syncer: threading.Thread | None = None
        self._closing = threading.Event()
        self._reader = LogReader(self._files, self._folder, self._id, self._settings)

    # --- what it is ------------------------------------------------------------------------------------------

    @property
    def log_id(self) -> uuid.UUID:
        """The log's identity, the same in every copy of the folder."""
        return self._id

    @property
    def is_read_only(self) -> bool:
        """True if nothing can be written through this object."""
        return self._read_only

    def durable(self) -> int:
        """So many commits, from the first on, are known by this process to be on the disk."""
        return self._durable

    # --- the lock --------------------------------------------------------------------------------------------

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the log against every other writer, in this process and others.

        Raises:
            InvalidInputError: the store is open for reading only (READ_ONLY), or closed.
            StorageError: the lock cannot be taken, or this log failed before (WRITER_DEAD).
        """
        return _Exclusive(self)

    def _enter(self) -> None:
        self._check_writable()
        before = self._depth if self._is_mine() else 0
        try:
            self._mutex.acquire()
            if self._depth == 0:
                self._check_writable()
                try:
                    self._files.lock(self._lock_descriptor)
                except OSError as error:
                    raise storage_error(error, f"{self.path}/{LOCK_FILE}", "take the lock") from error
                self._is_fresh = False
                self._owner = threading.get_ident()
            self._depth += 1
        except BaseException:
            self._leave(before)
            raise

    def _leave(self, depth: int) -> None:
        """Hold the lock `depth` times and no more; safe to repeat, whatever an interruption left half-done."""
        # A nested hold of the mutex may be left over by an interruption: the outermost one takes it along.
        if not self._mutex._is_owned():  # type: ignore[attr-defined]
            return
        if depth:
            if self._depth > depth:
                self._depth = depth
                self._mutex.release()
            return
        self._depth = self._owner = 0
        try:
            self._files.unlock(self._lock_descriptor)
        finally:
            while self._mutex._is_owned():  # type: ignore[attr-defined]
                self._mutex.release()

    def _check_open(self) -> None:
        if self._pid != os.getpid():
            self._after_fork()
        if self._is_closed:
            raise InvalidInputError(f"{self.path}: the log was closed", code=ErrorCode.STORE_CLOSED)

    def _check_writable(self) -> None:
        self._check_open()
        if self._read_only:
            raise InvalidInputError(
                f"{self.path}: the store is open for reading only",
                code=ErrorCode.READ_ONLY,
                hint="open it without read_only, as a user who may write to the folder",
            )
        self._check_alive()

    def _after_fork(self) -> None:
        """In a forked child: take descriptors of its own, for a lock that is inherited is shared with the parent."""
        journal, reader = self._journal, self._reader
        self._begin()
        reader.abandon()
        if journal is not None:
            journal.close()
        if self._lock_descriptor != NO_LOCK and not self._is_closed:
            self._files.close(self._lock_descriptor)
            self._lock_descriptor = open_lock(self._files, self.path)

    # --- reading ---------------------------------------------------------------------------------------------

    def head(self) -> int:
        """The number of the next commit. Inside `exclusive()` this has seen what all other writers appended.

        Raises:
            CorruptLogError: the end of the log is damaged.
            StorageError: it cannot be read.
        """
        self._check_open()
        if self._is_mine():
            self._catch_up()
            return self._next
        try:
            return self._reader.head()
        except FileNotFoundError as error:
            raise self._missing_journal() from error
        except OSError as error:
            raise storage_error(error, self._folder, "read the log") from error

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        """Records `start` to `stop` (exclusive; None: all there are), in order; needs no lock.

        Inside `exclusive()`, what `head` has just read from other writers is not read again.

        Raises:
            CorruptLogError: bytes that must be there are missing or damaged.
            StorageError: a file cannot be read.
        """
        self._check_open()
        if start < 0 or (stop is not None and stop < 0):
            raise InvalidInputError(
                f"read from commit {start} to {stop}: commits count from 0", code=ErrorCode.INDEX_OUT_OF_RANGE
            )
        if self._is_mine() and self._is_fresh and start >= self._caught_from:
            self._is_caught_read = True
            end = None if stop is None else max(0, stop - self._caught_from)
            return iter(self._caught[start - self._caught_from : end])
        return self._reader.read(start, stop)

    def segments(self, start: int = 0, stop: int | None = None) -> Sequence[Segment]:
        """Segments that cover commits from `start` on without a gap, as far as they reach.

        The first may begin before `start`, the last end behind `stop`. The files stay for `grace_s` after a
        merge has made a larger one of them.
        """
        self._check_open()
        try:
            found = self._reader.segments(start, stop)
        except OSError as error:
            raise storage_error(error, self._folder, "list the log") from error
        return [Segment(name.start, name.stop, name.generation, f"{self._folder}/{name.file}") for name in found]

    def _is_mine(self) -> bool:
        return self._owner != 0 and self._owner == threading.get_ident()

    def _missing_journal(self) -> CorruptLogError:
        return CorruptLogError(
            f"{self._folder}: there is no journal, in which every log must end",
            code=ErrorCode.MISSING_FILE,
            hint="restore the folder from a copy",
        )

    # --- catching up -----------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Inside the lock: read what others appended since; the first time, make all of the journal certain."""
        if self._is_fresh:
            return
        try:
            journal = self._journal
            if journal is None or self._is_place_lost:
                journal = self._open_newest()
            before = journal.commit
            for found in journal.catch_up(self._settings.probe_bytes):
                self._take(journal, before, found.bodies)
                before += len(found.bodies)
            while journal.is_ended:
                journal = self._open_newest()
        except OSError as error:
            self._lose_place()
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise storage_error(error, self._folder, "open the journal") from error
            raise self._die(error, self._folder, "read and mend the journal") from error
        except BaseException:
            self._lose_place()
            raise
        self._is_fresh = True

    def _lose_place(self) -> None:
        """After damage or an interruption, what is known of the journal may be half: the next caller opens it anew.

        The file stays open until then, because another thread may be about to sync what it appended to it.
        """
        self._is_place_lost = True
        self._end_seq = None
        self._caught, self._caught_from, self._is_caught_read = [], self._next, False

    def _open_newest(self) -> Journal:
        """Open the newest journal for writing; if it is ended and has no successor, make that first."""
        files, folder = self._files, self._folder
        if self._journal is None:
            # The names above the log may be younger than their last sync, if the one who made them was killed.
            files.sync_directory(self.path)
        while True:
            listing = list_log(files, folder)
            if not listing.journals:
                raise self._missing_journal()
            journal = Journal(files, folder, listing.journals[-1], self._id, self._settings.grow_bytes)
            try:
                found = journal.recover()
            except BaseException:
                journal.close()
                raise
            # Only now: a sync of the new descriptor would not tell of failures before it was opened.
            self._swap(journal)
            if self._next < journal.start:
                # Commits before this journal are read from their files, by whoever wants them.
                self._caught, self._caught_from = [], journal.start
                self._next, self._end_seq = journal.start, None
            self._journal_events = 0
            self._take(journal, journal.start, found.bodies)
            self._durable = max(self._durable, journal.commit)
            if not journal.is_ended:
                if listing.stop > journal.commit:
                    raise CorruptLogError(
                        f"{journal.path}: it ends before commit {journal.commit}, but a segment holds commits up to "
                        f"{listing.stop - 1}",
                        hint="the journal is damaged: restore it from a copy",
                    )
                self._is_place_lost = False
                return journal
            create_journal(files, folder, max(journal.commit, listing.stop), self._id)

    def _take(self, journal: Journal, first: int, bodies: Sequence[memoryview]) -> None:
        """Take the records of other writers, from commit `first` on, as far as they are new here."""
        if bodies and self._is_caught_read:
            self._caught, self._caught_from, self._is_caught_read = [], self._next, False
        for commit, body in enumerate(bodies, first):
            record = decode_record(body, where=f"{journal.path}, commit {commit}")
            self._journal_events += len(record.events)
            if commit >= self._next:
                self._caught.append(record)
                self._next, self._end_seq = commit + 1, record.end_seq

    def _swap(self, journal: Journal | None) -> None:
        # No sync of the old journal is under way while it is closed.
        with self._sync_mutex:
            old, self._journal = self._journal, journal
            if old is not None:
                old.close()

    # --- appending -------------------------------------------------------------------------------------------

    def append(self, at: int, records: Sequence[Record]) -> None:
        """Write `records`, in order, as commits `at`, `at + 1`, ...; only inside `exclusive()`.

        All small records go to the journal with one write. One above `direct_segment_bytes` becomes a segment at
        once, and is durable then. A full journal is ended, synced and followed by a new one before anything is written.

        Raises:
            ConflictError: `at` is not the head; nothing was written.
            InvalidInputError: the records do not carry the numbers that follow; nothing was written.
            StorageError: the write failed; this log is dead for writing.
        """
        if not self._is_mine():
            raise InvalidInputError(f"{self.path}: append is only for a caller inside exclusive()")
        self._check_writable()
        self._catch_up()
        if at != self._next:
            raise ConflictError(f"{self.path}: append at commit {at}, but the head is {self._next}")
        self._check_numbers(at, records)
        try:
            if self._is_rotation_due():
                self._rotate()
            bodies: list[bytes] = []
            events = 0
            for record in records:
                count = len(record.events)
                if record.payload_bytes() + _EVENT_BYTES * count > self._settings.direct_segment_bytes:
                    self._append_frames(bodies, events)
                    self._append_segment(record)
                    bodies, events = [], 0
                else:
                    bodies.append(encode_record(record))
                    events += count
            self._append_frames(bodies, events)
            self._end_seq = records[-1].end_seq if records else self._end_seq
        except OSError as error:
            raise self._die(error, self._folder, f"append commit {at}") from error
        except BaseException:
            self._is_fresh = False
            self._lose_place()
            raise

    def _check_numbers(self, at: int, records: Sequence[Record]) -> None:
        seq = self._end_seq
        for commit, record in enumerate(records, at):
            header = record.header
            if header.commit != commit or not record.events or (seq is not None and header.first_seq != seq):
                raise InvalidInputError(
                    f"{self.path}: a record with {len(record.events)} events says commit {header.commit}, first seq "
                    f"{header.first_seq}; expected commit {commit}, first seq {seq}"
                )
            seq = record.end_seq

    def _active(self) -> Journal:
        assert self._journal is not None
        return self._journal

    def _append_frames(self, bodies: Sequence[bytes], events: int) -> None:
        if not bodies:
            return
        self._active().append(bodies, self._durable)
        self._journal_events += events
        self._advance(self._next + len(bodies))

    def _advance(self, to: int) -> None:
        """Own records are at the end now; what was read from others before them has been used."""
        self._next = to
        self._caught, self._caught_from, self._is_caught_read = [], to, False

    def _append_segment(self, record: Record) -> None:
        from stratalog.eventlog.segment import write_segment

        self._active().end(self._durable)
        self._durable = self._next
        write_segment(self._files, self._folder, self._id, [record], self._settings)
        self._begin_journal(self._next + 1)
        self._durable = self._next + 1
        self._advance(self._next + 1)

    def _is_rotation_due(self) -> bool:
        journal = self._active()
        return journal.commit > journal.start and (
            journal.offset >= self._settings.rotate_bytes or self._journal_events >= self._settings.rotate_events
        )

    def _rotate(self) -> None:
        """End the journal and begin the next; all that was appended is durable then."""
        self._active().end(self._durable)
        self._durable = self._next
        self._begin_journal(self._next)

    def _rotate_if_used(self) -> None:
        self._catch_up()
        if self._active().commit == self._active().start:
            return
        try:
            self._rotate()
        except OSError as error:
            raise self._die(error, self._folder, "begin a new journal") from error
        except BaseException:
            self._is_fresh = False
            self._lose_place()
            raise

    def _begin_journal(self, start: int) -> None:
        create_journal(self._files, self._folder, start, self._id)
        self._swap(Journal(self._files, self._folder, start, self._id, self._settings.grow_bytes))
        self._journal_events = 0

    def _die(self, error: OSError, where: str, doing: str, code: ErrorCode | None = None) -> StorageError:
        self._dead = found = storage_error(error, where, doing, code)
        return found

    # --- syncing ---------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Return once everything appended is durable (with durability "group": arrange that it soon will be).

        Raises:
            StorageError: the sync failed; nothing that was not acknowledged before will be, and this log is dead for
                writing.
        """
        self._check_open()
        if self._group_s:
            self._sync_later()
        else:
            self._sync_now()

    def _sync_now(self) -> None:
        with self._sync_mutex:
            self._check_alive()
            journal, to = self._journal, self._next
            if journal is None or self._durable >= to:
                return
            try:
                journal.sync()
            except OSError as error:
                raise self._die(error, journal.path, "sync", ErrorCode.SYNC_FAILED) from error
            if to > self._durable:
                self._durable = to

    def _sync_later(self) -> None:
        self._check_alive()
        if self._syncer is None and self._durable < self._next:
            self._syncer = threading.Thread(target=self._sync_after_pause, name="stratalog-sync", daemon=True)
            self._syncer.start()

    def _sync_after_pause(self) -> None:
        self._closing.wait(self._group_s)
        # From here on a commit needs another round: this one may begin before its bytes are written.
        self._syncer = None
        try:
            self._sync_now()
        except StoreError:
            # The log is dead now, and says so to whoever uses it next.
            return

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise StorageError(
                f"{self.path}: this log stopped writing after: {self._dead.message}",
                code=ErrorCode.WRITER_DEAD,
                hint="mend the cause, then open the store again",
            ) from self._dead

    # --- upkeep ----------------------------------------------------------------------------------------------

    def seal(self, *, rotate: bool = True) -> int:
        """Turn frozen journals into segments; may run at any time, beside everything else, in several processes.

        Args:
            rotate: first end the active journal, if it has commits. Only that takes the log's lock.

        Returns:
            The number of journals that are segments now.

        Raises:
            CorruptLogError: a journal is damaged; it stays as it is.
            StorageError: a segment could not be written; its journal stays.
        """
        self._check_writable()
        if rotate:
            guard = self.exclusive()
            try:
                with guard:
                    self._rotate_if_used()
            except BaseException:
                guard.__exit__(None, None, None)  # Ctrl-C may have struck on the way out
                raise
        with self._translated("seal"):
            starts = list_log(self._files, self._folder).journals[:-1]
            return sum(seal_journal(self._files, self._folder, start, self._id, self._settings) for start in starts)

    def merge(self) -> int:
        """Merge small neighbouring segments into larger ones; what they replace stays until a `sweep`.

        Returns:
            The number of segments made; 0 too if another process is just merging or sweeping.

        Raises:
            CorruptLogError: a segment is damaged; nothing was changed.
            StorageError: a segment could not be written; nothing was changed.
        """
        from stratalog.eventlog.merge import merge_once

        self._check_writable()
        made = 0
        with self._translated("merge"), self._maintenance() as is_mine:
            while is_mine and merge_once(self._files, self._folder, self._id, self._settings) is not None:
                made += 1
        return made

    def sweep(self) -> int:
        """Remove covered segments and half-made files that are older than the grace; returns how many.

        Raises:
            StorageError: a file could not be removed.
        """
        from stratalog.eventlog.merge import sweep

        self._check_writable()
        with self._translated("sweep"), self._maintenance() as is_mine:
            return sweep(self._files, self._folder, self._settings) if is_mine else 0

    @contextmanager
    def _maintenance(self) -> Iterator[bool]:
        """Keep other processes from merging and sweeping meanwhile; appending and sealing go on."""
        descriptor = self._files.open(self._folder, READ)
        try:
            is_mine = self._files.try_lock(descriptor)
            try:
                yield is_mine
            finally:
                if is_mine:
                    self._files.unlock(descriptor)
        finally:
            self._files.close(descriptor)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self._folder, doing) from error

    def verify(self, progress: Callable[[int], None] | None = None) -> VerifyReport:
        """Read the whole log and check every byte, commit, chain and root.

        Args:
            progress: called now and then with the number of commits read.

        Returns:
            What was found; damage is in `problems`, each with its file and commit.

        Raises:
            StorageError: a file cannot be read.
        """
        self._check_open()
        with self._translated("verify"):
            return verify_log(self._files, self._folder, self._id, progress)

    def stats(self) -> LogStats:
        """Count commits, files and bytes.

        Raises:
            CorruptLogError: the end of the log is damaged.
            StorageError: the folder cannot be read.
        """
        commits = self.head()
        with self._translated("list the log"):
            listing = list_log(self._files, self._folder)
            used = {segment for segment in map(listing.segment_at, (s.start for s in listing.segments)) if segment}
            return LogStats(
                log_id=str(self._id),
                commits=commits,
                sealed_commits=sum(segment.stop - segment.start for segment in used),
                segments=len(listing.segments),
                covered_segments=sum(any(o.covers(s) for o in listing.segments) for s in listing.segments),
                journals=len(listing.journals),
                segment_bytes=sum(self._size(segment.file) for segment in listing.segments),
                journal_bytes=sum(self._size(journal_file(start)) for start in listing.journals),
            )

    def _size(self, name: str) -> int:
        try:
            return self._files.stat(f"{self._folder}/{name}").size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Sync what was appended and release every handle; a second call does nothing.

        Raises:
            StorageError: the last sync failed.
        """
        if self._is_closed or self._pid != os.getpid():
            self._is_closed = True
            return
        self._closing.set()
        try:
            if self._dead is None:
                self._sync_now()
        finally:
            self._is_closed = True
            with self._mutex:
                self._swap(None)
                self._reader.close()
                if self._lock_descriptor != NO_LOCK:
                    self._files.close(self._lock_descriptor)
                    self._lock_descriptor = NO_LOCK


class _Exclusive(AbstractContextManager[None]):
    """The lock of a `LocalLog`, held inside `with`."""

    __slots__ = ("_before", "_log", "_pid")

    def __init__(self, log: LocalLog) -> None:
        self._log = log
        self._pid = os.getpid()
        self._before = log._depth if log._is_mine() else 0

    def __enter__(self) -> None:
        try:
            self._log._enter()
        except BaseException:
            self._log._leave(self._before)
            raise

    def __exit__(self, *_: object) -> None:
        # A child that was forked inside the block does not have the lock, and must not free the parent's.
        if self._pid == os.getpid():
            self._log._leave(self._before)
