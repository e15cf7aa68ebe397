"""Putting types: create, or evolve without taking anything away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from stratalog.commands.draft import Draft
from stratalog.commands.values import check_integer, check_text
from stratalog.eventlog.errors import AlreadyExistsError, ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Kind, PropertyType, Type
from stratalog.projections.system_types import SYSTEM_TYPES

_SLOT = 3
BASE_TYPES: dict[int, tuple[str, ...]] = {
    kind: tuple(type.name for type in SYSTEM_TYPES if type.kind == kind) for kind in Kind
}
"""Kind -> names of the system types that a type may name as its base."""

UNSET_BASE_TYPE = ""
"""A base type that takes away the one there is: MLMD's UNSET, always refused."""


def put_type(draft: Draft, request: Type, *, can_add_fields: bool = False, can_omit_fields: bool = False) -> int:
    """Decide on a type and return its id.

    Args:
        draft: the command's desk.
        request: the type; its id is ignored, its identity is (kind, name, version).
        can_add_fields: the stored type may be given the new properties of `request`.
        can_omit_fields: `request` may lack properties that the stored type has; they stay.

    Raises:
        InvalidInputError: no name, an unknown property type or base type; a base type changed or taken away.
        AlreadyExistsError: the stored type does not evolve into this one, or the external id is taken.
    """
    request = _checked(request)
    stored = draft.types.find(request.kind, request.name, request.version)
    where = f"{Kind(request.kind).word} type {request.name!r}"
    if request.base_type == UNSET_BASE_TYPE:
        raise InvalidInputError(
            f"{where}: its base type cannot be taken away",
            code=ErrorCode.UNSUPPORTED_REQUEST,
            hint="leave the base type out",
        )
    if request.external_id is not None:
        owner = draft.types.by_external.get((request.kind, request.external_id))
        if owner is not None and (stored is None or owner != stored.id):
            raise AlreadyExistsError(
                f"{where}: external id {request.external_id!r} is that of type {owner}",
                hint="external ids are unique among the types of a kind",
            )
    if stored is None:
        type_id = draft.next_id(_SLOT)
        draft.add_type(msgspec.structs.replace(request, id=type_id))
        return type_id
    evolved = _evolve(stored, request, where, can_add_fields=can_add_fields, can_omit_fields=can_omit_fields)
    if evolved != stored:
        draft.add_type(evolved, draft.types.seq(stored.id))
    return stored.id


def put_types(
    draft: Draft, requests: Iterable[Type], *, can_add_fields: bool = False, can_omit_fields: bool = False
) -> list[int]:
    """Decide on several types, in order, and return their ids."""
    return [put_type(draft, r, can_add_fields=can_add_fields, can_omit_fields=can_omit_fields) for r in requests]


def require_type(draft: Draft, kind: int, type_id: int, where: object) -> Type:
    """The type of a node that is to be created.

    Raises:
        InvalidInputError: no type id was given.
        NotFoundError: there is no type of this kind with that id.
    """
    if not type_id:
        raise InvalidInputError(
            f"{where}: no type_id",
            code=ErrorCode.MISSING_FIELD,
            hint="put the type first and give the id that this returns",
        )
    if type(type_id) is not int:
        type_id = check_integer(type_id, f"{where}, type_id")
    found = draft.types.get(type_id)
    if found is None or found.kind != kind:
        what = "no such type" if found is None else f"that is a type of {Kind(found.kind).word}s"
        raise NotFoundError(
            f"{where}: type_id {type_id} where a type of {Kind(kind).word}s was expected: {what}",
            code=ErrorCode.TYPE_NOT_FOUND,
            hint="put the type first and give the id that this returns",
        )
    return found


def _checked(request: Type) -> Type:
    kind = check_integer(request.kind, f"type {request.name!r}, kind")
    if kind not in BASE_TYPES:
        raise InvalidInputError(
            f"type {request.name!r}: kind {kind} where one of {[int(k) for k in Kind]} was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    word = Kind(kind).word
    if not request.name:
        raise InvalidInputError(f"{word} type: no name", code=ErrorCode.MISSING_FIELD)
    where = f"{word} type {request.name!r}"
    if not isinstance(request.properties, Mapping):
        raise InvalidInputError(
            f"{where}, properties: {type(request.properties).__name__} where a dict of names to types was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    properties: dict[str, int] = {}
    for name, property_type in request.properties.items():
        name = check_text(name, f"{where}, property name")
        try:
            properties[name] = int(PropertyType(property_type))
        except ValueError:
            expected = ", ".join(f"{p.name} {p.value}" for p in PropertyType)
            raise InvalidInputError(
                f"{where}, property {name!r}: type {property_type!r} where one of {expected} was expected",
                code=ErrorCode.INVALID_VALUE,
            ) from None
    if request.base_type and request.base_type not in BASE_TYPES[kind]:
        expected = ", ".join(map(repr, BASE_TYPES[kind])) or "none"
        raise InvalidInputError(
            f"{where}: base type {request.base_type!r} where one of {expected} was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    texts: dict[str, str | None] = {}
    for field in ("name", "version", "description", "external_id"):
        text = getattr(request, field)
        texts[field] = None if text is None else check_text(text, f"{where}, {field}")
    for field in ("input_type", "output_type"):
        content = getattr(request, field)
        if content is not None and type(content) is not bytes:
            raise InvalidInputError(
                f"{where}, {field}: {type(content).__name__} where bytes were expected", code=ErrorCode.INVALID_VALUE
            )
    texts["version"] = texts["version"] or None
    texts["external_id"] = texts["external_id"] or None
    return msgspec.structs.replace(request, kind=kind, properties=properties, **texts)


def _evolve(stored: Type, request: Type, where: str, *, can_add_fields: bool, can_omit_fields: bool) -> Type:
    for name, property_type in request.properties.items():
        if stored.properties.get(name, property_type) != property_type:
            raise AlreadyExistsError(
                f"{where}, property {name!r}: declared as {PropertyType(stored.properties[name]).name}, "
                f"cannot become {PropertyType(property_type).name}",
                code=ErrorCode.TYPE_CONFLICT,
                hint="give the property a new name, or the type a new version",
            )
    omitted = [name for name in stored.properties if name not in request.properties]
    if omitted and not can_omit_fields:
        raise AlreadyExistsError(
            f"{where}: the stored type has properties {omitted!r} that the request lacks",
            code=ErrorCode.TYPE_CONFLICT,
            hint="pass can_omit_fields=True to keep them",
        )
    added = {name: t for name, t in request.properties.items() if name not in stored.properties}
    if added and not can_add_fields:
        raise AlreadyExistsError(
            f"{where}: the request has properties {list(added)!r} that the stored type lacks",
            code=ErrorCode.TYPE_CONFLICT,
            hint="pass can_add_fields=True to add them",
        )
    if request.base_type is not None and stored.base_type not in (None, request.base_type):
        raise InvalidInputError(
            f"{where}: its base type {stored.base_type!r} cannot become {request.base_type!r}",
            code=ErrorCode.UNSUPPORTED_REQUEST,
            hint="put a type with another name or version",
        )
    return msgspec.structs.replace(
        stored,
        properties={**stored.properties, **added},
        external_id=request.external_id or stored.external_id,
        base_type=request.base_type or stored.base_type,
    )


__all__ = ["BASE_TYPES", "UNSET_BASE_TYPE", "put_type", "put_types", "require_type"]
