"""The two read models of a store, State and Tables, opened, folded, sealed and rebuilt together."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import nullcontext
from pathlib import Path

import msgspec

from stratalog.eventlog.commit import recorded
from stratalog.eventlog.store import LogStore
from stratalog.eventlog.stores.local import LocalLog
from stratalog.projections import base as bases
from stratalog.projections.base import Base
from stratalog.projections.manifest import locked
from stratalog.projections.state import State
from stratalog.projections.tables import Tables

BASE_FILE = "base.sqlite"
LOCK_FILE = "upkeep-lock"
_FOLD_EVENTS = 100_000
"""A long log is folded into Base in pieces of so many events, which bounds the memory of a rebuild."""


class Models:
    """State and Tables of one log.

    Args:
        log: where they are folded from.
        folder: `views/` of the store; None: in memory alone.
        read_only: write nothing into the folder.
    """

    def __init__(self, log: LogStore, folder: Path | None, *, read_only: bool) -> None:
        self.log = log
        self.folder = folder
        self.read_only = read_only or folder is None or not _is_writable(folder)
        self._base = self._open_base()
        self.state = State(self._base)
        self._fold()
        self.tables = Tables(log, folder)

    @property
    def can_seal(self) -> bool:
        """True if there is a folder, and it can be written to."""
        return not self.read_only and isinstance(self.log, LocalLog)

    def close(self) -> None:
        """Release every file."""
        self.tables.close()
        if self._base is not None:
            self._base.close()

    def seal(self, *, wait: bool) -> bool:
        """Seal the log, move what is durable into Base and parts, and merge what is due.

        One process at a time does it; the others only let go of what it has sealed.

        Args:
            wait: wait for another process that is at it, instead of leaving it to that one.

        Returns:
            False if it was left to another process.

        Raises:
            StorageError, OSError, sqlite3.Error: a file could not be written; nothing is lost.
        """
        assert isinstance(self.log, LocalLog)
        assert self.folder is not None
        with locked(self.folder / LOCK_FILE, wait=wait) as is_held:
            if is_held:
                self.log.seal()
                self.log.merge()
                self.log.sweep()
                stop = self._sealed_stop()
                self._replace_lost_base()
                self.state.absorb(stop)
                self.tables.seal(stop)
                self.tables.merge()
            else:
                self.state.adopt()
                self.tables.adopt()
            return is_held

    def rebuild(self) -> None:
        """Throw both away and fold the log again; no command may run meanwhile."""
        with nullcontext() if self.folder is None else locked(self.folder / LOCK_FILE, wait=True), self.state.lock:
            if self._base is not None:
                self._base.close()
                bases.delete(self._base.path)
                self._base = self._open_base()
            self.state.restart(self._base)
            self._fold()
        self.tables.rebuild()

    def _replace_lost_base(self) -> None:
        """Fold the log into a new Base if the file was removed, by hand or by a rebuild in another process."""
        if self._base is None or self._base.is_in_place():
            return
        with self.state.lock:
            lost, self._base = self._base, self._open_base()
            self.state.restart(self._base)
            lost.close()
            self._fold()

    def digests(self) -> dict[str, str]:
        """A digest of every table and of the state."""
        return {**self.tables.digests(), "state": self._state_digest()}

    # ---- inside

    def _log_id(self) -> str:
        return str(getattr(self.log, "log_id", ""))

    def _sealed_stop(self) -> int:
        segments = self.log.segments()
        return segments[-1].stop if segments else 0

    def _open_base(self) -> Base | None:
        if self.folder is None:
            return None
        path = self.folder / BASE_FILE
        if self.read_only:
            # Without its WAL an SQLite file may be half of a transaction: then the log is folded in memory instead.
            wal = path.with_name(path.name + "-wal")
            if not path.exists() or (wal.exists() and wal.stat().st_size):
                return None
            try:
                return Base.open(path, log_id=self._log_id(), read_only=True)
            except sqlite3.Error:
                return None
        self.folder.mkdir(exist_ok=True)
        base = Base.open(path, log_id=self._log_id())
        if base.stamp().applied_commit > self.log.head():
            # Base knows commits that the log does not have: it belongs to a longer life of this folder.
            base.close()
            bases.delete(path)
            base = Base.open(path, log_id=self._log_id())
        return base

    def _fold(self) -> None:
        state = self.state
        for record in self.log.read(state.next_commit):
            state.fold(record.header, recorded(record))
            if state.recent_event_count >= _FOLD_EVENTS and not self.read_only and self._base is not None:
                state.absorb(self._sealed_stop())

    def _state_digest(self) -> str:
        """SHA-256 over everything that the state holds, in the order of its keys."""
        digest = hashlib.sha256()
        encode = msgspec.msgpack.Encoder().encode
        with self.state.lock:
            for row in self.state.everything():
                digest.update(encode(row))
        return digest.hexdigest()


def _is_writable(folder: Path) -> bool:
    return os.access(folder if folder.exists() else folder.parent, os.W_OK)
