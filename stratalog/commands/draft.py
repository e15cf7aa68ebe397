"""A command's desk: the state as it stands, and what the command has decided so far on top of it.

Decide functions read through the draft, so that later elements of a request see the earlier ones, and add their
changes to it. Nothing of it reaches the state or the log unless the whole command succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import (
    SPECS,
    Association,
    Attribution,
    Change,
    Event,
    Fact,
    Link,
    MetricPoints,
    Node,
    ParentContext,
    RequestAnswer,
    Type,
    encode_payload,
    to_event,
)
from stratalog.projections.state import State, Types
from stratalog.projections.tail import ARTIFACT, CONTEXT, EXECUTION, Version


class Draft:
    """State at head plus the changes of one command.

    `time_us` and `time_ms` are the commit's time in µs and milliseconds since 1970 UTC. Call inside the state's lock.
    """

    def __init__(self, state: State, *, time_us: int) -> None:
        self.state = state
        self.time_us = time_us
        self.time_ms = time_us // 1000
        self.changes: list[Change] = []
        self._first_seq = state.head + 1
        self._next_ids = list(state.next_ids)
        self._types: Types | None = None
        self._nodes: dict[int, Version] = {}
        self._names: dict[tuple[int, int, str], int] = {}
        self._externals: dict[tuple[int, str], int] = {}
        self._links: set[tuple[int, int, int]] = set()
        self._members: set[tuple[int, int]] = set()
        self._parents: dict[int, set[int]] = {}

    @property
    def types(self) -> Types:
        """The types, those of this draft included."""
        return self.state.types if self._types is None else self._types

    def next_id(self, slot: int) -> int:
        """Take the next id of a kind (slot 0 artifact, 1 execution, 2 context, 3 type)."""
        return self.next_ids(slot, 1)

    def next_ids(self, slot: int, count: int) -> int:
        """Take the next `count` ids of a kind and return the first."""
        id = self._next_ids[slot]
        self._next_ids[slot] = id + count
        return id

    def give_back(self, slot: int, first_id: int) -> None:
        """Give ids from `first_id` on back: nothing was decided on them."""
        self._next_ids[slot] = first_id

    # ---- deciding

    def _add(self, fact: Fact, prev: int | None = None) -> int:
        try:
            event = to_event(fact, prev)
        except (TypeError, OverflowError, ValueError) as error:
            raise InvalidInputError(
                f"{type(fact).__name__.lower()} cannot be encoded: {error}", code=ErrorCode.INVALID_VALUE
            ) from None
        changes = self.changes
        changes.append(Change(fact, event))
        return self._first_seq + len(changes) - 1

    def add_node(self, kind: int, node: Node, prev: int | None = None) -> None:
        """Decide on a new version of a node.

        Raises:
            InvalidInputError: it cannot be encoded; the checks before should have said so with a better message.
        """
        seq = self._add(cast(Fact, node), prev)  # every node is of one of the three kinds
        key = node.id << 2 | kind
        self._nodes[key] = Version(seq, node)
        if node.name is not None:
            self._names[kind, node.type_id, node.name] = key
        if node.external_id is not None:
            self._externals[kind, node.external_id] = key

    def add_nodes(self, kind: int, nodes: Sequence[Node]) -> bool:
        """Decide on many new nodes of one kind; False, and nothing is decided, if one cannot be encoded."""
        spec = SPECS[type(nodes[0])]
        try:
            payloads = list(map(encode_payload, nodes))
        except (TypeError, OverflowError, ValueError):
            return False
        name, version, subject_kind = spec.kind, spec.version, spec.subject_kind
        first_seq = self._first_seq + len(self.changes)
        self.changes.extend(
            [
                Change(cast(Fact, node), Event(name, version, subject_kind, node.id, None, payload))
                for node, payload in zip(nodes, payloads, strict=True)
            ]
        )
        self._nodes.update({node.id << 2 | kind: Version(seq, node) for seq, node in enumerate(nodes, first_seq)})
        self._names.update(
            {(kind, node.type_id, node.name): node.id << 2 | kind for node in nodes if node.name is not None}
        )
        self._externals.update(
            {(kind, node.external_id): node.id << 2 | kind for node in nodes if node.external_id is not None}
        )
        return True

    def add_type(self, type: Type, prev: int | None = None) -> None:
        """Decide on a new version of a type."""
        seq = self._add(type, prev)
        if self._types is None:
            self._types = self.state.types.copy()
        self._types.put(seq, type)

    def add_link(self, link: Link) -> None:
        """Decide on a link."""
        self._add(link)
        self._links.add((link.execution_id, link.artifact_id, link.type))

    def add_member(self, fact: Attribution | Association | ParentContext) -> None:
        """Decide on a node's place in a context."""
        self._add(fact)
        if isinstance(fact, Attribution):
            self._members.add((fact.context_id, fact.artifact_id << 2 | ARTIFACT))
        elif isinstance(fact, Association):
            self._members.add((fact.context_id, fact.execution_id << 2 | EXECUTION))
        else:
            self._members.add((fact.parent_id, fact.child_id << 2 | CONTEXT))
            self._parents.setdefault(fact.child_id, set()).add(fact.parent_id)

    def add_other(self, fact: MetricPoints | RequestAnswer) -> None:
        """Decide on something that no later part of a command looks at."""
        self._add(fact)

    # ---- reading

    def get(self, kind: int, id: int) -> Version | None:
        """The newest version of a node; None for any number that no node has."""
        version = self._nodes.get(id << 2 | kind)
        if version is None and 0 < id < self.state.next_ids[kind - 1]:
            version = self.state.get(kind, id)
        return version

    def by_name(self, kind: int, type_id: int, name: str) -> Version | None:
        """The node of a type that has `name` now."""
        key = self._names.get((kind, type_id, name))
        if key is not None and self._nodes[key].node.name == name:
            return self._nodes[key]
        found = self.state.by_name(kind, type_id, name)
        if found is None:
            return None
        newer = self._nodes.get(found.node.id << 2 | kind, found)
        return newer if newer.node.name == name else None

    def by_external(self, kind: int, external_id: str) -> Version | None:
        """The node of a kind that has `external_id` now."""
        key = self._externals.get((kind, external_id))
        if key is not None and self._nodes[key].node.external_id == external_id:
            return self._nodes[key]
        found = self.state.by_external(kind, external_id)
        if found is None:
            return None
        newer = self._nodes.get(found.node.id << 2 | kind, found)
        return newer if newer.node.external_id == external_id else None

    def are_names_free(self, kind: int, type_id: int, names: Sequence[str]) -> bool:
        """True if no node of the type has one of the names."""
        own = self._names
        if own and any((kind, type_id, name) in own for name in names):
            return False
        return self.state.are_names_free(kind, type_id, names)

    def are_externals_free(self, kind: int, external_ids: Sequence[str]) -> bool:
        """True if no node of the kind has one of the external ids."""
        own = self._externals
        if own and any((kind, external_id) in own for external_id in external_ids):
            return False
        return self.state.are_externals_free(kind, external_ids)

    def has_link(self, execution_id: int, artifact_id: int, type: int) -> bool:
        """True if the two are linked by this type."""
        if (execution_id, artifact_id, type) in self._links:
            return True
        # What this draft made the state cannot know a link of.
        next_ids = self.state.next_ids
        if execution_id >= next_ids[1] or artifact_id >= next_ids[0]:
            return False
        return self.state.link(execution_id, artifact_id, type) is not None

    def is_member(self, context_id: int, kind: int, id: int) -> bool:
        """True if the context holds the node (for a context: is its parent)."""
        if (context_id, id << 2 | kind) in self._members:
            return True
        next_ids = self.state.next_ids
        if id >= next_ids[kind - 1] or context_id >= next_ids[2]:
            return False
        return self.state.is_member(context_id, kind, id)

    def parents(self, context_id: int) -> set[int]:
        """Ids of a context's parents."""
        return self._parents.get(context_id, set()).union(self.state.parents(context_id))
