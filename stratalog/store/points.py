"""Point reads: the same dozen questions to the head and to a moment of the past. Here: what they are, and the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from stratalog.eventlog.committer import Committer
from stratalog.eventlog.events import Kind, Link, Node
from stratalog.eventlog.store import LogStore
from stratalog.projections.state import BehindError, State, Types

T = TypeVar("T")
_INT64_BITS = 61
"""Ids have two bits less than an int64: a node's key is `id << 2 | kind`."""


class Points(Protocol):
    """What every getter is made of. Lists of ids and nodes ascend by id; links stand in the order of their puts."""

    def types(self) -> Types:
        """The types."""
        ...

    def node(self, kind: Kind, id: int) -> Node | None:
        """A node by id."""
        ...

    def nodes(self, kind: Kind, ids: Sequence[int]) -> list[Node]:
        """Those of `ids` that are there, each once."""
        ...

    def by_name(self, kind: Kind, type_id: int, name: str) -> Node | None:
        """The node of a type with a name."""
        ...

    def by_external(self, kind: Kind, external_id: str) -> Node | None:
        """The node of a kind with an external id."""
        ...

    def by_uri(self, uri: str) -> list[Node]:
        """The artifacts with a uri."""
        ...

    def ids_by_type(self, kind: Kind, type_id: int) -> list[int]:
        """Ids of the nodes of a type."""
        ...

    def ids_of_kind(self, kind: Kind) -> list[int]:
        """Ids of all nodes of a kind."""
        ...

    def links_of_execution(self, execution_id: int) -> list[Link]:
        """Links of an execution."""
        ...

    def links_of_artifact(self, artifact_id: int) -> list[Link]:
        """Links of an artifact."""
        ...

    def members(self, context_id: int, kind: Kind) -> list[int]:
        """Ids of the nodes of a kind in a context; contexts among them are its children."""
        ...

    def member_page(self, context_id: int, kind: Kind, after: int | None, limit: int, descending: bool) -> list[int]:
        """The first `limit` of `members` that come after the id `after` (None: from the start); descending if asked."""
        ...

    def contexts(self, kind: Kind, id: int) -> list[int]:
        """Ids of the contexts that hold a node; for a context these are its parents."""
        ...


def in_range(id: object) -> bool:
    """True for an int that can be an id."""
    return type(id) is int and 0 < id < 1 << _INT64_BITS


class HeadPoints:
    """Point reads as of the head.

    `refresh` comes before a read: then it sees everything that was acknowledged before it began, by any process.
    """

    def __init__(self, state: State, log: LogStore, committer: Committer) -> None:
        self._state = state
        self._log = log
        self._committer = committer

    def refresh(self) -> None:
        """Fold what other processes committed since."""
        if self._log.head() > self._state.next_commit:
            self._committer.catch_up()

    def _read(self, question: Callable[..., T], *arguments: Any) -> T:
        while True:
            try:
                with self._state.lock:
                    return question(*arguments)
            except BehindError:
                self._committer.catch_up(whatever=True)

    def types(self) -> Types:
        """The types."""
        return self._state.types

    def node(self, kind: Kind, id: int) -> Node | None:
        """A node by id."""
        if not in_range(id):
            return None
        version = self._read(self._state.get, kind, id)
        return None if version is None else version.node

    def nodes(self, kind: Kind, ids: Sequence[int]) -> list[Node]:
        """Those of `ids` that are there, each once."""
        return self._read(self._state.get_many, kind, [id for id in ids if in_range(id)])

    def by_name(self, kind: Kind, type_id: int, name: str) -> Node | None:
        """The node of a type with a name."""
        version = self._read(self._state.by_name, kind, type_id, name)
        return None if version is None else version.node

    def by_external(self, kind: Kind, external_id: str) -> Node | None:
        """The node of a kind with an external id."""
        version = self._read(self._state.by_external, kind, external_id)
        return None if version is None else version.node

    def by_uri(self, uri: str) -> list[Node]:
        """The artifacts with a uri."""
        return self._read(self._state.by_uri, uri)

    def ids_by_type(self, kind: Kind, type_id: int) -> list[int]:
        """Ids of the nodes of a type."""
        return self._read(self._state.ids_by_type, kind, type_id)

    def ids_of_kind(self, kind: Kind) -> list[int]:
        """Ids of all nodes of a kind."""
        return self._read(self._state.ids_of_kind, kind)

    def links_of_execution(self, execution_id: int) -> list[Link]:
        """Links of an execution."""
        return self._read(self._state.links_of_execution, execution_id) if in_range(execution_id) else []

    def links_of_artifact(self, artifact_id: int) -> list[Link]:
        """Links of an artifact."""
        return self._read(self._state.links_of_artifact, artifact_id) if in_range(artifact_id) else []

    def members(self, context_id: int, kind: Kind) -> list[int]:
        """Ids of the nodes of a kind in a context; contexts among them are its children."""
        return self._read(self._state.members, context_id, kind) if in_range(context_id) else []

    def member_page(self, context_id: int, kind: Kind, after: int | None, limit: int, descending: bool) -> list[int]:
        """The first `limit` of `members` that come after the id `after` (None: from the start); descending if asked."""
        if not in_range(context_id) or not (after is None or in_range(after)):
            return []
        return self._read(self._state.member_page, context_id, kind, after, limit, descending)

    def contexts(self, kind: Kind, id: int) -> list[int]:
        """Ids of the contexts that hold a node; for a context these are its parents."""
        return self._read(self._state.contexts, kind, id) if in_range(id) else []
