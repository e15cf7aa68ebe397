"""Adjacency: who is one hop up or down from whom, as arrays, built from the table `edge` when first needed.

A link of an input type leads down from the artifact to the execution, one of an output type from the execution to the
artifact. Artifacts and executions share one numbering, `code = id << 1 | is_execution`, so that a walk is array
arithmetic. Links are kept as compressed rows (CSR) in both directions, each with its seq beside it: one graph answers
as of every seq that it holds.

The graph is a short list of parts, large to small. New links become a small part of their own, and a part that has
grown to a fair share of the one before it is joined with that one: each link is sorted a few times in its life, and
a question after a commit never waits for more than what the commit brought.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stratalog.eventlog.events import INPUT_TYPES, Kind

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, np.dtype[Any]]

JOIN_SHARE = 8
"""A part with at least 1/8 of the links of the part before it is joined with that one."""

SMALL_LINK_COUNT = 4096
"""Parts below this many links are joined with any that follows: sorting them costs less than looking in both."""

_DENSE_CODE_COUNT = 1 << 22
"""Up to here codes are used as places in arrays, however few links there are."""

_INPUTS = np.zeros(256, bool)
_INPUTS[[int(link_type) for link_type in INPUT_TYPES]] = True


def codes_of(kind: int, ids: Sequence[int] | Array) -> Array:
    """The codes of artifacts or executions, as int64, in the order of `ids`."""
    return np.asarray(ids, np.int64) << 1 | (kind == Kind.EXECUTION)


def kinds_of(codes: Array) -> Array:
    """The `Kind` of each code, as int8."""
    return ((codes & 1) + int(Kind.ARTIFACT)).astype(np.int8)


def in_order(codes: Array) -> Array:
    """Codes, each once, artifacts before executions, by ascending id."""
    if len(codes) < 2:
        return codes
    ascending = np.sort(codes)
    is_first = np.empty(len(ascending), bool)
    is_first[0] = True
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    ascending = ascending[is_first]
    is_execution = (ascending & 1).astype(bool)
    if is_execution.any() and not is_execution.all():
        return np.concatenate((ascending[~is_execution], ascending[is_execution]))
    return ascending


class Links(NamedTuple):
    """Links as arrays of one length: codes of the upper and the lower node, `LinkType`, seq."""

    upper: Array
    lower: Array
    types: Array
    seqs: Array

    @classmethod
    def of(cls, edges: pa.Table) -> Links:
        """Links from columns execution, artifact, type, seq of the table `edge`."""
        executions = codes_of(Kind.EXECUTION, edges["execution"].to_numpy())
        artifacts = codes_of(Kind.ARTIFACT, edges["artifact"].to_numpy())
        types = edges["type"].to_numpy().astype(np.int8)
        is_input = _INPUTS[types.view(np.uint8)]
        return cls(
            np.where(is_input, artifacts, executions),
            np.where(is_input, executions, artifacts),
            types,
            np.asarray(edges["seq"].to_numpy(), np.int64),
        )


class Rows:
    """Links in one direction, grouped by the node from which a hop starts.

    `targets`, `types` and `seqs` are parallel arrays. The links of a node stand side by side, in the order in which
    they were given.
    """

    __slots__ = ("_offsets", "_sources", "seqs", "targets", "types")

    def __init__(self, sources: Array, targets: Array, types: Array, seqs: Array) -> None:
        count = len(sources)
        order = grouping(sources)
        self.targets, self.types, self.seqs = _narrow(targets[order]), types[order], _narrow(seqs[order])
        code_count = int(sources.max()) + 1 if count else 0
        # Nodes without links, and what lies beyond the last, look at the empty row that stands at the end.
        if code_count <= max(4 * count, SMALL_LINK_COUNT):
            self._sources = None
            sizes = np.bincount(sources, minlength=code_count)
        else:
            found, sizes = np.unique(sources, return_counts=True)
            self._sources = np.append(found, -1)
        self._offsets = np.zeros(len(sizes) + 2, np.int64)
        np.cumsum(sizes, out=self._offsets[1:-1])
        self._offsets[-1] = count

    def find(self, codes: Array) -> tuple[Array, Array]:
        """The links that start from any of `codes`: places in `codes`, and places in `targets`."""
        empty_row = len(self._offsets) - 2
        if self._sources is None:
            rows = np.minimum(codes, empty_row)
        else:
            rows = self._sources[:-1].searchsorted(codes)
            rows[self._sources[rows] != codes] = empty_row
        starts = self._offsets[rows]
        sizes = self._offsets[rows + 1] - starts
        ends = sizes.cumsum()
        count = int(ends[-1]) if len(ends) else 0
        # Small walks are many small calls: methods of arrays cost half of what numpy's functions do.
        return np.arange(len(codes)).repeat(sizes), np.arange(count) + (starts - ends + sizes).repeat(sizes)

    def sources(self) -> Array:
        """The code from which each link starts, parallel to `targets`."""
        codes = np.arange(len(self._offsets) - 1) if self._sources is None else self._sources
        return np.repeat(codes, np.diff(self._offsets))


def grouping(keys: Array) -> Array:
    """A stable order by `keys`. Sorting (key, place) packed into one integer is several times as fast as argsort."""
    count = len(keys)
    place_bits = count.bit_length()
    if count and int(keys.max()).bit_length() + place_bits > 62:
        return np.argsort(keys, kind="stable")
    packed = keys << place_bits | np.arange(count)
    packed.sort()
    return packed & ((1 << place_bits) - 1)


def _narrow(values: Array) -> Array:
    """The values in 32 bits where they fit: half the memory to walk over."""
    return values.astype(np.int32) if not len(values) or int(values.max()) < 2**31 else values


class Part:
    """Some links in both directions, with seqs from `first_seq` to `last_seq`."""

    __slots__ = ("count", "down", "first_seq", "last_code", "last_seq", "up")

    def __init__(self, links: Links) -> None:
        self.count = len(links.seqs)
        self.down = Rows(links.upper, links.lower, links.types, links.seqs)
        self.up = Rows(links.lower, links.upper, links.types, links.seqs)
        self.first_seq, self.last_seq = int(links.seqs.min()), int(links.seqs.max())
        self.last_code = int(max(links.upper.max(), links.lower.max()))

    def links(self) -> Links:
        """The links, grouped by their upper node."""
        down = self.down
        return Links(down.sources(), down.targets.astype(np.int64), down.types, down.seqs.astype(np.int64))


class Graph:
    """All links up to a seq; never changes. Walk it as of any seq up to `seq`."""

    def __init__(self, parts: tuple[Part, ...] = (), seq: int = 0) -> None:
        self.parts = parts
        self.seq = seq
        self.link_count = sum(part.count for part in parts)
        self._last_code = max((part.last_code for part in parts), default=-1)
        self._codes: Array | None = None
        if self._last_code >= max(_DENSE_CODE_COUNT, 16 * self.link_count):
            # Ids with wide gaps: places are ranks among the codes that have links.
            self._codes = np.unique(np.concatenate([array for part in parts for array in part.links()[:2]]))

    @property
    def place_count(self) -> int:
        """How many places `places` can give."""
        return self._last_code + 1 if self._codes is None else len(self._codes)

    def places(self, codes: Array) -> Array:
        """A place of its own, below `place_count`, for each code; every one of `codes` must have links."""
        return codes if self._codes is None else np.searchsorted(self._codes, codes)

    def linked(self, codes: Array) -> Array:
        """Those of `codes` that can have a place; the others have no links."""
        if self._codes is None:
            return codes[(codes >= 0) & (codes <= self._last_code)]
        return codes[np.isin(codes, self._codes)]

    def extended(self, links: Links, seq: int) -> Graph:
        """The graph with more links, none of which it holds, as it is at `seq`."""
        if not len(links.seqs):
            return Graph(self.parts, seq)
        parts = list(self.parts)
        while parts and (parts[-1].count <= JOIN_SHARE * len(links.seqs) or parts[-1].count < SMALL_LINK_COUNT):
            earlier = parts.pop().links()
            links = Links(*(np.concatenate(pair) for pair in zip(earlier, links, strict=True)))
        return Graph((*parts, Part(links)), seq)


class Adjacency:
    """The graph of one log, kept and extended as questions come. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graph = Graph()

    def at(self, seq: int, read: Callable[[int, int], pa.Table]) -> Graph:
        """A graph that holds all links up to `seq`, and maybe later ones.

        Args:
            seq: the moment that will be asked about.
            read: gives the columns execution, artifact, type, seq of all links with `after` < seq <= `upto`.
        """
        graph = self._graph
        if graph.seq >= seq:
            return graph
        with self._lock:
            graph = self._graph
            if graph.seq < seq:
                graph = self._graph = graph.extended(Links.of(read(graph.seq, seq)), seq)
            return graph
