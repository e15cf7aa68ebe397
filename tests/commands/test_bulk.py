"""Many nodes at once are decided over columns: with the same outcome as one by one, whatever they hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stratalog.commands.bulk import BULK_COUNT_MIN, insert_nodes
from stratalog.commands.draft import Draft
from stratalog.commands.nodes import put_node, put_nodes
from stratalog.eventlog.errors import ErrorCode, StoreError
from stratalog.eventlog.events import KIND_OF, Artifact, ArtifactState, Context, Execution, ExecutionState, Kind, Node
from stratalog.projections.base import name_key
from stratalog.projections.state import State
from tests.commands.desk import START_US, Desk
from tests.commands.test_values import OldText

CLASSES: dict[Kind, type[Node]] = {Kind.ARTIFACT: Artifact, Kind.EXECUTION: Execution, Kind.CONTEXT: Context}
ODD: list[dict[str, Any]] = [
    {"type_id": True},
    {"type_id": 10.0},
    {"type_id": []},
    {"type_id": 0},
    {"type_id": np.int64(1)},
    {"type_id": 999},
    {"id": 1},
    {"id": 77},
    {"name": "n3"},
    {"name": ""},
    {"name": 5},
    {"name": ["x"]},
    {"name": OldText.A},
    {"name": "\ud800"},
    {"external_id": "x3"},
    {"external_id": "taken"},
    {"external_id": ""},
    {"external_id": []},
    {"external_id": OldText.A},
    {"state": True},
    {"state": 1.0},
    {"state": 7},
    {"state": -1},
    {"state": "LIVE"},
    {"state": []},
    {"state": ArtifactState.LIVE},
    {"state": ExecutionState.NEW},
    {"uri": ""},
    {"uri": 5},
    {"uri": {}},
    {"uri": OldText.A},
    {"properties": {"i": True}},
    {"properties": {"i": 2**63}},
    {"properties": {"i": 1.0}},
    {"properties": {"zz": 1}},
    {"properties": {"s": "\ud800"}},
    {"properties": {"s": OldText.A}},
    {"properties": {"d": np.float32(0.5)}},
    {"properties": {5: 1}},
    {"properties": []},
    {"properties": None},
    {"custom_properties": {"x": {"deep": [1]}}},
    {"custom_properties": {"x": None}},
    {"custom_properties": {"x": -(2**63) - 1}},
    {"custom_properties": {"\ud800": 1}},
    {"custom_properties": {"x": math.nan}},
]


def outcome(state: State, nodes: list[Node], *, at_once: bool) -> object:
    draft = Draft(state, time_us=START_US)
    try:
        ids = put_nodes(draft, nodes) if at_once else [put_node(draft, node) for node in nodes]
    except StoreError as error:
        return type(error), error.code, error.message, error.hint
    kind = KIND_OF[type(nodes[0])]
    seen = (
        [draft.get(kind, id) for id in ids],
        draft.by_name(kind, nodes[0].type_id, "n3"),
        draft.by_external(kind, "x3"),
    )
    return ids, [change.event for change in draft.changes], seen, draft.next_id(kind - 1)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.word)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_node_among_many_has_the_same_fate(memory: Desk, kind: Kind, odd: dict[str, Any]) -> None:
    type_id = memory.store.put_type(kind, "T", {"i": "int", "d": "double", "s": "string"})
    cls = CLASSES[kind]
    state = memory.store._state

    def node(i: int, **fields: Any) -> Node:
        good: dict[str, Any] = {
            "type_id": type_id,
            "name": f"n{i}",
            "external_id": f"x{i}",
            "properties": {"i": i, "s": "text"},
            "custom_properties": {"free": i / 2, "b": True},
            "state": None if kind == Kind.CONTEXT else 1,
        }
        return cls(**{**good, **fields})

    nodes = [node(i) for i in range(BULK_COUNT_MIN)]
    nodes[40] = node(40, **odd)

    assert outcome(state, nodes, at_once=True) == outcome(state, nodes, at_once=False)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.word)
def test_plain_nodes_go_over_columns_and_come_out_alike(desk: Desk, kind: Kind) -> None:
    type_id = desk.store.put_type(kind, "T", {"i": "int"})
    cls = CLASSES[kind]
    words: list[int] = [] if kind == Kind.CONTEXT else [0, ArtifactState.LIVE if kind == Kind.ARTIFACT else 2]
    nodes = [
        cls(type_id=type_id, name=f"n{i}", properties={"i": i}, state=words[i % 2] if words else None)
        for i in range(BULK_COUNT_MIN + 6)
    ]
    state = desk.store._state

    assert insert_nodes(Draft(state, time_us=0), nodes) is not None
    assert outcome(state, nodes, at_once=True) == outcome(state, nodes, at_once=False)


def test_a_name_that_is_stored_already_is_found_among_many(desk: Desk) -> None:
    type_id = desk.artifact_type()
    desk.artifact(name="n50", external_id="x7")
    desk.settle()
    state = desk.store._state
    for fields in ({"name": "n{}"}, {"external_id": "x{}"}):
        nodes: list[Node] = [
            Artifact(type_id=type_id, **{field: text.format(i) for field, text in fields.items()})  # type: ignore[arg-type]
            for i in range(BULK_COUNT_MIN)
        ]
        refusal = outcome(state, nodes, at_once=True)
        assert refusal == outcome(state, nodes, at_once=False)
        assert isinstance(refusal, tuple)
        assert refusal[1] == "already_exists"


@pytest.mark.parametrize("taken", ["plumless", "buckeroo"])
def test_of_two_names_with_one_look_up_key_each_is_looked_up(desk: Desk, taken: str) -> None:
    """`plumless` and `buckeroo` have the same CRC-32; so have all texts that begin with the same bytes before them."""
    type_id = desk.artifact_type()
    assert name_key(1, type_id, "plumless") == name_key(1, type_id, "buckeroo")
    id = desk.artifact(name=taken)
    desk.settle()
    nodes = [Artifact(type_id=type_id, name=name) for name in ("plumless", "buckeroo")]
    nodes += [Artifact(type_id=type_id, name=f"{taken}{i}") for i in range(BULK_COUNT_MIN)]

    with desk.refused(ErrorCode.ALREADY_EXISTS, repr(taken), f"artifact {id}"):
        desk.store.put_artifacts(nodes)
