"""Store: the one face of the log, the projections and the questions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from stratalog.commands.draft import Draft
from stratalog.commands.requests import once
from stratalog.commands.values import check_text
from stratalog.eventlog import forks
from stratalog.eventlog.committer import Command, Committed, Committer, Decision
from stratalog.eventlog.errors import ErrorCode, InvalidInputError, StorageError
from stratalog.eventlog.events import Kind, Type
from stratalog.eventlog.store import LogStore
from stratalog.projections.state import BehindError
from stratalog.store.models import Models
from stratalog.store.moment import Moment
from stratalog.store.points import HeadPoints
from stratalog.store.reads import Reads
from stratalog.store.upkeep import Upkeep, UpkeepSettings
from stratalog.store.writes import Note, Writes

if TYPE_CHECKING:
    from stratalog.eventlog.verify import VerifyReport
    from stratalog.projections.state import State
    from stratalog.query.as_of import When
    from stratalog.query.diff import Diff
    from stratalog.query.result import Result
    from stratalog.query.snapshot import Snapshot
    from stratalog.store.reports import Stats

A = TypeVar("A")


class Store(Reads, Writes):
    """A metadata store: write to it, and ask it, now or as of any moment before.

    One object may be used by any number of threads; any number of processes may use one local store. Made by
    `stratalog.open`. A context manager: leaving it closes the store.

    Args:
        make_log: opens the log that keeps the commits; called anew after a fork.
        folder: where the read models are kept (`views/`); None: in memory.
        actor: who writes, unless a call says otherwise.
        read_only: refuse every write.
        clock_us: µs since 1970 UTC.
        upkeep: when to seal in the background.
    """

    def __init__(
        self,
        make_log: Callable[[], LogStore],
        folder: Path | None,
        *,
        actor: str,
        read_only: bool,
        clock_us: Callable[[], int],
        upkeep: UpkeepSettings | None = None,
    ) -> None:
        self.actor = check_text(actor, "actor")
        self.read_only = read_only
        self._make_log = make_log
        self._folder = folder
        self._clock_us = clock_us
        self._upkeep_settings = upkeep or UpkeepSettings()
        self._closed = False
        self._has_written = False
        self._opening = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._fork_count = forks.count
        self._log = self._make_log()
        try:
            self._models = Models(self._log, self._folder, read_only=self.read_only)
        except BaseException:
            self._log.close()
            raise
        self._state = self._models.state
        self._tables = self._models.tables
        self._committer = Committer(self._log, self._state, clock_us=self._clock_us, on_durable=self._tables.append)
        self._head_points = HeadPoints(self._state, self._log, self._committer)
        self._points = self._head_points
        self._upkeep: Upkeep | None = None
        if self._models.can_seal:
            self._upkeep = Upkeep(self._models, self._upkeep_settings)
        self._committer.catch_up()

    # ---- life

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Seal what this process wrote and release every file. Closing twice is fine."""
        with self._opening:
            if self._closed:
                return
            self._closed = True
        try:
            if self._upkeep is not None:
                self._upkeep.stop()
                is_ours = self._has_written and self._fork_count == forks.count
                if is_ours and self._upkeep_settings.seal_at_close and not self._committer.is_dead:
                    self._upkeep.run_quietly()
        finally:
            self._models.close()
            self._log.close()

    def _begin(self) -> None:
        if self._closed or self._fork_count != forks.count:
            self._check_open()
        self._head_points.refresh()

    def _state_now(self) -> State | None:
        return self._state

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidInputError(
                "the store is closed", code=ErrorCode.STORE_CLOSED, hint="open it again with stratalog.open"
            )
        if self._fork_count != forks.count:
            self._reopen_after_fork()

    def _reopen_after_fork(self) -> None:
        # SQLite, DuckDB and file locks do not survive a fork: the child begins with handles of its own.
        with self._opening:
            if self._fork_count != forks.count:
                self._has_written = False
                self._open()

    def __repr__(self) -> str:
        where = "memory:" if self._folder is None else str(self._folder.parent)
        return f"<Store {where!r}{' (closed)' if self._closed else ''}>"

    # ---- moments

    @property
    def head(self) -> int:
        """The seq of the newest event, 0 in an empty store."""
        self._begin()
        return self._state.head

    @property
    def seq(self) -> int:
        """The head: the moment at which the store's own reads are answered."""
        return self.head

    def snapshot(self) -> Snapshot:
        """The tables, pinned at the head."""
        from stratalog.query.snapshot import Snapshot

        self._begin()
        return Snapshot(self._tables, self._tables.refresh())

    def as_of(self, when: When) -> Moment:
        """The store as it was known at a moment; every read works on it.

        Args:
            when: a seq; a datetime (naive: UTC); a date or ISO text (a bare date means the end of that day, UTC);
                `"now"`; or a time back from now, such as `"-2h"`. A time becomes the last seq committed at or
                before it.

        Raises:
            InvalidInputError: it is none of these (code `invalid_time`).
        """
        from stratalog.query.as_of import seq_as_of
        from stratalog.query.snapshot import Snapshot

        self._begin()
        head = self._tables.refresh()
        seq = seq_as_of(when, self._tables, now_us=self._clock_us())
        return Moment(Snapshot(self._tables, min(seq, head)), self._check_open)

    def diff(self, before: When | Moment, after: When | Moment | None = None) -> Diff:
        """What changed between two moments: entities added and changed, fields before and after, links added.

        Args:
            before: the earlier moment; see `as_of`.
            after: the later one; the head, unless given.

        Raises:
            InvalidInputError: a moment is wrong, or `after` lies before `before`.
        """
        from stratalog.query.diff import diff

        first = before.snapshot() if isinstance(before, Moment) else self.as_of(before).snapshot()
        if after is None:
            last = self.snapshot()
        else:
            last = after.snapshot() if isinstance(after, Moment) else self.as_of(after).snapshot()
        return diff(first, last)

    def log(
        self,
        *,
        limit: int | None = None,
        actor: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> Result:
        """The commits, newest first: commit, first_seq, last_seq, recorded, actor, reason, request_id, event_count.

        Args:
            limit: how many at most.
            actor: only those of this actor.
            since: only commits after this moment; see `as_of`.
            until: only commits up to this moment.
        """
        from stratalog.query.log import commits

        low = 0 if since is None else self.as_of(since).seq
        snapshot = self.snapshot() if until is None else self.as_of(until).snapshot()
        return commits(snapshot, after_seq=low, actor=actor, limit=limit)

    # ---- writing

    def _find_type(self, kind: Kind, name: str, version: str | None) -> Type | None:
        self._check_open()
        return self._points.types().find(kind, name, version)

    def _run(
        self, command: str, arguments: object, decide: Callable[[Draft], A], answer: type[A], note: Note
    ) -> tuple[A, Committed | None, int]:
        self._check_open()
        if self.read_only:
            raise InvalidInputError(
                f"{command}: the store was opened read-only",
                code=ErrorCode.READ_ONLY,
                hint="open it without read_only=True",
            )
        state = self._state

        def run(time_us: int) -> Decision:
            draft = Draft(state, time_us=time_us)
            if note.request_id is None:
                result = decide(draft)
            else:
                result = once(draft, note.request_id, command, arguments, decide, answer)
            return Decision(draft.changes, (result, state.head + len(draft.changes)))

        actor = self.actor if note.actor is None else check_text(note.actor, "actor")
        reason = None if note.reason is None else check_text(note.reason, "reason")
        self._has_written = True
        (result, seq), committed = self._committer.submit(Command(run, actor, note.request_id, reason))
        if self._upkeep is not None and committed is not None:
            self._upkeep.after_commit()
        return result, committed, seq

    # ---- care

    def seal(self) -> None:
        """Seal everything committed so far into segments and read models, and merge what is due.

        Raises:
            StorageError: a file could not be written; nothing is lost.
        """
        self._begin()
        if self._upkeep is not None:
            self._upkeep.run()

    def merge(self) -> None:
        """Seal, and merge the read models' files whether that is due or not: the best shape for reading.

        Raises:
            StorageError: a file could not be written; nothing is lost.
        """
        self._begin()
        if self._upkeep is not None:
            self._upkeep.run()
        self._tables.merge(force=True)

    def verify(self) -> VerifyReport:
        """Check every byte of the log, and that the read models agree with it.

        Returns the report; a damaged log is in it, not raised.
        """
        from stratalog.store.reports import verify

        self._begin()

        def work() -> VerifyReport:
            with self._committer.paused():
                return verify(self._log, self._models)

        return self._abreast(work)

    def digests(self) -> dict[str, str]:
        """A digest of the content of every table: equal after a rebuild, a merge or a copy of the store."""
        self._begin()
        return self._abreast(self._models.digests)

    def _abreast(self, work: Callable[[], A]) -> A:
        """Do `work`; catch up and do it anew if another process has moved Base ahead of this one meanwhile."""
        while True:
            try:
                return work()
            except BehindError:
                self._committer.catch_up(whatever=True)

    def rebuild(self) -> dict[str, str]:
        """Throw the read models away, fold the log again, and return the digests, which must equal those before.

        Raises:
            StorageError: the store is read-only.
            CorruptLogError: the log is damaged.
        """
        self._check_open()
        if self.read_only:
            raise StorageError(
                "rebuild: the store was opened read-only",
                code=ErrorCode.READ_ONLY,
                hint="open it without read_only=True",
            )
        self._head_points.refresh()
        with self._committer.paused():
            self._models.rebuild()
        return self.digests()

    def stats(self) -> Stats:
        """Counts and sizes: what is in the store, and how it lies on disk."""
        from stratalog.store.reports import stats

        self._check_open()
        return stats(self._log, self._models, self.snapshot())

    @property
    def last_upkeep_error(self) -> Exception | None:
        """Why the last round of background upkeep failed; None if it did not."""
        return None if self._upkeep is None else self._upkeep.last_error
