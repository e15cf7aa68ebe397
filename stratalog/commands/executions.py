"""Recording a step at once: an execution with its artifacts, links and contexts, and whole pieces of lineage.

Source of the rules: MLMD's PutExecution and PutLineageSubgraph; docs/concepts.md, "Recording a step".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stratalog.commands.draft import Draft
from stratalog.commands.links import join, put_link
from stratalog.commands.nodes import Named, check_properties, put_node
from stratalog.commands.types import require_type
from stratalog.commands.values import check_integer, check_text, to_values
from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import KIND_OF, Artifact, Context, Execution, Kind, Link, Node

NO_ARTIFACT = -1
"""What stands in the answer for a pair without an artifact."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact of a step and how the step used it; either may be missing."""

    artifact: Artifact | None = None
    link: Link | None = None


class StepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How `put_execution` and `put_lineage` treat what is there already.

    `reuse_context`: a context without an id, of a type and name that are stored, is taken as it is.
    `reuse_artifact_by_external_id`: an artifact without an id, with a stored external id, is an update of that one.
    `force_update_time`: the execution's update time moves though nothing else changed.
    `force_reuse_context`: of a context with an id nothing else is looked at.
    """

    reuse_context: bool = False
    reuse_artifact_by_external_id: bool = False
    force_update_time: bool = False
    force_reuse_context: bool = False


class StepIds(msgspec.Struct, frozen=True):
    """Ids that a step got: `artifact_ids` in the order of the pairs, `context_ids` in that of the contexts."""

    execution_id: int
    artifact_ids: list[int]
    context_ids: list[int]


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A link of `put_lineage`, whose ends are indexes into the request's lists, or ids in the link itself."""

    execution_index: int | None = None
    artifact_index: int | None = None
    link: Link | None = None


class LineageIds(msgspec.Struct, frozen=True):
    """Ids that a piece of lineage got, each list in the order of the request's."""

    execution_ids: list[int]
    artifact_ids: list[int]
    context_ids: list[int]


DEFAULTS = StepOptions()


def put_execution(
    draft: Draft,
    execution: Execution,
    pairs: Sequence[Pair] = (),
    contexts: Sequence[Context] = (),
    *,
    options: StepOptions = DEFAULTS,
) -> StepIds:
    """Decide on a step: its artifacts, the execution, the links, the contexts, in this order.

    Each context is associated with the execution and attributed to every artifact of the pairs.

    Raises:
        InvalidInputError, NotFoundError, AlreadyExistsError: as in `put_node` and `put_link`; a link whose ids
            are not those of its pair; a context without type or name.
    """
    for index, pair in enumerate(pairs):
        _check_class(pair.artifact, Artifact, f"pair {index}, artifact")
        _check_class(pair.link, Link, f"pair {index}, link")
    stored = [0 if pair.artifact is None else _put_artifact(draft, pair.artifact, options) for pair in pairs]
    execution_id = put_node(draft, execution, force_update_time=options.force_update_time)
    artifact_ids = [
        _put_pair_link(draft, index, execution_id, artifact_id, pair.link)
        for index, (pair, artifact_id) in enumerate(zip(pairs, stored, strict=True))
    ]
    context_ids = [_put_context(draft, context, options) for context in contexts]
    for context_id in context_ids:
        join(draft, context_id, Kind.EXECUTION, execution_id)
        for artifact_id in artifact_ids:
            if artifact_id != NO_ARTIFACT:
                join(draft, context_id, Kind.ARTIFACT, artifact_id)
    return StepIds(execution_id, artifact_ids, context_ids)


def put_lineage(
    draft: Draft,
    *,
    executions: Sequence[Execution] = (),
    artifacts: Sequence[Artifact] = (),
    contexts: Sequence[Context] = (),
    edges: Sequence[Edge] = (),
    options: StepOptions = DEFAULTS,
) -> LineageIds:
    """Decide on several executions, artifacts, contexts and the links between them.

    Every context is linked to every execution and every artifact of the request.

    Raises:
        InvalidInputError: a node without a type id, an edge without ends or with ends that contradict each other,
            an index outside its list (code `index_out_of_range`); and as in `put_node` and `put_link`.
        NotFoundError, AlreadyExistsError: as in `put_node` and `put_link`.
    """
    for index, edge in enumerate(edges):
        _check_edge(index, edge, executions, artifacts)
    for nodes in (artifacts, executions, contexts):
        _check_fit(draft, nodes)
    context_ids = [_put_context(draft, c, options, with_force=False) for c in contexts]
    artifact_ids = [_put_artifact(draft, artifact, options) for artifact in artifacts]
    execution_ids = [put_node(draft, e, force_update_time=options.force_update_time) for e in executions]
    for context_id in context_ids:
        for execution_id in execution_ids:
            join(draft, context_id, Kind.EXECUTION, execution_id)
        for artifact_id in artifact_ids:
            join(draft, context_id, Kind.ARTIFACT, artifact_id)
    for edge in edges:
        assert edge.link is not None
        changes: dict[str, int] = {}
        if edge.execution_index is not None:
            changes["execution_id"] = execution_ids[edge.execution_index]
        if edge.artifact_index is not None:
            changes["artifact_id"] = artifact_ids[edge.artifact_index]
        put_link(draft, msgspec.structs.replace(edge.link, **changes))
    return LineageIds(execution_ids, artifact_ids, context_ids)


def _put_artifact(draft: Draft, artifact: Artifact, options: StepOptions) -> int:
    if options.reuse_artifact_by_external_id and not artifact.id and artifact.external_id:
        external_id = check_text(artifact.external_id, f"{Named(Kind.ARTIFACT, artifact)}, external_id")
        version = draft.by_external(Kind.ARTIFACT, external_id)
        if version is not None:
            artifact = msgspec.structs.replace(artifact, id=version.node.id)
    return put_node(draft, artifact)


def _put_pair_link(draft: Draft, index: int, execution_id: int, artifact_id: int, link: Link | None) -> int:
    """Put the link of a pair, if it has one, and return the id of the pair's artifact."""
    if link is None:
        return artifact_id or NO_ARTIFACT
    where = f"pair {index}"
    if link.execution_id and link.execution_id != execution_id:
        raise InvalidInputError(
            f"{where}: the link's execution id {link.execution_id} where {execution_id} or none was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    if artifact_id and link.artifact_id and link.artifact_id != artifact_id:
        raise InvalidInputError(
            f"{where}: the link's artifact id {link.artifact_id} where {artifact_id} or none was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    if not artifact_id and not link.artifact_id:
        raise InvalidInputError(
            f"{where}: neither an artifact nor an artifact id in the link", code=ErrorCode.MISSING_FIELD
        )
    artifact_id = artifact_id or check_integer(link.artifact_id, f"{where}, the link's artifact id")
    put_link(draft, msgspec.structs.replace(link, execution_id=execution_id, artifact_id=artifact_id))
    return artifact_id


def _put_context(draft: Draft, context: Context, options: StepOptions, *, with_force: bool = True) -> int:
    where = Named(Kind.CONTEXT, context)
    if context.id and options.force_reuse_context and with_force:
        context_id = check_integer(context.id, f"{where}, id")
        if draft.get(Kind.CONTEXT, context_id) is None:
            raise NotFoundError(f"{where}: there is no context with this id", hint="leave the id out to create one")
        return context_id
    if not context.type_id:
        raise InvalidInputError(f"{where}: no type_id", code=ErrorCode.MISSING_FIELD)
    if not context.name:
        raise InvalidInputError(f"{where}: no name", code=ErrorCode.MISSING_FIELD, hint="a context needs a name")
    if not context.id and options.reuse_context:
        type_id = require_type(draft, Kind.CONTEXT, context.type_id, where).id
        version = draft.by_name(Kind.CONTEXT, type_id, check_text(context.name, f"{where}, name"))
        if version is not None:
            return version.node.id
    return put_node(draft, context)


def _check_edge(index: int, edge: Edge, executions: Sequence[Node], artifacts: Sequence[Node]) -> None:
    if edge.link is None:
        raise InvalidInputError(f"edge {index}: no link", code=ErrorCode.MISSING_FIELD)
    _check_class(edge.link, Link, f"edge {index}, link")
    ends = (
        ("execution", edge.execution_index, edge.link.execution_id, executions),
        ("artifact", edge.artifact_index, edge.link.artifact_id, artifacts),
    )
    for word, position, id, nodes in ends:
        if position is None:
            if not id:
                raise InvalidInputError(
                    f"edge {index}: neither {word}_index nor an {word} id in the link", code=ErrorCode.MISSING_FIELD
                )
            continue
        if not 0 <= check_integer(position, f"edge {index}, {word}_index") < len(nodes):
            raise InvalidInputError(
                f"edge {index}: {word}_index {position} in a list of {len(nodes)} {word}s",
                code=ErrorCode.INDEX_OUT_OF_RANGE,
            )
        if id and nodes[position].id != id:
            raise InvalidInputError(
                f"edge {index}: the link's {word} id {id} where that of {word} {position}, "
                f"{nodes[position].id or 'new'}, was expected",
                code=ErrorCode.INVALID_VALUE,
                hint="give the index or the id, not both",
            )


def _check_class(value: object, cls: type, where: str) -> None:
    if value is not None and not isinstance(value, cls):
        raise InvalidInputError(
            f"{where}: {type(value).__name__} where {cls.__name__} was expected", code=ErrorCode.INVALID_VALUE
        )


def _check_fit(draft: Draft, nodes: Sequence[Node]) -> None:
    """Refuse nodes of a kind if a type is missing, or else if properties do not fit."""
    named = [(node, Named(KIND_OF[type(node)], node)) for node in nodes]
    types = [require_type(draft, where.kind, node.type_id, where) for node, where in named]
    for (node, where), node_type in zip(named, types, strict=True):
        check_properties(node_type, to_values(node.properties, where, "properties"), where)


__all__ = [
    "DEFAULTS",
    "NO_ARTIFACT",
    "Edge",
    "LineageIds",
    "Pair",
    "StepIds",
    "StepOptions",
    "put_execution",
    "put_lineage",
]
