"""A command's desk: the state as it stands, and what the command has decided so far on top of it.

Decide functions read through the draft, so that later elements of a request see the earlier ones, and add their
changes to it. Nothing of it reaches the state or the log unless the whole command succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Change, Fact, Link, Node, Recorded, Type, to_event
from stratalog.projections.state import State, Types
from stratalog.projections.tail import Tail, Version


class Draft:
    """State at head plus the changes of one command.

    `time_ms` is the commit's time in milliseconds since 1970 UTC. Call inside the state's lock.
    """

    def __init__(self, state: State, *, time_ms: int) -> None:
        self.state = state
        self.time_ms = time_ms
        self.changes: list[Change] = []
        self._first_seq = state.head + 1
        self._next_ids = list(state.next_ids)
        self._tail = Tail()
        self._types: Types | None = None

    @property
    def types(self) -> Types:
        """The types, those of this draft included."""
        return self.state.types if self._types is None else self._types

    def next_id(self, slot: int) -> int:
        """Take the next id of a kind (slot 0 artifact, 1 execution, 2 context, 3 type)."""
        id = self._next_ids[slot]
        self._next_ids[slot] = id + 1
        return id

    def add(self, change: Fact | Node, prev: int | None = None) -> None:
        """Decide on a fact.

        Raises:
            InvalidInputError: it cannot be encoded; the checks before should have said so with a better message.
        """
        fact = cast(Fact, change)  # every node is of one of the three kinds
        try:
            event = to_event(fact, prev)
        except (TypeError, OverflowError, ValueError) as error:
            raise InvalidInputError(
                f"{type(fact).__name__.lower()} cannot be encoded: {error}", code=ErrorCode.INVALID_VALUE
            ) from None
        seq = self._first_seq + len(self.changes)
        self.changes.append(Change(fact, event))
        if isinstance(fact, Type):
            if self._types is None:
                types = self.state.types
                self._types = Types((seq, type) for seq, type in types.by_id.values() if seq is not None)
            self._types.put(seq, fact)
        else:
            self._tail.fold((Recorded(seq, fact, prev),))

    # ---- reading

    def get(self, kind: int, id: int) -> Version | None:
        """The newest version of a node."""
        return self._tail.nodes.get(id << 2 | kind) or self.state.get(kind, id)

    def by_name(self, kind: int, type_id: int, name: str) -> Version | None:
        """The node of a type that has `name` now."""
        key = self._tail.names.get((kind, type_id, name))
        if key is not None and self._tail.nodes[key].node.name == name:
            return self._tail.nodes[key]
        found = self.state.by_name(kind, type_id, name)
        return self._still(found, kind, lambda node: node.name == name)

    def by_external(self, kind: int, external_id: str) -> Version | None:
        """The node of a kind that has `external_id` now."""
        key = self._tail.externals.get((kind, external_id))
        if key is not None and self._tail.nodes[key].node.external_id == external_id:
            return self._tail.nodes[key]
        found = self.state.by_external(kind, external_id)
        return self._still(found, kind, lambda node: node.external_id == external_id)

    def _still(self, found: Version | None, kind: int, holds: Callable[[Node], bool]) -> Version | None:
        """`found`, unless this draft has given it another name or external id since."""
        if found is None:
            return None
        newer = self._tail.nodes.get(found.node.id << 2 | kind)
        return found if newer is None else newer if holds(newer.node) else None

    def link(self, execution_id: int, artifact_id: int, type: int) -> Link | None:
        """A link by its identity."""
        stored = self._tail.inputs.get(execution_id, {}).get((artifact_id, type)) or self.state.link(
            execution_id, artifact_id, type
        )
        return None if stored is None else stored.link

    def is_member(self, context_id: int, kind: int, id: int) -> bool:
        """True if the context holds the node (for a context: is its parent)."""
        key = id << 2 | kind
        return key in self._tail.members.get(context_id, ()) or self.state.is_member(context_id, kind, id)

    def parents(self, context_id: int) -> set[int]:
        """Ids of a context's parents."""
        return {*self._tail.contexts.get(context_id << 2 | 3, ()), *self.state.parents(context_id)}
