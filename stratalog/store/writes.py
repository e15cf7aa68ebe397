"""Every write of the public API: each call is one command, one commit, one sync."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from stratalog.commands import executions, links, metrics, nodes, types
from stratalog.commands.draft import Draft
from stratalog.commands.executions import DEFAULTS, Edge, LineageIds, Pair, StepIds, StepOptions
from stratalog.commands.values import check_text
from stratalog.eventlog.committer import Committed
from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import (
    Artifact,
    ArtifactState,
    Association,
    Attribution,
    Context,
    Execution,
    ExecutionState,
    Kind,
    Link,
    MetricPoints,
    Node,
    ParentContext,
    PropertyType,
    Type,
)
from stratalog.store.answers import Piece, Put, Step
from stratalog.store.reads import KindName, to_kind

A = TypeVar("A")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TypeRef = str | int


class Note:
    """What every write may say of itself; see `Writes`."""

    __slots__ = ("actor", "reason", "request_id")

    def __init__(self, actor: str | None, reason: str | None, request_id: str | None) -> None:
        self.actor, self.reason, self.request_id = actor, reason, request_id


class Writes(ABC):
    """The writes of a store.

    Every one takes `actor` (who; the store's actor unless given), `reason` (free text) and `request_id` (a repeat
    with the same id gets the first answer and writes nothing), and returns once it is durable. On any error nothing
    of the call is kept.
    """

    @abstractmethod
    def _run(
        self, command: str, arguments: object, decide: Callable[[Draft], A], answer: type[A], note: Note
    ) -> tuple[A, Committed | None, int]:
        """Commit a command; give its answer, its commit, and the seq at which the answer holds."""

    # ---- types

    def put_type(
        self,
        kind: KindName,
        name: str,
        properties: Mapping[str, PropertyType | int | str] | None = None,
        *,
        version: str | None = None,
        description: str | None = None,
        external_id: str | None = None,
        base_type: str | None = None,
        input_type: bytes | None = None,
        output_type: bytes | None = None,
        can_add_fields: bool = False,
        can_omit_fields: bool = False,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> int:
        """Create a type, or let the stored one of this kind, name and version evolve; return its id.

        Args:
            kind: of which nodes it is a type.
            name: its name; with `version` its identity.
            properties: name -> type, as a `PropertyType`, its number or its word (`"double"`).
            version: none, unless given.
            description: free text; that of the first put stays.
            external_id: unique among the types of the kind.
            base_type: the name of a system type, such as `mlmd.Model`.
            input_type: kept as given.
            output_type: kept as given.
            can_add_fields: the stored type may be given new properties.
            can_omit_fields: properties of the stored type may be left out here; they stay.
            actor: see `Writes`.
            reason: see `Writes`.
            request_id: see `Writes`.

        Raises:
            AlreadyExistsError: the stored type does not evolve into this one.
            InvalidInputError: a field is wrong.
        """
        request = Type(
            kind=to_kind(kind),
            name=name,
            version=version,
            description=description,
            external_id=external_id,
            properties=_property_types(properties),
            base_type=base_type,
            input_type=input_type,
            output_type=output_type,
        )
        return self.put_types(
            [request],
            can_add_fields=can_add_fields,
            can_omit_fields=can_omit_fields,
            actor=actor,
            reason=reason,
            request_id=request_id,
        ).id

    def put_types(
        self,
        requests: Iterable[Type],
        *,
        can_add_fields: bool = False,
        can_omit_fields: bool = False,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Put several types, of any kinds; see `put_type`."""
        batch = _instances(requests, Type, "put_types")

        def decide(draft: Draft) -> list[int]:
            return types.put_types(draft, batch, can_add_fields=can_add_fields, can_omit_fields=can_omit_fields)

        arguments = (batch, can_add_fields, can_omit_fields)
        return self._put("put_types", arguments, decide, Note(actor, reason, request_id))

    # ---- nodes

    def put_artifacts(
        self,
        requests: Iterable[Artifact],
        *,
        mask: Sequence[str] = (),
        must_match_update_time: bool = False,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Insert artifacts without an id, update those with one.

        Args:
            requests: artifacts; `type_id` says of which type an insert is. Times are set by the store.
            mask: what updates change: names of fields, `properties.NAME`, `custom_properties.NAME`. None: an update
                replaces the whole artifact, apart from its name and type.
            must_match_update_time: each update must carry the `update_time_ms` that is stored.
            actor: see `Writes`.
            reason: see `Writes`.
            request_id: see `Writes`.

        Raises:
            InvalidInputError: a field is wrong, or the id of an update is not there.
            NotFoundError: a type is not there.
            AlreadyExistsError: a name or an external id is taken.
            ConflictError: another writer has changed the artifact since (with `must_match_update_time`).
        """
        note = Note(actor, reason, request_id)
        return self._put_nodes("put_artifacts", Artifact, requests, mask, must_match_update_time, note)

    def put_executions(
        self,
        requests: Iterable[Execution],
        *,
        mask: Sequence[str] = (),
        must_match_update_time: bool = False,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Insert executions without an id, update those with one; see `put_artifacts`."""
        note = Note(actor, reason, request_id)
        return self._put_nodes("put_executions", Execution, requests, mask, must_match_update_time, note)

    def put_contexts(
        self,
        requests: Iterable[Context],
        *,
        mask: Sequence[str] = (),
        must_match_update_time: bool = False,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Insert contexts without an id, update those with one; see `put_artifacts`. A context needs a name."""
        note = Note(actor, reason, request_id)
        return self._put_nodes("put_contexts", Context, requests, mask, must_match_update_time, note)

    def put_artifact(
        self,
        *,
        type: TypeRef | None = None,
        type_version: str | None = None,
        id: int = 0,
        name: str | None = None,
        uri: str | None = None,
        state: ArtifactState | str | int | None = None,
        external_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        custom_properties: Mapping[str, Any] | None = None,
        mask: Sequence[str] = (),
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> int:
        """Put one artifact, with its type by name or id, and return its id; see `put_artifacts`."""
        request = Artifact(
            id=id,
            type_id=self._type_ref(Kind.ARTIFACT, type, type_version),
            name=name,
            uri=uri,
            state=_state(ArtifactState, state),
            external_id=external_id,
            properties={} if properties is None else cast(dict[str, Any], properties),
            custom_properties={} if custom_properties is None else cast(dict[str, Any], custom_properties),
        )
        return self.put_artifacts([request], mask=mask, actor=actor, reason=reason, request_id=request_id).id

    def put_context(
        self,
        *,
        type: TypeRef | None = None,
        type_version: str | None = None,
        id: int = 0,
        name: str | None = None,
        external_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        custom_properties: Mapping[str, Any] | None = None,
        mask: Sequence[str] = (),
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> int:
        """Put one context, with its type by name or id, and return its id; see `put_artifacts`."""
        request = Context(
            id=id,
            type_id=self._type_ref(Kind.CONTEXT, type, type_version),
            name=name,
            external_id=external_id,
            properties={} if properties is None else cast(dict[str, Any], properties),
            custom_properties={} if custom_properties is None else cast(dict[str, Any], custom_properties),
        )
        return self.put_contexts([request], mask=mask, actor=actor, reason=reason, request_id=request_id).id

    # ---- steps

    def put_execution(
        self,
        execution: Execution,
        pairs: Sequence[Pair] = (),
        contexts: Sequence[Context] = (),
        *,
        options: StepOptions = DEFAULTS,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Step:
        """Record a step at once: an execution, its artifacts with how it used them, its contexts.

        Artifacts and contexts are inserted or updated like the execution; each context is associated with the
        execution and attributed to every artifact.

        Raises:
            InvalidInputError, NotFoundError, AlreadyExistsError: nothing of the step is kept.
        """
        pairs = _instances(pairs, Pair, "put_execution, pairs")
        contexts = _instances(contexts, Context, "put_execution, contexts")
        _instances([execution], Execution, "put_execution")

        def decide(draft: Draft) -> StepIds:
            return executions.put_execution(draft, execution, pairs, contexts, options=options)

        ids, commit, seq = self._run(
            "put_execution",
            (execution, pairs, contexts, options),
            decide,
            StepIds,
            Note(actor, reason, request_id),
        )
        return Step(ids.execution_id, ids.artifact_ids, ids.context_ids, seq, None if commit is None else commit.commit)

    def put_lineage(
        self,
        *,
        executions: Sequence[Execution] = (),
        artifacts: Sequence[Artifact] = (),
        contexts: Sequence[Context] = (),
        edges: Sequence[Edge] = (),
        options: StepOptions = DEFAULTS,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Piece:
        """Record several executions, artifacts, contexts and the links between them at once.

        Every context is linked to every execution and every artifact of the call.

        Raises:
            InvalidInputError, NotFoundError, AlreadyExistsError: nothing of the call is kept.
        """
        all_executions = _instances(executions, Execution, "put_lineage, executions")
        all_artifacts = _instances(artifacts, Artifact, "put_lineage, artifacts")
        all_contexts = _instances(contexts, Context, "put_lineage, contexts")
        all_edges = _instances(edges, Edge, "put_lineage, edges")

        def decide(draft: Draft) -> LineageIds:
            return _put_lineage(
                draft,
                executions=all_executions,
                artifacts=all_artifacts,
                contexts=all_contexts,
                edges=all_edges,
                options=options,
            )

        ids, commit, seq = self._run(
            "put_lineage",
            (all_executions, all_artifacts, all_contexts, all_edges, options),
            decide,
            LineageIds,
            Note(actor, reason, request_id),
        )
        return Piece(
            ids.execution_ids, ids.artifact_ids, ids.context_ids, seq, None if commit is None else commit.commit
        )

    # ---- links

    def put_links(
        self,
        requests: Iterable[Link],
        *,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Link executions and artifacts (MLMD's events). A link without a time gets that of the commit.

        Raises:
            AlreadyExistsError: there is a link of this execution, artifact and type.
            InvalidInputError: an end is not there, or the type is none.
        """
        batch = _instances(requests, Link, "put_links")

        def decide(draft: Draft) -> list[int]:
            links.put_links(draft, batch)
            return []

        return self._put("put_links", batch, decide, Note(actor, reason, request_id))

    def put_attributions_and_associations(
        self,
        attributions: Iterable[Attribution] = (),
        associations: Iterable[Association] = (),
        *,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Put artifacts and executions into contexts; those that are there stay.

        Raises:
            InvalidInputError: an end is not there.
        """
        of_artifacts = _instances(attributions, Attribution, "attributions")
        of_executions = _instances(associations, Association, "associations")

        def decide(draft: Draft) -> list[int]:
            for attribution in of_artifacts:
                links.put_attribution(draft, attribution.context_id, attribution.artifact_id)
            for association in of_executions:
                links.put_association(draft, association.context_id, association.execution_id)
            return []

        arguments = (of_artifacts, of_executions)
        return self._put("put_attributions_and_associations", arguments, decide, Note(actor, reason, request_id))

    def put_attributions(
        self,
        requests: Iterable[Attribution],
        *,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Put artifacts into contexts; those that are there stay."""
        return self.put_attributions_and_associations(requests, (), actor=actor, reason=reason, request_id=request_id)

    def put_associations(
        self,
        requests: Iterable[Association],
        *,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Put executions into contexts; those that are there stay."""
        return self.put_attributions_and_associations((), requests, actor=actor, reason=reason, request_id=request_id)

    def put_parent_contexts(
        self,
        requests: Iterable[ParentContext],
        *,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Put contexts below others.

        Raises:
            AlreadyExistsError: one lies there already.
            InvalidInputError: a context is not there, or would be its own ancestor.
        """
        batch = _instances(requests, ParentContext, "put_parent_contexts")

        def decide(draft: Draft) -> list[int]:
            for request in batch:
                links.put_parent_context(draft, request.child_id, request.parent_id)
            return []

        return self._put("put_parent_contexts", batch, decide, Note(actor, reason, request_id))

    # ---- metrics

    def log_metrics(
        self,
        execution_id: int,
        values: Mapping[str, float],
        *,
        step: int = 0,
        time: datetime | int | None = None,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Log one point of each of several metrics of an execution.

        Args:
            execution_id: whose.
            values: key -> value.
            step: the point's place on the curve.
            time: when it happened: a datetime (naive: UTC) or µs since 1970 UTC; the commit's time, unless given.
            actor: see `Writes`.
            reason: see `Writes`.
            request_id: see `Writes`.

        Raises:
            InvalidInputError: the execution is not there, or a value is no number.
        """
        if not isinstance(values, Mapping):
            raise InvalidInputError(
                f"log_metrics: {type(values).__name__} where a dict of names to numbers was expected",
                code=ErrorCode.INVALID_VALUE,
            )
        given_us = None if time is None else _time_us(time)
        pairs = list(values.items())

        def decide(draft: Draft) -> list[int]:
            time_us = draft.time_us if given_us is None else given_us
            metrics.log_metrics(
                draft,
                [
                    MetricPoints(execution_id=execution_id, key=key, steps=[step], times_us=[time_us], values=[value])
                    for key, value in pairs
                ],
            )
            return []

        arguments = (execution_id, pairs, step, given_us)
        return self._put("log_metrics", arguments, decide, Note(actor, reason, request_id))

    def log_points(
        self,
        batches: Iterable[MetricPoints],
        *,
        actor: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
    ) -> Put:
        """Log arrays of points, one event a batch.

        Raises:
            InvalidInputError: an execution is not there, or arrays differ in length.
        """
        all_batches = _instances(batches, MetricPoints, "log_points")

        def decide(draft: Draft) -> list[int]:
            metrics.log_metrics(draft, all_batches)
            return []

        return self._put("log_points", all_batches, decide, Note(actor, reason, request_id))

    # ---- inside

    def _put(self, command: str, arguments: object, decide: Callable[[Draft], list[int]], note: Note) -> Put:
        ids, commit, seq = self._run(command, arguments, decide, list[int], note)
        return Put(ids, seq, None if commit is None else commit.commit)

    def _put_nodes(
        self,
        command: str,
        cls: type[Node],
        requests: Iterable[Node],
        mask: Sequence[str],
        must_match_update_time: bool,
        note: Note,
    ) -> Put:
        batch = _instances(requests, cls, command)
        if isinstance(mask, str):
            raise InvalidInputError(
                f"{command}: mask {mask!r} where a list of paths was expected", hint=f"write mask=[{mask!r}]"
            )
        mask = [check_text(path, f"{command}, mask") for path in mask]

        def decide(draft: Draft) -> list[int]:
            return nodes.put_nodes(draft, batch, mask=mask, must_match_update_time=must_match_update_time)

        return self._put(command, (batch, mask, must_match_update_time), decide, note)

    @abstractmethod
    def _find_type(self, kind: Kind, name: str, version: str | None) -> Type | None:
        """A type by its identity."""

    def _type_ref(self, kind: Kind, type: TypeRef | None, version: str | None) -> int:
        if type is None or isinstance(type, int):
            return type or 0
        found = self._find_type(kind, type, version)
        if found is None:
            raise NotFoundError(
                f"there is no {kind.word} type {type!r}" + (f" of version {version!r}" if version else ""),
                code=ErrorCode.TYPE_NOT_FOUND,
                hint=f"create it with put_type({kind.word!r}, {type!r}, ...)",
            )
        return found.id


_put_lineage = executions.put_lineage

R = TypeVar("R")


def _instances(requests: Iterable[R], cls: type[R], where: str) -> list[R]:
    batch = list(requests)
    for index, request in enumerate(batch):
        if not isinstance(request, cls):
            raise InvalidInputError(
                f"{where}, element {index}: {type(request).__name__} where {cls.__name__} was expected",
                code=ErrorCode.INVALID_VALUE,
            )
    return batch


def _property_types(properties: Mapping[str, PropertyType | int | str] | None) -> dict[str, int]:
    if not isinstance(properties, Mapping):
        return {} if properties is None else properties
    return {name: _property_type(value, name) for name, value in properties.items()}


def _property_type(value: PropertyType | int | str, name: str) -> int:
    if isinstance(value, str):
        try:
            return PropertyType[value.upper()]
        except KeyError:
            words = ", ".join(repr(p.name.lower()) for p in PropertyType)
            raise InvalidInputError(
                f"property {name!r}: type {value!r} where one of {words} was expected", code=ErrorCode.INVALID_VALUE
            ) from None
    return value


def _state(
    words: type[ArtifactState] | type[ExecutionState], state: ArtifactState | ExecutionState | str | int | None
) -> int | None:
    if isinstance(state, str):
        try:
            return words[state.upper()]
        except KeyError:
            raise InvalidInputError(
                f"state {state!r} where one of {', '.join(w.name for w in words)} was expected",
                code=ErrorCode.INVALID_VALUE,
            ) from None
    return state


def _time_us(time: datetime | int) -> int:
    if isinstance(time, datetime):
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        return (aware - _EPOCH) // timedelta(microseconds=1)
    return time
