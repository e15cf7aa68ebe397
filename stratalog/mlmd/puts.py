"""The methods that write. Each is one command, one commit: on any error nothing of the request is kept."""

from __future__ import annotations

from stratalog.commands.executions import Edge, Pair, StepOptions
from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Association, Attribution, Kind, ParentContext, Type
from stratalog.mlmd.call import Call, Message
from stratalog.mlmd.convert import (
    read_artifact,
    read_context,
    read_execution,
    read_link,
    read_mask,
    read_type,
)

# ---- types


def put_artifact_type(call: Call, request: Message, response: Message) -> None:
    """PutArtifactType: create a type of artifacts, or let the stored one evolve."""
    response.type_id = _put_one_type(call, request, Kind.ARTIFACT, request.artifact_type)


def put_execution_type(call: Call, request: Message, response: Message) -> None:
    """PutExecutionType: create a type of executions, or let the stored one evolve."""
    response.type_id = _put_one_type(call, request, Kind.EXECUTION, request.execution_type)


def put_context_type(call: Call, request: Message, response: Message) -> None:
    """PutContextType: create a type of contexts, or let the stored one evolve."""
    response.type_id = _put_one_type(call, request, Kind.CONTEXT, request.context_type)


def put_types(call: Call, request: Message, response: Message) -> None:
    """PutTypes: several types of each kind, all or nothing."""
    lists = (
        (Kind.ARTIFACT, request.artifact_types, response.artifact_type_ids),
        (Kind.EXECUTION, request.execution_types, response.execution_type_ids),
        (Kind.CONTEXT, request.context_types, response.context_type_ids),
    )
    ids = iter(
        _put_types(call, request, [read_type(message, kind) for kind, messages, _ in lists for message in messages])
    )
    for _, messages, target in lists:
        target.extend(next(ids) for _ in messages)


def _put_one_type(call: Call, request: Message, kind: Kind, message: Message) -> int:
    return _put_types(call, request, [read_type(message, kind)])[0]


def _put_types(call: Call, request: Message, types: list[Type]) -> list[int]:
    if not request.all_fields_match:
        raise InvalidInputError(
            "all_fields_match false is not supported",
            code=ErrorCode.UNSUPPORTED_REQUEST,
            hint="set can_omit_fields to leave out stored properties",
        )
    put = call.store.put_types(
        types, can_add_fields=request.can_add_fields, can_omit_fields=request.can_omit_fields, actor=call.actor
    )
    return put.ids


# ---- nodes


def put_artifacts(call: Call, request: Message, response: Message) -> None:
    """PutArtifacts: insert or update artifacts."""
    put = call.store.put_artifacts(
        map(read_artifact, request.artifacts),
        mask=read_mask(request.update_mask.paths, Kind.ARTIFACT),
        must_match_update_time=request.options.abort_if_latest_updated_time_changed,
        actor=call.actor,
    )
    response.artifact_ids.extend(put.ids)


def put_executions(call: Call, request: Message, response: Message) -> None:
    """PutExecutions: insert or update executions."""
    put = call.store.put_executions(
        map(read_execution, request.executions),
        mask=read_mask(request.update_mask.paths, Kind.EXECUTION),
        actor=call.actor,
    )
    response.execution_ids.extend(put.ids)


def put_contexts(call: Call, request: Message, response: Message) -> None:
    """PutContexts: insert or update contexts."""
    put = call.store.put_contexts(
        map(read_context, request.contexts), mask=read_mask(request.update_mask.paths, Kind.CONTEXT), actor=call.actor
    )
    response.context_ids.extend(put.ids)


# ---- steps


def put_execution(call: Call, request: Message, response: Message) -> None:
    """PutExecution: an execution with its artifacts, events and contexts."""
    if not request.HasField("execution"):
        raise InvalidInputError("PutExecution: no execution", code=ErrorCode.MISSING_FIELD)
    options = request.options
    step = call.store.put_execution(
        read_execution(request.execution),
        [
            Pair(
                artifact=read_artifact(pair.artifact) if pair.HasField("artifact") else None,
                link=read_link(pair.event) if pair.HasField("event") else None,
            )
            for pair in request.artifact_event_pairs
        ],
        [read_context(context) for context in request.contexts],
        options=StepOptions(
            reuse_context=options.reuse_context_if_already_exist,
            reuse_artifact_by_external_id=options.reuse_artifact_if_already_exist_by_external_id,
            force_update_time=options.force_update_time,
            force_reuse_context=options.force_reuse_context,
        ),
        actor=call.actor,
    )
    response.execution_id = step.execution_id
    response.artifact_ids.extend(step.artifact_ids)
    response.context_ids.extend(step.context_ids)


def put_lineage_subgraph(call: Call, request: Message, response: Message) -> None:
    """PutLineageSubgraph: executions, artifacts, contexts and the events between them."""
    options = request.options
    piece = call.store.put_lineage(
        executions=[read_execution(message) for message in request.executions],
        artifacts=[read_artifact(message) for message in request.artifacts],
        contexts=[read_context(message) for message in request.contexts],
        edges=[
            Edge(
                execution_index=edge.execution_index if edge.HasField("execution_index") else None,
                artifact_index=edge.artifact_index if edge.HasField("artifact_index") else None,
                link=read_link(edge.event) if edge.HasField("event") else None,
            )
            for edge in request.event_edges
        ],
        options=StepOptions(
            reuse_context=options.reuse_context_if_already_exist,
            reuse_artifact_by_external_id=options.reuse_artifact_if_already_exist_by_external_id,
        ),
        actor=call.actor,
    )
    response.execution_ids.extend(piece.execution_ids)
    response.artifact_ids.extend(piece.artifact_ids)
    response.context_ids.extend(piece.context_ids)


# ---- links


def put_events(call: Call, request: Message, response: Message) -> None:  # noqa: ARG001  # the answer is empty
    """PutEvents: link executions and artifacts."""
    call.store.put_links(map(read_link, request.events), actor=call.actor)


def put_attributions_and_associations(call: Call, request: Message, response: Message) -> None:  # noqa: ARG001
    """PutAttributionsAndAssociations: put artifacts and executions into contexts."""
    call.store.put_attributions_and_associations(
        [Attribution(message.context_id, message.artifact_id) for message in request.attributions],
        [Association(message.context_id, message.execution_id) for message in request.associations],
        actor=call.actor,
    )


def put_parent_contexts(call: Call, request: Message, response: Message) -> None:  # noqa: ARG001
    """PutParentContexts: put contexts below others."""
    call.store.put_parent_contexts(
        [ParentContext(message.child_id, message.parent_id) for message in request.parent_contexts], actor=call.actor
    )
