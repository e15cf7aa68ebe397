"""The committer: many callers, one commit at a time, one sync for all who wait.

Whoever comes first leads: it takes the log's lock, catches up with other processes, runs every waiting command in
order against the state, appends their records with one write, releases the lock, syncs once and wakes the others.
Nothing is acknowledged before its bytes are durable.

A failed write or sync ends the committer as a writer. An interruption (Ctrl-C) does not: the state goes back to what
is surely in the log, and the next leader reads the log to see how far the interrupted commit came.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

import msgspec

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record, recorded
from stratalog.eventlog.errors import ConflictError, ErrorCode, InvalidInputError, StorageError
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


class _Batch:
    """What one leader commits at once. `is_written`: some of it may be in the log; `is_durable`: all is, for ever."""

    __slots__ = ("events", "is_durable", "is_written", "records", "waiters")

    def __init__(self) -> None:
        self.waiters: list[_Waiter] = []
        self.forget()

    def forget(self) -> None:
        """Go back to before anything was decided."""
        self.records: list[Record] = []
        self.events: list[tuple[Header, list[Recorded]]] = []
        self.is_written = self.is_durable = False
        for waiter in self.waiters:
            waiter.answer = waiter.committed = waiter.error = None

    @staticmethod
    def finish(waiters: list[_Waiter]) -> None:
        """Let the callers go."""
        for waiter in waiters:
            waiter.done = True


class Committer:
    """Takes commands from any number of threads and commits them one by one.

    Args:
        log: where the records go.
        state: folds each record before the next command decides.
        clock_us: µs since 1970 UTC; a clock that goes back does not make commit times go back.
        on_durable: called, in order, with each commit that others may see: those of other processes when they are
            met, ours once they are durable. After an interruption one may be handed on twice.
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
        self._published = state.next_commit
        """Commits below this one were handed to `on_durable`."""
        self._doubtful_stop = 0
        """Where the commits end that a dead writer wrote last, and of which nobody knows whether they will stay."""
        self._is_torn = False
        """True if the state may hold half of something: it must be rewound before it is used."""

    @property
    def is_dead(self) -> bool:
        """True after a failed write or sync: this committer acknowledges nothing any more."""
        return self._dead is not None

    def submit(self, command: Command) -> tuple[Any, Committed | None]:
        """Run a command and return its answer and its commit (None if it decided nothing) once that is durable.

        Raises:
            StorageError: the write or the sync failed; the command may or may not be found written after reopening.
            StoreError: the command refused; nothing was written.
            BaseException: the caller was interrupted (say, by Ctrl-C); the command may or may not be found written,
                and the committer goes on.
        """
        if self._pid != os.getpid():
            self._after_fork()
        waiter = _Waiter(command)
        try:
            self._queue.append(waiter)
            with self._leading:
                # Done already, if an earlier leader took it while this thread waited for the lock.
                if not waiter.done:
                    self._lead(waiter)
        except BaseException:
            # Nobody waits for the answer any more, so nobody else shall run it.
            with suppress(ValueError):
                self._queue.remove(waiter)
            raise
        if not waiter.done:
            raise self._lost()
        if waiter.error is not None:
            raise waiter.error
        return waiter.answer, waiter.committed

    def catch_up(self, *, whatever: bool = False) -> None:
        """Fold what other processes committed since.

        Args:
            whatever: fold also what this writer wrote before it died, though nobody knows whether it will stay.
        """
        with self._leading:
            self._mend_state()
            head = self._log.head()
            if head > self._doubtful_stop or whatever:
                self._fold_others(head)

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

    def _lead(self, own: _Waiter) -> None:
        """Run all that wait. Errors stand in the waiters; an interruption of this thread is raised."""
        batch = _Batch()
        try:
            while self._queue:
                batch.waiters.append(self._queue.popleft())
            try:
                self._commit_until_done(batch)
            except Exception as error:
                for waiter in batch.waiters:
                    waiter.error, waiter.committed = error, None
            batch.finish(batch.waiters)
        except BaseException:
            self._interrupted(batch, own)
            raise

    def _commit_until_done(self, batch: _Batch) -> None:
        for _ in range(_ATTEMPTS_MAX):
            try:
                self._commit(batch)
                return
            except ConflictError:
                batch.forget()
        raise ConflictError(
            f"lost the race for the head {_ATTEMPTS_MAX} times", hint="fewer writers at once, or try again"
        )

    def _commit(self, batch: _Batch) -> None:
        if self._dead is not None:
            raise StorageError(
                f"this writer stopped after a failure: {self._dead.message}",
                code=ErrorCode.WRITER_DEAD,
                hint="mend the cause, then close the store and open it again",
            ) from self._dead
        self._mend_state()
        log, state = self._log, self._state
        guard = log.exclusive()
        # Whatever goes wrong from here on, the state must not keep what is not in the log.
        self._is_torn = True
        try:
            with guard:
                with state.lock:
                    self._fold_others(log.head())
                    at = state.next_commit
                    for waiter in batch.waiters:
                        self._decide(waiter, batch)
                if batch.records:
                    batch.is_written = True
                    log.append(at, batch.records)
            if batch.records:
                log.sync()
                batch.is_durable = True
        except (ConflictError, InvalidInputError):
            # Nothing was written.
            self._mend_state()
            raise
        except Exception as error:
            if batch.is_written:
                # What the disk holds now is unknown. Readers of this process go back to what is known to be durable.
                self._dead = error if isinstance(error, StorageError) else StorageError(f"a commit failed: {error}")
                self._doubtful_stop = at + len(batch.records)
            self._mend_state()
            raise
        except BaseException:
            # Interrupted, perhaps on the way out of the lock; a plain lock that is free already says so.
            with suppress(RuntimeError):
                guard.__exit__(None, None, None)
            raise
        for header, events in batch.events:
            self._publish(header, events)
        self._is_torn = False

    def _interrupted(self, batch: _Batch, own: _Waiter) -> None:
        """Leave the state whole, and the other threads of the batch with an answer or back in the queue."""
        others = [waiter for waiter in batch.waiters if waiter is not own and not waiter.done]
        own.done = True
        self._mend_state()
        if not batch.is_written:
            self._queue.extendleft(reversed(others))
            return
        if not batch.is_durable:
            for waiter in others:
                waiter.error, waiter.committed = self._lost(), None
        batch.finish(others)

    @staticmethod
    def _lost() -> StorageError:
        return StorageError(
            "another thread was interrupted while it committed this one's command; it may or may not be in the log",
            hint="read before trying again, or repeat it with the same request id",
        )

    def _mend_state(self) -> None:
        """Go back to the last commit that was handed on, if the state may hold something else."""
        if self._is_torn:
            self._state.rewind(self._published)
            self._is_torn = False

    def _publish(self, header: Header, events: list[Recorded]) -> None:
        self._on_durable(header, events)
        self._published = header.commit + 1

    def _decide(self, waiter: _Waiter, batch: _Batch) -> None:
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
        batch.records.append(record)
        batch.events.append((header, events))
        waiter.committed = Committed(header.commit, seq, record.end_seq, time_us)

    def _fold_others(self, head: int) -> None:
        state = self._state
        if head > state.next_commit:
            for record in self._log.read(state.next_commit, head):
                events = recorded(record)
                state.fold(record.header, events)
                self._publish(record.header, events)
