"""Inserting many ordinary nodes at once: the checks of `nodes.put_node`, made over columns instead of node by node.

It never refuses: whatever is not plainly in order is left to the long way, which finds what is wrong and says so.
Both must decide the same; a test holds them side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from stratalog.commands.draft import Draft
from stratalog.commands.values import PROPERTY_TYPE_OF
from stratalog.eventlog.events import INT64_MAX, INT64_MIN, KIND_OF, Kind, Node, PropertyType, Type, Value

BULK_COUNT_MIN = 64
"""From so many nodes on, the columns pay."""

_PLAIN = {t: p for t, p in PROPERTY_TYPE_OF.items() if p not in (PropertyType.STRUCT, PropertyType.PROTO)}
_TEXT = frozenset({str})
_TEXT_OR_NONE = frozenset({str, type(None)})
_STATE_TYPES = frozenset({int, type(None)})
_STATE_COUNTS = {Kind.ARTIFACT: 7, Kind.EXECUTION: 7, Kind.CONTEXT: 0}


def insert_nodes(draft: Draft, nodes: Sequence[Node]) -> list[int] | None:
    """Decide on new nodes of one kind and type, if all of them are in order; else decide nothing and return None."""
    cls, type_id = type(nodes[0]), nodes[0].type_id
    kind = KIND_OF.get(cls)
    node_type = draft.types.get(type_id)
    if kind is None or node_type is None or node_type.kind != kind:
        return None
    if any(node.id or node.type_id != type_id or node.__class__ is not cls for node in nodes):
        return None
    if not (_are_fields_plain(kind, nodes) and _are_free(draft, kind, type_id, nodes)):
        return None
    properties = [node.properties for node in nodes]
    custom_properties = [node.custom_properties for node in nodes]
    if not (_fit(properties, node_type) and _fit(custom_properties, None)):
        return None
    time_ms, first_id = draft.time_ms, draft.next_ids(kind - 1, len(nodes))
    made = [
        cls(
            id=id,
            type_id=type_id,
            name=node.name,
            external_id=node.external_id,
            properties=dict(node.properties),
            custom_properties=dict(node.custom_properties),
            create_time_ms=time_ms,
            update_time_ms=time_ms,
            state=node.state,
            uri=node.uri,
        )
        for id, node in enumerate(nodes, first_id)
    ]
    if not draft.add_nodes(kind, made):
        draft.give_back(kind - 1, first_id)
        return None
    return list(range(first_id, first_id + len(nodes)))


def _are_fields_plain(kind: Kind, nodes: Sequence[Node]) -> bool:
    names = {node.name for node in nodes}
    expected = _TEXT if kind == Kind.CONTEXT else _TEXT_OR_NONE
    if "" in names or not set(map(type, names)) <= expected:
        return False
    states = {node.state for node in nodes}
    if not (set(map(type, states)) <= _STATE_TYPES and all(s is None or 0 <= s < _STATE_COUNTS[kind] for s in states)):
        return False
    # True equals 1 in a set: the types are looked at one by one where there may be such a thing.
    if states & {0, 1} and any(node.state.__class__ is bool for node in nodes):
        return False
    uris = {node.uri for node in nodes}
    if kind != Kind.ARTIFACT:
        return uris == {None}
    return "" not in uris and set(map(type, uris)) <= _TEXT_OR_NONE


def _are_free(draft: Draft, kind: Kind, type_id: int, nodes: Sequence[Node]) -> bool:
    """True if all names and external ids differ, and nobody has one of them."""
    names = [node.name for node in nodes if node.name is not None]
    externals = [node.external_id for node in nodes if node.external_id is not None]
    if not set(map(type, externals)) <= _TEXT or "" in externals:
        return False
    if len(set(names)) != len(names) or len(set(externals)) != len(externals):
        return False
    return draft.are_names_free(kind, type_id, names) and draft.are_externals_free(kind, externals)


def _fit(maps: list[dict[str, Value]], node_type: Type | None) -> bool:
    """True if every map holds plain values that the type declares (None: any)."""
    try:
        shapes = {(*values, *map(type, values.values())) for values in maps}
    except (TypeError, AttributeError):
        return False
    has_integers = False
    for shape in shapes:
        middle = len(shape) // 2
        for name, cls in zip(shape[:middle], shape[middle:], strict=True):
            property_type = _PLAIN.get(cls)  # type: ignore[call-overload]
            if name.__class__ is not str or property_type is None:
                return False
            if node_type is not None and node_type.properties.get(name) != property_type:
                return False
            has_integers = has_integers or cls is int
    if not has_integers:
        return True
    integers = [value for values in maps for value in values.values() if value.__class__ is int]
    return min(integers) >= INT64_MIN and max(integers) <= INT64_MAX
