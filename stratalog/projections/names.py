"""Property names as small numbers: the `nid` of (kind, custom, name), in the order of first use in the log.

The order is that of the events; inside one event properties come before custom properties, each in the order of its
dict. So a name has the same number however the log was folded. Keys of metrics are names too, of kind 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

METRIC_KIND = 0
"""The kind under which keys of metrics stand."""


class PropertyName(NamedTuple):
    """What a number stands for. `kind` is that of the node, 0 for a metric; `seq` is that of the first use."""

    nid: int
    kind: int
    custom: bool
    name: str
    seq: int


class PropertyNames:
    """All names met so far; numbers start at 1. Only the fold adds to it; anybody may look up."""

    def __init__(self, known: Iterable[PropertyName] = ()) -> None:
        self._rows: list[PropertyName] = []
        self._numbers: dict[tuple[int, bool], dict[str, int]] = {}
        for row in sorted(known):
            assert row.nid == len(self._rows) + 1, f"name {row.nid} stands at place {len(self._rows) + 1}"
            self._insert(row)

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, kind: int, custom: bool, name: str) -> int | None:
        """The number of a name, None if no event has used it."""
        return self.numbers(kind, custom).get(name)

    def numbers(self, kind: int, custom: bool) -> Mapping[str, int]:
        """Name -> number, for one kind of node and one of its two sets of properties."""
        return self._numbers.setdefault((kind, custom), {})

    def name(self, nid: int) -> PropertyName:
        """What a number stands for.

        Raises:
            KeyError: no such number was given out.
        """
        if not 1 <= nid <= len(self._rows):
            raise KeyError(nid)
        return self._rows[nid - 1]

    def rows(self, after: int = 0) -> list[PropertyName]:
        """The names with a number above `after`, by rising number."""
        return self._rows[after:]

    def add(self, kind: int, custom: bool, name: str, seq: int) -> None:
        """Give the next number to a name at its first use; later uses change nothing."""
        if name not in self.numbers(kind, custom):
            self._insert(PropertyName(len(self._rows) + 1, kind, custom, name, seq))

    def _insert(self, row: PropertyName) -> None:
        self._rows.append(row)
        self._numbers.setdefault((row.kind, row.custom), {})[row.name] = row.nid
