"""The table of the protocol's 52 methods, and how one is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, EncodeError

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Kind
from stratalog.mlmd import gets, lists, puts
from stratalog.mlmd.call import Call, Message, Served
from stratalog.mlmd.convert import VOCABULARIES
from stratalog.mlmd.pool import SERVICE, message_class


class Method(NamedTuple):
    """A method: its name, what fills the response, whether it writes, and the classes of its messages."""

    name: str
    fill: gets.Method
    is_write: bool
    request: Any
    response: Any


def _for_each_kind() -> dict[str, gets.Method]:
    makers: dict[str, Callable[[Kind], gets.Method]] = {
        "Get{0}Type": gets.get_type,
        "Get{0}Types": gets.get_types,
        "Get{0}TypesByID": gets.get_types_by_id,
        "Get{0}TypesByExternalIds": gets.get_types_by_external_ids,
        "Get{0}s": lists.get_all,
        "Get{0}sByID": gets.get_by_id,
        "Get{0}sByType": lists.get_by_type,
        "Get{0}ByTypeAndName": gets.get_by_type_and_name,
        "Get{0}sByExternalIds": gets.get_by_external_ids,
    }
    return {
        name.format(words.title): make(kind) for name, make in makers.items() for kind, words in VOCABULARIES.items()
    }


# Lineage works on arrays, whose packages take longer to load than all else: a server is ready before it has them.


def _get_lineage_subgraph(call: Call, request: Message, response: Message) -> None:
    from stratalog.mlmd.lineage import get_lineage_subgraph

    get_lineage_subgraph(call, request, response)


def _get_lineage_graph(call: Call, request: Message, response: Message) -> None:
    from stratalog.mlmd.lineage import get_lineage_graph

    get_lineage_graph(call, request, response)


_WRITES: dict[str, gets.Method] = {
    "PutArtifactType": puts.put_artifact_type,
    "PutExecutionType": puts.put_execution_type,
    "PutContextType": puts.put_context_type,
    "PutTypes": puts.put_types,
    "PutArtifacts": puts.put_artifacts,
    "PutExecutions": puts.put_executions,
    "PutContexts": puts.put_contexts,
    "PutEvents": puts.put_events,
    "PutExecution": puts.put_execution,
    "PutLineageSubgraph": puts.put_lineage_subgraph,
    "PutAttributionsAndAssociations": puts.put_attributions_and_associations,
    "PutParentContexts": puts.put_parent_contexts,
}

_READS: dict[str, gets.Method] = {
    **_for_each_kind(),
    "GetArtifactsByURI": gets.get_artifacts_by_uri,
    "GetArtifactsByContext": lists.get_by_context(Kind.ARTIFACT),
    "GetExecutionsByContext": lists.get_by_context(Kind.EXECUTION),
    "GetContextsByArtifact": gets.get_contexts_by_artifact,
    "GetContextsByExecution": gets.get_contexts_by_execution,
    "GetParentContextsByContext": gets.get_parent_contexts_by_context,
    "GetChildrenContextsByContext": gets.get_children_contexts_by_context,
    "GetParentContextsByContexts": gets.get_parent_contexts_by_contexts,
    "GetChildrenContextsByContexts": gets.get_children_contexts_by_contexts,
    "GetEventsByExecutionIDs": gets.get_events_by_execution_ids,
    "GetEventsByArtifactIDs": gets.get_events_by_artifact_ids,
    "GetLineageSubgraph": _get_lineage_subgraph,
    "GetLineageGraph": _get_lineage_graph,
}


def _methods() -> dict[str, Method]:
    return {
        name: Method(
            name,
            fill,
            name in _WRITES,
            message_class(f"ml_metadata.{name}Request"),
            message_class(f"ml_metadata.{name}Response"),
        )
        for name, fill in {**_WRITES, **_READS}.items()
    }


METHODS = _methods()
"""Every method of the service by its name."""


def answer(served: Served, method: Method, request: Message, *, actor: str | None = None) -> Message:
    """Call a method and return its response.

    Raises:
        StoreError: the call was refused, or failed; nothing of it is kept.
    """
    response = method.response()
    try:
        method.fill(Call(served, actor), request, response)
    except UnicodeError as error:
        raise InvalidInputError(
            f"{method.name}: text that is not UTF-8: {error}", code=ErrorCode.INVALID_VALUE
        ) from None
    return response


def answer_bytes(served: Served, method: Method, content: bytes, *, actor: str | None = None) -> bytes:
    """Call a method with a serialised request and return the serialised response.

    Raises:
        StoreError: as in `answer`; also if the request cannot be parsed.
    """
    try:
        request = method.request.FromString(content)
    except DecodeError as error:
        raise InvalidInputError(f"{method.name}: the request cannot be parsed: {error}") from None
    response = answer(served, method, request, actor=actor)
    try:
        serialised: bytes = response.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise InvalidInputError(
            f"{method.name}: the answer cannot be a message: {error}",
            hint="a message holds 2 GiB at most: ask by pages",
        ) from None
    return serialised


__all__ = ["METHODS", "SERVICE", "Method", "answer", "answer_bytes"]
