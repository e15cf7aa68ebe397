"""Whole nodes out of the tables: artifacts, executions and contexts as they were at a snapshot's seq.

State answers the same in microseconds, but for the head only; here a moment of the past costs a scan of the properties.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec

from stratalog.eventlog.events import NODE_CLASSES, Kind, Node, PropertyType, Proto, Value
from stratalog.query.points import Reader, packed, unnested

_proto: msgspec.msgpack.Decoder[Proto] = msgspec.msgpack.Decoder(Proto)
_struct: msgspec.msgpack.Decoder[dict[str, Any]] = msgspec.msgpack.Decoder(dict[str, Any])

N = TypeVar("N", bound=Node)


def load_nodes(snapshot: Reader, kind: Kind, ids: Iterable[int]) -> list[Node]:
    """Those of `ids` that are nodes of `kind`, each once, by rising id; properties in the order of their numbers."""
    keys = sorted({id << 2 | kind for id in ids})
    if not keys:
        return []
    parameters = {"keys": packed(keys)}
    chosen = f"(SELECT {unnested('keys')})"
    nodes = snapshot.query(
        "SELECT id, type_id, name, external_id, create_ms, update_ms, state, uri"
        f" FROM {snapshot.table('node')} WHERE nkey IN {chosen} ORDER BY id",
        parameters,
    )
    values = snapshot.query(
        f"SELECT nkey >> 2 AS id, custom, name, t, i, d, s, b FROM {snapshot.table('prop')}"
        f" JOIN (SELECT nid, custom, name FROM {snapshot.table('prop_name')}) USING (nid)"
        f" WHERE nkey IN {chosen} ORDER BY nid, nkey",
        parameters,
    )
    maps: dict[tuple[int, bool], dict[str, Value]] = {}
    for id, custom, name, *value in zip(*(column.to_pylist() for column in values.columns), strict=True):
        maps.setdefault((id, custom), {})[name] = _value(*value)
    cls = NODE_CLASSES[kind]
    return [
        cls(
            id=id,
            type_id=type_id,
            name=name,
            external_id=external_id,
            properties=maps.get((id, False), {}),
            custom_properties=maps.get((id, True), {}),
            create_time_ms=created,
            update_time_ms=updated,
            state=state,
            uri=uri,
        )
        for id, type_id, name, external_id, created, updated, state, uri in zip(
            *(column.to_pylist() for column in nodes.columns), strict=True
        )
    ]


def _value(t: int, i: int | None, d: float | None, s: str | None, b: bytes | None) -> Value:
    match t:
        case PropertyType.INT:
            return cast("int", i)
        case PropertyType.DOUBLE:
            return cast("float", d)
        case PropertyType.STRING:
            return cast("str", s)
        case PropertyType.BOOLEAN:
            return bool(i)
        case PropertyType.PROTO:
            return _proto.decode(cast("bytes", b))
    return _struct.decode(cast("bytes", b))
