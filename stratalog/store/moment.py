"""A store as it was known at one moment: every read, no write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratalog.eventlog.events import Kind
from stratalog.store.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratalog.query.snapshot import Snapshot


class Moment(Reads):
    """What `store.as_of(when)` gives: the same reads, answered with what was recorded up to `seq`.

    It stays as it is whatever is written later. Closing the store ends it.
    """

    def __init__(self, snapshot: Snapshot, check_open: Callable[[], None]) -> None:
        from stratalog.store.moment_points import MomentPoints

        self._snapshot = snapshot
        self._points = MomentPoints(snapshot)
        self._check_open_of_store = check_open

    def snapshot(self) -> Snapshot:
        """The tables, pinned at this moment."""
        self._begin()
        return self._snapshot

    @property
    def seq(self) -> int:
        """The seq of this moment."""
        return self._snapshot.seq

    def _begin(self) -> None:
        self._check_open_of_store()

    def __repr__(self) -> str:
        return f"<Moment as of seq {self.seq}: {', '.join(f'{kind.word}s' for kind in Kind)}>"
