"""Small random stores with everything that lineage touches, and the record of what went in."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import stratalog
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
    LinkType,
    Node,
)
from stratalog.query.snapshot import Snapshot
from stratalog.store.store import Store
from tests.query.lineage_model import Key

WALKABLE = [Kind.ARTIFACT, Kind.EXECUTION]


class Seen(NamedTuple):
    """What the store holds as of a seq."""

    nodes: dict[Key, Node]
    links: list[tuple[int, Link]]
    attributions: list[tuple[int, int, int]]
    associations: list[tuple[int, int, int]]


class World:
    """A store in which every commit holds one event, so that its seq is known."""

    def __init__(self, random: Random) -> None:
        self.store: Store = stratalog.open("memory:")
        self.random = random
        self.type_names: dict[int, str] = {}
        self.events: list[tuple[int, object]] = []
        self._linked: set[tuple[int, int, int]] = set()
        self._counts = dict.fromkeys(Kind, 0)
        for kind, names in (
            (Kind.ARTIFACT, ["Data", "Model"]),
            (Kind.EXECUTION, ["Train", "Shared"]),
            (Kind.CONTEXT, ["Run"]),
        ):
            for name in names:
                self.type_names[self.store.put_type(kind, name)] = name
        self.type_names[self.store.put_type(Kind.ARTIFACT, "Model", version="2")] = "Model"
        self.type_names[self.store.put_type(Kind.ARTIFACT, "Shared")] = "Shared"

    def snapshot(self, seq: int | None = None) -> Snapshot:
        return self.store.snapshot() if seq is None else self.store.as_of(seq).snapshot()

    def grow(self, step_count: int) -> None:
        for _ in range(step_count):
            self.random.choices(
                [self._add_node, self._change_node, self._add_link, self._add_member], weights=[4, 2, 8, 2]
            )[0]()

    def _type_id(self, names: list[str], kind: Kind) -> int:
        type = self.random.choice([t for t in self.store.get_types(kind) if t.name in names])
        return type.id

    def _add_node(self) -> None:
        kind = self.random.choice(list(Kind))
        name = f"{kind.word} {self._counts[kind]}" if kind is Kind.CONTEXT or self.random.random() < 0.7 else None
        if kind is Kind.ARTIFACT:
            state = self.random.choice([None, *ArtifactState])
            artifact = Artifact(type_id=self._type_id(["Data", "Model", "Shared"], kind), name=name, state=state)
            self._record(artifact, self.store.put_artifacts([artifact]).seq)
        elif kind is Kind.EXECUTION:
            state_of_run = self.random.choice([None, *ExecutionState])
            execution = Execution(type_id=self._type_id(["Train", "Shared"], kind), name=name, state=state_of_run)
            self._record(execution, self.store.put_executions([execution]).seq)
        else:
            context = Context(type_id=self._type_id(["Run"], kind), name=name)
            self._record(context, self.store.put_contexts([context]).seq)
        self._counts[kind] += 1

    def _record(self, node: Node, seq: int) -> None:
        kind = {Artifact: Kind.ARTIFACT, Execution: Kind.EXECUTION, Context: Kind.CONTEXT}[type(node)]
        id = node.id or self._counts[kind] + 1
        values = {name: getattr(node, name) for name in ("type_id", "name", "state", "uri")}
        self.events.append((seq, type(node)(id=id, **values)))

    def _change_node(self) -> None:
        if self._counts[Kind.ARTIFACT]:
            id = self.random.randint(1, self._counts[Kind.ARTIFACT])
            old = self.seen().nodes[Kind.ARTIFACT, id]
            state = self.random.choice(list(ArtifactState))
            new = Artifact(id=id, type_id=old.type_id, name=old.name, state=state, uri=f"s3://{len(self.events)}")
            self._record(new, self.store.put_artifacts([new]).seq)

    def _add_link(self) -> None:
        if self._counts[Kind.ARTIFACT] and self._counts[Kind.EXECUTION]:
            execution = self.random.randint(1, self._counts[Kind.EXECUTION])
            artifact = self.random.randint(1, self._counts[Kind.ARTIFACT])
            link_type = self.random.choice(list(LinkType))
            if (execution, artifact, link_type) not in self._linked:
                self._linked.add((execution, artifact, link_type))
                time_ms = self.random.choice([0, 1_700_000_000_123])
                link = Link(
                    execution_id=execution, artifact_id=artifact, type=link_type, path=["x", execution], time_ms=time_ms
                )
                self.events.append((self.store.put_links([link]).seq, link))

    def _add_member(self) -> None:
        kind = self.random.choice(WALKABLE)
        if self._counts[Kind.CONTEXT] and self._counts[kind]:
            context, id = self.random.randint(1, self._counts[Kind.CONTEXT]), self.random.randint(1, self._counts[kind])
            fact = Attribution(context, id) if kind is Kind.ARTIFACT else Association(context, id)
            if fact not in [event for _, event in self.events]:
                if isinstance(fact, Attribution):
                    seq = self.store.put_attributions([fact]).seq
                else:
                    seq = self.store.put_associations([fact]).seq
                self.events.append((seq, fact))

    def seen(self, seq: int | None = None) -> Seen:
        found = Seen({}, [], [], [])
        for s, fact in self.events:
            if seq is not None and s > seq:
                break
            match fact:
                case Artifact():
                    found.nodes[Kind.ARTIFACT, fact.id] = fact
                case Execution():
                    found.nodes[Kind.EXECUTION, fact.id] = fact
                case Link():
                    found.links.append((s, fact))
                case Attribution():
                    found.attributions.append((fact.context_id, fact.artifact_id, s))
                case Association():
                    found.associations.append((fact.context_id, fact.execution_id, s))
        return found
