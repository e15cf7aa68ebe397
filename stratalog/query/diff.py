"""Diff: what changed between two moments. Its cost follows what changed, but for one scan of numbers per table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import INPUT_TYPES, Kind, LinkType
from stratalog.projections.schema import LINK_ASSOCIATION, LINK_ATTRIBUTION, LINK_PARENT
from stratalog.query.changes import KEEP_TELLING, differences, field_rows
from stratalog.query.points import Reader
from stratalog.query.values import with_times

if TYPE_CHECKING:
    import pyarrow as pa


class Diff:
    """What changed after one seq, up to another. Three Arrow tables, in a fixed order of rows.

    Attributes:
        seq_before: the earlier seq.
        seq_after: the later seq.
        entities: nodes that were added, or changed, or both: kind, id, type, name (as of the later moment), change
            (`added` or `changed`), seq (of the newest version).
        fields: fields of nodes that both moments have, and that differ: kind, id, field, before, after (JSON text, see
            `changes`), and seq, actor and recorded (timestamp in µs, UTC) of the last change of that field.
        links: links that were added: what (`event`, `attribution`, `association`, `parent_context`), from_kind,
            from_id, to_kind, to_id, type (the word of an event's type, else NULL), seq. An input leads from artifact
            to execution, an output from execution to artifact, a member to its context, a child to its parent.
    """

    def __init__(self, seq_before: int, seq_after: int, entities: pa.Table, fields: pa.Table, links: pa.Table) -> None:
        self.seq_before = seq_before
        self.seq_after = seq_after
        self.entities = entities
        self.fields = fields
        self.links = links

    def counts(self) -> dict[str, int]:
        """How many: `artifacts_added`, `artifacts_changed`, the same of executions and contexts, `fields`, `links`."""
        counts = {f"{kind.word}s_{change}": 0 for kind in Kind for change in ("added", "changed")}
        columns = (self.entities["kind"].to_pylist(), self.entities["change"].to_pylist())
        for kind, change in zip(*columns, strict=True):
            counts[f"{kind}s_{change}"] += 1
        return counts | {"fields": self.fields.num_rows, "links": self.links.num_rows}

    def __bool__(self) -> bool:
        return any(table.num_rows for table in (self.entities, self.fields, self.links))

    def __repr__(self) -> str:
        said = ", ".join(f"{count} {name}" for name, count in self.counts().items() if count)
        return f"Diff(seq {self.seq_before} to {self.seq_after}: {said or 'nothing'})"


def diff(before: Reader, after: Reader) -> Diff:
    """What changed between two moments of one store.

    Raises:
        InvalidInputError: `after` lies before `before`.
    """
    if after.seq < before.seq:
        raise InvalidInputError(
            f"diff: the second moment, seq {after.seq}, lies before the first, seq {before.seq}",
            code=ErrorCode.INVALID_VALUE,
            hint="give the earlier moment first",
        )
    return Diff(before.seq, after.seq, _entities(before, after), _fields(before, after), _links(before.seq, after))


def kind_word(column: str) -> str:
    """SQL of the word of a kind."""
    words = " ".join(f"WHEN {int(kind)} THEN '{kind.word}'" for kind in Kind)
    return f"CASE {column} {words} END"


def _last(before: Reader, after: Reader) -> str:
    """CTEs: the newest versions of nodes that were put in between, and the versions of the same nodes before."""
    return (
        "last AS MATERIALIZED (SELECT nkey, kind, id, type_id, name, seq"
        f" FROM {after.table('node')} WHERE seq > {before.seq}),"
        f" base AS MATERIALIZED (SELECT nkey, seq FROM {before.table('node')} WHERE nkey IN (SELECT nkey FROM last))"
    )


def _entities(before: Reader, after: Reader) -> pa.Table:
    return after.query(
        f"WITH {_last(before, after)} SELECT {kind_word('l.kind')} AS kind, l.id AS id, y.name AS type, l.name AS name,"
        " CASE WHEN b.nkey IS NULL THEN 'added' ELSE 'changed' END AS change, l.seq AS seq"
        f" FROM last AS l JOIN {after.table('type')} AS y ON y.id = l.type_id AND y.kind = l.kind"
        " LEFT JOIN base AS b ON b.nkey = l.nkey ORDER BY l.kind, l.id"
    )


def _fields(before: Reader, after: Reader) -> pa.Table:
    here = f"nkey IN (SELECT nkey FROM base) AND (seq > {before.seq} OR seq IN (SELECT seq FROM base))"
    rows = "SELECT {key} AS key, f.nkey AS nkey, f.place AS place, f.field AS field, f.value AS value FROM fields AS f"
    net = differences(
        f"{rows.format(key='f.nkey')} JOIN last AS v ON v.seq = f.seq",
        f"{rows.format(key='f.nkey')} JOIN base AS v ON v.seq = f.seq",
    )
    steps = differences(
        f"{rows.format(key='v.seq')} JOIN versions AS v ON v.seq = f.seq",
        f"{rows.format(key='v.seq')} JOIN versions AS v ON v.prev = f.seq",
    )
    table = after.query(
        f"WITH {_last(before, after)}, fields AS MATERIALIZED ({field_rows(after, here)}),"
        f" versions AS MATERIALIZED (SELECT seq, prev FROM {after.table('node_all')}"
        f" WHERE seq > {before.seq} AND nkey IN (SELECT nkey FROM base)),"
        f" net AS (SELECT * FROM ({net}) QUALIFY {KEEP_TELLING.format(key='key')}),"
        f" moved AS (SELECT nkey, field, max(key) AS seq FROM ({steps}) GROUP BY nkey, field)"
        f" SELECT {kind_word('l.kind')} AS kind, l.id AS id, net.field AS field, net.before AS before,"
        " net.after AS after, m.seq AS seq, c.actor AS actor, c.time_us AS recorded"
        " FROM net JOIN last AS l ON l.nkey = net.nkey"
        " JOIN moved AS m ON m.nkey = net.nkey AND m.field = net.field"
        f" ASOF JOIN {after.table('commits')} AS c ON m.seq >= c.first_seq"
        " ORDER BY l.kind, l.id, net.place, net.field"
    )
    return with_times(table)


def _links(seq: int, after: Reader) -> pa.Table:
    words = " ".join(f"WHEN {int(word)} THEN '{word.name}'" for word in LinkType)
    inputs = ", ".join(str(int(word)) for word in sorted(INPUT_TYPES))
    is_input = f"type IN ({inputs})"
    names = {LINK_ATTRIBUTION: "attribution", LINK_ASSOCIATION: "association", LINK_PARENT: "parent_context"}
    what = " ".join(f"WHEN {number} THEN '{name}'" for number, name in names.items())
    return after.query(
        "SELECT 'event' AS what,"
        f" CASE WHEN {is_input} THEN 'artifact' ELSE 'execution' END AS from_kind,"
        f" CASE WHEN {is_input} THEN artifact ELSE execution END AS from_id,"
        f" CASE WHEN {is_input} THEN 'execution' ELSE 'artifact' END AS to_kind,"
        f" CASE WHEN {is_input} THEN execution ELSE artifact END AS to_id,"
        f" CASE type {words} ELSE CAST(type AS VARCHAR) END AS type, seq"
        f" FROM {after.table('edge')} WHERE seq > {seq}"
        f" UNION ALL SELECT CASE kind {what} END, {kind_word('nkey & 3')}, nkey >> 2, 'context', context,"
        f" CAST(NULL AS VARCHAR), seq FROM {after.table('link')} WHERE seq > {seq} ORDER BY seq"
    )
