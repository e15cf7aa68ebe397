"""What questions need of a snapshot, and last values of metrics in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Names(Protocol):
    """The numbers of names of properties and metrics."""

    def get(self, kind: int, custom: bool, name: str) -> int | None:
        """The number of a name, None if no event has used it."""
        ...


class Relations(Protocol):
    """What a filter needs of a snapshot: its tables, as SQL, and the numbers of names."""

    @property
    def names(self) -> Names:
        """The numbers of names."""
        ...

    def table(self, name: str) -> str:
        """A table as SQL that may follow FROM."""
        ...


class Reader(Relations, Protocol):
    """What questions need of a snapshot."""

    @property
    def seq(self) -> int:
        """The seq that the snapshot is pinned at."""
        ...

    def query(self, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> pa.Table:
        """Run SQL over `table(...)` relations."""
        ...


def last_points(snapshot: Relations, nids: Iterable[int]) -> str:
    """SQL for the last values of metrics, by step, then time, then seq: columns nkey, nid, v."""
    points = snapshot.table("point")
    chosen = ", ".join(str(int(nid)) for nid in nids)
    # Two passes: max by step is far cheaper over all points than a maximum of structs; the second pass is small.
    last = (
        f"SELECT l.run, l.nid, max(l.step) AS step FROM {points} AS l WHERE l.nid IN ({chosen}) GROUP BY l.run, l.nid"
    )
    return (
        f"SELECT q.run * 4 + 2 AS nkey, q.nid AS nid, arg_max(q.v, {{'ts': q.ts, 'seq': q.seq, 'v': q.v}}) AS v"
        f" FROM {points} AS q JOIN ({last}) AS l ON l.run = q.run AND l.nid = q.nid AND l.step = q.step"
        f" WHERE q.nid IN ({chosen}) GROUP BY q.run, q.nid"
    )
