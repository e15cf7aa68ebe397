"""A model of a store that is too simple to be wrong: plain dicts, copied whole at every event.

Tests run the same calls on a store and on the model and compare what both say, now and as of every seq. The model
knows the rules in their plainest form and nothing of logs, files, caches or tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from stratalog.commands.executions import Edge, Pair, StepOptions
from stratalog.eventlog.errors import ErrorCode
from stratalog.eventlog.events import (
    INPUT_TYPES,
    KIND_OF,
    Artifact,
    Context,
    Execution,
    Kind,
    Link,
    LinkType,
    MetricPoints,
    Node,
    Proto,
    Type,
)

A = TypeVar("A")
_DECLARED_AS: dict[type, int] = {int: 1, float: 2, str: 3, dict: 4, Proto: 5, bool: 6}
_FIRST_TYPE_ID = 10
_CONTEXT = Kind.CONTEXT


class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """The model refuses a call."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code)
        self.code = code


class World(msgspec.Struct):
    """Everything that is known at one seq.

    `members` are (context id, kind, id); a member that is a context is a child. `versions` counts how often a node was
    put.
    """

    types: dict[int, Type] = {}
    nodes: dict[tuple[Kind, int], Node] = {}
    versions: dict[tuple[Kind, int], int] = {}
    links: list[Link] = []
    members: list[tuple[int, Kind, int]] = []
    points: list[tuple[int, str, int, int, float]] = []

    def copy(self) -> World:
        """Another world that is the same."""
        return World(
            dict(self.types),
            dict(self.nodes),
            dict(self.versions),
            list(self.links),
            list(self.members),
            list(self.points),
        )

    # ---- questions

    def of_kind(self, kind: Kind) -> list[Node]:
        """Nodes of a kind by ascending id."""
        return [node for (k, _), node in sorted(self.nodes.items()) if k == kind]

    def where(self, kind: Kind, test: Callable[[Node], bool]) -> list[Node]:
        """Those nodes of a kind that pass a test."""
        return [node for node in self.of_kind(kind) if test(node)]

    def one(self, kind: Kind, test: Callable[[Node], bool]) -> Node | None:
        """The only node of a kind that passes a test."""
        found = self.where(kind, test)
        assert len(found) < 2, found
        return found[0] if found else None

    def in_context(self, context_id: int, kind: Kind) -> list[int]:
        """Ids of the members of a context; of kind context: its children."""
        return sorted(id for c, k, id in self.members if (c, k) == (context_id, kind))

    def contexts_of(self, kind: Kind, id: int) -> list[int]:
        """Ids of the contexts that hold a node; of a context: its parents."""
        return sorted(c for c, k, i in self.members if (k, i) == (kind, id))

    def reached(self, kind: Kind, id: int, direction: str, max_hops: int | None = None) -> dict[tuple[Kind, int], int]:
        """Artifacts and executions reached from one over links, with the least number of hops."""
        hops = {(kind, id): 0}
        edge = [(kind, id)]
        while edge and (max_hops is None or hops[edge[0]] < max_hops):
            following: list[tuple[Kind, int]] = []
            for at in edge:
                for link in self.links:
                    for start, end in _steps(link, direction):
                        if start == at and end not in hops:
                            hops[end] = hops[at] + 1
                            following.append(end)
            edge = following
        return hops


def _steps(link: Link, direction: str) -> list[tuple[tuple[Kind, int], tuple[Kind, int]]]:
    artifact, execution = (Kind.ARTIFACT, link.artifact_id), (Kind.EXECUTION, link.execution_id)
    down = (artifact, execution) if link.type in INPUT_TYPES else (execution, artifact)
    up = (down[1], down[0])
    return {"down": [down], "up": [up], "both": [down, up]}[direction]


class Model:
    """The calls of a store, each answered from `world` and leaving one more world per event in `worlds`.

    `worlds[seq]` is what was known at that seq. Calls return what the store's would: ids, or nothing.
    """

    def __init__(self) -> None:
        self.worlds = [World()]
        self.answers: dict[str, tuple[object, object]] = {}
        self._draft = World()
        self._drafts: list[World] = []
        self.now_ms = 0

    @property
    def world(self) -> World:
        """The newest world."""
        return self.worlds[-1]

    @property
    def head(self) -> int:
        """The newest seq."""
        return len(self.worlds) - 1

    def call(self, work: Callable[[], A], *, now_ms: int, request_id: str | None = None, arguments: object = None) -> A:
        """Run one command: all of its events or, if it refuses, none.

        Args:
            work: calls of `put_...` methods of this model.
            now_ms: the commit's time.
            request_id: of two calls with one id the second gets the answer of the first.
            arguments: what tells a repeat from another request.
        """
        if request_id is not None and request_id in self.answers:
            known, answer = self.answers[request_id]
            if known != arguments:
                raise Refused(ErrorCode.REQUEST_ID_REUSED)
            return answer  # type: ignore[return-value]
        self._draft, self._drafts, self.now_ms = self.world.copy(), [], now_ms
        result = work()
        if request_id is not None:
            self.answers[request_id] = (arguments, result)
            self._event()
        self.worlds.extend(self._drafts)
        return result

    def _event(self) -> None:
        self._drafts.append(self._draft.copy())

    # ---- types

    def put_types(self, types: Iterable[Type], *, add: bool, omit: bool) -> list[int]:
        """Create types, or let them evolve."""
        return [self._put_type(type, add=add, omit=omit) for type in types]

    def _put_type(self, new: Type, *, add: bool, omit: bool) -> int:
        known = self._draft.types
        if not new.name or not all(1 <= number <= 6 for number in new.properties.values()):
            raise Refused(ErrorCode.INVALID_VALUE)
        version, external_id = new.version or None, new.external_id or None
        old = next((t for t in known.values() if (t.kind, t.name, t.version) == (new.kind, new.name, version)), None)
        for other in known.values():
            if external_id and (other.kind, other.external_id) == (new.kind, external_id) and other is not old:
                raise Refused(ErrorCode.ALREADY_EXISTS)
        if old is None:
            id = len(known) + _FIRST_TYPE_ID
            known[id] = msgspec.structs.replace(new, id=id, version=version, external_id=external_id)
            self._event()
            return id
        if any(old.properties.get(name, number) != number for name, number in new.properties.items()):
            raise Refused(ErrorCode.TYPE_CONFLICT)
        if (old.properties.keys() - new.properties.keys() and not omit) or (
            new.properties.keys() - old.properties.keys() and not add
        ):
            raise Refused(ErrorCode.TYPE_CONFLICT)
        evolved = msgspec.structs.replace(
            old, properties={**old.properties, **new.properties}, external_id=external_id or old.external_id
        )
        if evolved != old:
            known[old.id] = evolved
            self._event()
        return old.id

    # ---- nodes

    def put_nodes(self, nodes: Iterable[Node], *, mask: Sequence[str] = (), match: bool = False) -> list[int]:
        """Insert nodes without an id, update those with one."""
        return [self._put_node(node, mask=mask, match=match) for node in nodes]

    def _put_node(self, new: Node, *, mask: Sequence[str] = (), match: bool = False, force_time: bool = False) -> int:
        kind, world = KIND_OF[type(new)], self._draft
        if not new.id:
            node_type = self._type(kind, new.type_id)
            id = 1 + sum(k == kind for k, _ in world.nodes)
            made = msgspec.structs.replace(
                new,
                id=id,
                name=new.name or None,
                external_id=new.external_id or None,
                uri=new.uri or None,
                create_time_ms=self.now_ms,
                update_time_ms=self.now_ms,
            )
            self._check_fits(node_type, new.properties)
            self._store(kind, made)
            return id
        old = world.nodes.get((kind, new.id))
        if old is None:
            raise Refused(ErrorCode.UNKNOWN_REFERENCE)
        if new.type_id and new.type_id != old.type_id:
            raise Refused(ErrorCode.TYPE_MISMATCH)
        if match and new.update_time_ms != old.update_time_ms:
            raise Refused(ErrorCode.STALE_UPDATE)
        fields = {"name": new.name or None, "external_id": new.external_id or None, "state": new.state}
        fields["uri"] = new.uri or None
        if kind != _CONTEXT:
            fields["name"] = old.name
        properties, custom = new.properties, new.custom_properties
        if mask:
            fields = {field: value if field in mask else getattr(old, field) for field, value in fields.items()}
            properties = _masked(mask, "properties", old.properties, new.properties)
            custom = _masked(mask, "custom_properties", old.custom_properties, new.custom_properties)
        self._check_fits(world.types[old.type_id], properties)
        changed = msgspec.structs.replace(old, **fields, properties=properties, custom_properties=custom)
        if same(changed, old) and not force_time:
            return old.id
        time_ms = max(self.now_ms, old.update_time_ms + 1)
        self._store(kind, msgspec.structs.replace(changed, update_time_ms=time_ms))
        return old.id

    def _store(self, kind: Kind, node: Node) -> None:
        if kind == _CONTEXT and node.name is None:
            raise Refused(ErrorCode.MISSING_FIELD)
        for other in self._draft.of_kind(kind):
            if other.id != node.id and (
                (node.name is not None and (other.type_id, other.name) == (node.type_id, node.name))
                or (node.external_id is not None and other.external_id == node.external_id)
            ):
                raise Refused(ErrorCode.ALREADY_EXISTS)
        key = (kind, node.id)
        self._draft.nodes[key] = node
        self._draft.versions[key] = self._draft.versions.get(key, 0) + 1
        self._event()

    def _type(self, kind: Kind, type_id: int) -> Type:
        if not type_id:
            raise Refused(ErrorCode.MISSING_FIELD)
        found = self._draft.types.get(type_id)
        if found is None or found.kind != kind:
            raise Refused(ErrorCode.TYPE_NOT_FOUND)
        return found

    @staticmethod
    def _check_fits(node_type: Type, properties: dict[str, Any]) -> None:
        for name, value in properties.items():
            if node_type.properties.get(name) != _DECLARED_AS[type(value)]:
                raise Refused(ErrorCode.PROPERTY_TYPE_MISMATCH)

    # ---- links

    def put_links(self, links: Iterable[Link]) -> list[int]:
        """Link executions and artifacts."""
        for link in links:
            self._put_link(link)
        return []

    def _put_link(self, link: Link) -> None:
        if link.type not in set(LinkType):
            raise Refused(ErrorCode.MISSING_FIELD)
        self._require(Kind.ARTIFACT, link.artifact_id)
        self._require(Kind.EXECUTION, link.execution_id)
        for other in self._draft.links:
            if (other.execution_id, other.artifact_id, other.type) == (link.execution_id, link.artifact_id, link.type):
                raise Refused(ErrorCode.ALREADY_EXISTS)
        time_ms = self.now_ms if link.time_ms is None else link.time_ms
        self._draft.links.append(msgspec.structs.replace(link, time_ms=time_ms, type=int(link.type)))
        self._event()

    def _require(self, kind: Kind, id: int) -> None:
        if (kind, id) not in self._draft.nodes:
            raise Refused(ErrorCode.UNKNOWN_REFERENCE)

    def put_members(self, members: Iterable[tuple[int, Kind, int]]) -> list[int]:
        """Put artifacts and executions into contexts."""
        for context_id, kind, id in members:
            self._require(kind, id)
            self._require(_CONTEXT, context_id)
            self._join(context_id, kind, id)
        return []

    def _join(self, context_id: int, kind: Kind, id: int) -> None:
        if (context_id, kind, id) not in self._draft.members:
            self._draft.members.append((context_id, kind, id))
            self._event()

    def put_parents(self, pairs: Iterable[tuple[int, int]]) -> list[int]:
        """Put contexts (child, parent) below others."""
        for child, parent in pairs:
            self._require(_CONTEXT, child)
            self._require(_CONTEXT, parent)
            if child in self._draft.in_context(parent, _CONTEXT):
                raise Refused(ErrorCode.ALREADY_EXISTS)
            if child == parent or child in self._ancestors(parent):
                raise Refused(ErrorCode.CONTEXT_CYCLE)
            self._join(parent, _CONTEXT, child)
        return []

    def _ancestors(self, context_id: int) -> set[int]:
        parents = set(self._draft.contexts_of(_CONTEXT, context_id))
        return parents.union(*(self._ancestors(parent) for parent in parents))

    def log_points(self, batches: Iterable[MetricPoints]) -> list[int]:
        """Log points of metrics."""
        for batch in batches:
            self._require(Kind.EXECUTION, batch.execution_id)
            if batch.steps:
                self._draft.points.extend(
                    (batch.execution_id, batch.key, step, time, value)
                    for step, time, value in zip(batch.steps, batch.times_us, batch.values, strict=True)
                )
                self._event()
        return []

    # ---- steps

    def put_execution(
        self, execution: Execution, pairs: Sequence[Pair], contexts: Sequence[Context], options: StepOptions
    ) -> tuple[int, list[int], list[int]]:
        """Record a step: artifacts, execution, links, contexts."""
        stored = [self._put_artifact(pair.artifact, options) if pair.artifact else 0 for pair in pairs]
        execution_id = self._put_node(execution, force_time=options.force_update_time)
        artifact_ids: list[int] = []
        for pair, own_id in zip(pairs, stored, strict=True):
            artifact_id, link = own_id, pair.link
            if link is not None:
                if link.execution_id not in (0, execution_id) or (own_id and link.artifact_id not in (0, own_id)):
                    raise Refused(ErrorCode.INVALID_VALUE)
                artifact_id = own_id or link.artifact_id
                if not artifact_id:
                    raise Refused(ErrorCode.MISSING_FIELD)
                self._put_link(msgspec.structs.replace(link, execution_id=execution_id, artifact_id=artifact_id))
            artifact_ids.append(artifact_id or -1)
        context_ids = [self._put_context(context, options, force=options.force_reuse_context) for context in contexts]
        for context_id in context_ids:
            self._join(context_id, Kind.EXECUTION, execution_id)
            for artifact_id in artifact_ids:
                if artifact_id != -1:
                    self._join(context_id, Kind.ARTIFACT, artifact_id)
        return execution_id, artifact_ids, context_ids

    def put_lineage(
        self,
        executions: Sequence[Execution],
        artifacts: Sequence[Artifact],
        contexts: Sequence[Context],
        edges: Sequence[Edge],
        options: StepOptions,
    ) -> tuple[list[int], list[int], list[int]]:
        """Record a piece of lineage: contexts, artifacts, executions, memberships, links."""
        for edge in edges:
            self._check_edge(edge, executions, artifacts)
        for nodes in (artifacts, executions, contexts):
            types = [self._type(KIND_OF[type(node)], node.type_id) for node in nodes]
            for node, node_type in zip(nodes, types, strict=True):
                self._check_fits(node_type, node.properties)
        context_ids = [self._put_context(context, options) for context in contexts]
        artifact_ids = [self._put_artifact(artifact, options) for artifact in artifacts]
        execution_ids = [self._put_node(execution) for execution in executions]
        for context_id in context_ids:
            for execution_id in execution_ids:
                self._join(context_id, Kind.EXECUTION, execution_id)
            for artifact_id in artifact_ids:
                self._join(context_id, Kind.ARTIFACT, artifact_id)
        for edge in edges:
            assert edge.link is not None
            e = edge.link.execution_id if edge.execution_index is None else execution_ids[edge.execution_index]
            a = edge.link.artifact_id if edge.artifact_index is None else artifact_ids[edge.artifact_index]
            self._put_link(msgspec.structs.replace(edge.link, execution_id=e, artifact_id=a))
        return execution_ids, artifact_ids, context_ids

    @staticmethod
    def _check_edge(edge: Edge, executions: Sequence[Node], artifacts: Sequence[Node]) -> None:
        if edge.link is None:
            raise Refused(ErrorCode.MISSING_FIELD)
        for index, id, nodes in (
            (edge.execution_index, edge.link.execution_id, executions),
            (edge.artifact_index, edge.link.artifact_id, artifacts),
        ):
            if index is None and not id:
                raise Refused(ErrorCode.MISSING_FIELD)
            if index is not None and not 0 <= index < len(nodes):
                raise Refused(ErrorCode.INDEX_OUT_OF_RANGE)
            if index is not None and id and nodes[index].id != id:
                raise Refused(ErrorCode.INVALID_VALUE)

    def _put_artifact(self, artifact: Artifact, options: StepOptions) -> int:
        external_id = artifact.external_id
        if options.reuse_artifact_by_external_id and external_id and not artifact.id:
            known = self._draft.one(Kind.ARTIFACT, lambda node: node.external_id == external_id)
            if known is not None:
                artifact = msgspec.structs.replace(artifact, id=known.id)
        return self._put_node(artifact)

    def _put_context(self, context: Context, options: StepOptions, *, force: bool = False) -> int:
        if context.id and force:
            if (_CONTEXT, context.id) not in self._draft.nodes:
                raise Refused(ErrorCode.NOT_FOUND)
            return context.id
        if not context.type_id or not context.name:
            raise Refused(ErrorCode.MISSING_FIELD)
        if not context.id and options.reuse_context:
            self._type(_CONTEXT, context.type_id)
            names = (context.type_id, context.name)
            known = self._draft.one(_CONTEXT, lambda node: (node.type_id, node.name) == names)
            if known is not None:
                return known.id
        return self._put_node(context)


def _masked(mask: Sequence[str], field: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if field in mask:
        return new
    result = dict(old)
    for path in mask:
        first, _, name = path.partition(".")
        if first == field and path != field:
            result.pop(name, None)
            if name in new:
                result[name] = new[name]
    return result


def same(a: object, b: object) -> bool:
    """Equality of values as they are stored: NaN is NaN, True is not 1, 1 is not 1.0, -0.0 is not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, msgspec.Struct):
        return all(same(getattr(a, field), getattr(b, field)) for field in a.__struct_fields__)
    return a == b
