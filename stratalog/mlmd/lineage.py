"""GetLineageSubgraph, and the older GetLineageGraph, which MLMD's open server never answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Kind, Link, LinkType
from stratalog.mlmd.call import Call, Message
from stratalog.mlmd.convert import VOCABULARIES, write_link
from stratalog.mlmd.gets import select
from stratalog.mlmd.lists import read_options
from stratalog.projections.lineage import Array, codes_of
from stratalog.query.lineage import StopAt, graph_at, matching
from stratalog.query.picks import pick
from stratalog.query.subgraph import PARTS, subgraph
from stratalog.query.walk import Stops, links_between, walk

if TYPE_CHECKING:
    import pyarrow as pa

    from stratalog.query.snapshot import Snapshot

_DIRECTIONS = {0: "both", 1: "up", 2: "down", 3: "both"}
_TYPE_PARTS = {f"{words.word}_types": kind for kind, words in VOCABULARIES.items()}
_STARTS = {"starting_artifacts": Kind.ARTIFACT, "starting_executions": Kind.EXECUTION}
_NONE: Array = np.empty(0, np.int64)


def get_lineage_subgraph(call: Call, request: Message, response: Message) -> None:
    """GetLineageSubgraph: ids, events and memberships around the nodes that a filter selects, and all types."""
    options = request.lineage_subgraph_query_options
    which = options.WhichOneof("starting_nodes")
    if which is None:
        raise InvalidInputError(
            "GetLineageSubgraph: neither starting_artifacts nor starting_executions", code=ErrorCode.MISSING_FIELD
        )
    parts = set(request.read_mask.paths) or PARTS | _TYPE_PARTS.keys()
    answer = response.lineage_subgraph
    answer.SetInParent()
    found = subgraph(
        call.reads.snapshot(),
        _STARTS[which],
        getattr(options, which).filter_query,
        direction=_DIRECTIONS[options.direction],
        max_hops=options.max_num_hops if options.HasField("max_num_hops") else None,
        stop_at=StopAt(
            artifacts=options.ending_artifacts.filter_query or None,
            executions=options.ending_executions.filter_query or None,
            include_artifacts=options.ending_artifacts.include_ending_nodes,
            include_executions=options.ending_executions.include_ending_nodes,
        ),
        parts=parts,
    )
    for ids, target in (
        (found.artifact_ids, answer.artifacts),
        (found.execution_ids, answer.executions),
        (found.context_ids, answer.contexts),
    ):
        for id in ids:
            target.add().id = id
    for link in _links_of(call, found.links):
        write_link(answer.events.add(), link)
    for context_id, artifact_id in _pairs(found.attributions, "artifact_id"):
        answer.attributions.add(context_id=context_id, artifact_id=artifact_id)
    for context_id, execution_id in _pairs(found.associations, "execution_id"):
        answer.associations.add(context_id=context_id, execution_id=execution_id)
    _fill_types(call, answer, parts)


def get_lineage_graph(call: Call, request: Message, response: Message) -> None:
    """GetLineageGraph: whole nodes around some artifacts, in both directions, the events between them, all types.

    Nodes that do not match the boundary filter of their kind are dropped, and not gone on from; starting nodes stay.
    """
    options = request.options
    if options.WhichOneof("query_nodes") is None:
        raise InvalidInputError("GetLineageGraph: no artifacts_options", code=ErrorCode.MISSING_FIELD)
    stop = options.stop_conditions
    if stop.max_num_hops < 0:
        raise InvalidInputError(
            f"max_num_hops {stop.max_num_hops} where 0 or more was expected", code=ErrorCode.INVALID_VALUE
        )
    listed = read_options(options.artifacts_options, call.served.page_node_count_max)
    starts = call.reads.find(
        Kind.ARTIFACT,
        listed.where,
        order_by=listed.order,
        descending=listed.descending,
        limit=listed.limit,
        page_token=listed.page_token,
    ).ids()
    if not starts:
        raise NotFoundError("GetLineageGraph: no artifact to start from")
    snapshot = call.reads.snapshot()
    graph, start_codes = graph_at(snapshot), codes_of(Kind.ARTIFACT, starts)
    barred = np.concatenate(
        [
            _beyond(snapshot, Kind.ARTIFACT, stop.boundary_artifacts),
            _beyond(snapshot, Kind.EXECUTION, stop.boundary_executions),
        ]
    )
    reached = walk(
        graph,
        start_codes,
        "both",
        as_of_seq=snapshot.seq,
        max_hops=stop.max_num_hops if stop.HasField("max_num_hops") else None,
        stops=Stops(_NONE, np.setdiff1d(barred, start_codes)),
        node_max=options.max_node_size if options.max_node_size > 0 else None,
    )
    answer = response.subgraph
    answer.SetInParent()
    is_execution = (reached.codes & 1).astype(bool)
    for kind, codes, target in (
        (Kind.ARTIFACT, reached.codes[~is_execution], answer.artifacts),
        (Kind.EXECUTION, reached.codes[is_execution], answer.executions),
    ):
        call.fill_nodes(target, kind, select(call, kind, ids=(codes >> 1).tolist()))
    for link in _links_with(snapshot, links_between(graph, reached.codes, as_of_seq=snapshot.seq)):
        write_link(answer.events.add(), link)
    _fill_types(call, answer, set(_TYPE_PARTS))


def _fill_types(call: Call, answer: Message, parts: set[str] | frozenset[str]) -> None:
    for part, kind in _TYPE_PARTS.items():
        if part in parts:
            call.fill_types(getattr(answer, part), kind)


def _beyond(snapshot: Snapshot, kind: Kind, where: str) -> Array:
    """Codes of the nodes of a kind that do not match a filter; none if it is empty."""
    if not where:
        return _NONE
    inside = matching(snapshot, kind, where)
    every = snapshot.query(f"SELECT id FROM {snapshot.table('node')} WHERE kind = {int(kind)}")["id"].to_numpy()
    return codes_of(kind, np.setdiff1d(every, inside))


def _links_of(call: Call, links: pa.Table) -> list[Link]:
    import pyarrow as pa

    if links["happened"].null_count:
        # A time that no calendar has: it is kept as a number only.
        return _links_with(call.reads.snapshot(), links["seq"].to_numpy())
    rows = zip(
        links["execution_id"].to_pylist(),
        links["artifact_id"].to_pylist(),
        links["type"].to_pylist(),
        links["path"].to_pylist(),
        (links["happened"].cast(pa.int64()).to_numpy() // 1000).tolist(),
        strict=True,
    )
    return [_link(execution, artifact, int(LinkType[word]), path, ms) for execution, artifact, word, path, ms in rows]


def _links_with(snapshot: Snapshot, seqs: Array) -> list[Link]:
    """The links with some seqs, by seq."""
    found = pick(
        snapshot,
        f"SELECT e.execution, e.artifact, e.type, e.path, e.ms FROM {snapshot.table('edge')} e "
        "SEMI JOIN picked ON e.seq = key ORDER BY e.seq",
        seqs,
    )
    return [_link(*row) for row in zip(*(column.to_pylist() for column in found.columns), strict=True)]


def _link(execution_id: int, artifact_id: int, type: int, path: str | None, time_ms: int) -> Link:
    import msgspec

    steps = msgspec.json.decode(path, type=list[int | str]) if path else []
    return Link(execution_id=execution_id, artifact_id=artifact_id, type=type, path=steps, time_ms=time_ms)


def _pairs(memberships: pa.Table, column: str) -> list[tuple[int, int]]:
    return list(zip(memberships["context_id"].to_pylist(), memberships[column].to_pylist(), strict=True))
