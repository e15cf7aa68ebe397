"""Random histories, and a model of the tables that is too simple to be wrong: the rule of visibility, read aloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from stratalog.eventlog.commit import RECORD_FORMAT, Header, Record, recorded
from stratalog.eventlog.events import (
    KIND_OF,
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Link,
    MetricPoints,
    Node,
    ParentContext,
    PropertyType,
    Proto,
    Recorded,
    RequestAnswer,
    Type,
    UnknownFact,
    to_event,
)
from stratalog.eventlog.stores.memory import MemoryLog
from stratalog.projections.schema import TABLES
from stratalog.projections.system_types import SYSTEM_TYPES
from stratalog.projections.tables import Tables

TEXTS = st.sampled_from(["", "a", "b", "nul\0nul", "é", "'\"; drop", "long" * 20])
NAMES = st.sampled_from(["x", "y", "lr", "nul\0", "é", "", "'q\""])
INTS = st.sampled_from([0, 1, -1, 7, 2**63 - 1, -(2**63)])
DOUBLES = st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e-300])
STRUCTS = st.dictionaries(NAMES, st.one_of(st.none(), st.booleans(), INTS, DOUBLES, TEXTS, st.lists(INTS, max_size=2)))
PROTOS = st.builds(Proto, TEXTS, st.sampled_from([b"", b"\0\xff", b"z" * 300]))
VALUES = st.one_of(INTS, DOUBLES, TEXTS, st.booleans(), STRUCTS, PROTOS)
PROPERTIES = st.dictionaries(NAMES, VALUES, max_size=4)
IDS = st.integers(1, 4)

_NODE = {
    "id": IDS,
    "type_id": st.integers(10, 12),
    "name": st.none() | TEXTS,
    "external_id": st.none() | TEXTS,
    "properties": PROPERTIES,
    "custom_properties": PROPERTIES,
    "create_time_ms": st.integers(0, 10**13),
    "update_time_ms": st.integers(0, 10**13),
}


@st.composite
def metric_points(draw: st.DrawFn) -> MetricPoints:
    count = draw(st.integers(0, 3))
    numbers = st.lists(INTS, min_size=count, max_size=count)
    return MetricPoints(
        execution_id=draw(IDS),
        key=draw(NAMES),
        steps=draw(numbers),
        times_us=draw(numbers),
        values=draw(st.lists(DOUBLES, min_size=count, max_size=count)),
    )


FACTS = st.one_of(
    st.builds(Artifact, **_NODE, state=st.none() | st.integers(0, 6), uri=st.none() | TEXTS),
    st.builds(Execution, **_NODE, state=st.none() | st.integers(0, 6)),
    st.builds(Context, **_NODE),
    st.builds(
        Type,
        kind=st.integers(1, 3),
        id=st.integers(10, 12),
        name=TEXTS,
        version=st.none() | TEXTS,
        properties=st.dictionaries(NAMES, st.sampled_from([int(number) for number in PropertyType]), max_size=3),
        input_type=st.none() | st.just(b"\0i"),
    ),
    st.builds(
        Link,
        execution_id=IDS,
        artifact_id=IDS,
        type=st.integers(1, 7),
        path=st.lists(INTS | TEXTS, max_size=2),
        time_ms=st.none() | INTS,
    ),
    st.builds(Attribution, IDS, IDS),
    st.builds(Association, IDS, IDS),
    st.builds(ParentContext, IDS, IDS),
    metric_points(),
    st.builds(RequestAnswer, request_id=TEXTS, command=TEXTS, digest=st.just(b"d"), answer=st.just(b"a")),
    st.builds(UnknownFact, st.sampled_from(["seen_later", "other"]), st.just(1), st.just(0), IDS, st.just(b"\xc0")),
)
COMMITS = st.lists(FACTS, min_size=1, max_size=6)


class History:
    """A log in memory that is written commit by commit; `followers` are told of each, as a store tells its tables."""

    def __init__(self, log: Any = None) -> None:
        self.log = MemoryLog() if log is None else log
        self.followers: list[Tables] = []
        self.events: list[Recorded] = []
        self.headers: list[tuple[Header, int]] = []
        self._newest: dict[tuple[int, int], int] = {}

    @property
    def head(self) -> int:
        return len(self.events)

    def commit(self, facts: Sequence[Any]) -> None:
        first = self.head + 1
        events = []
        for place, fact in enumerate(facts):
            key = _subject(fact)
            prev = None
            if key is not None:
                prev = self._newest.get(key)
                self._newest[key] = first + place
            events.append(to_event(fact, prev))
        number = len(self.headers)
        header = Header(
            RECORD_FORMAT, number, first, 10**15 + 1000 * number, b"w" * 16, number, f"actor {number % 3}", None, "why"
        )
        record = Record(header, events)
        self.log.append(number, [record])
        decoded = recorded(record)
        self.events += decoded
        self.headers.append((header, len(events)))
        for tables in self.followers:
            tables.append(header, decoded)


def _subject(fact: Any) -> tuple[int, int] | None:
    if isinstance(fact, Node):
        return int(KIND_OF[type(fact)]), fact.id
    return (0, fact.id) if isinstance(fact, Type) else None


def _names(events: Sequence[Recorded]) -> dict[tuple[int, bool, str], tuple[int, int]]:
    """(kind, custom, name) -> (nid, seq of the first use)."""
    names: dict[tuple[int, bool, str], tuple[int, int]] = {}
    for event in events:
        fact = event.fact
        used: list[tuple[int, bool, str]] = []
        if isinstance(fact, Node):
            kind = int(KIND_OF[type(fact)])
            used += [(kind, False, name) for name in fact.properties]
            used += [(kind, True, name) for name in fact.custom_properties]
        elif isinstance(fact, MetricPoints):
            used.append((0, False, fact.key))
        for key in used:
            names.setdefault(key, (len(names) + 1, event.seq))
    return names


def _value(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return 6, int(value), None, None, None
    if isinstance(value, int):
        return 1, value, None, None, None
    if isinstance(value, float):
        return 2, None, value, None, None
    if isinstance(value, str):
        return 3, None, None, value, None
    packed = msgspec.msgpack.encode(value)
    if isinstance(value, Proto):
        return 5, None, None, value.type_url, packed
    return 4, None, None, msgspec.json.encode(value).decode(), packed


def model(history: History, seq: int) -> dict[str, list[str]]:
    """The rows of every table as of `seq`, each as text, sorted."""
    known = [event for event in history.events if event.seq <= seq]
    gone = {event.prev for event in known if event.prev is not None}
    names = _names(known)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    rows["prop_name"] = [(nid, kind, custom, name, at) for (kind, custom, name), (nid, at) in names.items()]
    for system in SYSTEM_TYPES:
        rows["type"].append((system.id, system.kind, system.name, None, None, None, "{}", None, None, None, 0, None))
    for event in known:
        at, fact = event.seq, event.fact
        if isinstance(fact, Node) and at not in gone:
            kind = int(KIND_OF[type(fact)])
            nkey = fact.id * 4 + kind
            head = (nkey, kind, fact.id, at, event.prev, fact.type_id, fact.name, fact.external_id, fact.uri)
            rows["node"].append((*head, fact.state, fact.create_time_ms, fact.update_time_ms))
            for custom, values in ((False, fact.properties), (True, fact.custom_properties)):
                for name, value in values.items():
                    rows["prop"].append((names[kind, custom, name][0], nkey, at, *_value(value)))
        elif isinstance(fact, Type) and at not in gone:
            words = {name: PropertyType(number).name for name, number in fact.properties.items()}
            described = (fact.version, fact.description, fact.external_id, msgspec.json.encode(words).decode())
            rest = (fact.base_type, fact.input_type, fact.output_type, at, event.prev)
            rows["type"].append((fact.id, fact.kind, fact.name, *described, *rest))
        elif isinstance(fact, Link):
            path = msgspec.json.encode(fact.path).decode()
            rows["edge"].append((fact.execution_id, fact.artifact_id, fact.type, path, fact.time_ms, at))
        elif isinstance(fact, Attribution):
            rows["link"].append((1, fact.context_id, fact.artifact_id * 4 + 1, at))
        elif isinstance(fact, Association):
            rows["link"].append((2, fact.context_id, fact.execution_id * 4 + 2, at))
        elif isinstance(fact, ParentContext):
            rows["link"].append((3, fact.parent_id, fact.child_id * 4 + 3, at))
        elif isinstance(fact, MetricPoints):
            nid = names[0, False, fact.key][0]
            for step, time_us, value in zip(fact.steps, fact.times_us, fact.values, strict=True):
                rows["point"].append((fact.execution_id, nid, step, time_us, value, at))
    for header, count in history.headers:
        if header.first_seq <= seq:
            last = header.first_seq + count - 1
            rows["commits"].append((header.commit, header.first_seq, last, header.time_us, header.actor, None, "why"))
    return {name: sorted(map(repr, found)) for name, found in rows.items()}


def actual(tables: Tables, seq: int) -> dict[str, list[str]]:
    """The same from the tables."""

    def work() -> dict[str, list[str]]:
        tables.refresh()
        found = {}
        for name in TABLES:
            rows = tables.cursor().sql(f"FROM {tables.source(name, seq)} t").to_arrow_table()
            found[name] = sorted(map(repr, zip(*(column.to_pylist() for column in rows.columns), strict=True)))
        return found

    return tables.retrying(work)
