"""Events to Arrow: the only decoder into columns.

A batch of events becomes one Arrow table for each logical table that gets rows. Nothing here walks properties one by
one in Python: keys and values of all nodes are flattened, numbered, put in the order of their names and turned into
typed columns as whole arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from stratalog.eventlog.commit import Header
from stratalog.eventlog.events import (
    KIND_OF,
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Kind,
    Link,
    MetricPoints,
    Node,
    ParentContext,
    PropertyType,
    Proto,
    Recorded,
    Type,
    UnknownFact,
    encode_payload,
)
from stratalog.projections import arrays
from stratalog.projections.names import METRIC_KIND, PropertyNames
from stratalog.projections.payloads import Rows, commit_rows, decode_rows
from stratalog.projections.schema import (
    COMMITS,
    EDGE,
    LINK,
    LINK_ASSOCIATION,
    LINK_ATTRIBUTION,
    LINK_PARENT,
    NODE,
    POINT,
    PROP,
    PROP_NAME,
    TYPE,
    TableSpec,
)

_INT, _DOUBLE, _STRING = int(PropertyType.INT), int(PropertyType.DOUBLE), int(PropertyType.STRING)
_STRUCT, _PROTO, _BOOLEAN = int(PropertyType.STRUCT), int(PropertyType.PROTO), int(PropertyType.BOOLEAN)


SLICE_EVENT_COUNT = 16_384
"""Events decoded at once: enough to make whole-array work pay, few enough to stay in the processor's cache."""


class Batch(msgspec.Struct, frozen=True):
    """What some commits in a row add to the tables.

    `tables` has only tables with rows. The batch covers commits up to `commit` (exclusive) and events `first_seq` to
    `last_seq`. `unknown` names the events of kinds that this release does not know: (seq, kind).
    """

    tables: dict[str, pa.Table]
    commit: int
    first_seq: int
    last_seq: int
    unknown: list[tuple[int, str]]

    @property
    def event_count(self) -> int:
        """How many events the batch covers, with and without rows."""
        return self.last_seq - self.first_seq + 1


class Columns:
    """The decoder. It gives numbers to property names, so batches must come in the order of the log."""

    def __init__(self, names: PropertyNames | None = None) -> None:
        self.names = PropertyNames() if names is None else names

    def fold(self, commits: Sequence[tuple[Header, Sequence[Recorded]]]) -> Batch:
        """Turn commits (at least one, in order, without a gap) into columns."""
        events = list(chain.from_iterable(events for _, events in commits))
        rows = [
            (h.commit, h.first_seq, h.first_seq + len(events) - 1, h.time_us, h.actor, h.request_id, h.reason)
            for h, events in commits
        ]
        slices = (
            _by_class(events[start : start + SLICE_EVENT_COUNT]) for start in range(0, len(events), SLICE_EVENT_COUNT)
        )
        return self._batch(slices, _from_rows(COMMITS, rows))

    def fold_segment(self, table: pa.Table) -> Batch:
        """Turn rows of a segment (one or more whole commits) into columns, decoding payloads in bulk.

        Args:
            table: `payloads.SEGMENT_COLUMNS` of a segment, by rising seq.

        Raises:
            CorruptLogError: a payload cannot be decoded.
        """
        slices = (
            decode_rows(table.slice(start, SLICE_EVENT_COUNT)) for start in range(0, len(table), SLICE_EVENT_COUNT)
        )
        return self._batch(slices, _from_rows(COMMITS, commit_rows(table)))

    def _batch(self, slices: Iterable[dict[type, Rows]], commits: pa.Table) -> Batch:
        found: dict[str, list[pa.Table]] = {COMMITS.name: [commits]}
        unknown: list[tuple[int, str]] = []
        for rows in slices:
            for name, table in self._slice(rows).items():
                if table.num_rows:
                    found.setdefault(name, []).append(table)
            if UnknownFact in rows:
                strange = rows[UnknownFact]
                unknown.extend((seq, fact.kind) for seq, fact in zip(strange.seqs, strange.facts, strict=True))
        return Batch(
            {name: pa.concat_tables(tables) for name, tables in found.items()},
            commit=commits["commit"][-1].as_py() + 1,
            first_seq=commits["first_seq"][0].as_py(),
            last_seq=commits["last_seq"][-1].as_py(),
            unknown=unknown,
        )

    def _slice(self, rows: dict[type, Rows]) -> dict[str, pa.Table]:
        known = len(self.names)
        nodes = [_Flat(KIND_OF[cls], rows[cls]) for cls in (Artifact, Execution, Context) if cls in rows]
        self._learn(rows, nodes)
        found = {
            NODE.name: _concat(NODE, [flat.node_table() for flat in nodes]),
            PROP.name: _concat(PROP, [table for flat in nodes for table in _prop_tables(flat, self.names)]),
            PROP_NAME.name: _from_rows(PROP_NAME, self.names.rows(known)),
            LINK.name: _concat(LINK, [_link_table(rows[link.cls], link) for link in _LINKS if link.cls in rows]),
        }
        if Link in rows:
            found[EDGE.name] = _edge_table(rows[Link])
        if Type in rows:
            found[TYPE.name] = type_table(rows[Type])
        if MetricPoints in rows:
            found[POINT.name] = _point_table(rows[MetricPoints], self.names)
        return found

    def _learn(self, rows: dict[type, Rows], nodes: list[_Flat]) -> None:
        """Number the new names of this batch in the order of its events; stop at the last new one."""
        new: dict[tuple[int, bool], set[str]] = {}
        for flat in nodes:
            for custom, used in ((False, flat.keys), (True, flat.custom_keys)):
                new[flat.kind, custom] = set(used) - self.names.numbers(flat.kind, custom).keys()
        if MetricPoints in rows:
            metrics = set(map(attrgetter("key"), rows[MetricPoints].facts))
            new[METRIC_KIND, False] = metrics - self.names.numbers(METRIC_KIND, False).keys()
        left = sum(map(len, new.values()))
        if not left:
            return
        wanted = [rows[cls] for cls in (Artifact, Execution, Context, MetricPoints) if cls in rows]
        events = chain.from_iterable(zip(group.seqs, group.facts, strict=True) for group in wanted)
        for seq, fact in sorted(events, key=itemgetter(0)) if len(wanted) > 1 else events:
            for kind, custom, keys in _names_of(fact):
                missing = new[kind, custom]
                for name in keys:
                    if name in missing:
                        missing.remove(name)
                        self.names.add(kind, custom, name, seq)
                        left -= 1
            if not left:
                return


def _names_of(fact: Any) -> tuple[tuple[int, bool, Iterable[str]], ...]:
    """The names that an event uses, in the order in which they are numbered: (kind, custom, names)."""
    if type(fact) is MetricPoints:
        return ((METRIC_KIND, False, (fact.key,)),)
    kind = KIND_OF[type(fact)]
    return ((kind, False, fact.properties), (kind, True, fact.custom_properties))


def _by_class(events: Sequence[Recorded]) -> dict[type, Rows]:
    facts = list(map(attrgetter("fact"), events))
    seqs = list(map(attrgetter("seq"), events))
    prevs = list(map(attrgetter("prev"), events))
    classes = list(map(type, facts))
    distinct = set(classes)
    if len(distinct) == 1:
        return {distinct.pop(): Rows(seqs, facts, prevs)}
    places: dict[type, list[int]] = {cls: [] for cls in distinct}
    for place, cls in enumerate(classes):
        places[cls].append(place)
    return {
        cls: Rows([seqs[i] for i in at], [facts[i] for i in at], [prevs[i] for i in at]) for cls, at in places.items()
    }


def _ints(values: Iterable[int], count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.fromiter(values, dtype=np.int64, count=count)


def _concat(spec: TableSpec, tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables) if tables else _empty(spec)


def _empty(spec: TableSpec) -> pa.Table:
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in spec.schema], schema=spec.schema)


def _from_rows(spec: TableSpec, rows: Sequence[Sequence[Any]]) -> pa.Table:
    return _table(spec, list(zip(*rows, strict=True))) if rows else _empty(spec)


def _table(spec: TableSpec, columns: Sequence[Any]) -> pa.Table:
    """A table of columns that are sequences of values or numpy arrays of the right type."""
    arrays = [_array(values, field.type) for values, field in zip(columns, spec.schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=spec.schema)


def _array(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray):
        return arrays.numbers(values)
    if kind == pa.string():
        return arrays.optional_texts(values)
    if kind == pa.binary():
        return arrays.optional_blobs(values)
    if kind == pa.bool_():
        return arrays.booleans(values)
    return arrays.optional_numbers(values, kind.to_pandas_dtype())


class _Flat:
    """Nodes of one kind as columns, with their properties flattened: keys and values of all nodes, end to end."""

    def __init__(self, kind: Kind, rows: Rows) -> None:
        self.kind = kind
        self.count = len(rows.facts)
        # One pass a field: a tuple a node would set the garbage collector to work.
        self.fields: dict[str, list[Any]] = {
            field: list(map(attrgetter(field), rows.facts)) for field in Node.__struct_fields__
        }
        self.prevs = rows.prevs
        self.properties: Sequence[dict[str, Any]] = self.fields["properties"]
        self.custom_properties: Sequence[dict[str, Any]] = self.fields["custom_properties"]
        self.keys: list[str] = list(chain.from_iterable(self.properties))
        self.custom_keys: list[str] = list(chain.from_iterable(self.custom_properties))
        self.ids = _ints(self.fields["id"], self.count)
        self.nkeys = self.ids << 2 | int(kind)
        self.seqs = _ints(rows.seqs, self.count)

    def node_table(self) -> pa.Table:
        """Rows of the table `node`."""
        fields = self.fields
        columns = [
            self.nkeys,
            np.full(self.count, int(self.kind), np.int8),
            self.ids,
            self.seqs,
            self.prevs,
            fields["type_id"],
            fields["name"],
            fields["external_id"],
            fields["uri"],
            fields["state"],
            fields["create_time_ms"],
            fields["update_time_ms"],
        ]
        return _table(NODE, columns)


class _TypeNumbers(dict[type, int]):
    """Class of a value -> its `PropertyType`; a subclass (say, of float) counts as its parent."""

    def __missing__(self, cls: type) -> int:
        number = next(number for parent, number in list(self.items()) if issubclass(cls, parent))
        self[cls] = number
        return number


_TYPE_NUMBERS = _TypeNumbers({bool: _BOOLEAN, int: _INT, float: _DOUBLE, str: _STRING, dict: _STRUCT, Proto: _PROTO})


UNIFORM_NODE_COUNT = 64
"""From so many nodes with the same names on, each name is made a column by itself."""


def _prop_tables(flat: _Flat, names: PropertyNames) -> list[pa.Table]:
    """The values of nodes of one kind, grouped by their names and, for one name, in the order of the events."""
    tables: list[pa.Table] = []
    sets = ((False, flat.properties, flat.keys), (True, flat.custom_properties, flat.custom_keys))
    for custom, dicts, keys in sets:
        if not keys:
            continue
        numbers = names.numbers(flat.kind, custom)
        values = list(chain.from_iterable(map(dict.values, dicts)))
        first = list(dicts[0])
        if flat.count >= UNIFORM_NODE_COUNT and keys == first * flat.count:
            for place, name in enumerate(first):
                tables.append(_one_name(flat, numbers[name], values[place :: len(first)]))
        else:
            sizes = _ints(map(len, dicts), flat.count)
            nids = np.fromiter(map(numbers.__getitem__, keys), np.int32, len(keys))
            tables.append(_many_names(nids, np.repeat(flat.nkeys, sizes), np.repeat(flat.seqs, sizes), values))
    return tables


def _one_name(flat: _Flat, nid: int, values: list[Any]) -> pa.Table:
    """One value of every node, all under one name."""
    nids = np.full(flat.count, nid, np.int32)
    classes = set(map(type, values))
    if len(classes) > 1:
        return _many_names(nids, flat.nkeys, flat.seqs, values)
    number = _TYPE_NUMBERS[classes.pop()]
    typed: dict[str, Any] = {"i": pa.int64(), "d": pa.float64(), "s": pa.string(), "b": pa.binary()}
    typed = {name: pa.nulls(flat.count, kind) for name, kind in typed.items()}
    if number in (_INT, _BOOLEAN):
        typed["i"] = np.fromiter(values, np.int64, flat.count)
    elif number == _DOUBLE:
        typed["d"] = np.fromiter(values, np.float64, flat.count)
    elif number == _STRING:
        typed["s"] = values
    else:
        typed["s"], typed["b"] = list(map(_shown, values)), list(map(encode_payload, values))
    return _table(PROP, [nids, flat.nkeys, flat.seqs, np.full(flat.count, number, np.int8), *typed.values()])


def _many_names(
    nids: np.ndarray[Any, Any], nkeys: np.ndarray[Any, Any], seqs: np.ndarray[Any, Any], values: list[Any]
) -> pa.Table:
    """Values under any names and of any types."""
    # A stable sort of 16-bit keys is a radix sort, several times as fast as one of 32-bit keys.
    order = np.argsort(nids.astype(np.uint16) if nids.max() < 2**16 else nids, kind="stable")
    kinds = np.fromiter(map(_TYPE_NUMBERS.__getitem__, map(type, values)), np.int8, len(values))[order]
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return _table(PROP, [nids[order], nkeys[order], seqs[order], kinds, *_typed_columns(objects, order, kinds)])


def _shown(value: Any) -> str:
    """The text that stands for a struct or a proto."""
    return value.type_url if type(value) is Proto else msgspec.json.encode(value).decode()


def _typed_columns(
    objects: np.ndarray[Any, Any], order: np.ndarray[Any, Any], kinds: np.ndarray[Any, Any]
) -> list[pa.Array]:
    """Columns i, d, s, b of the values `objects[order]`, whose `PropertyType`s are `kinds`."""
    count = len(order)
    is_int = (kinds == _INT) | (kinds == _BOOLEAN)
    is_double = kinds == _DOUBLE
    is_bytes = (kinds == _STRUCT) | (kinds == _PROTO)
    is_text = (kinds == _STRING) | is_bytes
    ints = np.zeros(count, np.int64)
    ints[is_int] = objects[order[is_int]].astype(np.int64)
    doubles = np.zeros(count, np.float64)
    doubles[is_double] = objects[order[is_double]].astype(np.float64)
    packed = pa.nulls(count, pa.binary())
    if is_bytes.any():
        places = order[is_bytes]
        bodies = objects[places].tolist()
        packed = arrays.spread([encode_payload(value) for value in bodies], is_bytes, pa.binary())
        objects[places] = list(map(_shown, bodies))
    return [
        arrays.numbers(ints, is_int),
        arrays.numbers(doubles, is_double),
        arrays.spread(objects[order[is_text]].tolist(), is_text, pa.string()),
        packed,
    ]


def _edge_table(rows: Rows) -> pa.Table:
    encode = msgspec.json.encode
    values = [
        (link.execution_id, link.artifact_id, link.type, encode(link.path).decode(), link.time_ms, seq)
        for link, seq in zip(rows.facts, rows.seqs, strict=True)
    ]
    return _from_rows(EDGE, values)


class _LinkColumns(NamedTuple):
    """How a fact about membership stands in the table `link`: its kind, and the fields of context and member."""

    cls: type
    kind: int
    context: str
    member: str
    member_kind: Kind


_LINKS = (
    _LinkColumns(Attribution, LINK_ATTRIBUTION, "context_id", "artifact_id", Kind.ARTIFACT),
    _LinkColumns(Association, LINK_ASSOCIATION, "context_id", "execution_id", Kind.EXECUTION),
    _LinkColumns(ParentContext, LINK_PARENT, "parent_id", "child_id", Kind.CONTEXT),
)


def _link_table(rows: Rows, link: _LinkColumns) -> pa.Table:
    count = len(rows.facts)
    columns = [
        np.full(count, link.kind, np.int8),
        _ints(map(attrgetter(link.context), rows.facts), count),
        _ints(map(attrgetter(link.member), rows.facts), count) << 2 | int(link.member_kind),
        _ints(rows.seqs, count),
    ]
    return _table(LINK, columns)


def _point_table(rows: Rows, names: PropertyNames) -> pa.Table:
    facts: Sequence[MetricPoints] = rows.facts
    numbers = names.numbers(METRIC_KIND, False)
    sizes = _ints((len(fact.steps) for fact in facts), len(facts))
    count = int(sizes.sum())

    def flat(field: str, dtype: type[np.generic]) -> Any:
        return np.fromiter(chain.from_iterable(map(attrgetter(field), facts)), dtype, count)

    columns = [
        np.repeat(_ints(map(attrgetter("execution_id"), facts), len(facts)), sizes),
        np.repeat(np.array([numbers[fact.key] for fact in facts], np.int32), sizes),
        flat("steps", np.int64),
        flat("times_us", np.int64),
        flat("values", np.float64),
        np.repeat(_ints(rows.seqs, len(facts)), sizes),
    ]
    return _table(POINT, columns)


_TYPE_WORDS = {int(member): member.name for member in PropertyType}


def type_table(rows: Rows) -> pa.Table:
    """Types as rows of the table `type`."""
    values = []
    for kind, seq, prev in zip(rows.facts, rows.seqs, rows.prevs, strict=True):
        properties = {name: _TYPE_WORDS.get(number, str(number)) for name, number in kind.properties.items()}
        values.append(
            (
                kind.id,
                kind.kind,
                kind.name,
                kind.version,
                kind.description,
                kind.external_id,
                msgspec.json.encode(properties).decode(),
                kind.base_type,
                kind.input_type,
                kind.output_type,
                seq,
                prev,
            )
        )
    return _from_rows(TYPE, values)
