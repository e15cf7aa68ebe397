"""What questions need of a snapshot, and last values of metrics in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa


class Names(Protocol):
    """The numbers of names of properties and metrics."""

    def get(self, kind: int, custom: bool, name: str) -> int | None:
        """The number of a name, None if no event has used it."""
        ...

    def numbers(self, kind: int, custom: bool) -> Mapping[str, int]:
        """Name -> number, for one kind of node and one of its two sets of properties."""
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


def last_points(snapshot: Relations, nids: Iterable[int], hits: str | None = None) -> str:
    """SQL for the last values of metrics, by step, then time, then seq: columns nkey (of the execution), nid, v.

    Args:
        snapshot: where to look.
        nids: the numbers of the metrics.
        hits: a relation with the column nkey: only of these executions.
    """
    points = snapshot.table("point")
    chosen = one_of("nid", nids)
    if hits is not None:
        chosen += f" AND run IN (SELECT nkey >> 2 FROM {hits})"
    # A maximum of structs costs three times one of numbers: only the last step of longer curves gets there.
    return (
        "SELECT run * 4 + 2 AS nkey, nid, v FROM ("
        "WITH ends AS MATERIALIZED (SELECT run, nid, max(step) AS step, count(*) AS n, max(v) AS v"
        f" FROM {points} WHERE {chosen} GROUP BY run, nid)"
        " SELECT run, nid, v FROM ends WHERE n = 1 UNION ALL"
        " SELECT q.run, q.nid, arg_max(q.v, {'ts': q.ts, 'seq': q.seq, 'v': q.v}) AS v"
        f" FROM (SELECT * FROM {points} WHERE {chosen}) AS q JOIN (SELECT run, nid, step FROM ends WHERE n > 1) AS e"
        " ON e.run = q.run AND e.nid = q.nid AND e.step = q.step GROUP BY q.run, q.nid)"
    )


def one_of(column: str, numbers: Iterable[int]) -> str:
    """SQL: a column is one of some numbers, at least one. A range is filtered in the scan, a list only after it."""
    chosen = sorted(numbers)
    span = f"{column} BETWEEN {int(chosen[0])} AND {int(chosen[-1])}"
    if len(chosen) == chosen[-1] - chosen[0] + 1:
        return f"({span})"
    return f"({span} AND {column} IN ({', '.join(str(int(number)) for number in chosen)}))"


def unnested(parameter: str) -> str:
    """SQL of the integers in a parameter that `packed` made."""
    return f"unnest(from_json(${parameter}, '[\"BIGINT\"]'))"


def packed(numbers: Iterable[int]) -> str:
    """Integers as one value to bind: a long list binds many times slower than its text is read."""
    return msgspec.json.encode(list(numbers)).decode()
