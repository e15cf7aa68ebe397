"""Upkeep: in the background, what was committed is sealed into segments, Base and parts, and small files merged.

None of it is needed for an answer to be right or a commit to be durable; it keeps opening quick and files few.
"""

from __future__ import annotations

import sqlite3
import threading
import time as clock

import msgspec

from stratalog.eventlog.errors import StorageError
from stratalog.store.models import Models

_PAUSE_S = 0.25
"""So long a process leaves the upkeep to another one that is at it, before it looks again."""


class UpkeepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When upkeep runs, in events that are not sealed yet.

    From `seal_events` on it runs in the background; from `wait_events` on a writer waits for it, so that memory
    stays bounded however fast it writes. `seal_at_close`: whoever wrote something seals it when closing the store.
    """

    seal_events: int = 20_000
    wait_events: int = 60_000
    seal_at_close: bool = True


class Upkeep:
    """Seals and merges one local store's files."""

    def __init__(self, models: Models, settings: UpkeepSettings) -> None:
        self._models = models
        self._settings = settings
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._next_try = 0.0
        self.last_error: Exception | None = None
        """Why the last round failed, None if it did not; the next round tries again."""

    def after_commit(self) -> None:
        """Begin a round if enough waits; wait for it if too much does."""
        waiting = self._models.state.recent_event_count
        if waiting < self._settings.seal_events or self._stopped:
            return
        if waiting >= self._settings.wait_events:
            self.run_quietly(wait=True)
        elif not self._running.locked() and clock.monotonic() >= self._next_try:
            thread = self._thread
            if thread is None or not thread.is_alive():
                self._thread = threading.Thread(target=self.run_quietly, name="stratalog-upkeep", daemon=True)
                self._thread.start()

    def run(self, *, wait: bool = True) -> None:
        """One round now.

        Args:
            wait: wait for another process that is at it, instead of leaving it to that one.

        Raises:
            StorageError, OSError, sqlite3.Error: a file could not be written; nothing is lost.
        """
        with self._running:
            if not self._models.seal(wait=wait):
                self._next_try = clock.monotonic() + _PAUSE_S

    def run_quietly(self, *, wait: bool = False) -> None:
        """One round now; a failure is kept in `last_error`: the log has every byte, and the next round tries again."""
        try:
            self.run(wait=wait)
            self.last_error = None
        except (StorageError, OSError, sqlite3.Error) as error:
            self.last_error = error

    def stop(self) -> None:
        """Begin no further round, and wait for the one that runs."""
        self._stopped = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
