"""Walks over links: everything within some hops of some nodes, up, down or both ways.

A hop goes over one link. A node is reached once, at its shortest distance; cycles end by themselves.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from stratalog.projections.lineage import Array, Graph, Rows, grouping, in_order

Direction = Literal["up", "down", "both"]

_SEEN, _LAST, _BARRED = 1, 2, 4


class Stops(NamedTuple):
    """Nodes at which a walk ends, as codes.

    `last` nodes are reached, with the links that lead to them, but not left. `barred` nodes are not reached: neither
    they nor the links that lead to them are part of the answer. Both hold for starting nodes too.
    """

    last: Array
    barred: Array


class Reached(NamedTuple):
    """What a walk found.

    `codes` (see `projections.lineage`) and `hops` are parallel, by rising hops, artifacts before executions, by rising
    id; starting nodes have 0 hops. The links that were walked, each once, lead from `link_sources` to `link_targets`,
    with their `link_types` and `link_seqs`, by rising hops of the source. `is_cut` tells that there were more nodes
    than asked for.
    """

    codes: Array
    hops: Array
    link_sources: Array
    link_targets: Array
    link_types: Array
    link_seqs: Array
    is_cut: bool

    def places(self, codes: Array) -> Array:
        """Where each of some codes, all of them reached, stands in `codes`."""
        order = np.argsort(self.codes)
        found: Array = order[np.searchsorted(self.codes[order], codes)]
        return found


def walk(
    graph: Graph,
    starts: Array,
    direction: Direction,
    *,
    as_of_seq: int | None = None,
    max_hops: int | None = None,
    stops: Stops | None = None,
    node_max: int | None = None,
) -> Reached:
    """Walk from some nodes along the links that lead up, down or both ways.

    Args:
        graph: where to walk.
        starts: codes of the starting nodes, in any order.
        direction: against the flow of data, with it, or both.
        as_of_seq: links after this seq do not count; None: all links count.
        max_hops: how far to go; 0 gives the starting nodes alone, None no bound.
        stops: where to end.
        node_max: stop after this many nodes, the nearest ones; links to others are left out.
    """
    return _Walk(graph, direction, graph.seq if as_of_seq is None else as_of_seq).run(
        starts, max_hops=max_hops, stops=stops, node_max=node_max
    )


class _Walk:
    def __init__(self, graph: Graph, direction: Direction, seq: int) -> None:
        self._graph = graph
        self._seq = seq
        parts = [part for part in graph.parts if part.first_seq <= seq]
        self._ways: list[tuple[Rows, bool]] = []
        for way in ("down", "up"):
            if direction in (way, "both"):
                self._ways += [(getattr(part, way), part.last_seq > seq) for part in parts]
        self._meets_twice = direction == "both"
        self._marks = np.zeros(graph.place_count, np.uint8)
        self._has_barred = False

    def run(self, starts: Array, *, max_hops: int | None, stops: Stops | None, node_max: int | None) -> Reached:
        level = in_order(starts)
        if stops is not None:
            self._mark(stops.last, _LAST)
            self._mark(stops.barred, _BARRED)
            self._has_barred = len(stops.barred) > 0
            level = level[~np.isin(level, stops.barred)]
        levels: list[Array] = []
        links: list[tuple[Array, Array, Array, Array]] = []
        count, is_cut = 0, False
        while len(level):
            if node_max is not None and count + len(level) > node_max:
                level, is_cut = level[: node_max - count], True
            levels.append(level)
            count += len(level)
            frontier = self._enter(level, stops)
            if is_cut:
                links = [self._entered(chunk) for chunk in links]
                break
            if max_hops is not None and len(levels) > max_hops:
                break
            level = in_order(self._expand(frontier, links))
        return self._answer(levels, links, is_cut)

    def _mark(self, codes: Array, mark: int) -> None:
        self._marks[self._graph.places(self._graph.linked(codes))] |= mark

    def _enter(self, level: Array, stops: Stops | None) -> Array:
        """Mark the nodes of a level as seen; return those to go on from."""
        frontier = self._graph.linked(level)
        places = self._graph.places(frontier)
        if stops is not None:
            frontier = frontier[self._marks[places] & _LAST == 0]
        self._marks[places] |= _SEEN
        return frontier

    def _expand(self, frontier: Array, links: list[tuple[Array, Array, Array, Array]]) -> Array:
        """Follow the links of a frontier; return the targets that were not seen before, some of them repeatedly."""
        fresh: list[Array] = []
        for rows, has_later in self._ways:
            sources, places = rows.find(frontier)
            if not len(places):
                continue
            targets, seqs = rows.targets[places], rows.seqs[places]
            marks = self._marks[self._graph.places(targets)]
            keep = None
            if has_later:
                keep = seqs <= self._seq
            if self._has_barred:
                keep = marks & _BARRED == 0 if keep is None else keep & (marks & _BARRED == 0)
            if keep is not None:
                sources, places, targets, seqs, marks = (a[keep] for a in (sources, places, targets, seqs, marks))
            links.append((frontier[sources], targets, rows.types[places], seqs))
            fresh.append(targets[marks & _SEEN == 0])
        return _joined(fresh)

    def _entered(self, chunk: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        """The links of a chunk whose targets are part of the answer."""
        keep = self._marks[self._graph.places(chunk[1])] & _SEEN != 0
        sources, targets, types, seqs = (array[keep] for array in chunk)
        return sources, targets, types, seqs

    def _answer(self, levels: list[Array], links: list[tuple[Array, Array, Array, Array]], is_cut: bool) -> Reached:
        hops = np.repeat(np.arange(len(levels), dtype=np.int32), [len(level) for level in levels])
        columns = [_joined([chunk[column] for chunk in links]) for column in range(4)]
        if self._meets_twice:
            # Both ends of a link may have been left: keep its first appearance.
            order = grouping(columns[3])
            seqs = columns[3][order]
            first = np.sort(order[np.concatenate(([True], seqs[1:] != seqs[:-1]))]) if len(order) else order
            columns = [column[first] for column in columns]
        sources, targets, types, seqs = columns
        return Reached(_joined(levels), hops, sources, targets, types, seqs, is_cut)


def _joined(arrays: list[Array]) -> Array:
    if len(arrays) == 1:
        return arrays[0].astype(np.int64, copy=False)
    return np.concatenate(arrays).astype(np.int64, copy=False) if arrays else np.empty(0, np.int64)


def has_links(graph: Graph, codes: Array, *, as_of_seq: int) -> Array:
    """For each of `codes`, whether it has a link as of a seq; a node that has one is there."""
    found = np.zeros(len(codes), bool)
    for part in graph.parts:
        for rows in (part.down, part.up):
            owners, places = rows.find(codes)
            found[owners[rows.seqs[places] <= as_of_seq]] = True
    return found


def links_between(graph: Graph, codes: Array, *, as_of_seq: int | None = None) -> Array:
    """The seqs, ascending, of all links whose both ends are among `codes`."""
    seq = graph.seq if as_of_seq is None else as_of_seq
    codes = graph.linked(in_order(codes))
    marks = np.zeros(graph.place_count, bool)
    marks[graph.places(codes)] = True
    found: list[Array] = []
    for part in graph.parts:
        _, places = part.down.find(codes)
        keep = marks[graph.places(part.down.targets[places])] & (part.down.seqs[places] <= seq)
        found.append(part.down.seqs[places[keep]])
    return np.sort(_joined(found))
