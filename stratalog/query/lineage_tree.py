"""Lineage as trees, for printing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from stratalog.eventlog.events import Kind
from stratalog.query.picks import LINK_WORDS

if TYPE_CHECKING:
    import pyarrow as pa

    from stratalog.projections.lineage import Array
    from stratalog.query.walk import Reached


class TreeNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node in a tree of lineage.

    `link_types` are those of the links from the parent, empty for a root. Of a repeat (`is_repeat`) only the node
    itself is told: its children stand where it appears in full. `more` counts children that bounds left out.
    """

    kind: Kind
    id: int
    type: str | None
    name: str | None
    state: str | None
    hops: int
    link_types: tuple[str, ...] = ()
    is_repeat: bool = False
    children: list[TreeNode] = []
    more: int = 0


def grow(
    reached: Reached, nodes: pa.Table, wanted: Array | None, *, max_depth: int, max_children: int | None
) -> tuple[TreeNode, ...]:
    """Make trees of a walk: a root for each starting node, and each node in full below its first nearest parent.

    Args:
        reached: the walk.
        nodes: kind, id, type, name, state of all nodes reached, in their order.
        wanted: codes; branches without any of them are left out. None: all stay.
        max_depth: how many hops deep.
        max_children: how many children of one node.
    """
    return _Grower(reached, nodes, wanted).run(max_depth, max_children)


class _Grower:
    """Places below are those of nodes in the walk."""

    def __init__(self, reached: Reached, nodes: pa.Table, wanted: Array | None) -> None:
        sources, targets = np.split(reached.places(np.concatenate((reached.link_sources, reached.link_targets))), 2)
        order = np.lexsort((reached.link_seqs, targets, sources))
        self._sources, self._targets = sources[order], targets[order]
        self._types = reached.link_types[order]
        self._hops = reached.hops
        self._parents = self._nearest_parents()
        self._kept = np.ones(len(reached.codes), bool) if wanted is None else self._branches_to(reached.places(wanted))
        self._columns = {name: nodes[name] for name in ("kind", "id", "type", "name", "state")}

    def _nearest_parents(self) -> Array:
        """The place of the node below which each node stands in full; -1 for roots."""
        parents = np.full(len(self._hops), -1)
        is_nearest = self._hops[self._targets] == self._hops[self._sources] + 1
        # The first link of a target wins: assign in reverse.
        parents[self._targets[is_nearest][::-1]] = self._sources[is_nearest][::-1]
        return parents

    def _branches_to(self, wanted: Array) -> Array:
        kept: Array = self._hops == 0
        kept[wanted] = True
        # Nodes stand by rising hops: one slice a level, the furthest first.
        bounds = np.searchsorted(self._hops, np.arange(1, int(self._hops[-1]) + 2)) if len(kept) else kept
        for first, last in itertools.pairwise(bounds.tolist()[::-1]):
            kept[self._parents[last:first][kept[last:first]]] = True
        return kept

    def run(self, max_depth: int, max_children: int | None) -> tuple[TreeNode, ...]:
        waiting: list[tuple[int, TreeNode, dict[int, tuple[str, ...]]]] = []

        def make(place: int, link_types: tuple[str, ...] = (), *, is_repeat: bool = False) -> TreeNode:
            below = {} if is_repeat else self._below(place)
            shown = list(below)[: 0 if self._hops[place] >= max_depth else max_children]
            values = {name: column[place].as_py() for name, column in self._columns.items()}
            node = TreeNode(
                kind=Kind[values.pop("kind").upper()],
                hops=int(self._hops[place]),
                link_types=link_types,
                is_repeat=is_repeat,
                children=[],
                more=len(below) - len(shown),
                **values,
            )
            waiting.append((place, node, {target: below[target] for target in shown}))
            return node

        roots = tuple(make(place) for place in np.flatnonzero(self._hops == 0).tolist())
        # No recursion: lineage may be deeper than Python's stack.
        while waiting:
            place, node, below = waiting.pop()
            for target, link_types in below.items():
                node.children.append(make(target, link_types, is_repeat=bool(self._parents[target] != place)))
        return roots

    def _below(self, place: int) -> dict[int, tuple[str, ...]]:
        """The nodes one hop from a node, in order, with the types of the links to them."""
        first, last = np.searchsorted(self._sources, [place, place + 1])
        found: dict[int, tuple[str, ...]] = {}
        for target, link_type in zip(self._targets[first:last].tolist(), self._types[first:last].tolist(), strict=True):
            if self._kept[target]:
                found[target] = (*found.get(target, ()), LINK_WORDS[link_type])
        return found
