"""Putting artifacts, executions and contexts: insert, update, update by mask.

The rules are MLMD's, for all three kinds alike; where a kind differs it says so in `_KEEPS_NAME` and the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from stratalog.commands.bulk import BULK_COUNT_MIN, insert_nodes
from stratalog.commands.draft import Draft
from stratalog.commands.types import require_type
from stratalog.commands.values import PROPERTY_TYPE_OF, check_integer, check_text, to_values
from stratalog.eventlog.errors import AlreadyExistsError, ConflictError, ErrorCode, InvalidInputError
from stratalog.eventlog.events import (
    KIND_OF,
    ArtifactState,
    ExecutionState,
    Kind,
    Node,
    PropertyType,
    Type,
    Value,
)

_KEEPS_NAME = frozenset({int(Kind.ARTIFACT), int(Kind.EXECUTION)})
"""Kinds whose name is fixed at creation."""
_STATES: dict[int, frozenset[int]] = {
    Kind.ARTIFACT: frozenset(map(int, ArtifactState)),
    Kind.EXECUTION: frozenset(map(int, ExecutionState)),
}
_MASK_FIELDS = frozenset({"name", "external_id", "state", "uri"})


def put_nodes(
    draft: Draft,
    nodes: Iterable[Node],
    *,
    mask: Sequence[str] = (),
    must_match_update_time: bool = False,
) -> list[int]:
    """Decide on several nodes, in order, and return their ids.

    Args:
        draft: the command's desk.
        nodes: artifacts, executions or contexts; one with an id is an update, one without an insert.
        mask: paths that updates change (`state`, `properties`, `properties.NAME`, ...); none: the whole node.
        must_match_update_time: an update must carry the stored `update_time_ms`.

    Raises:
        InvalidInputError, NotFoundError, AlreadyExistsError, ConflictError: see `put_node`.
    """
    batch = list(nodes)
    ids = insert_nodes(draft, batch) if len(batch) >= BULK_COUNT_MIN else None
    if ids is not None:
        return ids
    return [put_node(draft, node, mask=mask, must_match_update_time=must_match_update_time) for node in batch]


def put_node(
    draft: Draft,
    request: Node,
    *,
    mask: Sequence[str] = (),
    must_match_update_time: bool = False,
    force_update_time: bool = False,
) -> int:
    """Decide on one node and return its id.

    Times in the request are ignored, apart from `must_match_update_time`.

    Raises:
        InvalidInputError: a field or property is wrong; the id of an update is not there.
        NotFoundError: the type id of an insert is not there.
        AlreadyExistsError: the name (within the type) or the external id (within the kind) is taken.
        ConflictError: the stored update time is another one (code `stale_update`).
    """
    kind = KIND_OF.get(type(request))
    if kind is None:
        raise InvalidInputError(
            f"{type(request).__name__} where an Artifact, an Execution or a Context was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    if not request.id:
        return _insert(draft, kind, request)
    return _update(draft, kind, request, mask, must_match_update_time, force_update_time)


class Named(NamedTuple):
    """What a node is called in messages; the text is made only if there is one."""

    kind: int
    node: Node

    def __str__(self) -> str:
        word, node = Kind(self.kind).word, self.node
        if node.id:
            return f"{word} {node.id}"
        return f"{word} {node.name!r}" if node.name else f"new {word}"


def check_properties(type: Type, properties: Mapping[str, Value], where: object) -> None:
    """Refuse properties that the type does not declare, or declares with another type.

    Raises:
        InvalidInputError: the first property that does not fit.
    """
    declared = type.properties
    for name, value in properties.items():
        expected = declared.get(name)
        if expected is None:
            raise InvalidInputError(
                f"{where}: type {type.name!r} has no property {name!r}",
                code=ErrorCode.UNKNOWN_PROPERTY,
                hint="declare it with put_type(..., can_add_fields=True), or make it a custom property",
            )
        found = PROPERTY_TYPE_OF[value.__class__]
        if found != expected:
            raise InvalidInputError(
                f"{where}: Found unmatched property type: {name}: "
                f"{value!r} is {found.name}, declared is {PropertyType(expected).name}",
                code=ErrorCode.PROPERTY_TYPE_MISMATCH,
                hint="an int is no double: write 1.0" if (found, expected) == (PropertyType.INT, 2) else None,
            )


def _insert(draft: Draft, kind: int, request: Node) -> int:
    where = Named(kind, request)
    node_type = require_type(draft, kind, request.type_id, where)
    name, external_id, state, uri = _fields(kind, request, where)
    if name is None and kind == Kind.CONTEXT:
        raise InvalidInputError(f"{where}: no name", code=ErrorCode.MISSING_FIELD, hint="a context needs a name")
    properties = to_values(request.properties, where, "properties")
    check_properties(node_type, properties, where)
    custom_properties = to_values(request.custom_properties, where, "custom properties")
    _require_free(draft, kind, 0, node_type, name, external_id, where)
    id = draft.next_id(kind - 1)
    draft.add_node(
        kind,
        type(request)(
            id=id,
            type_id=node_type.id,
            name=name,
            external_id=external_id,
            properties=properties,
            custom_properties=custom_properties,
            create_time_ms=draft.time_ms,
            update_time_ms=draft.time_ms,
            state=state,
            uri=uri,
        ),
    )
    return id


def _update(
    draft: Draft,
    kind: int,
    request: Node,
    mask: Sequence[str],
    must_match_update_time: bool,
    force_update_time: bool,
) -> int:
    where = Named(kind, request)
    version = draft.get(kind, check_integer(request.id, f"{where}, id"))
    if version is None:
        raise InvalidInputError(
            f"{where}: there is no {Kind(kind).word} with this id",
            code=ErrorCode.UNKNOWN_REFERENCE,
            hint="leave the id out to create one; the store gives the ids",
        )
    stored = version.node
    if request.type_id and request.type_id != stored.type_id:
        raise InvalidInputError(
            f"{where}: type_id {request.type_id} where its type {stored.type_id} was expected",
            code=ErrorCode.TYPE_MISMATCH,
            hint="a node keeps its type; leave type_id out",
        )
    if must_match_update_time and request.update_time_ms != stored.update_time_ms:
        raise ConflictError(
            f"{where}: update time {request.update_time_ms} where the stored {stored.update_time_ms} was expected",
            code=ErrorCode.STALE_UPDATE,
            hint="read it again, and put it with the update_time_ms that you read",
        )
    node_type = draft.types.get(stored.type_id)
    assert node_type is not None, stored.type_id
    merged = (
        _merge_mask(kind, stored, request, mask, node_type, where)
        if mask
        else _replace(kind, stored, request, node_type, where)
    )
    if kind == Kind.CONTEXT and merged["name"] is None:
        raise InvalidInputError(f"{where}: no name", code=ErrorCode.MISSING_FIELD, hint="a context needs a name")
    candidate = msgspec.structs.replace(stored, **merged)
    if _same(candidate, stored) and not force_update_time:
        return stored.id
    changed_name = candidate.name if candidate.name != stored.name else None
    changed_external = candidate.external_id if candidate.external_id != stored.external_id else None
    _require_free(draft, kind, stored.id, node_type, changed_name, changed_external, where)
    # Strictly later than before, so that a caller who holds the old time is told.
    update_time_ms = max(draft.time_ms, stored.update_time_ms + 1)
    draft.add_node(kind, msgspec.structs.replace(candidate, update_time_ms=update_time_ms), version.seq)
    return stored.id


def _same(a: Node, b: Node) -> bool:
    if a == b and not a.properties and not a.custom_properties:
        return True
    # NaN is not equal to itself and True equals 1, but both are the same value or another one on disk.
    return msgspec.msgpack.encode(a, order="deterministic") == msgspec.msgpack.encode(b, order="deterministic")


def _replace(kind: int, stored: Node, request: Node, node_type: Type, where: object) -> dict[str, Any]:
    name, external_id, state, uri = _fields(kind, request, where)
    properties = to_values(request.properties, where, "properties")
    check_properties(node_type, properties, where)
    return {
        "name": stored.name if kind in _KEEPS_NAME else name,
        "external_id": external_id,
        "state": state,
        "uri": uri,
        "properties": properties,
        "custom_properties": to_values(request.custom_properties, where, "custom properties"),
    }


def _merge_mask(
    kind: int, stored: Node, request: Node, mask: Sequence[str], node_type: Type, where: object
) -> dict[str, Any]:
    name, external_id, state, uri = _fields(kind, request, where)
    given = {"name": name, "external_id": external_id, "state": state, "uri": uri}
    merged: dict[str, Any] = {"name": stored.name}
    merged.update({field: given[field] for field in _MASK_FIELDS.intersection(mask)})
    if kind in _KEEPS_NAME:
        merged["name"] = stored.name
    for field in ("properties", "custom_properties"):
        old: dict[str, Value] = getattr(stored, field)
        new: Mapping[str, object] = getattr(request, field)
        if field in mask:
            chosen, kept = to_values(new, where, field), {}
        else:
            prefix = field + "."
            names = dict.fromkeys(path[len(prefix) :] for path in mask if path.startswith(prefix))
            masked = {name: new[name] for name in names if name in new}
            chosen = to_values(masked, where, field)
            kept = {name: value for name, value in old.items() if name not in names}
        if field == "properties":
            check_properties(node_type, chosen, where)
        merged[field] = {**kept, **chosen}
    return merged


def _fields(kind: int, request: Node, where: object) -> tuple[str | None, str | None, int | None, str | None]:
    """Name, external id, state and uri, checked; empty text counts as absent."""
    name, external_id, state, uri = request.name, request.external_id, request.state, request.uri
    if name is not None and (type(name) is not str or not name.isascii()):
        name = check_text(name, f"{where}, name")
    if external_id is not None and (type(external_id) is not str or not external_id.isascii()):
        external_id = check_text(external_id, f"{where}, external_id")
    if uri is not None:
        if type(uri) is not str or not uri.isascii():
            uri = check_text(uri, f"{where}, uri")
        if uri and kind != Kind.ARTIFACT:
            raise InvalidInputError(
                f"{where}: uri {uri!r}, but only an artifact has one",
                code=ErrorCode.INVALID_VALUE,
                hint="make it a custom property",
            )
    if state is not None:
        state = _state(kind, state, where)
    return name or None, external_id or None, state, uri or None


def _state(kind: int, state: int, where: object) -> int:
    known = _STATES.get(kind)
    if known is None:
        raise InvalidInputError(f"{where}: a context has no state", code=ErrorCode.INVALID_VALUE)
    number = int(check_integer(int(state) if isinstance(state, ArtifactState | ExecutionState) else state, where))
    if number not in known:
        words = ArtifactState if kind == Kind.ARTIFACT else ExecutionState
        raise InvalidInputError(
            f"{where}: state {state!r} where one of {', '.join(f'{w.name} {w.value}' for w in words)} was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    return number


def _require_free(
    draft: Draft, kind: int, own_id: int, node_type: Type, name: str | None, external_id: str | None, where: object
) -> None:
    if name is not None:
        taken = draft.by_name(kind, node_type.id, name)
        if taken is not None and taken.node.id != own_id:
            raise AlreadyExistsError(
                f"{where}: the name {name!r} is that of {(word := Kind(kind).word)} {taken.node.id} "
                f"of type {node_type.name!r}",
                hint=f"get it with get_{word}(type={node_type.name!r}, name={name!r}), or choose another name",
            )
    if external_id is not None:
        taken = draft.by_external(kind, external_id)
        if taken is not None and taken.node.id != own_id:
            raise AlreadyExistsError(
                f"{where}: the external id {external_id!r} is that of {(word := Kind(kind).word)} {taken.node.id}",
                hint=f"get it with get_{word}(external_id={external_id!r}), or choose another one",
            )
