"""Inserting many ordinary nodes at once: the checks of `nodes.put_node`, made over columns instead of node by node.

It never refuses: whatever is not plainly in order is left to the long way, which finds what is wrong and says so.
Both must decide the same; a test holds them side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from stratalog.commands.draft import Draft
from stratalog.commands.values import PROPERTY_TYPE_OF
from stratalog.eventlog.events import (
    INT64_MAX,
    INT64_MIN,
    KIND_OF,
    ArtifactState,
    ExecutionState,
    Kind,
    Node,
    PropertyType,
    Type,
    Value,
)

BULK_COUNT_MIN = 64
"""From so many nodes on, the columns pay."""

_PLAIN = {t: p for t, p in PROPERTY_TYPE_OF.items() if p not in (PropertyType.STRUCT, PropertyType.PROTO)}
_TEXT = frozenset({str})
_TEXT_OR_NONE = frozenset({str, type(None)})
_STATES: dict[Kind, type[ArtifactState] | type[ExecutionState]] = {
    Kind.ARTIFACT: ArtifactState,
    Kind.EXECUTION: ExecutionState,
}


def insert_nodes(draft: Draft, nodes: Sequence[Node]) -> list[int] | None:
    """Decide on new nodes of one kind and type, if all of them are in order; else decide nothing and return None."""
    cls, type_id = type(nodes[0]), nodes[0].type_id
    kind = KIND_OF.get(cls)
    node_type = draft.types.get(type_id) if type_id.__class__ is int else None
    if kind is None or node_type is None or node_type.kind != kind:
        return None
    if any(node.id or node.type_id != type_id or node.__class__ is not cls for node in nodes):
        return None
    if _classes([node.type_id for node in nodes]) != {int}:
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
            state=None if node.state is None else int(node.state),
            uri=node.uri,
        )
        for id, node in enumerate(nodes, first_id)
    ]
    if not draft.add_nodes(kind, made):
        draft.give_back(kind - 1, first_id)
        return None
    return list(range(first_id, first_id + len(nodes)))


def _are_fields_plain(kind: Kind, nodes: Sequence[Node]) -> bool:
    # Classes are looked at one by one: equal values of several classes (1, True, 1.0) are one in a set.
    names = [node.name for node in nodes]
    uris = [node.uri for node in nodes]
    if not _classes(names) <= (_TEXT if kind == Kind.CONTEXT else _TEXT_OR_NONE) or "" in names:
        return False
    states = [node.state for node in nodes]
    words = _STATES.get(kind)
    if words is None:
        return _classes(states) == _classes(uris) == {type(None)}
    if not _classes(states) <= {int, words, type(None)} or not set(states) <= {None, *words}:
        return False
    if kind != Kind.ARTIFACT:
        return _classes(uris) == {type(None)}
    return _classes(uris) <= _TEXT_OR_NONE and "" not in uris


def _classes(values: Sequence[object]) -> set[type]:
    return {value.__class__ for value in values}


def _are_free(draft: Draft, kind: Kind, type_id: int, nodes: Sequence[Node]) -> bool:
    """True if all names and external ids differ, and nobody has one of them."""
    names = [node.name for node in nodes if node.name is not None]
    externals = [node.external_id for node in nodes if node.external_id is not None]
    if not _classes(externals) <= _TEXT or "" in externals:
        return False
    if len(set(names)) != len(names) or len(set(externals)) != len(externals):
        return False
    if not _are_encodable(names) or not _are_encodable(externals):
        return False
    return draft.are_names_free(kind, type_id, names) and draft.are_externals_free(kind, externals)


def _are_encodable(texts: Sequence[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    # Two halves of a surrogate pair do not become a whole one by standing side by side: Python keeps them apart.
    return True


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
