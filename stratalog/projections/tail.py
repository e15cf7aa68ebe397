"""Tail: the newest part of the state as plain dicts; alone it is the whole state of a store in memory.

A `Tail` holds what was folded into it and nothing else: a look-up that finds nothing here goes on to the next layer
(`state.py`). Folding never refuses what a command decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec

from stratalog.eventlog.events import (
    KIND_OF,
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Kind,
    Link,
    MetricPoints,
    Node,
    ParentContext,
    Recorded,
    RequestAnswer,
    Type,
    UnknownFact,
)

ARTIFACT, EXECUTION, CONTEXT = int(Kind.ARTIFACT), int(Kind.EXECUTION), int(Kind.CONTEXT)
_TYPE_SLOT = 3
_BULK_COUNT_MIN = 64


class Version(msgspec.Struct, frozen=True, gc=False):
    """A node and the seq of the event that made it so."""

    seq: int
    node: Node


class StoredLink(msgspec.Struct, frozen=True, gc=False):
    """A link and the seq of its event."""

    seq: int
    link: Link


class StoredAnswer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request id and the seq of its event."""

    seq: int
    answer: RequestAnswer


class Tail:
    """Nodes, look-up keys, links and answers that were folded in since it was made.

    Keys of look-ups are only candidates: the caller re-checks them against the newest version of the node, since a
    uri, an external id or a context's name may have changed.
    """

    __slots__ = (
        "answers",
        "by_type",
        "contexts",
        "externals",
        "inputs",
        "members",
        "names",
        "next_ids",
        "nodes",
        "types",
        "uris",
        "uses",
    )

    def __init__(self, next_ids: Sequence[int] = (1, 1, 1, 1)) -> None:
        self.next_ids = list(next_ids)
        """Next free id of an artifact, an execution, a context, a type."""
        self.types: list[tuple[int, Type]] = []
        """(seq, new version) of each type that was put, in order"""
        self.nodes: dict[int, Version] = {}
        self.names: dict[tuple[int, int, str], int] = {}
        self.externals: dict[tuple[int, str], int] = {}
        self.uris: dict[str, int | tuple[int, ...]] = {}
        """uri -> node key, or the keys where several nodes have had it"""
        self.by_type: dict[int, list[int]] = {}
        self.uses: dict[int, dict[tuple[int, int], StoredLink]] = {}
        """artifact id -> (execution id, link type) -> link"""
        self.inputs: dict[int, dict[tuple[int, int], StoredLink]] = {}
        """execution id -> (artifact id, link type) -> link"""
        self.members: dict[int, dict[int, int]] = {}
        """context id -> node key -> seq; a member that is a context is a child"""
        self.contexts: dict[int, dict[int, int]] = {}
        """node key -> context id -> seq; for a context these are its parents"""
        self.answers: dict[str, StoredAnswer] = {}

    def fold(self, events: Sequence[Recorded]) -> None:
        """Fold events in, in order."""
        if len(events) > _BULK_COUNT_MIN and self._fold_nodes(events):
            return
        folds = _FOLDS
        for event in events:
            fact = event.fact
            folds[type(fact)](self, event.seq, fact, event.prev)

    def _fold_nodes(self, events: Sequence[Recorded]) -> bool:
        """Fold many new nodes of one kind at once; False, and nothing is folded, if the events are something else."""
        known = KIND_OF.get(type(events[0].fact))
        if known is None or len({event.fact.__class__ for event in events}) > 1:
            return False
        if any(event.prev is not None for event in events):
            return False
        kind = int(known)
        nodes = cast("list[Node]", [event.fact for event in events])
        self.nodes.update({e.fact.id << 2 | kind: Version(e.seq, e.fact) for e in events})  # type: ignore[union-attr, arg-type]
        self.names.update({(kind, n.type_id, n.name): n.id << 2 | kind for n in nodes if n.name is not None})
        self.externals.update({(kind, n.external_id): n.id << 2 | kind for n in nodes if n.external_id is not None})
        uris = {node.uri: node.id << 2 | kind for node in nodes if node.uri is not None}
        if len(uris) == sum(node.uri is not None for node in nodes) and self.uris.keys().isdisjoint(uris):
            self.uris.update(uris)
        else:
            for node in nodes:
                if node.uri is not None:
                    self._note_uri(node.uri, node.id << 2 | kind)
        by_type = self.by_type
        for type_id in {node.type_id for node in nodes}:
            by_type.setdefault(type_id, []).extend([node.id for node in nodes if node.type_id == type_id])
        self.next_ids[kind - 1] = max(self.next_ids[kind - 1], max(node.id for node in nodes) + 1)
        return True

    def _artifact(self, seq: int, node: Artifact, prev: int | None) -> None:
        self._put(seq, ARTIFACT, node, prev)

    def _execution(self, seq: int, node: Execution, prev: int | None) -> None:
        self._put(seq, EXECUTION, node, prev)

    def _context(self, seq: int, node: Context, prev: int | None) -> None:
        self._put(seq, CONTEXT, node, prev)

    def _put(self, seq: int, kind: int, node: Node, prev: int | None) -> None:
        key = node.id << 2 | kind
        self.nodes[key] = Version(seq, node)
        if node.name is not None:
            self.names[kind, node.type_id, node.name] = key
        if node.external_id is not None:
            self.externals[kind, node.external_id] = key
        if node.uri is not None:
            self._note_uri(node.uri, key)
        if prev is None:
            if node.id >= self.next_ids[kind - 1]:
                self.next_ids[kind - 1] = node.id + 1
            self.by_type.setdefault(node.type_id, []).append(node.id)

    def _note_uri(self, uri: str, key: int) -> None:
        known = self.uris.get(uri)
        if known is None:
            self.uris[uri] = key
        elif known.__class__ is not tuple:
            if known != key:
                self.uris[uri] = (cast(int, known), key)
        elif key not in known:
            self.uris[uri] = (*known, key)

    def keys_of_uri(self, uri: str) -> tuple[int, ...]:
        """Keys of nodes that have, or have had, a uri."""
        known = self.uris.get(uri, ())
        return known if isinstance(known, tuple) else (known,)

    def _link(self, seq: int, link: Link, _: int | None) -> None:
        stored = StoredLink(seq, link)
        inputs = self.inputs.get(link.execution_id)
        if inputs is None:
            inputs = self.inputs[link.execution_id] = {}
        inputs[link.artifact_id, link.type] = stored
        uses = self.uses.get(link.artifact_id)
        if uses is None:
            uses = self.uses[link.artifact_id] = {}
        uses[link.execution_id, link.type] = stored

    def _attribution(self, seq: int, fact: Attribution, _: int | None) -> None:
        self._join(seq, fact.context_id, fact.artifact_id << 2 | ARTIFACT)

    def _association(self, seq: int, fact: Association, _: int | None) -> None:
        self._join(seq, fact.context_id, fact.execution_id << 2 | EXECUTION)

    def _parent(self, seq: int, fact: ParentContext, _: int | None) -> None:
        self._join(seq, fact.parent_id, fact.child_id << 2 | CONTEXT)

    def _join(self, seq: int, context_id: int, key: int) -> None:
        members = self.members.get(context_id)
        if members is None:
            members = self.members[context_id] = {}
        members.setdefault(key, seq)
        contexts = self.contexts.get(key)
        if contexts is None:
            contexts = self.contexts[key] = {}
        contexts.setdefault(context_id, seq)

    def _type(self, seq: int, type: Type, _: int | None) -> None:
        self.types.append((seq, type))
        self.next_ids[_TYPE_SLOT] = max(self.next_ids[_TYPE_SLOT], type.id + 1)

    def _answer(self, seq: int, answer: RequestAnswer, _: int | None) -> None:
        self.answers[answer.request_id] = StoredAnswer(seq, answer)

    def _pass(self, _seq: int, _fact: MetricPoints | UnknownFact, _: int | None) -> None:
        """Points live in the tables alone; what is unknown is kept in the log."""


_FOLDS: dict[type, Callable[[Tail, int, Any, int | None], None]] = {
    Artifact: Tail._artifact,
    Execution: Tail._execution,
    Context: Tail._context,
    Type: Tail._type,
    Link: Tail._link,
    Attribution: Tail._attribution,
    Association: Tail._association,
    ParentContext: Tail._parent,
    MetricPoints: Tail._pass,
    RequestAnswer: Tail._answer,
    UnknownFact: Tail._pass,
}


def next_ids_after(next_ids: Sequence[int], events: Iterable[Recorded]) -> list[int]:
    """The next free ids (artifact, execution, context, type) after `events`."""
    result = list(next_ids)
    for event in events:
        fact = event.fact
        slot = _SLOTS.get(type(fact))
        if slot is not None and event.prev is None:
            assert isinstance(fact, Node | Type)
            result[slot] = max(result[slot], fact.id + 1)
    return result


_SLOTS: dict[type, int] = {Artifact: 0, Execution: 1, Context: 2, Type: _TYPE_SLOT}
