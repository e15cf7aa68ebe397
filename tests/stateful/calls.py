"""Random calls, valid and invalid, that fit what a world holds; and how to run one on a store and on the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from stratalog.commands.executions import Edge, Pair, StepOptions
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
    Proto,
    Type,
)
from stratalog.store.store import Store
from stratalog.testing.model import Model, World

CLASSES: dict[Kind, type[Node]] = {Kind.ARTIFACT: Artifact, Kind.EXECUTION: Execution, Kind.CONTEXT: Context}
NAMES = ("a", "b", "c", "d", "e", "f", "g", "h", "\u00e4", "\U0001f600 x")
EXTERNALS = ("x", "y", "z", "w", "\u00e4")
DECLARED = {"i": 1, "d": 2, "s": 3, "t": 4, "b": 6}


class Call(NamedTuple):
    """A call of the public API: its name and arguments."""

    name: str
    arguments: dict[str, Any]
    request_id: str | None = None


# ---- running one


def run_on_store(store: Store, call: Call) -> object:
    """The ids that the store answers."""
    put: Callable[..., Any] = getattr(store, call.name)
    arguments = dict(call.arguments)
    positional = [arguments.pop(name) for name in ("requests", "execution", "batches") if name in arguments]
    answer = put(*positional, **arguments, request_id=call.request_id)
    if call.name == "put_execution":
        return answer.execution_id, answer.artifact_ids, answer.context_ids
    if call.name == "put_lineage":
        return answer.execution_ids, answer.artifact_ids, answer.context_ids
    return answer.ids


def run_on_model(model: Model, call: Call, now_ms: int) -> object:
    """The ids that the model answers."""
    a = call.arguments
    works: dict[str, Callable[[], object]] = {
        "put_types": lambda: model.put_types(a["requests"], add=a["can_add_fields"], omit=a["can_omit_fields"]),
        "put_links": lambda: model.put_links(a["requests"]),
        "put_parent_contexts": lambda: model.put_parents((p.child_id, p.parent_id) for p in a["requests"]),
        "put_attributions_and_associations": lambda: model.put_members(
            [
                *((m.context_id, Kind.ARTIFACT, m.artifact_id) for m in a["attributions"]),
                *((m.context_id, Kind.EXECUTION, m.execution_id) for m in a["associations"]),
            ]
        ),
        "log_points": lambda: model.log_points(a["batches"]),
        "put_execution": lambda: model.put_execution(a["execution"], a["pairs"], a["contexts"], a["options"]),
        "put_lineage": lambda: model.put_lineage(**a),
    }
    work = works.get(call.name)
    if work is None:
        work = lambda: model.put_nodes(  # noqa: E731
            a["requests"], mask=a["mask"], match=a["must_match_update_time"]
        )
    return model.call(work, now_ms=now_ms, request_id=call.request_id, arguments=msgspec.msgpack.encode(call[:2]))


# ---- drawing one

values = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**63 - 1, -(2**63)]),
    st.sampled_from([0.0, -0.0, 0.5, 1e-9, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "b'c", "\u00e4\u20ac", "x\0y"]),
    st.booleans(),
    st.sampled_from([{}, {"k": [1, None, {"z": "q"}]}, {"k": 1.0}]),
    st.just(Proto("type/x", b"\0\x01")),
)
declared_values: dict[int, st.SearchStrategy[Any]] = {
    1: st.integers(-3, 3),
    2: st.sampled_from([0.5, -0.0, 0.0, float("nan"), 2.0]),
    3: st.sampled_from(["", "a", "b'c", "\u00e4"]),
    4: st.sampled_from([{}, {"k": [1, None]}]),
    5: st.just(Proto("type/x", b"\0\x01")),
    6: st.booleans(),
}
custom_maps = st.dictionaries(st.sampled_from(["i", "k", "a.b", "K"]), values, max_size=3)
masks: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]),
    st.lists(
        st.sampled_from(
            [
                *("state", "uri", "external_id", "name", "properties", "custom_properties", "properties.i"),
                *("properties.s", "custom_properties.k", "custom_properties.a.b", "nonsense", ""),
            ]
        ),
        min_size=1,
        max_size=3,
    ),
)
option_sets = st.builds(
    StepOptions,
    reuse_context=st.booleans(),
    reuse_artifact_by_external_id=st.booleans(),
    force_update_time=st.booleans(),
    force_reuse_context=st.booleans(),
)
seldom = st.sampled_from([False] * 30 + [True])
"""True now and then, where a request is to be wrong on purpose. (Hypothesis likes the first.)"""


@st.composite
def ids(draw: st.DrawFn, world: World, kind: Kind) -> int:
    """The id of a node, mostly one that is there."""
    count = sum(k == kind for k, _ in world.nodes)
    if not count or draw(seldom):
        return draw(st.sampled_from([0, count + 1, 99, -1, 2**62]))
    return draw(st.integers(1, count))


@st.composite
def type_requests(draw: st.DrawFn) -> Type:
    names = draw(st.lists(st.sampled_from(list(DECLARED)), unique=True, max_size=4))
    properties = {name: DECLARED[name] for name in names}
    if draw(seldom):
        name, number = draw(st.sampled_from([("i", 3), ("n", 0)]))
        properties[name] = number
    return Type(
        kind=draw(st.sampled_from([1, 2, 3])),
        name=draw(st.sampled_from(["T", "T", "U"])),
        version=draw(st.sampled_from([None, None, "", "2"])),
        external_id=draw(st.sampled_from([None, None, None, None, None, "x", "y", ""])),
        description=draw(st.sampled_from([None, "about"])),
        properties=properties,
    )


@st.composite
def nodes(draw: st.DrawFn, world: World, kind: Kind, *, new: bool | None = None) -> Node:
    """A request for a node: an insert or an update."""
    types = [type for type in world.types.values() if type.kind == kind]
    is_new = (draw(st.integers(1, 5)) <= 3) if new is None else new
    id = 0 if is_new else draw(ids(world, kind))
    known = world.nodes.get((kind, id))
    if known is not None:
        type = world.types[known.type_id]
        type_id = draw(st.sampled_from([0, known.type_id, known.type_id])) if not draw(seldom) else 11
    else:
        type = draw(st.sampled_from(types)) if types else Type(kind=kind)
        type_id = type.id if not draw(seldom) else draw(st.sampled_from([0, 10, 99]))
    chosen = draw(st.lists(st.sampled_from(list(type.properties)), unique=True, max_size=3)) if type.properties else []
    properties = {name: draw(declared_values[type.properties[name]]) for name in chosen}
    if draw(seldom):
        properties[draw(st.sampled_from(["i", "zz"]))] = draw(values)
    name = draw(st.sampled_from([None, None, "", *NAMES]))
    if kind == Kind.CONTEXT and not draw(seldom):
        name = name or (draw(st.sampled_from(NAMES)) if known is None else known.name)
    return CLASSES[kind](
        id=id,
        type_id=type_id,
        name=name,
        external_id=draw(st.sampled_from([*[None] * 12, "", *EXTERNALS])),
        properties=properties,
        custom_properties=draw(custom_maps),
        update_time_ms=0 if known is None else known.update_time_ms - (draw(seldom)),
        state=None if kind == Kind.CONTEXT else draw(st.sampled_from([None, 0, 1, 2, 3])),
        uri=draw(st.sampled_from([None, "", "u", "v"])) if kind == Kind.ARTIFACT else None,
    )


link_types = st.sampled_from([1, 2, 3, 3, 3, 4, 4, 4, 5, 6, 7, 0])
paths: st.SearchStrategy[list[int | str]] = st.lists(st.sampled_from([0, 7, "k", ""]), max_size=2)
times = st.sampled_from([None, 0, 5, -7])


@st.composite
def links(draw: st.DrawFn, world: World, *, with_ids: bool = True) -> Link:
    return Link(
        execution_id=draw(ids(world, Kind.EXECUTION)) if with_ids else 0,
        artifact_id=draw(ids(world, Kind.ARTIFACT)) if with_ids else 0,
        type=draw(link_types),
        path=draw(paths),
        time_ms=draw(times),
    )


@st.composite
def pairs(draw: st.DrawFn, world: World) -> Pair:
    artifact: Any = draw(st.one_of(st.none(), nodes(world, Kind.ARTIFACT), nodes(world, Kind.ARTIFACT)))
    link = draw(st.one_of(st.none(), links(world, with_ids=False), links(world, with_ids=False)))
    if link is not None and (artifact is None or draw(seldom)):
        link = msgspec.structs.replace(link, artifact_id=draw(ids(world, Kind.ARTIFACT)))
    if link is not None and draw(seldom):
        link = msgspec.structs.replace(link, execution_id=draw(ids(world, Kind.EXECUTION)))
    return Pair(artifact=artifact, link=link)


@st.composite
def edges(draw: st.DrawFn, world: World, executions: list[Node], artifacts: list[Node]) -> Edge:
    link = draw(links(world))
    at: list[int | None] = []
    for nodes_of_kind in (executions, artifacts):
        if nodes_of_kind and draw(st.integers(1, 4)) > 1:
            at.append(draw(st.integers(0, len(nodes_of_kind) - (not draw(seldom)))))
        else:
            at.append(None)
    if at[0] is not None and not draw(seldom):
        link = msgspec.structs.replace(link, execution_id=0)
    if at[1] is not None and not draw(seldom):
        link = msgspec.structs.replace(link, artifact_id=0)
    return Edge(execution_index=at[0], artifact_index=at[1], link=link)


request_ids = st.sampled_from([None] * 20 + ["r1", "r2"])


@st.composite
def calls(draw: st.DrawFn, world: World) -> Call:
    """One call; links only once there is something to link."""
    kinds = {kind for kind, _ in world.nodes}
    names = ["put_artifacts"] * 4 + ["put_executions", "put_contexts"] * 3 + ["put_execution"] * 4 + ["put_types"]
    if kinds >= {Kind.ARTIFACT, Kind.EXECUTION}:
        names += ["put_links", "put_links", "put_lineage", "put_lineage", "log_points"]
    if len(kinds) == 3:
        names += ["put_attributions_and_associations", "put_parent_contexts"]
    name = draw(st.sampled_from(names))
    arguments: dict[str, Any]
    if name == "put_types":
        arguments = {
            "requests": draw(st.lists(type_requests(), min_size=1, max_size=2)),
            "can_add_fields": draw(st.sampled_from([True, True, False])),
            "can_omit_fields": draw(st.sampled_from([True, True, False])),
        }
    elif name in ("put_artifacts", "put_executions", "put_contexts"):
        kind = {"put_artifacts": Kind.ARTIFACT, "put_executions": Kind.EXECUTION, "put_contexts": Kind.CONTEXT}[name]
        arguments = {
            "requests": draw(st.lists(nodes(world, kind), min_size=1, max_size=3)),
            "mask": draw(masks),
            "must_match_update_time": draw(st.sampled_from([False] * 3 + [True])),
        }
    elif name == "put_execution":
        arguments = {
            "execution": draw(nodes(world, Kind.EXECUTION)),
            "pairs": draw(st.lists(pairs(world), max_size=3)),
            "contexts": draw(st.lists(nodes(world, Kind.CONTEXT), max_size=2)),
            "options": draw(option_sets),
        }
    elif name == "put_lineage":
        executions = draw(st.lists(nodes(world, Kind.EXECUTION), max_size=2))
        artifacts = draw(st.lists(nodes(world, Kind.ARTIFACT), max_size=2))
        arguments = {
            "executions": executions,
            "artifacts": artifacts,
            "contexts": draw(st.lists(nodes(world, Kind.CONTEXT), max_size=2)),
            "edges": draw(st.lists(edges(world, executions, artifacts), max_size=3)),
            "options": msgspec.structs.replace(draw(option_sets), force_update_time=False, force_reuse_context=False),
        }
    elif name == "put_links":
        arguments = {"requests": draw(st.lists(links(world), min_size=1, max_size=3))}
    elif name == "put_parent_contexts":
        pair = st.builds(ParentContext, ids(world, Kind.CONTEXT), ids(world, Kind.CONTEXT))
        arguments = {"requests": draw(st.lists(pair, min_size=1, max_size=2))}
    elif name == "log_points":
        batch = st.builds(
            MetricPoints,
            execution_id=ids(world, Kind.EXECUTION),
            key=st.sampled_from(["loss", "acc"]),
            steps=st.just([0, 1]),
            times_us=st.just([5, 6]),
            values=st.lists(st.sampled_from([0.5, float("nan"), -1.0]), min_size=2, max_size=2),
        )
        arguments = {"batches": draw(st.lists(batch, min_size=1, max_size=2))}
    else:
        attribution = st.builds(Attribution, ids(world, Kind.CONTEXT), ids(world, Kind.ARTIFACT))
        association = st.builds(Association, ids(world, Kind.CONTEXT), ids(world, Kind.EXECUTION))
        arguments = {
            "attributions": draw(st.lists(attribution, max_size=2)),
            "associations": draw(st.lists(association, max_size=2)),
        }
    return Call(name, arguments, draw(request_ids))
