"""Nodes and types as rows and as JSON objects, with words where the store keeps numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stratalog.cli.output import Row, plain_text
from stratalog.eventlog.events import (
    ArtifactState,
    ExecutionState,
    Kind,
    Link,
    LinkType,
    Node,
    PropertyType,
    Proto,
    Type,
)

if TYPE_CHECKING:
    from stratalog.store.reads import Reads

_STATES: dict[Kind, type[ArtifactState] | type[ExecutionState]] = {
    Kind.ARTIFACT: ArtifactState,
    Kind.EXECUTION: ExecutionState,
}

COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.ARTIFACT: ("id", "type", "name", "state", "uri", "created", "updated", "properties"),
    Kind.EXECUTION: ("id", "type", "name", "state", "created", "updated", "properties"),
    Kind.CONTEXT: ("id", "type", "name", "created", "updated", "properties"),
}
"""What a listing shows of a kind. JSON has more: see `to_object`."""

TYPE_COLUMNS = ("kind", "id", "name", "version", "base type", "properties")


def time_of(milliseconds: int) -> datetime | None:
    """A time that the store keeps in ms since 1970 UTC; 0 is none, and so is one that no calendar has."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (OverflowError, ValueError, OSError):
        return None


def state_word(kind: Kind, state: int | None) -> str | None:
    """The word of a state, `live` or `complete`; None where there is none."""
    if state is None or kind not in _STATES:
        return None
    try:
        return _STATES[kind](state).name
    except ValueError:
        return str(state)


def value_for_json(value: Any) -> Any:
    """A property's value in JSON; a protobuf message is its type and its bytes in base64."""
    return {"type_url": value.type_url, "value": value.value} if isinstance(value, Proto) else value


def type_names(store: Reads) -> dict[int, Type]:
    """Every type by id."""
    return {type.id: type for type in store.get_types(with_system=True)}


def type_label(types: Mapping[int, Type], type_id: int) -> str:
    """A type's name, with its version if it has one."""
    type = types.get(type_id)
    if type is None:
        return str(type_id)
    return f"{type.name}@{type.version}" if type.version else type.name


def to_object(kind: Kind, node: Node, types: Mapping[int, Type]) -> dict[str, Any]:
    """A node as the JSON object that `ls`, `find` and `show` print."""
    type = types.get(node.type_id)
    found: dict[str, Any] = {
        "kind": kind.word,
        "id": node.id,
        "type": type.name if type else None,
        "type_id": node.type_id,
        "name": node.name,
        "external_id": node.external_id,
    }
    if kind is not Kind.CONTEXT:
        found["state"] = state_word(kind, node.state)
    if kind is Kind.ARTIFACT:
        found["uri"] = node.uri
    if type and type.version:
        found["type_version"] = type.version
    return found | {
        "properties": {key: value_for_json(value) for key, value in node.properties.items()},
        "custom_properties": {key: value_for_json(value) for key, value in node.custom_properties.items()},
        "created": time_of(node.create_time_ms),
        "updated": time_of(node.update_time_ms),
    }


def to_row(kind: Kind, node: Node, types: Mapping[int, Type], *, value_width: int | None = None) -> Row:
    """A node as a row of `COLUMNS[kind]`; values of properties are cut to `value_width` if it is given."""
    cells: dict[str, object] = {
        "id": node.id,
        "type": type_label(types, node.type_id),
        "name": node.name,
        "state": state_word(kind, node.state),
        "uri": node.uri,
        "created": time_of(node.create_time_ms),
        "updated": time_of(node.update_time_ms),
        "properties": properties_text(node, value_width=value_width) or None,
    }
    return [cells[name] for name in COLUMNS[kind]]


def properties_text(node: Node, *, value_width: int | None = None) -> str:
    """All properties in one text, the custom ones last; values cut to `value_width` characters if it is given."""
    pairs = [*sorted(node.properties.items()), *sorted(node.custom_properties.items())]
    texts = ((key, plain_text(value_for_json(value))) for key, value in pairs)
    return " ".join(f"{key}={shortened(text, value_width)}" for key, text in texts)


def shortened(text: str, width: int | None) -> str:
    """`text`, cut to `width` characters with a sign that says so."""
    return text if width is None or len(text) <= width else f"{text[: width - 1]}…"


def type_row(type: Type) -> Row:
    """A type as a row of `TYPE_COLUMNS`."""
    return [Kind(type.kind).word, type.id, type.name, type.version, type.base_type, declared_text(type) or None]


def declared_text(type: Type) -> str:
    """The properties that a type declares, in one text."""
    return " ".join(f"{name}:{property_word(number)}" for name, number in sorted(type.properties.items()))


def property_word(number: int) -> str:
    """The word of a property's type: `int`, `double`, `string` ..."""
    return PropertyType(number).name.lower()


def type_object(type: Type) -> dict[str, Any]:
    """A type as the JSON object that `ls types` and `show type` print."""
    return {
        "kind": Kind(type.kind).word,
        "id": type.id,
        "name": type.name,
        "version": type.version,
        "description": type.description,
        "external_id": type.external_id,
        "base_type": type.base_type,
        "properties": {name: property_word(number) for name, number in type.properties.items()},
    }


def link_word(number: int) -> str:
    """The word of a link's type: `input`, `output`, `declared_input` ..."""
    try:
        return LinkType(number).name.lower()
    except ValueError:
        return str(number)


def path_text(link: Link) -> str:
    """Where an artifact stood in a step's inputs or outputs: `images[3]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in link.path).lstrip(".")


__all__ = [
    "COLUMNS",
    "TYPE_COLUMNS",
    "declared_text",
    "link_word",
    "path_text",
    "property_word",
    "shortened",
    "state_word",
    "time_of",
    "to_object",
    "to_row",
    "type_label",
    "type_names",
    "type_object",
    "type_row",
    "value_for_json",
]
