"""The committer: many callers, one commit at a time, one sync for all who wait.

Whoever comes first leads: it takes the log's lock, catches up with other processes, runs every waiting command in
order against the state, appends their records with one write, releases the lock, syncs once and wakes the others.
Nothing is acknowledged before its bytes are durable.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record, recorded
from stratalog.eventlog.errors import ConflictError, ErrorCode, StorageError
from stratalog.eventlog.events import Change, Recorded
from stratalog.eventlog.store import LogStore

_ATTEMPTS_MAX = 100


class Decision(msgspec.Struct, frozen=True):
    """What a command decided: changes (none: nothing is written) and the answer to its caller."""

    changes: Sequence[Change]
    answer: Any


class Committed(msgspec.Struct, frozen=True):
    """Where a command's events stand: commit number, seqs `[first_seq, end_seq)`, time in µs since 1970 UTC."""

    commit: int
    first_seq: int
    end_seq: int
    time_us: int


class Command(msgspec.Struct, frozen=True):
    """A wish with what is recorded of it.

    `decide(time_us)` runs under the log's lock with the state at head; it may refuse with an error and be called
    again after a conflict, so it must depend on the state and its arguments alone.
    """

    decide: Callable[[int], Decision]
    actor: str = ""
    request_id: str | None = None
    reason: str | None = None


class Folder(Protocol):
    """The state as the committer sees it."""

    head: int
    next_commit: int
    time_us: int

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held by whoever reads or folds."""
        ...

    def fold(self, header: Header, events: list[Recorded]) -> None:
        """Fold the next commit."""
        ...

    def rewind(self, commit: int) -> None:
        """Forget commits from `commit` on."""
        ...


class _Waiter:
    __slots__ = ("answer", "command", "committed", "done", "error")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.answer: Any = None
        self.committed: Committed | None = None
        self.error: BaseException | None = None
        self.done = False


class Committer:
    """Takes commands from any number of threads and commits them one by one.

    Args:
        log: where the records go.
        state: folds each record before the next command decides.
        clock_us: µs since 1970 UTC; a clock that goes back does not make commit times go back.
        on_durable: called, in order, with each commit that others may see: those of other processes when they are
            met, ours once they are durable.
    """

    def __init__(
        self,
        log: LogStore,
        state: Folder,
        *,
        clock_us: Callable[[], int],
        on_durable: Callable[[Header, list[Recorded]], None],
    ) -> None:
        self._log = log
        self._state = state
        self._clock_us = clock_us
        self._on_durable = on_durable
        self._queue: deque[_Waiter] = deque()
        self._leading = threading.Lock()
        self._dead: StorageError | None = None
        self._writer = os.urandom(16)
        self._writer_seq = 0
        self._pid = os.getpid()

    @property
    def is_dead(self) -> bool:
        """True after a failed write or sync: this committer acknowledges nothing any more."""
        return self._dead is not None

    def submit(self, command: Command) -> tuple[Any, Committed | None]:
        """Run a command and return its answer and its commit (None if it decided nothing) once that is durable.

        Raises:
            StorageError: the write or the sync failed; the command may or may not be found written after reopening.
            StoreError: the command refused; nothing was written.
        """
        if self._pid != os.getpid():
            self._after_fork()
        waiter = _Waiter(command)
        self._queue.append(waiter)
        with self._leading:
            # Taken by an earlier leader while this thread waited for the lock: then there is nothing left to do.
            if not waiter.done:
                self._lead()
        if waiter.error is not None:
            raise waiter.error
        return waiter.answer, waiter.committed

    def catch_up(self) -> None:
        """Fold what other processes committed since."""
        with self._leading:
            self._fold_others(self._log.head())

    def paused(self) -> AbstractContextManager[Any]:
        """Let no command run inside the block; those that come wait."""
        return self._leading

    def _after_fork(self) -> None:
        # A child has the parent's queue and lock as they stood: begin with new ones, as another writer.
        self._pid = os.getpid()
        self._queue = deque()
        self._leading = threading.Lock()
        self._writer = os.urandom(16)
        self._writer_seq = 0

    # ---- leading

    def _lead(self) -> None:
        batch: list[_Waiter] = []
        while self._queue:
            batch.append(self._queue.popleft())
        try:
            for _ in range(_ATTEMPTS_MAX):
                try:
                    self._commit(batch)
                    break
                except ConflictError:
                    for waiter in batch:
                        waiter.answer = waiter.committed = waiter.error = None
            else:
                raise ConflictError(
                    f"lost the race for the head {_ATTEMPTS_MAX} times", hint="fewer writers at once, or try again"
                )
        except BaseException as error:
            for waiter in batch:
                waiter.error, waiter.committed = error, None
        finally:
            for waiter in batch:
                waiter.done = True

    def _commit(self, batch: list[_Waiter]) -> None:
        if self._dead is not None:
            raise StorageError(
                f"this writer stopped after a failure: {self._dead.message}",
                code=ErrorCode.WRITER_DEAD,
                hint="mend the cause, then close the store and open it again",
            ) from self._dead
        log, state = self._log, self._state
        records: list[Record] = []
        durable: list[tuple[Header, list[Recorded]]] = []
        at = -1
        try:
            with log.exclusive():
                with state.lock:
                    self._fold_others(log.head())
                    at = state.next_commit
                    for waiter in batch:
                        self._decide(waiter, records, durable)
                if records:
                    log.append(at, records)
            if records:
                log.sync()
        except ConflictError:
            state.rewind(at)
            raise
        except BaseException as error:
            # What the disk holds now is unknown. Readers of this process go back to what is known to be durable.
            if records:
                self._dead = (
                    error
                    if isinstance(error, StorageError)
                    else StorageError(f"a commit was interrupted by {type(error).__name__}: {error}")
                )
                state.rewind(at)
            raise
        for header, events in durable:
            self._on_durable(header, events)

    def _decide(self, waiter: _Waiter, records: list[Record], durable: list[tuple[Header, list[Recorded]]]) -> None:
        state, command = self._state, waiter.command
        time_us = max(self._clock_us(), state.time_us)
        try:
            decision = command.decide(time_us)
        except Exception as error:
            # A refusal, or a bug of ours: either way this command alone fails, and it has changed nothing.
            waiter.error = error
            return
        waiter.answer = decision.answer
        if not decision.changes:
            return
        header = Header(
            RECORD_FORMAT,
            state.next_commit,
            state.head + 1,
            time_us,
            self._writer,
            self._writer_seq,
            command.actor,
            command.request_id,
            command.reason,
        )
        self._writer_seq += 1
        seq = header.first_seq
        record = Record(header, [change.event for change in decision.changes])
        events = [Recorded(seq + i, c.fact, c.event.prev) for i, c in enumerate(decision.changes)]
        state.fold(header, events)
        records.append(record)
        durable.append((header, events))
        waiter.committed = Committed(header.commit, seq, record.end_seq, time_us)

    def _fold_others(self, head: int) -> None:
        state = self._state
        if head > state.next_commit:
            for record in self._log.read(state.next_commit, head):
                events = recorded(record)
                state.fold(record.header, events)
                self._on_durable(record.header, events)
