"""Small histories for the tests of questions: recorded facts, and a snapshot over plain tables made from them.

`PlainSnapshot` stands for the real one where a test is about a question and not about the tables: it holds every
version in one table and applies the rule of visibility word for word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from stratalog.eventlog.commit import Header, Record, recorded
from stratalog.eventlog.events import (
    KIND_OF,
    Association,
    Attribution,
    Fact,
    Kind,
    Link,
    MetricPoints,
    Node,
    ParentContext,
    Proto,
    Type,
    Value,
    to_event,
)
from stratalog.eventlog.stores.memory import MemoryLog
from stratalog.projections.names import METRIC_KIND, PropertyNames
from stratalog.projections.tables import Tables
from stratalog.query.snapshot import Snapshot

COMMIT_TIME_US = 1_700_000_000_000_000


class History:
    """Commits of facts, numbered as a store would number them; a node that is put again replaces its version."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, int, int, int, str, str | None, str | None]] = []
        self.facts: list[tuple[int, Fact, int | None]] = []
        self._latest: dict[tuple[int, int], int] = {}

    @property
    def seq(self) -> int:
        return len(self.facts)

    def commit(self, *facts: Fact, actor: str = "ada", reason: str | None = None) -> int:
        """Record facts as one commit; returns its last seq."""
        first = self.seq + 1
        for fact in facts:
            seq = self.seq + 1
            prev = None
            if isinstance(fact, (Node, Type)):
                key = (0 if isinstance(fact, Type) else int(KIND_OF[type(fact)]), fact.id)
                prev = self._latest.get(key)
                self._latest[key] = seq
            self.facts.append((seq, fact, prev))
        number = len(self.commits)
        self.commits.append((number, first, self.seq, COMMIT_TIME_US + number * 1_000_001, actor, None, reason))
        return self.seq

    def nodes(self, kind: Kind, seq: int | None = None) -> list[Node]:
        """The visible versions of the nodes of a kind, by id."""
        seq = self.seq if seq is None else seq
        found = {f.id: f for s, f, _ in self.facts if s <= seq and isinstance(f, Node) and KIND_OF[type(f)] is kind}
        return [found[key] for key in sorted(found)]


_SCHEMA = {
    "node_all": "nkey BIGINT, kind TINYINT, id BIGINT, seq BIGINT, prev BIGINT, type_id BIGINT, name VARCHAR,"
    " external_id VARCHAR, uri VARCHAR, state TINYINT, create_ms BIGINT, update_ms BIGINT, seq_to BIGINT",
    "prop_all": "nid INTEGER, nkey BIGINT, seq BIGINT, t TINYINT, i BIGINT, d DOUBLE, s VARCHAR, b BLOB, seq_to BIGINT",
    "edge": "execution BIGINT, artifact BIGINT, type TINYINT, path VARCHAR, ms BIGINT, seq BIGINT",
    "link": "kind TINYINT, context BIGINT, nkey BIGINT, seq BIGINT",
    "point": "run BIGINT, nid INTEGER, step BIGINT, ts BIGINT, v DOUBLE, seq BIGINT",
    "prop_name": "nid INTEGER, kind TINYINT, custom BOOLEAN, name VARCHAR, seq BIGINT",
    "commits": "commit BIGINT, first_seq BIGINT, last_seq BIGINT, time_us BIGINT, actor VARCHAR, request_id VARCHAR,"
    " reason VARCHAR",
    "type_all": "id BIGINT, kind TINYINT, name VARCHAR, version VARCHAR, description VARCHAR, external_id VARCHAR,"
    " properties VARCHAR, base_type VARCHAR, seq BIGINT, prev BIGINT, seq_to BIGINT",
}


def value_row(value: Value) -> tuple[int, int | None, float | None, str | None, bytes | None]:
    match value:
        case bool():
            return 6, int(value), None, None, None
        case int():
            return 1, value, None, None, None
        case float():
            return 2, None, value, None, None
        case str():
            return 3, None, None, value, None
        case Proto():
            return 5, None, None, value.type_url, msgspec.msgpack.encode(value)
    return 4, None, None, msgspec.json.encode(value).decode(), msgspec.msgpack.encode(value)


class PlainSnapshot:
    """A history as of a seq, in the tables that questions are asked of."""

    def __init__(self, history: History, seq: int | None = None) -> None:
        self.seq = history.seq if seq is None else seq
        self.names = PropertyNames()
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _SCHEMA}
        replaced = {prev: s for s, _, prev in history.facts if prev is not None}
        for s, fact, prev in history.facts:
            self._fold(rows, s, fact, prev, replaced.get(s))
        rows["commits"] = list(history.commits)
        rows["prop_name"] = list(self.names.rows())
        self._connection = duckdb.connect()
        for table, columns in _SCHEMA.items():
            self._connection.execute(f"CREATE TABLE {table} ({columns})")
            if rows[table]:
                marks = ", ".join("?" * len(rows[table][0]))
                self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])

    def _fold(
        self, rows: dict[str, list[tuple[Any, ...]]], s: int, fact: Fact, prev: int | None, seq_to: int | None
    ) -> None:
        match fact:
            case Node():
                kind = int(KIND_OF[type(fact)])
                key = fact.id << 2 | kind
                rows["node_all"].append(
                    (
                        *(key, kind, fact.id, s, prev, fact.type_id, fact.name, fact.external_id, fact.uri, fact.state),
                        *(fact.create_time_ms, fact.update_time_ms, seq_to),
                    )
                )
                for custom, values in ((False, fact.properties), (True, fact.custom_properties)):
                    for name, value in values.items():
                        nid = self._number(kind, custom, name, s)
                        rows["prop_all"].append((nid, key, s, *value_row(value), seq_to))
            case Type():
                properties = json.dumps(fact.properties)
                rows["type_all"].append(
                    (
                        *(fact.id, fact.kind, fact.name, fact.version, fact.description, fact.external_id, properties),
                        *(fact.base_type, s, prev, seq_to),
                    )
                )
            case Link():
                path = json.dumps(fact.path)
                rows["edge"].append((fact.execution_id, fact.artifact_id, fact.type, path, fact.time_ms, s))
            case Attribution():
                rows["link"].append((1, fact.context_id, fact.artifact_id << 2 | 1, s))
            case Association():
                rows["link"].append((2, fact.context_id, fact.execution_id << 2 | 2, s))
            case ParentContext():
                rows["link"].append((3, fact.parent_id, fact.child_id << 2 | 3, s))
            case MetricPoints():
                nid = self._number(METRIC_KIND, False, fact.key, s)
                for step, ts, v in zip(fact.steps, fact.times_us, fact.values, strict=True):
                    rows["point"].append((fact.execution_id, nid, step, ts, v, s))

    def _number(self, kind: int, custom: bool, name: str, seq: int) -> int:
        self.names.add(kind, custom, name, seq)
        nid = self.names.get(kind, custom, name)
        assert nid is not None
        return nid

    def table(self, name: str) -> str:
        s = self.seq
        if name in ("node", "prop", "type"):
            return f"(SELECT * EXCLUDE (seq_to) FROM {name}_all WHERE seq <= {s} AND (seq_to IS NULL OR seq_to > {s}))"
        if name in ("node_all", "prop_all"):
            columns = f"* REPLACE (CASE WHEN seq_to <= {s} THEN seq_to END AS seq_to)"
            return f"(SELECT {columns} FROM {name} WHERE seq <= {s})"
        column = "last_seq" if name == "commits" else "seq"
        return f"(SELECT * FROM {name} WHERE {column} <= {s})"

    def query(self, sql: str, params: Mapping[str, object] | Sequence[object] | None = None) -> pa.Table:
        return self._connection.cursor().sql(sql, params=params or None).to_arrow_table()


def real_snapshot(history: History, seq: int | None = None, *, merged: bool = False) -> Snapshot:
    """The same history in the real tables; `merged`: after a merge of all that is there at half the commits."""
    log = MemoryLog()
    tables = Tables(log, None)
    facts = {s: (fact, prev) for s, fact, prev in history.facts}
    for number, first, last, time_us, actor, request_id, reason in history.commits:
        header = Header(1, number, first, time_us, b"w" * 16, number, actor, request_id, reason)
        events = [to_event(*facts[s]) for s in range(first, last + 1)]
        with log.exclusive():
            log.append(number, [Record(header, events)])
        tables.append(header, recorded(Record(header, events)))
        if merged and number == len(history.commits) // 2:
            tables.refresh()
            tables.merge(force=True)
    tables.refresh()
    return Snapshot(tables, history.seq if seq is None else seq)
