"""Tail: the newest part of the state as plain dicts; alone it is the whole state of a store in memory.

A `Tail` holds what was folded into it and nothing else: a look-up that finds nothing here goes on to the next layer
(`state.py`). Folding never refuses what a command decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stratalog.eventlog.events import (
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


class Version(NamedTuple):
    """A node and the seq of the event that made it so."""

    seq: int
    node: Node


class StoredLink(NamedTuple):
    """A link and the seq of its event."""

    seq: int
    link: Link


class StoredAnswer(NamedTuple):
    """The answer to a request id and the seq of its event."""

    seq: int
    answer: RequestAnswer


def node_key(kind: int, id: int) -> int:
    """One integer for a node of any kind: `id << 2 | kind`."""
    return id << 2 | kind


class Tail:
    """Nodes, look-up keys, links and answers that were folded in since it was made.

    Keys of look-ups are only candidates: the caller re-checks them against the newest version of the node, since a
    uri, an external id or a context's name may have changed.
    """

    __slots__ = ("answers", "by_type", "contexts", "externals", "inputs", "members", "names", "nodes", "uris", "uses")

    def __init__(self) -> None:
        self.nodes: dict[int, Version] = {}
        self.names: dict[tuple[int, int, str], int] = {}
        self.externals: dict[tuple[int, str], int] = {}
        self.uris: dict[str, dict[int, None]] = {}
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

    def fold(self, events: Iterable[Recorded]) -> list[tuple[int, Type]]:
        """Fold events in, in order; return the types among them with their seqs, which the state keeps elsewhere."""
        types: list[tuple[int, Type]] = []
        for event in events:
            fact = event.fact
            cls = type(fact)
            if cls is Artifact:
                self._put(event.seq, ARTIFACT, fact, event.prev is None)  # type: ignore[arg-type]
            elif cls is Execution:
                self._put(event.seq, EXECUTION, fact, event.prev is None)  # type: ignore[arg-type]
            elif cls is Context:
                self._put(event.seq, CONTEXT, fact, event.prev is None)  # type: ignore[arg-type]
            elif isinstance(fact, Link):
                stored = StoredLink(event.seq, fact)
                self.inputs.setdefault(fact.execution_id, {})[fact.artifact_id, fact.type] = stored
                self.uses.setdefault(fact.artifact_id, {})[fact.execution_id, fact.type] = stored
            elif isinstance(fact, Attribution):
                self._join(event.seq, fact.context_id, fact.artifact_id << 2 | ARTIFACT)
            elif isinstance(fact, Association):
                self._join(event.seq, fact.context_id, fact.execution_id << 2 | EXECUTION)
            elif isinstance(fact, ParentContext):
                self._join(event.seq, fact.parent_id, fact.child_id << 2 | CONTEXT)
            elif isinstance(fact, Type):
                types.append((event.seq, fact))
            elif isinstance(fact, RequestAnswer):
                self.answers[fact.request_id] = StoredAnswer(event.seq, fact)
            else:
                # Points live in the tables alone; what is unknown is kept in the log.
                assert isinstance(fact, MetricPoints | UnknownFact)
        return types

    def _put(self, seq: int, kind: int, node: Node, is_first: bool) -> None:
        key = node.id << 2 | kind
        self.nodes[key] = Version(seq, node)
        if node.name is not None:
            self.names[kind, node.type_id, node.name] = key
        if node.external_id is not None:
            self.externals[kind, node.external_id] = key
        if node.uri is not None:
            self.uris.setdefault(node.uri, {})[key] = None
        if is_first:
            self.by_type.setdefault(node.type_id, []).append(node.id)

    def _join(self, seq: int, context_id: int, key: int) -> None:
        self.members.setdefault(context_id, {}).setdefault(key, seq)
        self.contexts.setdefault(key, {}).setdefault(context_id, seq)
