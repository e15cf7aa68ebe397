"""Messages of the protocol to our structs and back.

Reading takes a message of either family, ours or MLMD's own, since it asks for fields by name; writing fills messages
of our pool. An id or type id that is given as 0 is told from one that is left out: it becomes `NO_SUCH_ID`.

Absent stays absent on the way back, apart from an artifact's `uri`, which is always set, as in MLMD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from stratalog.commands.types import UNSET_BASE_TYPE
from stratalog.eventlog.events import (
    Artifact,
    Context,
    Execution,
    Kind,
    Link,
    Node,
    Proto,
    Type,
    Value,
)

Message = Any
"""A protobuf message: no class of them is known before the schema is loaded."""

NO_SUCH_ID = -1
"""Stands for an id of 0 in a request: given, and of nothing."""


class Vocabulary(NamedTuple):
    """What the protocol calls things of one kind."""

    kind: Kind
    word: str
    title: str
    state_field: str | None
    base_types: tuple[str, ...]
    """Names of the values of SystemDefinedBaseType from 1 on, as system types."""


VOCABULARIES: dict[Kind, Vocabulary] = {
    Kind.ARTIFACT: Vocabulary(
        Kind.ARTIFACT,
        "artifact",
        "Artifact",
        "state",
        ("mlmd.Dataset", "mlmd.Model", "mlmd.Metrics", "mlmd.Statistics"),
    ),
    Kind.EXECUTION: Vocabulary(
        Kind.EXECUTION,
        "execution",
        "Execution",
        "last_known_state",
        ("mlmd.Train", "mlmd.Transform", "mlmd.Process", "mlmd.Evaluate", "mlmd.Deploy"),
    ),
    Kind.CONTEXT: Vocabulary(Kind.CONTEXT, "context", "Context", None, ()),
}


# ---- values


def read_values(properties: Mapping[str, Message]) -> dict[str, Value]:
    """A map of Values. One without a value becomes None, which the commands refuse where they look at it."""
    values: dict[str, Any] = {}
    for name, message in properties.items():
        which = message.WhichOneof("value")
        if which == "string_value":
            values[name] = message.string_value
        elif which == "int_value":
            values[name] = message.int_value
        elif which == "double_value":
            values[name] = message.double_value
        elif which == "bool_value":
            values[name] = message.bool_value
        elif which == "struct_value":
            values[name] = read_struct(message.struct_value)
        elif which == "proto_value":
            values[name] = Proto(message.proto_value.type_url, message.proto_value.value)
        else:
            values[name] = None
    return values


def write_values(properties: Any, values: Mapping[str, Value]) -> None:
    """Fill a message's map of Values."""
    for name, value in values.items():
        cls = value.__class__
        if cls is str:
            properties[name].string_value = value
        elif cls is int:
            properties[name].int_value = value
        elif cls is float:
            properties[name].double_value = value
        elif cls is bool:
            properties[name].bool_value = value
        elif cls is Proto:
            proto = cast(Proto, value)
            target = properties[name].proto_value
            target.SetInParent()
            target.type_url = proto.type_url
            target.value = proto.value
        else:
            target = properties[name].struct_value
            target.SetInParent()
            write_struct(target, cast("dict[str, Any]", value))


def read_struct(message: Message) -> dict[str, Any]:
    """A google.protobuf.Struct as a dict; its numbers are floats."""
    return {name: _read_item(item) for name, item in message.fields.items()}


def _read_item(message: Message) -> Any:
    which = message.WhichOneof("kind")
    if which == "struct_value":
        return read_struct(message.struct_value)
    if which == "list_value":
        return [_read_item(item) for item in message.list_value.values]
    return None if which is None or which == "null_value" else getattr(message, which)


def write_struct(message: Message, value: Mapping[str, Any]) -> None:
    """Fill a google.protobuf.Struct."""
    fields = message.fields
    for name, item in value.items():
        _write_item(fields[name], item)


def _write_item(message: Message, item: Any) -> None:
    if item is None:
        message.null_value = 0
    elif isinstance(item, bool):
        message.bool_value = item
    elif isinstance(item, int | float):
        message.number_value = item
    elif isinstance(item, str):
        message.string_value = item
    elif isinstance(item, dict):
        message.struct_value.SetInParent()
        write_struct(message.struct_value, item)
    else:
        message.list_value.SetInParent()
        values = message.list_value.values
        for inner in item:
            _write_item(values.add(), inner)


# ---- nodes


def read_artifact(message: Message) -> Artifact:
    """An artifact of a request."""
    return Artifact(
        id=message.id or _given_zero(message, "id"),
        type_id=message.type_id or _given_zero(message, "type_id"),
        name=message.name or None,
        external_id=message.external_id or None,
        properties=read_values(message.properties),
        custom_properties=read_values(message.custom_properties),
        update_time_ms=message.last_update_time_since_epoch,
        state=message.state or _given_state(message, "state"),
        uri=message.uri or None,
    )


def read_execution(message: Message) -> Execution:
    """An execution of a request."""
    return Execution(
        id=message.id or _given_zero(message, "id"),
        type_id=message.type_id or _given_zero(message, "type_id"),
        name=message.name or None,
        external_id=message.external_id or None,
        properties=read_values(message.properties),
        custom_properties=read_values(message.custom_properties),
        state=message.last_known_state or _given_state(message, "last_known_state"),
    )


def read_context(message: Message) -> Context:
    """A context of a request."""
    return Context(
        id=message.id or _given_zero(message, "id"),
        type_id=message.type_id or _given_zero(message, "type_id"),
        name=message.name or None,
        external_id=message.external_id or None,
        properties=read_values(message.properties),
        custom_properties=read_values(message.custom_properties),
    )


def _given_zero(message: Message, field: str) -> int:
    return NO_SUCH_ID if message.HasField(field) else 0


def _given_state(message: Message, field: str) -> int | None:
    return 0 if message.HasField(field) else None


def write_artifact(message: Message, node: Node, type_name: str) -> None:
    """Fill an Artifact."""
    message.uri = node.uri or ""
    if node.state is not None:
        message.state = node.state
    _write_node(message, node, type_name)


def write_execution(message: Message, node: Node, type_name: str) -> None:
    """Fill an Execution."""
    if node.state is not None:
        message.last_known_state = node.state
    _write_node(message, node, type_name)


def write_context(message: Message, node: Node, type_name: str) -> None:
    """Fill a Context."""
    _write_node(message, node, type_name)


def _write_node(message: Message, node: Node, type_name: str) -> None:
    message.id = node.id
    message.type_id = node.type_id
    message.type = type_name
    message.create_time_since_epoch = node.create_time_ms
    message.last_update_time_since_epoch = node.update_time_ms
    if node.name is not None:
        message.name = node.name
    if node.external_id is not None:
        message.external_id = node.external_id
    if node.properties:
        write_values(message.properties, node.properties)
    if node.custom_properties:
        write_values(message.custom_properties, node.custom_properties)


# ---- masks


def read_mask(paths: Iterable[str], kind: Kind) -> list[str]:
    """An update mask in our names. A path that names nothing of the kind becomes '': the mask stays one.

    The name of an artifact or execution, ids and times never change; the commands see to that.
    """
    state_field = VOCABULARIES[kind].state_field
    ours: list[str] = []
    for path in paths:
        if path == state_field:
            path = "state"
        elif path == "state" or (path == "uri" and kind != Kind.ARTIFACT):
            path = ""
        ours.append(path)
    return ours


# ---- types


def read_type(message: Message, kind: Kind) -> Type:
    """A type of a request."""
    base_type = None
    if message.HasField("base_type"):
        number = message.base_type
        base_type = VOCABULARIES[kind].base_types[number - 1] if number else UNSET_BASE_TYPE
    input_type = output_type = None
    if kind == Kind.EXECUTION:
        if message.HasField("input_type"):
            input_type = message.input_type.SerializeToString(deterministic=True)
        if message.HasField("output_type"):
            output_type = message.output_type.SerializeToString(deterministic=True)
    return Type(
        kind=int(kind),
        name=message.name,
        version=message.version or None,
        description=message.description if message.HasField("description") else None,
        external_id=message.external_id or None,
        properties=dict(message.properties),
        base_type=base_type,
        input_type=input_type,
        output_type=output_type,
    )


def write_type(message: Message, type: Type) -> None:
    """Fill an ArtifactType, ExecutionType or ContextType."""
    message.id = type.id
    message.name = type.name
    if type.version is not None:
        message.version = type.version
    if type.description is not None:
        message.description = type.description
    if type.external_id is not None:
        message.external_id = type.external_id
    properties = message.properties
    for name, number in type.properties.items():
        properties[name] = number
    if type.base_type:
        message.base_type = VOCABULARIES[Kind(type.kind)].base_types.index(type.base_type) + 1
    if type.input_type is not None:
        message.input_type.MergeFromString(type.input_type)
        message.input_type.SetInParent()
    if type.output_type is not None:
        message.output_type.MergeFromString(type.output_type)
        message.output_type.SetInParent()


# ---- links


def read_link(message: Message) -> Link:
    """An Event of a request; a step of its path with neither index nor key is dropped."""
    path: list[int | str] = []
    if message.HasField("path"):
        for step in message.path.steps:
            which = step.WhichOneof("value")
            if which is not None:
                path.append(step.index if which == "index" else step.key)
    return Link(
        execution_id=message.execution_id or _given_zero(message, "execution_id"),
        artifact_id=message.artifact_id or _given_zero(message, "artifact_id"),
        type=message.type,
        path=path,
        time_ms=message.milliseconds_since_epoch if message.HasField("milliseconds_since_epoch") else None,
    )


def write_link(message: Message, link: Link) -> None:
    """Fill an Event."""
    message.artifact_id = link.artifact_id
    message.execution_id = link.execution_id
    message.type = link.type
    if link.time_ms is not None:
        message.milliseconds_since_epoch = link.time_ms
    if link.path:
        steps = message.path.steps
        for step in link.path:
            if isinstance(step, str):
                steps.add().key = step
            else:
                steps.add().index = step


WRITERS = {Kind.ARTIFACT: write_artifact, Kind.EXECUTION: write_execution, Kind.CONTEXT: write_context}
