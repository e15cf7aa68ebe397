"""Lineage: what led to some nodes, and what came of them, as of a snapshot.

A hop goes over one link, from an artifact to an execution or back. Down from an artifact follows the links by which
executions read it, down from an execution those by which it made artifacts; up is the reverse.

Source: docs/reference/python.md, "Reading".
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np
import pyarrow as pa

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Kind
from stratalog.projections.lineage import Adjacency, Array, Graph, codes_of
from stratalog.projections.tables import Tables
from stratalog.query.filter import parse_filter
from stratalog.query.lineage_tree import TreeNode, grow
from stratalog.query.picks import (
    NODES,
    is_id,
    nodes_from_state,
    pick_links,
    pick_nodes,
    rows_of,
)
from stratalog.query.result import Result
from stratalog.query.walk import Direction, Reached, Stops, has_links, walk

if TYPE_CHECKING:
    from stratalog.projections.state import State
    from stratalog.query.snapshot import Snapshot

SMALL_NODE_COUNT = 2000
"""Up to this many nodes are read from the state, if it is at hand: 4 µs each, against a scan of the table."""

_WALKABLE = (Kind.ARTIFACT, Kind.EXECUTION)
_KIND_WORDS = pa.array([None, *(kind.word for kind in Kind)], pa.string())

_adjacencies: weakref.WeakKeyDictionary[Tables, Adjacency] = weakref.WeakKeyDictionary()
_making = threading.Lock()


class StopAt(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk ends: nodes that match the filter of their kind are not left again.

    `artifacts` and `executions` are filters; None and '' match nothing. The nodes are part of the answer, with the
    links that lead to them, unless their kind's `include` is False. Both hold for starting nodes too.
    """

    artifacts: str | None = None
    executions: str | None = None
    include_artifacts: bool = True
    include_executions: bool = True


class Lineage(Result):
    """The answer to a question about lineage: nodes and links as of one seq.

    As a table it is the nodes: kind, id, type, name, uri, state, hops; by hops, kind (artifacts first) and id.
    """

    def __init__(self, snapshot: Snapshot, reached: Reached, nodes: pa.Table, *, has_all: bool) -> None:
        super().__init__(nodes)
        self._snapshot = snapshot
        self._reached = reached
        self._has_all = has_all

    def __repr__(self) -> str:
        return f"Lineage({len(self)} nodes, {len(self._reached.link_seqs)} links, as of seq {self._snapshot.seq})"

    @property
    def nodes(self) -> pa.Table:
        """The nodes, as from `arrow()`."""
        return self.arrow()

    @property
    def is_cut(self) -> bool:
        """True if there are more nodes than the limit let in."""
        return self._reached.is_cut

    @cached_property
    def links(self) -> pa.Table:
        """The links that were walked, by seq: execution_id, artifact_id, type, path (JSON), happened, seq.

        Read on first use. They are all there also where only nodes of some types were asked for.
        """
        return pick_links(self._snapshot, self._reached.link_seqs)

    def ids(self, kind: Kind) -> list[int]:
        """The ids of the nodes of a kind, ascending."""
        kinds, ids = self.nodes["kind"].to_numpy(zero_copy_only=False), self.nodes["id"].to_numpy()
        found: list[int] = np.sort(ids[kinds == kind.word]).tolist()
        return found

    def tree(self, *, max_depth: int = 32, max_children: int | None = None) -> tuple[TreeNode, ...]:
        """The nodes as trees below the starting nodes, for printing.

        Each node stands in full once, at its shortest distance; elsewhere it is marked as a repeat. Where only nodes
        of some types were asked for, branches without one are left out.

        Args:
            max_depth: how many hops deep.
            max_children: how many below one node; `more` of the node counts the others.
        """
        nodes = self.nodes
        if not self._has_all:
            nodes = _in_order(self._reached, pick_nodes(self._snapshot, _nkeys(self._reached.codes)))
        wanted = None if self._has_all else _codes(self.nodes)
        return grow(self._reached, nodes, wanted, max_depth=max_depth, max_children=max_children)


def lineage(
    snapshot: Snapshot,
    starts: Sequence[tuple[Kind, int]],
    *,
    direction: str = "both",
    max_hops: int | None = None,
    types: Sequence[str] | None = None,
    stop_at: StopAt | None = None,
    node_limit: int | None = None,
    state: State | None = None,
) -> Lineage:
    """Walk from some artifacts and executions.

    Args:
        snapshot: as of when.
        starts: the starting nodes.
        direction: `up` (what led to them), `down` (what came of them) or `both`.
        max_hops: how far; 0 gives the starting nodes alone, None goes to the end.
        types: names of types, of any version: only nodes of these are returned; the walk goes through others.
        stop_at: where to end.
        node_limit: walk over this many nodes at most, the nearest ones.
        state: answers faster, for few nodes, as long as it stands at the snapshot's seq.

    Raises:
        NotFoundError: a starting node is not there.
        InvalidInputError: an argument or a filter is wrong.
    """
    way = check_direction(direction)
    check_count("max_hops", max_hops)
    check_count("node_limit", node_limit)
    starting = _starting(starts)
    graph = graph_at(snapshot)
    stops = None if stop_at is None else stops_of(snapshot, stop_at)
    reached = walk(graph, starting, way, as_of_seq=snapshot.seq, max_hops=max_hops, stops=stops, node_max=node_limit)
    names = None if types is None else frozenset([types] if isinstance(types, str) else types)
    nodes = None
    if state is not None and len(reached.codes) <= SMALL_NODE_COUNT:
        nodes = _from_state(state, snapshot.seq, reached, starting, names)
    if nodes is None:
        nodes = _from_tables(snapshot, graph, reached, starting, names)
    return Lineage(snapshot, reached, _in_order(reached, nodes), has_all=names is None)


# ---- what the questions over links share


def adjacency_of(tables: Tables) -> Adjacency:
    """The one adjacency of some tables."""
    with _making:
        found = _adjacencies.get(tables)
        if found is None:
            found = _adjacencies[tables] = Adjacency()
        return found


def graph_at(snapshot: Snapshot) -> Graph:
    """The links up to a snapshot's seq, and maybe later ones; only what is new is read."""

    def read(after: int, upto: int) -> pa.Table:
        return snapshot.query(
            f"SELECT execution, artifact, type, seq FROM {snapshot.tables.source('edge', upto)} WHERE seq > {after}"
        )

    return adjacency_of(snapshot.tables).at(snapshot.seq, read)


def stops_of(snapshot: Snapshot, stop_at: StopAt) -> Stops:
    """The nodes at which a walk ends.

    Raises:
        InvalidInputError: a filter is wrong.
    """
    last, barred = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for kind, text, is_included in (
        (Kind.ARTIFACT, stop_at.artifacts, stop_at.include_artifacts),
        (Kind.EXECUTION, stop_at.executions, stop_at.include_executions),
    ):
        if text:
            (last if is_included else barred).append(codes_of(kind, matching(snapshot, kind, text)))
    return Stops(np.concatenate(last), np.concatenate(barred))


def matching(snapshot: Snapshot, kind: Kind, text: str) -> Array:
    """The ids, ascending, of the nodes of a kind that match a filter.

    Raises:
        InvalidInputError: the filter is wrong.
    """
    selection = parse_filter(text, kind).select(snapshot)
    found: Array = np.sort(snapshot.query(selection.sql, selection.parameters)["nkey"].to_numpy()) >> 2
    return found


def check_direction(direction: str) -> Direction:
    """The direction, if it is one.

    Raises:
        InvalidInputError: it is none.
    """
    if direction not in ("up", "down", "both"):
        raise InvalidInputError(
            f"lineage: direction {direction!r} where 'up', 'down' or 'both' was expected", code=ErrorCode.INVALID_VALUE
        )
    return cast("Direction", direction)


def check_count(name: str, count: int | None) -> None:
    """Refuse what is no count.

    Raises:
        InvalidInputError: it is negative, or no int.
    """
    if count is not None and (type(count) is not int or count < 0):
        raise InvalidInputError(
            f"lineage: {name} {count!r} where an int from 0 on, or None, was expected", code=ErrorCode.INVALID_VALUE
        )


# ---- inside


def _starting(starts: Sequence[tuple[Kind, int]]) -> Array:
    if not starts:
        raise InvalidInputError("lineage: no node to start from", code=ErrorCode.MISSING_FIELD)
    codes: list[int] = []
    for kind, id in starts:
        if kind not in _WALKABLE:
            raise InvalidInputError(
                f"lineage: cannot start from {Kind(kind).word} {id!r}; an artifact or an execution was expected",
                code=ErrorCode.INVALID_VALUE,
                hint="start from the artifacts or executions that the context holds",
            )
        if not is_id(id):
            raise _not_there(kind, id)
        codes.append(id << 1 | (kind == Kind.EXECUTION))
    return np.array(codes, np.int64)


def _not_there(kind: Kind, id: object) -> NotFoundError:
    return NotFoundError(f"lineage: there is no {kind.word} {id!r}")


def _nkeys(codes: Array) -> Array:
    return codes >> 1 << 2 | (codes & 1) + int(Kind.ARTIFACT)


def _codes(nodes: pa.Table) -> Array:
    """The codes of a table with the columns id and kind, as a word or a number."""
    kinds = nodes["kind"].to_numpy(zero_copy_only=False)
    is_execution = kinds == (Kind.EXECUTION.word if pa.types.is_string(nodes.schema.field("kind").type) else 2)
    codes: Array = nodes["id"].to_numpy() << 1 | is_execution
    return codes


def _split(codes: Array) -> tuple[list[int], list[int]]:
    """The ids of artifacts and of executions among codes."""
    is_execution = (codes & 1).astype(bool)
    return (codes[~is_execution] >> 1).tolist(), (codes[is_execution] >> 1).tolist()


def _from_state(
    state: State, seq: int, reached: Reached, starting: Array, names: frozenset[str] | None
) -> pa.Table | None:
    found = nodes_from_state(state, seq, *_split(np.union1d(reached.codes, starting)))
    if found is None:
        return None
    nodes, types = found
    by_code = {node.id << 1 | (kind == Kind.EXECUTION): (kind, node) for kind, node in nodes}
    _require(starting, by_code.keys())
    # A starting node may be barred: asked for, but not reached.
    return rows_of([by_code[code] for code in reached.codes.tolist()], types, of_types=names)


def _from_tables(
    snapshot: Snapshot, graph: Graph, reached: Reached, starting: Array, names: frozenset[str] | None
) -> pa.Table:
    doubtful = starting[~has_links(graph, starting, as_of_seq=snapshot.seq)]
    if len(doubtful):
        there = _codes(pick_nodes(snapshot, _nkeys(np.unique(doubtful))))
        _require(doubtful, set(there.tolist()))
    return pick_nodes(snapshot, _nkeys(reached.codes), of_types=names)


def _require(starting: Array, there: Collection[int]) -> None:
    for code in starting.tolist():
        if code not in there:
            raise _not_there(Kind.EXECUTION if code & 1 else Kind.ARTIFACT, code >> 1)


def _in_order(reached: Reached, nodes: pa.Table) -> pa.Table:
    """Nodes (columns of `NODES`) in the order of the walk, with kinds as words, and hops."""
    places = reached.places(_codes(nodes))
    order = np.argsort(places)
    nodes = nodes.take(pa.array(order))
    columns = [_KIND_WORDS.take(nodes["kind"].combine_chunks())]
    columns += [nodes[name].combine_chunks() for name in NODES.names[1:]]
    return pa.table([*columns, pa.array(reached.hops[places[order]], pa.int32())], names=[*NODES.names, "hops"])
