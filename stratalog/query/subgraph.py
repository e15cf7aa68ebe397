"""MLMD's GetLineageSubgraph: ids, links and memberships around the nodes that a filter selects.

Source: docs/mlmd.md.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Kind
from stratalog.projections.lineage import Array, codes_of
from stratalog.projections.schema import LINK_ASSOCIATION, LINK_ATTRIBUTION
from stratalog.query.lineage import StopAt, check_count, check_direction, graph_at, matching, stops_of
from stratalog.query.picks import LINKS, pick, pick_links
from stratalog.query.walk import walk

if TYPE_CHECKING:
    from stratalog.query.snapshot import Snapshot

HOP_COUNT_MAX = 100
"""No walk of MLMD's goes further; more is taken as this."""

START_COUNT_MAX = 101
"""MLMD begins with the nodes of the lowest ids, this many; its documents say 100."""

PARTS = frozenset({"artifacts", "executions", "contexts", "events", "attributions", "associations"})
"""What a subgraph consists of, in MLMD's words."""

_NONE: Array = np.empty(0, np.int64)


class Subgraph(msgspec.Struct, frozen=True):
    """The answer: ids ascending; tables by seq. A part that was not asked for is empty.

    `links` has the columns execution_id, artifact_id, type, path (JSON), happened, seq; `attributions` context_id,
    artifact_id, seq; `associations` context_id, execution_id, seq.
    """

    artifact_ids: list[int]
    execution_ids: list[int]
    context_ids: list[int]
    links: pa.Table
    attributions: pa.Table
    associations: pa.Table


def subgraph(
    snapshot: Snapshot,
    start_kind: Kind,
    where: str | None,
    *,
    direction: str = "both",
    max_hops: int | None = None,
    stop_at: StopAt | None = None,
    parts: Collection[str] = PARTS,
) -> Subgraph:
    """Walk from the artifacts or executions that match a filter.

    Args:
        snapshot: as of when.
        start_kind: what to start from.
        where: the filter of the starting nodes.
        direction: `up`, `down` or `both`.
        max_hops: how far; 0 gives the starting nodes alone. None, and more than 100, are 100.
        stop_at: where to end.
        parts: what to fill, of `PARTS`; other words are passed over.

    Raises:
        InvalidInputError: there is no start filter, or a filter, the direction or the number of hops is wrong.
        NotFoundError: no node matches the start filter.
    """
    if start_kind not in (Kind.ARTIFACT, Kind.EXECUTION):
        raise InvalidInputError(
            f"lineage: cannot start from {start_kind.word}s; artifacts or executions were expected",
            code=ErrorCode.INVALID_VALUE,
        )
    if not where:
        raise InvalidInputError(
            "lineage: no filter of the nodes to start from",
            code=ErrorCode.MISSING_FIELD,
            hint="'id > 0' selects all nodes",
        )
    way = check_direction(direction)
    check_count("max_hops", max_hops)
    stops = None if stop_at is None else stops_of(snapshot, stop_at)
    starts = matching(snapshot, start_kind, where)[:START_COUNT_MAX]
    if not len(starts):
        raise NotFoundError(f"lineage: no {start_kind.word} matches {where!r}")
    reached = walk(
        graph_at(snapshot),
        codes_of(start_kind, starts),
        way,
        as_of_seq=snapshot.seq,
        max_hops=HOP_COUNT_MAX if max_hops is None else min(max_hops, HOP_COUNT_MAX),
        stops=stops,
    )
    is_execution = (reached.codes & 1).astype(bool)
    artifacts, executions = np.sort(reached.codes[~is_execution] >> 1), np.sort(reached.codes[is_execution] >> 1)
    needs_contexts = "contexts" in parts
    attributed = _members(snapshot, Kind.ARTIFACT, artifacts if needs_contexts or "attributions" in parts else _NONE)
    associated = _members(snapshot, Kind.EXECUTION, executions if needs_contexts or "associations" in parts else _NONE)
    contexts = np.union1d(attributed["context_id"].to_numpy(), associated["context_id"].to_numpy())
    return Subgraph(
        artifact_ids=artifacts.tolist() if "artifacts" in parts else [],
        execution_ids=executions.tolist() if "executions" in parts else [],
        context_ids=contexts.tolist() if needs_contexts else [],
        links=pick_links(snapshot, reached.link_seqs) if "events" in parts else LINKS.empty_table(),
        attributions=attributed if "attributions" in parts else attributed.slice(0, 0),
        associations=associated if "associations" in parts else associated.slice(0, 0),
    )


def _members(snapshot: Snapshot, kind: Kind, ids: Array) -> pa.Table:
    """The memberships of some artifacts or executions: context_id, artifact_id or execution_id, seq."""
    name = f"{kind.word}_id"
    if not len(ids):
        return pa.schema([("context_id", pa.int64()), (name, pa.int64()), ("seq", pa.int64())]).empty_table()
    link_kind = LINK_ATTRIBUTION if kind is Kind.ARTIFACT else LINK_ASSOCIATION
    return pick(
        snapshot,
        f"SELECT context AS context_id, nkey >> 2 AS {name}, seq FROM {snapshot.table('link')} "
        f"SEMI JOIN picked ON nkey = key WHERE kind = {link_kind} ORDER BY seq",
        ids << 2 | int(kind),
    )
