"""`MetadataStore`: MLMD's Python client over a store in the process, without a server.

Methods, arguments, defaults and results are those of `ml_metadata.metadata_store.MetadataStore` of version 1.17.1.
Messages may be ours (`stratalog.mlmd.proto`) or those of an installed ml-metadata of any version from 1.0 on.
"""

# ruff: noqa: ARG002  # every method takes MLMD's extra_options, and none has a use for them

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stratalog.mlmd.call import Message
from stratalog.mlmd.calling import Caller, ListOptions, OrderByField, take, take_all
from stratalog.mlmd.pool import proto

_TYPE_MASKS = ("artifact_types", "execution_types", "context_types")


class MetadataStore(Caller):
    """A store with the methods of MLMD's client.

    Errors are those of `stratalog.mlmd.errors`, and of `ml_metadata.errors` too where that is loaded. A context
    manager; it closes the store if it has opened it.

    Args:
        store: a URI for `stratalog.open`, or a store, or a moment of one (`store.as_of(...)`), which is read-only.
        enable_upgrade_migration: taken for the sake of MLMD's signature; a store has no migrations.
        messages: the module whose classes results are of; unless given, `ml_metadata.proto.metadata_store_pb2` if the
            process has loaded it, else `stratalog.mlmd.proto`.
    """

    # ---- types

    def put_artifact_type(
        self,
        artifact_type: Message,
        can_add_fields: bool = False,
        can_omit_fields: bool = False,
        extra_options: Any = None,
    ) -> int:
        """Create a type of artifacts, or let the stored one evolve; return its id."""
        return self._put_type("Artifact", artifact_type, can_add_fields, can_omit_fields)

    def put_execution_type(
        self,
        execution_type: Message,
        can_add_fields: bool = False,
        can_omit_fields: bool = False,
        extra_options: Any = None,
    ) -> int:
        """Create a type of executions, or let the stored one evolve; return its id."""
        return self._put_type("Execution", execution_type, can_add_fields, can_omit_fields)

    def put_context_type(
        self,
        context_type: Message,
        can_add_fields: bool = False,
        can_omit_fields: bool = False,
        extra_options: Any = None,
    ) -> int:
        """Create a type of contexts, or let the stored one evolve; return its id."""
        return self._put_type("Context", context_type, can_add_fields, can_omit_fields)

    def get_artifact_type(self, type_name: str, type_version: str | None = None, extra_options: Any = None) -> Message:
        """A type of artifacts by name and version; NotFoundError if there is none."""
        return self._get_type("Artifact", type_name, type_version)

    def get_execution_type(self, type_name: str, type_version: str | None = None, extra_options: Any = None) -> Message:
        """A type of executions by name and version; NotFoundError if there is none."""
        return self._get_type("Execution", type_name, type_version)

    def get_context_type(self, type_name: str, type_version: str | None = None, extra_options: Any = None) -> Message:
        """A type of contexts by name and version; NotFoundError if there is none."""
        return self._get_type("Context", type_name, type_version)

    def get_artifact_types(self, extra_options: Any = None) -> list[Message]:
        """All types of artifacts but the system's."""
        return self._results("GetArtifactTypes", "artifact_types")

    def get_execution_types(self, extra_options: Any = None) -> list[Message]:
        """All types of executions but the system's."""
        return self._results("GetExecutionTypes", "execution_types")

    def get_context_types(self, extra_options: Any = None) -> list[Message]:
        """All types of contexts but the system's."""
        return self._results("GetContextTypes", "context_types")

    def get_artifact_types_by_id(self, type_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """Types of artifacts by ids, in their order."""
        return self._results("GetArtifactTypesByID", "artifact_types", type_ids=type_ids)

    def get_execution_types_by_id(self, type_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """Types of executions by ids, in their order."""
        return self._results("GetExecutionTypesByID", "execution_types", type_ids=type_ids)

    def get_context_types_by_id(self, type_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """Types of contexts by ids, in their order."""
        return self._results("GetContextTypesByID", "context_types", type_ids=type_ids)

    def get_artifact_types_by_external_ids(
        self, external_ids: Iterable[str], extra_options: Any = None
    ) -> list[Message]:
        """Types of artifacts by external ids; NotFoundError if none is there."""
        return self._results("GetArtifactTypesByExternalIds", "artifact_types", external_ids=external_ids)

    def get_execution_types_by_external_ids(
        self, external_ids: Iterable[str], extra_options: Any = None
    ) -> list[Message]:
        """Types of executions by external ids; NotFoundError if none is there."""
        return self._results("GetExecutionTypesByExternalIds", "execution_types", external_ids=external_ids)

    def get_context_types_by_external_ids(
        self, external_ids: Iterable[str], extra_options: Any = None
    ) -> list[Message]:
        """Types of contexts by external ids; NotFoundError if none is there."""
        return self._results("GetContextTypesByExternalIds", "context_types", external_ids=external_ids)

    # ---- putting nodes

    def put_artifacts(
        self, artifacts: Sequence[Message], field_mask_paths: Sequence[str] | None = None, extra_options: Any = None
    ) -> list[int]:
        """Insert artifacts without an id, update those with one; return their ids."""
        return self._put_nodes("Artifact", artifacts, field_mask_paths)

    def put_executions(
        self, executions: Sequence[Message], field_mask_paths: Sequence[str] | None = None, extra_options: Any = None
    ) -> list[int]:
        """Insert executions without an id, update those with one; return their ids."""
        return self._put_nodes("Execution", executions, field_mask_paths)

    def put_contexts(
        self, contexts: Sequence[Message], field_mask_paths: Sequence[str] | None = None, extra_options: Any = None
    ) -> list[int]:
        """Insert contexts without an id, update those with one; return their ids."""
        return self._put_nodes("Context", contexts, field_mask_paths)

    def put_execution(
        self,
        execution: Message,
        artifact_and_events: Sequence[tuple[Message, Message | None]],
        contexts: Sequence[Message] | None,
        reuse_context_if_already_exist: bool = False,
        reuse_artifact_if_already_exist_by_external_id: bool = False,
        force_reuse_context: bool = False,
        force_update_time: bool = False,
        extra_options: Any = None,
    ) -> tuple[int, list[int], list[int]]:
        """Put an execution with its artifacts, events and contexts; return its id, and theirs."""
        request = proto.PutExecutionRequest()
        take(request.execution, execution)
        request.execution.SetInParent()
        for pair in artifact_and_events:
            if pair:
                target = request.artifact_event_pairs.add()
                for field, message in zip(("artifact", "event"), pair, strict=False):
                    if message is not None:
                        take(getattr(target, field), message)
                        getattr(target, field).SetInParent()
        take_all(request.contexts, contexts or ())
        options = request.options
        options.reuse_context_if_already_exist = reuse_context_if_already_exist
        options.reuse_artifact_if_already_exist_by_external_id = reuse_artifact_if_already_exist_by_external_id
        options.force_reuse_context = force_reuse_context
        options.force_update_time = force_update_time
        response = self._call("PutExecution", request)
        return response.execution_id, list(response.artifact_ids), list(response.context_ids)

    def put_lineage_subgraph(
        self,
        executions: Sequence[Message],
        artifacts: Sequence[Message],
        contexts: Sequence[Message],
        event_edges: Sequence[tuple[int | None, int | None, Message]],
        reuse_context_if_already_exist: bool = False,
        reuse_artifact_if_already_exist_by_external_id: bool = False,
        extra_options: Any = None,
    ) -> tuple[list[int], list[int], list[int]]:
        """Put executions, artifacts, contexts, and events as (execution index, artifact index, event).

        Returns the ids of the executions, the artifacts and the contexts.
        """
        request = proto.PutLineageSubgraphRequest()
        take_all(request.executions, executions)
        take_all(request.artifacts, artifacts)
        take_all(request.contexts, contexts)
        for execution_index, artifact_index, event in event_edges:
            edge = request.event_edges.add()
            if execution_index is not None:
                edge.execution_index = execution_index
            if artifact_index is not None:
                edge.artifact_index = artifact_index
            if event is not None:
                take(edge.event, event)
                edge.event.SetInParent()
        options = request.options
        options.reuse_context_if_already_exist = reuse_context_if_already_exist
        options.reuse_artifact_if_already_exist_by_external_id = reuse_artifact_if_already_exist_by_external_id
        response = self._call("PutLineageSubgraph", request)
        return list(response.execution_ids), list(response.artifact_ids), list(response.context_ids)

    # ---- putting links

    def put_events(self, events: Sequence[Message], extra_options: Any = None) -> None:
        """Link executions and artifacts."""
        request = proto.PutEventsRequest()
        take_all(request.events, events)
        self._call("PutEvents", request)

    def put_attributions_and_associations(
        self, attributions: Sequence[Message], associations: Sequence[Message], extra_options: Any = None
    ) -> None:
        """Put artifacts and executions into contexts."""
        request = proto.PutAttributionsAndAssociationsRequest()
        take_all(request.attributions, attributions)
        take_all(request.associations, associations)
        self._call("PutAttributionsAndAssociations", request)

    def put_parent_contexts(self, parent_contexts: Sequence[Message], extra_options: Any = None) -> None:
        """Put contexts below others."""
        request = proto.PutParentContextsRequest()
        take_all(request.parent_contexts, parent_contexts)
        self._call("PutParentContexts", request)

    # ---- nodes by what names them

    def get_artifacts_by_id(self, artifact_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """Those artifacts that are there, by ascending id."""
        return self._results("GetArtifactsByID", "artifacts", artifact_ids=artifact_ids)

    def get_executions_by_id(self, execution_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """Those executions that are there, by ascending id."""
        return self._results("GetExecutionsByID", "executions", execution_ids=execution_ids)

    def get_contexts_by_id(self, context_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """Those contexts that are there, by ascending id."""
        return self._results("GetContextsByID", "contexts", context_ids=context_ids)

    def get_artifacts_and_types_by_artifact_ids(
        self, artifact_ids: Iterable[int], extra_options: Any = None
    ) -> tuple[list[Message], list[Message]]:
        """Those artifacts that are there, and their types, each once."""
        response = self._ask("GetArtifactsByID", artifact_ids=artifact_ids, populate_artifact_types=True)
        return self._give("Artifact", response.artifacts), self._give("ArtifactType", response.artifact_types)

    def get_artifact_by_type_and_name(
        self, type_name: str, artifact_name: str, type_version: str | None = None, extra_options: Any = None
    ) -> Message | None:
        """An artifact by type and name; None if there is none."""
        return self._one("Artifact", type_name=type_name, artifact_name=artifact_name, type_version=type_version)

    def get_execution_by_type_and_name(
        self, type_name: str, execution_name: str, type_version: str | None = None, extra_options: Any = None
    ) -> Message | None:
        """An execution by type and name; None if there is none."""
        return self._one("Execution", type_name=type_name, execution_name=execution_name, type_version=type_version)

    def get_context_by_type_and_name(
        self, type_name: str, context_name: str, type_version: str | None = None, extra_options: Any = None
    ) -> Message | None:
        """A context by type and name; None if there is none."""
        return self._one("Context", type_name=type_name, context_name=context_name, type_version=type_version)

    def get_artifacts_by_type(
        self, type_name: str, type_version: str | None = None, extra_options: Any = None
    ) -> list[Message]:
        """All artifacts of a type."""
        return self._results("GetArtifactsByType", "artifacts", type_name=type_name, type_version=type_version)

    def get_executions_by_type(
        self, type_name: str, type_version: str | None = None, extra_options: Any = None
    ) -> list[Message]:
        """All executions of a type."""
        return self._results("GetExecutionsByType", "executions", type_name=type_name, type_version=type_version)

    def get_contexts_by_type(
        self, type_name: str, type_version: str | None = None, extra_options: Any = None
    ) -> list[Message]:
        """All contexts of a type."""
        return self._results("GetContextsByType", "contexts", type_name=type_name, type_version=type_version)

    def get_artifacts_by_uri(self, uri: str, extra_options: Any = None) -> list[Message]:
        """The artifacts with a uri."""
        return self._results("GetArtifactsByURI", "artifacts", uris=[uri])

    def get_artifacts_by_external_ids(self, external_ids: Iterable[str], extra_options: Any = None) -> list[Message]:
        """Artifacts by external ids; NotFoundError if none is there."""
        return self._results("GetArtifactsByExternalIds", "artifacts", external_ids=external_ids)

    def get_executions_by_external_ids(self, external_ids: Iterable[str], extra_options: Any = None) -> list[Message]:
        """Executions by external ids; NotFoundError if none is there."""
        return self._results("GetExecutionsByExternalIds", "executions", external_ids=external_ids)

    def get_contexts_by_external_ids(self, external_ids: Iterable[str], extra_options: Any = None) -> list[Message]:
        """Contexts by external ids; NotFoundError if none is there."""
        return self._results("GetContextsByExternalIds", "contexts", external_ids=external_ids)

    # ---- lists

    def get_artifacts(self, list_options: Any = None, extra_options: Any = None) -> list[Message]:
        """All artifacts, or those that the options leave."""
        return self._list("GetArtifacts", "artifacts", list_options)

    def get_executions(self, list_options: Any = None, extra_options: Any = None) -> list[Message]:
        """All executions, or those that the options leave."""
        return self._list("GetExecutions", "executions", list_options)

    def get_contexts(self, list_options: Any = None, extra_options: Any = None) -> list[Message]:
        """All contexts, or those that the options leave."""
        return self._list("GetContexts", "contexts", list_options)

    def get_artifacts_by_context(
        self, context_id: int, list_options: Any = None, extra_options: Any = None
    ) -> list[Message]:
        """The artifacts of a context."""
        return self._list("GetArtifactsByContext", "artifacts", list_options, context_id=context_id)

    def get_executions_by_context(
        self, context_id: int, list_options: Any = None, extra_options: Any = None
    ) -> list[Message]:
        """The executions of a context; without options the newest first."""
        if list_options is None:
            list_options = ListOptions(order_by=OrderByField.CREATE_TIME, is_asc=False)
        return self._list("GetExecutionsByContext", "executions", list_options, context_id=context_id)

    # ---- neighbours

    def get_contexts_by_artifact(self, artifact_id: int, extra_options: Any = None) -> list[Message]:
        """The contexts that an artifact is in; NotFoundError if there are none."""
        return self._results("GetContextsByArtifact", "contexts", artifact_id=artifact_id)

    def get_contexts_by_execution(self, execution_id: int, extra_options: Any = None) -> list[Message]:
        """The contexts that an execution is in; NotFoundError if there are none."""
        return self._results("GetContextsByExecution", "contexts", execution_id=execution_id)

    def get_parent_contexts_by_context(self, context_id: int, extra_options: Any = None) -> list[Message]:
        """The contexts right above one."""
        return self._results("GetParentContextsByContext", "contexts", context_id=context_id)

    def get_children_contexts_by_context(self, context_id: int, extra_options: Any = None) -> list[Message]:
        """The contexts right below one."""
        return self._results("GetChildrenContextsByContext", "contexts", context_id=context_id)

    def get_parent_contexts_by_contexts(
        self, context_ids: Iterable[int], extra_options: Any = None
    ) -> dict[int, list[Message]]:
        """The contexts right above each of several; those without any are left out."""
        response = self._ask("GetParentContextsByContexts", context_ids=context_ids)
        return {id: self._give("Context", found.parent_contexts) for id, found in response.contexts.items()}

    def get_children_contexts_by_contexts(
        self, context_ids: Iterable[int], extra_options: Any = None
    ) -> dict[int, list[Message]]:
        """The contexts right below each of several; those without any are left out."""
        response = self._ask("GetChildrenContextsByContexts", context_ids=context_ids)
        return {id: self._give("Context", found.children_contexts) for id, found in response.contexts.items()}

    def get_events_by_execution_ids(self, execution_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """The events of executions."""
        return self._results("GetEventsByExecutionIDs", "events", execution_ids=execution_ids)

    def get_events_by_artifact_ids(self, artifact_ids: Iterable[int], extra_options: Any = None) -> list[Message]:
        """The events of artifacts."""
        return self._results("GetEventsByArtifactIDs", "events", artifact_ids=artifact_ids)

    def get_lineage_subgraph(
        self, query_options: Message, field_mask_paths: Sequence[str] | None = None, extra_options: Any = None
    ) -> Message:
        """What led to the starting nodes of the options, or came of them: a LineageGraph of whole nodes.

        Args:
            query_options: LineageSubgraphQueryOptions.
            field_mask_paths: which parts of the graph to fill; none: all. Types are those of the nodes in it.
            extra_options: passed over.
        """
        request = proto.GetLineageSubgraphRequest()
        take(request.lineage_subgraph_query_options, query_options)
        wanted = list(field_mask_paths or ())
        request.read_mask.paths.extend(path for path in wanted if path not in _TYPE_MASKS)
        graph = self._call("GetLineageSubgraph", request).lineage_subgraph
        whole = proto.LineageGraph()
        for part in ("events", "attributions", "associations"):
            getattr(whole, part).extend(getattr(graph, part))
        artifacts = self._ask(
            "GetArtifactsByID", artifact_ids=[node.id for node in graph.artifacts], populate_artifact_types=True
        )
        executions = self._ask("GetExecutionsByID", execution_ids=[node.id for node in graph.executions]).executions
        contexts = self._ask("GetContextsByID", context_ids=[node.id for node in graph.contexts]).contexts
        whole.artifacts.extend(artifacts.artifacts)
        whole.executions.extend(executions)
        whole.contexts.extend(contexts)
        if not wanted or "artifact_types" in wanted:
            whole.artifact_types.extend(artifacts.artifact_types)
        for word, nodes in (("execution", executions), ("context", contexts)):
            field = f"{word}_types"
            if not wanted or field in wanted:
                ids = sorted({node.type_id for node in nodes})
                found = self._ask(f"Get{word.title()}TypesByID", type_ids=ids)
                getattr(whole, field).extend(getattr(found, field))
        [result] = self._give("LineageGraph", [whole])
        return result


__all__ = ["ListOptions", "MetadataStore", "OrderByField"]
