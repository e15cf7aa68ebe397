"""The methods that read by id, name, type, uri, external id, context; and events and types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import unknown_fields

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Context, Kind, Node
from stratalog.mlmd.call import Call, Message
from stratalog.mlmd.convert import VOCABULARIES, write_link, write_type

Method = Callable[[Call, Message, Message], None]
"""Fills the response to a request."""


# ---- types


def get_type(kind: Kind) -> Method:
    """GetXType: by name and version."""
    field = f"{VOCABULARIES[kind].word}_type"

    def method(call: Call, request: Message, response: Message) -> None:
        found = call.reads.get_type(kind, request.type_name, version=request.type_version)
        target = getattr(response, field)
        write_type(target, found)

    return method


def get_types(kind: Kind) -> Method:
    """GetXTypes: all but the system's."""
    field = f"{VOCABULARIES[kind].word}_types"

    def method(call: Call, request: Message, response: Message) -> None:  # noqa: ARG001  # the request is empty
        target = getattr(response, field)
        for type in call.reads.get_types(kind):
            write_type(target.add(), type)

    return method


def get_types_by_id(kind: Kind) -> Method:
    """GetXTypesByID: in the order of the request."""
    field = f"{VOCABULARIES[kind].word}_types"

    def method(call: Call, request: Message, response: Message) -> None:
        call.fill_types(getattr(response, field), kind, request.type_ids)

    return method


def get_types_by_external_ids(kind: Kind) -> Method:
    """GetXTypesByExternalIds: those that are there; none of several is an error."""
    word = VOCABULARIES[kind].word

    def method(call: Call, request: Message, response: Message) -> None:
        external_ids = _external_ids(request)
        found = call.reads.get_types(kind, external_ids=external_ids)
        _require(found, external_ids, f"{word} type with one of the external ids")
        target = getattr(response, f"{word}_types")
        for type in found:
            write_type(target.add(), type)

    return method


# ---- nodes


def select(call: Call, kind: Kind, **conditions: Any) -> list[Any]:
    """Nodes of a kind by the conditions of the store's getter of that kind."""
    if kind == Kind.ARTIFACT:
        return call.reads.get_artifacts(**conditions)
    if kind == Kind.EXECUTION:
        return call.reads.get_executions(**conditions)
    return call.reads.get_contexts(**conditions)


def get_by_id(kind: Kind) -> Method:
    """GetXsByID: those that are there, each once; artifacts with their types if asked for."""
    word = VOCABULARIES[kind].word
    ids_field, field = f"{word}_ids", f"{word}s"

    def method(call: Call, request: Message, response: Message) -> None:
        nodes = select(call, kind, ids=getattr(request, ids_field))
        call.fill_nodes(getattr(response, field), kind, nodes)
        if kind == Kind.ARTIFACT and request.populate_artifact_types:
            call.fill_types(response.artifact_types, kind, sorted({node.type_id for node in nodes}))

    return method


def get_by_type_and_name(kind: Kind) -> Method:
    """GetXByTypeAndName: the field stays unset when there is none."""
    word = VOCABULARIES[kind].word

    def method(call: Call, request: Message, response: Message) -> None:
        node = _by_type_and_name(call, kind, request.type_name, getattr(request, f"{word}_name"), request.type_version)
        if node is not None:
            call.fill_node(getattr(response, word), kind, node)

    return method


def _by_type_and_name(call: Call, kind: Kind, type_name: str, name: str, version: str) -> Node | None:
    get: dict[Kind, Callable[..., Node]] = {
        Kind.ARTIFACT: call.reads.get_artifact,
        Kind.EXECUTION: call.reads.get_execution,
        Kind.CONTEXT: call.reads.get_context,
    }
    try:
        return get[kind](type=type_name, name=name, type_version=version)
    except NotFoundError:
        return None


def get_by_external_ids(kind: Kind) -> Method:
    """GetXsByExternalIds: those that are there; none of several is an error."""
    word = VOCABULARIES[kind].word

    def method(call: Call, request: Message, response: Message) -> None:
        external_ids = _external_ids(request)
        nodes = select(call, kind, external_ids=external_ids)
        _require(nodes, external_ids, f"{word} with one of the external ids")
        call.fill_nodes(getattr(response, f"{word}s"), kind, nodes)

    return method


def get_artifacts_by_uri(call: Call, request: Message, response: Message) -> None:
    """GetArtifactsByURI: those with one of the uris, each once."""
    if any(field.field_number == 1 for field in unknown_fields.UnknownFieldSet(request)):
        raise InvalidInputError(
            "GetArtifactsByURI: field 1 (uri) is that of clients before 0.21",
            code=ErrorCode.INVALID_ARGUMENT,
            hint="use a newer client, which sends uris",
        )
    call.fill_nodes(response.artifacts, Kind.ARTIFACT, call.reads.get_artifacts(uris=request.uris))


# ---- contexts of nodes and of contexts


def get_contexts_by_artifact(call: Call, request: Message, response: Message) -> None:
    """GetContextsByArtifact: none is an error."""
    found = call.reads.get_contexts(artifact=request.artifact_id)
    _require(found, [request.artifact_id], "context of the artifact")
    call.fill_nodes(response.contexts, Kind.CONTEXT, found)


def get_contexts_by_execution(call: Call, request: Message, response: Message) -> None:
    """GetContextsByExecution: none is an error."""
    found = call.reads.get_contexts(execution=request.execution_id)
    _require(found, [request.execution_id], "context of the execution")
    call.fill_nodes(response.contexts, Kind.CONTEXT, found)


def get_parent_contexts_by_context(call: Call, request: Message, response: Message) -> None:
    """GetParentContextsByContext: the contexts right above one."""
    call.fill_nodes(response.contexts, Kind.CONTEXT, call.reads.get_parent_contexts(request.context_id))


def get_children_contexts_by_context(call: Call, request: Message, response: Message) -> None:
    """GetChildrenContextsByContext: the contexts right below one."""
    call.fill_nodes(response.contexts, Kind.CONTEXT, call.reads.get_child_contexts(request.context_id))


def get_parent_contexts_by_contexts(call: Call, request: Message, response: Message) -> None:
    """GetParentContextsByContexts: a map from each context that has parents to these."""
    _fill_map(call, request, response, call.reads.get_parent_contexts, "parent_contexts")


def get_children_contexts_by_contexts(call: Call, request: Message, response: Message) -> None:
    """GetChildrenContextsByContexts: a map from each context that has children to these."""
    _fill_map(call, request, response, call.reads.get_child_contexts, "children_contexts")


def _fill_map(call: Call, request: Message, response: Message, get: Callable[[int], list[Context]], field: str) -> None:
    for context_id in dict.fromkeys(request.context_ids):
        found = get(context_id)
        if found:
            call.fill_nodes(getattr(response.contexts[context_id], field), Kind.CONTEXT, found)


# ---- events


def get_events_by_execution_ids(call: Call, request: Message, response: Message) -> None:
    """GetEventsByExecutionIDs: execution by execution, in the order in which they were put."""
    for link in call.reads.get_links(executions=request.execution_ids):
        write_link(response.events.add(), link)


def get_events_by_artifact_ids(call: Call, request: Message, response: Message) -> None:
    """GetEventsByArtifactIDs: artifact by artifact, in the order in which they were put."""
    for link in call.reads.get_links(artifacts=request.artifact_ids):
        write_link(response.events.add(), link)


# ---- inside


def _external_ids(request: Message) -> list[str]:
    external_ids = list(request.external_ids)
    if "" in external_ids:
        raise InvalidInputError(
            f"external_ids, element {external_ids.index('')}: empty text", code=ErrorCode.INVALID_VALUE
        )
    return external_ids


def _require(found: Iterable[object], asked: list[Any], what: str) -> None:
    if asked and not found:
        raise NotFoundError(f"there is no {what}: {', '.join(map(repr, asked[:10]))}")
