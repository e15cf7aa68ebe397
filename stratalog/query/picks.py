"""Rows by their keys, however many: what questions over arrays ask of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from stratalog.eventlog.events import INT64_MAX, ArtifactState, ExecutionState, Kind, LinkType, Node
from stratalog.query.values import state_word

if TYPE_CHECKING:
    from stratalog.projections.lineage import Array
    from stratalog.projections.state import State, Types
    from stratalog.query.snapshot import Snapshot

STATE_WORDS: dict[int, dict[int, str]] = {
    int(Kind.ARTIFACT): {int(state): state.name for state in ArtifactState},
    int(Kind.EXECUTION): {int(state): state.name for state in ExecutionState},
    int(Kind.CONTEXT): {},
}
LINK_WORDS = {int(link_type): link_type.name for link_type in LinkType}

NODES = pa.schema(
    [
        ("kind", pa.int8()),
        ("id", pa.int64()),
        ("type", pa.string()),
        ("name", pa.string()),
        ("uri", pa.string()),
        ("state", pa.string()),
    ]
)
LINKS = pa.schema(
    [
        ("execution_id", pa.int64()),
        ("artifact_id", pa.int64()),
        ("type", pa.string()),
        ("path", pa.string()),
        ("happened", pa.timestamp("us", tz="UTC")),
        ("seq", pa.int64()),
    ]
)

# Times beyond these, in ms since 1970, are in no year from 1 to 9999: Python and Arrow cannot show them.
_HAPPENED_MIN_MS, _HAPPENED_MAX_MS = -62_135_596_800_000, 253_402_300_799_999

_STATE = (
    f"CASE n.kind WHEN {int(Kind.ARTIFACT)} THEN {state_word(Kind.ARTIFACT, 'n.state')} "
    f"WHEN {int(Kind.EXECUTION)} THEN {state_word(Kind.EXECUTION, 'n.state')} END"
)
# A type of a later release stands as its number.
_LINK_TYPE = (
    "CASE e.type "
    + " ".join(f"WHEN {number} THEN '{word}'" for number, word in LINK_WORDS.items())
    + " ELSE CAST(e.type AS VARCHAR) END"
)


def pick(snapshot: Snapshot, sql: str, keys: Array) -> pa.Table:
    """Run SQL that may read the relation `picked`, whose one column `key` holds `keys`."""
    tables = snapshot.tables
    picked = pa.table({"key": pa.array(keys, pa.int64())})

    def work() -> pa.Table:
        if tables.head < snapshot.seq:
            tables.refresh()
        cursor = tables.cursor()
        try:
            cursor.register("picked", picked)
            return cursor.sql(sql).to_arrow_table()
        finally:
            cursor.close()

    return tables.retrying(work)


def pick_nodes(snapshot: Snapshot, nkeys: Array, *, of_types: frozenset[str] | None = None) -> pa.Table:
    """Those of some nodes that are there, with the columns of `NODES`, in any order.

    Args:
        snapshot: where to look.
        nkeys: keys of nodes, `id << 2 | kind`, each once.
        of_types: only nodes of types with one of these names, of any version.
    """
    types, where = snapshot.table("type"), ""
    if of_types is not None:
        # Few ids as constants: DuckDB then reads only the rows of these types, which stand together.
        ids = snapshot.query(f"SELECT id FROM {types} WHERE name IN (SELECT unnest($1::VARCHAR[]))", [list(of_types)])
        where = f"WHERE type_id IN ({', '.join(map(str, ids['id'].to_pylist())) or 'NULL'})"
    found = pick(
        snapshot,
        f"SELECT n.kind, n.id, y.name AS type, n.name, n.uri, {_STATE} AS state "
        f"FROM (FROM {snapshot.table('node')} SEMI JOIN picked ON nkey = key {where}) n "
        f"LEFT JOIN {types} y ON y.id = n.type_id",
        nkeys,
    )
    return found.cast(NODES)


def nodes_from_state(
    state: State, seq: int, artifact_ids: list[int], execution_ids: list[int]
) -> tuple[list[tuple[Kind, Node]], Types] | None:
    """The same nodes out of the state, with the types, if it stands exactly at `seq`; else None."""
    from stratalog.projections.state import BehindError

    with state.lock:
        if state.head != seq:
            return None
        try:
            artifacts = state.get_many(Kind.ARTIFACT, artifact_ids)
            executions = state.get_many(Kind.EXECUTION, execution_ids)
        except BehindError:
            return None
        found = [(Kind.ARTIFACT, node) for node in artifacts] + [(Kind.EXECUTION, node) for node in executions]
        return found, state.types


def rows_of(nodes: list[tuple[Kind, Node]], types: Types, *, of_types: frozenset[str] | None = None) -> pa.Table:
    """Nodes as a table with the columns of `NODES`, in the order given.

    Args:
        nodes: the nodes.
        types: the types that they are of.
        of_types: only nodes of types with one of these names.
    """
    rows = []
    for kind, node in nodes:
        type = types.get(node.type_id)
        name = None if type is None else type.name
        if of_types is None or name in of_types:
            state = None if node.state is None else STATE_WORDS[kind].get(node.state, str(node.state))
            rows.append((int(kind), node.id, name, node.name, node.uri, state))
    columns = list(zip(*rows, strict=True)) or [()] * len(NODES)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, NODES, strict=True)], schema=NODES
    )


def pick_links(snapshot: Snapshot, seqs: Array) -> pa.Table:
    """The links with some seqs, with the columns of `LINKS`, by seq. A time that no calendar has is null."""
    found = pick(
        snapshot,
        f"SELECT e.execution AS execution_id, e.artifact AS artifact_id, {_LINK_TYPE} AS type, "
        f"e.path, CASE WHEN e.ms BETWEEN {_HAPPENED_MIN_MS} AND {_HAPPENED_MAX_MS} THEN e.ms * 1000 END AS happened, "
        f"e.seq FROM {snapshot.table('edge')} e SEMI JOIN picked ON e.seq = key ORDER BY e.seq",
        seqs,
    )
    return found.cast(LINKS)


def is_id(id: object) -> bool:
    """True for an int that can be the id of a node, which has two bits less than an int64."""
    return type(id) is int and 0 < id <= INT64_MAX >> 2
