"""Every read of the public API, for the head and for a moment of the past alike.

`Store` and `Moment` differ in where point reads come from and which seq a question is asked at; nothing else.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, cast

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import INT64_MAX, Artifact, Context, Execution, Kind, Link, Node, Type
from stratalog.store.points import Points

if TYPE_CHECKING:
    from stratalog.projections.state import State
    from stratalog.query.compare import Comparison
    from stratalog.query.find import FindResult
    from stratalog.query.lineage import Lineage, StopAt
    from stratalog.query.result import Result
    from stratalog.query.snapshot import Snapshot

N = TypeVar("N", bound=Node)
KindName = Kind | str


def to_kind(kind: KindName | int) -> Kind:
    """A kind from its name (singular or plural, any case) or number.

    Raises:
        InvalidInputError: there is no such kind.
    """
    if isinstance(kind, Kind):
        return kind
    try:
        if isinstance(kind, str):
            return Kind[kind.upper().removesuffix("S")]
        return Kind(kind)
    except (KeyError, ValueError):
        raise InvalidInputError(
            f"kind {kind!r} where 'artifact', 'execution' or 'context' was expected", code=ErrorCode.INVALID_VALUE
        ) from None


class Reads(ABC):
    """The questions that can be asked of a store at one moment."""

    _points: Points

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Begin a read, and give the tables, pinned at this moment: what every question below is asked of."""

    @property
    @abstractmethod
    def seq(self) -> int:
        """The seq of this moment: the number of events that it has seen."""

    def _state_now(self) -> State | None:
        """The state, where this moment is the head: it answers small questions quicker than the tables."""
        return None

    @abstractmethod
    def _begin(self) -> None:
        """Begin a read: raise if the store is closed, and see what other processes committed since."""

    # ---- types

    def get_type(
        self,
        kind: KindName,
        name: str | None = None,
        *,
        version: str | None = None,
        id: int | None = None,
        external_id: str | None = None,
    ) -> Type:
        """A type by name and version, by id, or by external id.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: not exactly one of name, id and external id was given.
        """
        self._begin()
        kind = to_kind(kind)
        types = self._points.types()
        _one_of("get_type", name=name, id=id, external_id=external_id)
        if name is not None:
            found = types.find(kind, name, version)
            what = f"{name!r}" + (f" of version {version!r}" if version else "")
        elif id is not None:
            found = types.get(_id(id))
            what = f"with id {id}"
        else:
            assert external_id is not None
            type_id = types.by_external.get((kind, external_id))
            found = None if type_id is None else types.get(type_id)
            what = f"with external id {external_id!r}"
        if found is None or found.kind != kind:
            raise _type_not_found(kind, what, types.of_kind(kind))
        return found

    def get_types(
        self,
        kind: KindName | None = None,
        *,
        ids: Iterable[int] | None = None,
        external_ids: Iterable[str] | None = None,
        with_system: bool = False,
    ) -> list[Type]:
        """Types by ascending id: those of a kind (or all), or those among ids or external ids that are there.

        Args:
            kind: only types of this kind.
            ids: the answer follows this order, repeats included; unknown ids are left out.
            external_ids: needs a kind; unknown ones are left out.
            with_system: the nine system types too.
        """
        self._begin()
        types = self._points.types()
        kinds = list(Kind) if kind is None else [to_kind(kind)]
        if ids is not None:
            by_id = [types.get(_id(id)) for id in ids]
            return [type for type in by_id if type is not None and type.kind in kinds]
        if external_ids is not None:
            wanted = set(external_ids)
            return [t for k in kinds for t in types.of_kind(k, with_system=True) if t.external_id in wanted]
        return sorted((t for k in kinds for t in types.of_kind(k, with_system=with_system)), key=lambda t: t.id)

    # ---- nodes

    def get_artifact(
        self,
        id: int | None = None,
        *,
        type: str | int | None = None,
        name: str | None = None,
        type_version: str | None = None,
        external_id: str | None = None,
    ) -> Artifact:
        """An artifact by id, by type and name, or by external id.

        Raises:
            NotFoundError: there is none.
        """
        return self._get(Kind.ARTIFACT, Artifact, id, type, name, type_version, external_id)

    def get_execution(
        self,
        id: int | None = None,
        *,
        type: str | int | None = None,
        name: str | None = None,
        type_version: str | None = None,
        external_id: str | None = None,
    ) -> Execution:
        """An execution by id, by type and name, or by external id.

        Raises:
            NotFoundError: there is none.
        """
        return self._get(Kind.EXECUTION, Execution, id, type, name, type_version, external_id)

    def get_context(
        self,
        id: int | None = None,
        *,
        type: str | int | None = None,
        name: str | None = None,
        type_version: str | None = None,
        external_id: str | None = None,
    ) -> Context:
        """A context by id, by type and name, or by external id.

        Raises:
            NotFoundError: there is none.
        """
        return self._get(Kind.CONTEXT, Context, id, type, name, type_version, external_id)

    def get_artifacts(
        self,
        ids: int | Iterable[int] | None = None,
        *,
        type: str | int | None = None,
        type_version: str | None = None,
        uri: str | None = None,
        uris: Iterable[str] | None = None,
        external_ids: Iterable[str] | None = None,
        context: int | None = None,
    ) -> list[Artifact]:
        """Artifacts by ascending id, each once: all, or those that meet every condition given.

        Unknown ids, uris and external ids, a type or context that is not there, give nothing and no error.
        """
        self._begin()
        if uri is not None:
            uris = [uri, *(uris or ())]
        nodes: list[Node] | None = None
        if uris is not None:
            by_id = {node.id: node for one in dict.fromkeys(uris) for node in self._points.by_uri(one)}
            nodes = [by_id[id] for id in sorted(by_id)]
        return self._select(Kind.ARTIFACT, Artifact, nodes, ids, type, type_version, external_ids, context)

    def get_executions(
        self,
        ids: int | Iterable[int] | None = None,
        *,
        type: str | int | None = None,
        type_version: str | None = None,
        external_ids: Iterable[str] | None = None,
        context: int | None = None,
    ) -> list[Execution]:
        """Executions by ascending id, each once: all, or those that meet every condition given."""
        self._begin()
        return self._select(Kind.EXECUTION, Execution, None, ids, type, type_version, external_ids, context)

    def get_contexts(
        self,
        ids: int | Iterable[int] | None = None,
        *,
        type: str | int | None = None,
        type_version: str | None = None,
        external_ids: Iterable[str] | None = None,
        artifact: int | None = None,
        execution: int | None = None,
    ) -> list[Context]:
        """Contexts by ascending id, each once: all, or those that meet every condition given.

        `artifact` and `execution` ask for the contexts that hold one.
        """
        self._begin()
        if ids is None and artifact is None and execution is None:
            return self._select(Kind.CONTEXT, Context, None, None, type, type_version, external_ids, None)
        chosen: set[int] | None = None if ids is None else set(_ids(ids))
        for kind, holder in ((Kind.ARTIFACT, artifact), (Kind.EXECUTION, execution)):
            if holder is not None:
                held = set(self._points.contexts(kind, _id(holder)))
                chosen = held if chosen is None else chosen & held
        return self._select(Kind.CONTEXT, Context, None, chosen, type, type_version, external_ids, None)

    def get_parent_contexts(self, context_id: int) -> list[Context]:
        """The contexts right above a context, by ascending id."""
        self._begin()
        parents = self._points.contexts(Kind.CONTEXT, _id(context_id))
        return self._typed(Context, self._points.nodes(Kind.CONTEXT, parents))

    def get_child_contexts(self, context_id: int) -> list[Context]:
        """The contexts right below a context, by ascending id."""
        self._begin()
        children = self._points.members(_id(context_id), Kind.CONTEXT)
        return self._typed(Context, self._points.nodes(Kind.CONTEXT, children))

    def get_member_ids(
        self,
        context_id: int,
        kind: KindName,
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[int]:
        """Ids of the nodes of a kind that a context holds, in order; of contexts: its children.

        Args:
            context_id: the context; one that is not there holds nothing.
            kind: of which nodes.
            after: only ids that come after this one in the order.
            limit: how many at most.
            descending: the largest first.
        """
        self._begin()
        count = INT64_MAX if limit is None else limit
        return self._points.member_page(context_id, to_kind(kind), after, count, descending)

    def get_links(
        self, *, executions: int | Iterable[int] | None = None, artifacts: int | Iterable[int] | None = None
    ) -> list[Link]:
        """Links of executions, or of artifacts, or those between both, each once, in the order of the ids given.

        Raises:
            InvalidInputError: neither was given.
        """
        self._begin()
        if executions is None and artifacts is None:
            raise InvalidInputError(
                "get_links: neither executions nor artifacts", code=ErrorCode.MISSING_FIELD, hint="give one or both"
            )
        of_executions = None if executions is None else _ids(executions)
        of_artifacts = None if artifacts is None else _ids(artifacts)
        if of_executions is not None:
            links = [link for id in of_executions for link in self._points.links_of_execution(id)]
            return links if of_artifacts is None else [link for link in links if link.artifact_id in of_artifacts]
        assert of_artifacts is not None
        return [link for id in of_artifacts for link in self._points.links_of_artifact(id)]

    # ---- questions

    def find(
        self,
        kind: KindName,
        where: str | None = None,
        *,
        order_by: str = "id",
        descending: bool = False,
        limit: int | None = None,
        page_token: str | None = None,
        type: str | None = None,
        type_version: str | None = None,
        context: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> FindResult:
        """Nodes of a kind that match a filter.

        Args:
            kind: which kind of nodes.
            where: a filter, see docs/reference/filters.md; None selects all.
            order_by: `id`, `create_time`, `update_time`, `name`, `properties.NAME` or `metrics.NAME`.
            descending: the largest first.
            limit: how many at most; with more to come the result has a `next_page_token`.
            page_token: the token of the page before; order and direction must be the same.
            type: only this type (by name); with `type_version` only that version.
            type_version: see `type`.
            context: only members of this context.
            columns: columns of `.arrow()` beyond the attributes, such as `properties.lr`.

        Raises:
            InvalidInputError: the filter, the order or the token is wrong.
        """
        from stratalog.query.find import find

        return find(
            self.snapshot(),
            to_kind(kind),
            where,
            order_by=order_by,
            descending=descending,
            limit=limit,
            page_token=page_token,
            type=type,
            type_version=type_version,
            context_id=None if context is None else _id(context),
            columns=columns,
            load=self._points.nodes,
        )

    def compare(
        self,
        kind: KindName = Kind.EXECUTION,
        ids: Iterable[int] | None = None,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        only_different: bool = False,
    ) -> Comparison:
        """Nodes side by side: one row a node, one column a value.

        Args:
            kind: executions, unless said otherwise.
            ids: which nodes; or
            where: a filter that selects them. Neither: all of the kind.
            columns: only these values.
            only_different: leave out columns in which all rows are equal.

        Raises:
            InvalidInputError: the filter is wrong, or both ids and filter were given.
            NotFoundError: one of the ids is not there.
        """
        from stratalog.query.compare import compare

        return compare(
            self.snapshot(),
            to_kind(kind),
            None if ids is None else list(_ids(ids)),
            where=where,
            columns=columns,
            only_different=only_different,
        )

    def lineage(
        self,
        kind: KindName,
        ids: int | Iterable[int],
        *,
        direction: str = "both",
        max_hops: int | None = None,
        types: Sequence[str] | None = None,
        stop_at: StopAt | None = None,
        node_limit: int | None = None,
    ) -> Lineage:
        """What led to some nodes, or came of them.

        Args:
            kind: the kind of the nodes to start from: artifacts or executions.
            ids: one id or several.
            direction: `up` (sources), `down` (what came of them) or `both`.
            max_hops: how far; a hop goes over one link. None: to the end.
            types: names of the types to return; the walk goes through others.
            stop_at: filters for nodes that are reached and not left, see `StopAt`.
            node_limit: how many nodes are reached at most; `.is_cut` tells whether there were more.

        Raises:
            NotFoundError: a start is not there.
            InvalidInputError: an argument is wrong.
        """
        from stratalog.query.lineage import lineage

        snapshot = self.snapshot()
        starts = [(to_kind(kind), id) for id in _ids(ids)]
        return lineage(
            snapshot,
            starts,
            direction=direction,
            max_hops=max_hops,
            types=types,
            stop_at=stop_at,
            node_limit=node_limit,
            state=self._state_now(),
        )

    def history(self, kind: KindName, id: int, *, property: str | None = None) -> Result:
        """What happened to a node, or to one of its properties: who, when, before, after, reason.

        Raises:
            NotFoundError: there is no such node.
        """
        from stratalog.query.history import history

        return history(self.snapshot(), to_kind(kind), _id(id), property=property)

    def sql(self, text: str, **parameters: Any) -> Result:
        """Ask in SQL over the documented views; parameters stand as `$name` in the text.

        Raises:
            InvalidInputError: the statement is wrong, or does something else than read the views.
        """
        from stratalog.query.result import Result

        return Result(self.snapshot().sql(text, parameters))

    # ---- inside

    def _type_id(self, kind: Kind, type: str | int, version: str | None) -> int | None:
        if isinstance(type, int):
            return type
        found = self._points.types().find(kind, type, version)
        return None if found is None else found.id

    def _get(
        self,
        kind: Kind,
        cls: type[N],
        id: int | None,
        type_name: str | int | None,
        name: str | None,
        type_version: str | None,
        external_id: str | None,
    ) -> N:
        self._begin()
        if id is not None and name is None and external_id is None:
            found = self._points.node(kind, _id(id))
            what = f"{kind.word} {id}"
        else:
            _one_of(f"get_{kind.word}", id=id, name=name, external_id=external_id)
            if external_id is not None:
                found = self._points.by_external(kind, external_id)
                what = f"{kind.word} with external id {external_id!r}"
            else:
                assert name is not None
                if type_name is None:
                    raise InvalidInputError(
                        f"get_{kind.word}: name {name!r} without a type",
                        code=ErrorCode.MISSING_FIELD,
                        hint="names are unique within a type: give type=...",
                    )
                type_id = self._type_id(kind, type_name, type_version)
                found = None if type_id is None else self._points.by_name(kind, type_id, name)
                what = f"{kind.word} {name!r} of type {type_name!r}"
        if found is None:
            raise NotFoundError(f"there is no {what}", hint=f"look for it with find({kind.word!r}, ...)")
        assert isinstance(found, cls)
        return found

    def _select(
        self,
        kind: Kind,
        cls: type[N],
        nodes: list[Node] | None,
        ids: int | Iterable[int] | None,
        type_name: str | int | None,
        type_version: str | None,
        external_ids: Iterable[str] | None,
        context: int | None,
    ) -> list[N]:
        points = self._points
        chosen: set[int] | None = None if ids is None else set(_ids(ids))
        if external_ids is not None:
            found = [points.by_external(kind, external_id) for external_id in dict.fromkeys(external_ids)]
            chosen = _narrow(chosen, [node.id for node in found if node is not None])
        if context is not None:
            chosen = _narrow(chosen, points.members(_id(context), kind))
        type_id: int | None = None
        if type_name is not None:
            type_id = self._type_id(kind, type_name, type_version)
            if type_id is None:
                return []
            if nodes is None and chosen is None:
                chosen = set(points.ids_by_type(kind, type_id))
        if nodes is None:
            nodes = points.nodes(kind, points.ids_of_kind(kind) if chosen is None else sorted(chosen))
        elif chosen is not None:
            nodes = [node for node in nodes if node.id in chosen]
        if type_id is not None:
            nodes = [node for node in nodes if node.type_id == type_id]
        return self._typed(cls, nodes)

    @staticmethod
    def _typed(cls: type[N], nodes: list[Node]) -> list[N]:
        assert all(isinstance(node, cls) for node in nodes)
        return nodes  # type: ignore[return-value]


def _narrow(chosen: set[int] | None, ids: Iterable[int]) -> set[int]:
    return set(ids) if chosen is None else chosen.intersection(ids)


def _id(id: object) -> int:
    """An id as an int: integers of numpy and the like are taken, everything else refused."""
    if type(id) is int:
        return id
    if not isinstance(id, bool):
        try:
            return int(operator.index(cast(SupportsIndex, id)))
        except TypeError:
            pass
    raise InvalidInputError(
        f"id {id!r} of type {type(id).__name__} where an integer was expected", code=ErrorCode.INVALID_VALUE
    )


def _ids(ids: int | Iterable[int]) -> dict[int, None]:
    if type(ids) is int or not isinstance(ids, Iterable):
        return {_id(ids): None}
    return dict.fromkeys(map(_id, ids))


def _one_of(call: str, **arguments: object) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) != 1:
        raise InvalidInputError(
            f"{call}: {' and '.join(given) or 'nothing'} given where exactly one of {', '.join(arguments)} "
            "was expected",
            code=ErrorCode.MISSING_FIELD if not given else ErrorCode.INVALID_ARGUMENT,
        )


def _type_not_found(kind: Kind, what: str, known: list[Type]) -> NotFoundError:
    names = ", ".join(repr(type.name) for type in known[:10])
    return NotFoundError(
        f"there is no {kind.word} type {what}",
        code=ErrorCode.TYPE_NOT_FOUND,
        hint=f"the {kind.word} types are {names}" if names else f"there are no {kind.word} types yet: put_type first",
    )
