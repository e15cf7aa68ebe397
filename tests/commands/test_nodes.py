"""Nodes: insert, update, update by mask, uniqueness, times; alike for the three kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from stratalog.eventlog.errors import ErrorCode, NotFoundError
from stratalog.eventlog.events import Artifact, ArtifactState, Context, Execution, ExecutionState, Kind, Node
from stratalog.store.answers import Put
from tests.commands.desk import START_US, Desk

START_MS = START_US // 1000
NOTHING: Any = object()
"""No value that can be stored."""


class Calls(NamedTuple):
    """What differs by kind: the class, the put, the getters, a type with properties i, d, s and b."""

    cls: type[Node]
    put: Callable[..., Put]
    get: Callable[..., Node]
    get_many: Callable[..., Sequence[Node]]
    type_id: int
    other_type_id: int


@pytest.fixture(params=list(Kind), ids=lambda kind: kind.word)
def kind(request: pytest.FixtureRequest) -> Kind:
    assert isinstance(request.param, Kind)
    return request.param


def calls(desk: Desk, kind: Kind) -> Calls:
    store = desk.store
    properties = {"i": "int", "d": "double", "s": "string", "b": "boolean"}
    ids = [store.put_type(kind, name, properties) for name in ("T", "U")]
    return {
        Kind.ARTIFACT: Calls(Artifact, store.put_artifacts, store.get_artifact, store.get_artifacts, *ids),
        Kind.EXECUTION: Calls(Execution, store.put_executions, store.get_execution, store.get_executions, *ids),
        Kind.CONTEXT: Calls(Context, store.put_contexts, store.get_context, store.get_contexts, *ids),
    }[kind]


def only(kind: Kind, *kinds: Kind) -> None:
    if kind not in kinds:
        pytest.skip(f"no rule for a {kind.word}")


def test_a_node_comes_back_as_it_was_put(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    fields: dict[str, Any] = {
        "type_id": c.type_id,
        "name": "n",
        "external_id": "x",
        "properties": {"i": -5, "d": 0.1, "s": "text", "b": True},
        "custom_properties": {"i": "free", "other": 3},
    }
    if kind != Kind.CONTEXT:
        fields["state"] = 2
    if kind == Kind.ARTIFACT:
        fields["uri"] = "s3://bucket/file"

    id = c.put([c.cls(**fields, create_time_ms=1, update_time_ms=1)]).id
    desk.settle()

    expected = c.cls(id=id, **fields, create_time_ms=START_MS, update_time_ms=START_MS)
    assert c.get(id) == expected
    assert c.get(type="T", name="n") == expected
    assert c.get(type=c.type_id, name="n") == expected
    assert c.get(external_id="x") == expected
    assert c.get_many([id, 99]) == [expected]
    assert c.get_many(type="T") == [expected]
    assert c.get_many(external_ids=["x", "y"]) == [expected]


def test_ids_ascend_within_a_kind_and_are_given_by_the_store(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)

    assert c.put([c.cls(type_id=c.type_id, name=name) for name in "abc"]).ids == [1, 2, 3]
    desk.settle()
    with desk.refused(ErrorCode.ALREADY_EXISTS):
        c.put([c.cls(type_id=c.type_id, name=name) for name in "da"])
    assert c.put([c.cls(type_id=c.other_type_id, name="a")]).ids == [4]


def test_ids_of_the_kinds_are_counted_apart(desk: Desk) -> None:
    assert (desk.artifact(), desk.execution(), desk.context("c")) == (1, 1, 1)


def test_a_type_must_be_given_by_id_and_be_of_the_kind(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    other_kind = {Kind.ARTIFACT: Kind.EXECUTION, Kind.EXECUTION: Kind.CONTEXT, Kind.CONTEXT: Kind.ARTIFACT}[kind]
    elsewhere = desk.store.put_type(other_kind, "Elsewhere")

    with desk.refused(ErrorCode.MISSING_FIELD, "no type_id", hint="put the type first"):
        c.put([c.cls(name="n")])
    with desk.refused(ErrorCode.TYPE_NOT_FOUND, "type_id 999", "no such type"):
        c.put([c.cls(type_id=999, name="n")])
    with desk.refused(ErrorCode.TYPE_NOT_FOUND, f"that is a type of {other_kind.word}s"):
        c.put([c.cls(type_id=elsewhere, name="n")])


def test_properties_must_fit_the_type(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)

    with desk.refused(ErrorCode.UNKNOWN_PROPERTY, "type 'T' has no property 'zz'", hint="can_add_fields"):
        c.put([c.cls(type_id=c.type_id, name="n", properties={"zz": 1})])
    with desk.refused(
        ErrorCode.PROPERTY_TYPE_MISMATCH, "Found unmatched property type: d", "INT", "DOUBLE", hint="1.0"
    ):
        c.put([c.cls(type_id=c.type_id, name="n", properties={"d": 1})])
    with desk.refused(ErrorCode.PROPERTY_TYPE_MISMATCH, "Found unmatched property type: i", "BOOLEAN"):
        c.put([c.cls(type_id=c.type_id, name="n", properties={"i": True})])


def test_custom_properties_are_free_and_may_change_their_type(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = c.put([c.cls(type_id=c.type_id, name="n", properties={"i": 1}, custom_properties={"i": "text"})]).id
    desk.settle()

    c.put([c.cls(id=id, name="n", properties={"i": 2}, custom_properties={"i": 2.5})])
    desk.settle()

    node = c.get(id)
    assert (node.properties, node.custom_properties) == ({"i": 2}, {"i": 2.5})


def test_a_name_is_taken_within_its_type(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n")])
    desk.settle()

    with desk.refused(ErrorCode.ALREADY_EXISTS, "the name 'n'", f"{kind.word} 1", "'T'", hint=f"get_{kind.word}("):
        c.put([c.cls(type_id=c.type_id, name="n")])
    with desk.refused(ErrorCode.ALREADY_EXISTS, "the name 'm'"):
        c.put([c.cls(type_id=c.type_id, name="m"), c.cls(type_id=c.type_id, name="m")])
    assert c.put([c.cls(type_id=c.type_id, name="N"), c.cls(type_id=c.other_type_id, name="n")]).ids == [2, 3]


def test_an_external_id_is_taken_within_its_kind(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n", external_id="x")])
    desk.settle()

    with desk.refused(ErrorCode.ALREADY_EXISTS, "the external id 'x'", f"{kind.word} 1", hint="external_id='x'"):
        c.put([c.cls(type_id=c.other_type_id, name="m", external_id="x")])
    assert c.put([c.cls(type_id=c.other_type_id, name="m", external_id="X")]).ids == [2]
    with desk.refused(ErrorCode.ALREADY_EXISTS, "the external id 'X'"):
        c.put([c.cls(id=1, name="n", external_id="X")])


def test_an_external_id_and_a_name_that_were_given_up_are_free(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n", external_id="x")])
    desk.settle()

    c.put([c.cls(id=1, name="m"), c.cls(type_id=c.type_id, name="o", external_id="x")])
    desk.settle()

    assert c.get(external_id="x").id == 2
    if kind == Kind.CONTEXT:
        with pytest.raises(NotFoundError):
            c.get(type="T", name="n")
        assert c.put([c.cls(type_id=c.type_id, name="n")]).ids == [3]
        assert c.get(type="T", name="n").id == 3


def test_two_contexts_can_exchange_their_names_over_a_third(desk: Desk) -> None:
    a, b = desk.context("a"), desk.context("b")
    desk.settle()
    put = desk.store.put_contexts

    put([Context(id=a, name="free"), Context(id=b, name="a"), Context(id=a, name="b")])
    desk.settle()

    assert [c.name for c in desk.store.get_contexts([a, b])] == ["b", "a"]
    assert desk.store.get_context(type="Project", name="a").id == b
    with desk.refused(ErrorCode.ALREADY_EXISTS, "'a'"):
        put([Context(id=a, name="a")])


def test_nodes_without_a_name_never_collide(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)

    if kind == Kind.CONTEXT:
        for name in (None, ""):
            with desk.refused(ErrorCode.MISSING_FIELD, "no name"):
                c.put([c.cls(type_id=c.type_id, name=name)])
    else:
        fields: list[dict[str, Any]] = [{}, {"name": ""}, {"external_id": ""}, {"name": "", "external_id": ""}]
        assert c.put([c.cls(type_id=c.type_id, **f) for f in fields]).ids == [1, 2, 3, 4]
        desk.settle()
        assert {(n.name, n.external_id) for n in c.get_many()} == {(None, None)}


def test_an_empty_external_id_and_uri_are_none(desk: Desk) -> None:
    ids = [desk.artifact(uri="", external_id=""), desk.artifact(uri="u")]
    desk.settle()

    assert [(a.uri, a.external_id) for a in desk.store.get_artifacts(ids)] == [(None, None), ("u", None)]
    desk.store.put_artifacts([Artifact(id=ids[1], uri="")])
    desk.settle()
    assert desk.store.get_artifact(ids[1]).uri is None
    assert desk.store.get_artifacts(uri="u") == []


def test_absent_and_unknown_are_two_states(desk: Desk, kind: Kind) -> None:
    only(kind, Kind.ARTIFACT, Kind.EXECUTION)
    c = calls(desk, kind)

    ids = c.put([c.cls(type_id=c.type_id), c.cls(type_id=c.type_id, state=0)]).ids
    desk.settle()

    assert [node.state for node in c.get_many(ids)] == [None, 0]


def test_any_state_follows_any_other(desk: Desk) -> None:
    artifact, execution = desk.artifact(), desk.execution()
    for state in [*reversed(ArtifactState), *ArtifactState]:
        desk.store.put_artifacts([Artifact(id=artifact, state=state)])
        assert desk.store.get_artifact(artifact).state == state
    for state in [*reversed(ExecutionState), *ExecutionState]:
        desk.store.put_executions([Execution(id=execution, state=state)])
        assert desk.store.get_execution(execution).state == state


# ---- update


def test_an_update_replaces_the_node_but_for_type_name_and_creation(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    state = None if kind == Kind.CONTEXT else 1
    id = c.put(
        [
            c.cls(
                type_id=c.type_id,
                name="n",
                external_id="x",
                properties={"i": 1, "s": "a"},
                custom_properties={"k": 1},
                state=state,
                uri="u" if kind == Kind.ARTIFACT else None,
            )
        ]
    ).id
    desk.settle()
    desk.tick(5)

    c.put([c.cls(id=id, type_id=c.type_id, name="n2", properties={"d": 2.0}, create_time_ms=3)])
    desk.settle()

    assert c.get(id) == c.cls(
        id=id,
        type_id=c.type_id,
        name="n2" if kind == Kind.CONTEXT else "n",
        properties={"d": 2.0},
        create_time_ms=START_MS,
        update_time_ms=START_MS + 5,
    )


def test_a_name_can_neither_be_changed_nor_given_later(desk: Desk, kind: Kind) -> None:
    only(kind, Kind.ARTIFACT, Kind.EXECUTION)
    c = calls(desk, kind)
    ids = c.put([c.cls(type_id=c.type_id, name="n"), c.cls(type_id=c.type_id)]).ids
    desk.settle()

    c.put([c.cls(id=ids[0], name="other"), c.cls(id=ids[1], name="late")])
    c.put([c.cls(id=ids[0], name="n"), c.cls(id=ids[1], name="n")])

    assert [node.name for node in c.get_many(ids)] == ["n", None]


def test_a_context_must_keep_a_name(desk: Desk) -> None:
    id = desk.context("n")

    for name in (None, ""):
        with desk.refused(ErrorCode.MISSING_FIELD, f"context {id}", "no name"):
            desk.store.put_contexts([Context(id=id, name=name)])


def test_an_update_of_what_is_not_there_is_refused(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n")])
    desk.settle()

    for id in (2, -1, 2**61, 2**62, 2**63 - 1, -(2**63)):
        with desk.refused(ErrorCode.UNKNOWN_REFERENCE, f"{kind.word} {id}", hint="leave the id out"):
            c.put([c.cls(id=id, name="m")])
    with desk.refused(ErrorCode.INVALID_VALUE, "64 bits"):
        c.put([c.cls(id=2**63, name="m")])


def test_a_node_keeps_its_type(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n")])

    with desk.refused(ErrorCode.TYPE_MISMATCH, f"type_id {c.other_type_id}", hint="leave type_id out"):
        c.put([c.cls(id=1, type_id=c.other_type_id, name="n")])


def test_an_update_must_fit_the_type_as_well(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n")])

    with desk.refused(ErrorCode.UNKNOWN_PROPERTY, f"{kind.word} 1", "'zz'"):
        c.put([c.cls(id=1, name="n", properties={"zz": 1})])
    with desk.refused(ErrorCode.PROPERTY_TYPE_MISMATCH, "unmatched property type: s"):
        c.put([c.cls(id=1, name="n", properties={"s": 1})])


def test_the_update_time_moves_only_if_something_changed(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = c.put([c.cls(type_id=c.type_id, name="n", properties={"d": float("nan")}, custom_properties={"z": 0.0})]).id
    desk.settle()
    head = desk.store.head
    desk.tick(7)

    put = c.put([c.get(id)])
    assert (put.ids, put.seq, put.commit, desk.store.head) == ([id], head, None, head)
    c.put([c.cls(id=id, name="n", properties={"d": float("nan")}, custom_properties={"z": 0.0})])
    assert c.get(id).update_time_ms == START_MS
    c.put([c.cls(id=id, name="n", properties={"d": float("nan")}, custom_properties={"z": -0.0})])
    assert c.get(id).update_time_ms == START_MS + 7
    c.put([c.cls(id=id, name="n", properties={"d": float("nan")}, custom_properties={"z": False})])
    assert c.get(id).update_time_ms == START_MS + 8
    assert c.get(id).custom_properties["z"] is False


def test_the_last_of_two_updates_of_a_request_wins(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = c.put([c.cls(type_id=c.type_id, name="n")]).id
    desk.settle()

    put = c.put([c.cls(id=id, name="n", properties={"i": 1}), c.cls(id=id, name="n", properties={"i": 2})])
    desk.settle()

    assert put.ids == [id, id]
    assert c.get(id).properties == {"i": 2}


def test_a_failing_element_takes_the_whole_batch_with_it(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name="n", external_id="x")])
    desk.settle()

    with desk.refused(ErrorCode.INVALID_VALUE):
        c.put(
            [
                c.cls(type_id=c.type_id, name="m", external_id="y"),
                c.cls(id=1, name="n", properties={"i": 3}),
                c.cls(type_id=c.type_id, name="o", custom_properties={"bad": NOTHING}),
            ]
        )
    assert c.put([c.cls(type_id=c.type_id, name="m", external_id="y")]).ids == [2]


# ---- masks


def put_full(c: Calls, kind: Kind) -> int:
    return c.put(
        [
            c.cls(
                type_id=c.type_id,
                name="n",
                external_id="x",
                properties={"i": 1, "s": "a"},
                custom_properties={"k": 1, "a.b": 2},
                state=None if kind == Kind.CONTEXT else 1,
                uri="u" if kind == Kind.ARTIFACT else None,
            )
        ]
    ).id


def test_a_mask_changes_only_what_it_names(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = put_full(c, kind)
    desk.settle()
    before = c.get(id)
    desk.tick(3)

    request = c.cls(id=id, name="m", external_id="y", properties={"i": 9, "s": "z"}, custom_properties={"k": 8})
    c.put([request], mask=["properties.i", "custom_properties.a.b"])
    desk.settle()

    node = c.get(id)
    assert node.properties == {"i": 9, "s": "a"}
    assert node.custom_properties == {"k": 1}
    assert node.update_time_ms == START_MS + 3
    unchanged = ("id", "type_id", "name", "external_id", "state", "uri", "create_time_ms")
    assert all(getattr(node, field) == getattr(before, field) for field in unchanged)


@pytest.mark.parametrize(
    ("mask", "properties", "custom"),
    [
        (["properties.i"], {"s": "a"}, {"k": 1, "a.b": 2}),
        (["properties.d"], {"i": 1, "s": "a"}, {"k": 1, "a.b": 2}),
        (["properties"], {}, {"k": 1, "a.b": 2}),
        (["properties.i", "properties"], {}, {"k": 1, "a.b": 2}),
        (["custom_properties"], {"i": 1, "s": "a"}, {"new": 5}),
        (["custom_properties.new"], {"i": 1, "s": "a"}, {"k": 1, "a.b": 2, "new": 5}),
        (["custom_properties.k", "custom_properties.new"], {"i": 1, "s": "a"}, {"a.b": 2, "new": 5}),
        (["custom_properties.a"], {"i": 1, "s": "a"}, {"k": 1, "a.b": 2}),
        (["", "nonsense", "properties.", "id", "type_id"], {"i": 1, "s": "a"}, {"k": 1, "a.b": 2}),
        (["update_time_ms", "create_time_ms"], {"i": 1, "s": "a"}, {"k": 1, "a.b": 2}),
    ],
)
def test_a_masked_property_is_set_replaced_or_deleted(
    memory: Desk, mask: list[str], properties: dict[str, object], custom: dict[str, object]
) -> None:
    c = calls(memory, Kind.ARTIFACT)
    id = put_full(c, Kind.ARTIFACT)

    c.put([Artifact(id=id, custom_properties={"new": 5})], mask=mask)

    node = c.get(id)
    assert (node.properties, node.custom_properties) == (properties, custom)
    assert (node.name, node.external_id, node.state, node.uri) == ("n", "x", 1, "u")
    assert node.create_time_ms == START_MS


def test_a_masked_field_is_set_or_cleared(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = put_full(c, kind)
    desk.settle()
    mask = ["external_id", "state", "uri"]
    new: dict[str, Any] = {"external_id": "y"}
    if kind != Kind.CONTEXT:
        new["state"] = 2
    if kind == Kind.ARTIFACT:
        new["uri"] = "v"

    c.put([c.cls(id=id, **new)], mask=mask)
    desk.settle()
    node = c.get(id)
    assert {field: getattr(node, field) for field in new} == new
    c.put([c.cls(id=id)], mask=mask)
    desk.settle()
    node = c.get(id)
    assert {getattr(node, field) for field in mask} == {None}
    assert node.properties == {"i": 1, "s": "a"}


def test_a_mask_names_a_context_anew_but_nothing_else(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = put_full(c, kind)
    desk.settle()

    c.put([c.cls(id=id, name="m")], mask=["name"])

    assert c.get(id).name == ("m" if kind == Kind.CONTEXT else "n")
    if kind == Kind.CONTEXT:
        with desk.refused(ErrorCode.MISSING_FIELD, "no name"):
            c.put([c.cls(id=id)], mask=["name"])


def test_only_masked_properties_are_looked_at(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = put_full(c, kind)
    request = c.cls(id=id, name="n", properties={"i": 2, "zz": 1, "s": 5}, custom_properties={"bad": NOTHING})

    c.put([request], mask=["properties.i"])

    assert c.get(id).properties == {"i": 2, "s": "a"}
    for mask, code in (
        (["properties"], ErrorCode.UNKNOWN_PROPERTY),
        (["properties.zz"], ErrorCode.UNKNOWN_PROPERTY),
        (["properties.s"], ErrorCode.PROPERTY_TYPE_MISMATCH),
        (["custom_properties.bad"], ErrorCode.INVALID_VALUE),
    ):
        with desk.refused(code):
            c.put([request], mask=mask)


def test_inserts_ignore_a_mask(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)

    id = c.put([c.cls(type_id=c.type_id, name="n", properties={"i": 1})], mask=["properties.s"]).id

    assert c.get(id).properties == {"i": 1}


def test_a_mask_that_changes_nothing_writes_nothing(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = put_full(c, kind)
    head = desk.store.head

    c.put([c.cls(id=id, name="n", properties={"i": 1})], mask=["properties.i"])

    assert desk.store.head == head


def test_a_mask_must_be_a_list_of_paths(memory: Desk) -> None:
    id = memory.artifact()

    with memory.refused(ErrorCode.INVALID_ARGUMENT, "mask 'state'", hint="mask=['state']"):
        memory.store.put_artifacts([Artifact(id=id)], mask="state")
    with memory.refused(ErrorCode.INVALID_VALUE, "mask", "5 of type int"):
        memory.store.put_artifacts([Artifact(id=id)], mask=[5])  # type: ignore[list-item]
    memory.store.put_artifacts([Artifact(id=id, uri="u")], mask=(path for path in ["uri"]))  # type: ignore[arg-type]
    assert memory.store.get_artifact(id).uri == "u"


# ---- optimistic concurrency


def test_a_stale_writer_is_refused_and_changes_nothing(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = c.put([c.cls(type_id=c.type_id, name="n")]).id
    desk.settle()
    read = c.get(id)

    for time_ms in (0, read.update_time_ms - 1, read.update_time_ms + 1):
        with desk.refused(
            ErrorCode.STALE_UPDATE, f"update time {time_ms}", str(read.update_time_ms), hint="read it again"
        ):
            c.put([c.cls(id=id, name="n", properties={"i": 1}, update_time_ms=time_ms)], must_match_update_time=True)
    c.put(
        [c.cls(id=id, name="n", properties={"i": 1}, update_time_ms=read.update_time_ms)], must_match_update_time=True
    )
    with desk.refused(ErrorCode.STALE_UPDATE):
        c.put(
            [c.cls(id=id, name="n", properties={"i": 2}, update_time_ms=read.update_time_ms)],
            must_match_update_time=True,
        )


def test_each_change_leaves_a_strictly_later_time_though_the_clock_stands_or_goes_back(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    id = c.put([c.cls(type_id=c.type_id, name="n")]).id
    times = [c.get(id).update_time_ms]

    for value in range(4):
        desk.tick(-1000 if value == 2 else 0)
        c.put([c.cls(id=id, name="n", properties={"i": value}, update_time_ms=times[-1])], must_match_update_time=True)
        times.append(c.get(id).update_time_ms)
        desk.settle()

    assert times == sorted(set(times))
    unchanged = c.get(id)
    c.put([unchanged], must_match_update_time=True)
    assert c.get(id) == unchanged


def test_optimistic_concurrency_leaves_inserts_alone_and_refuses_unknown_ids(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)

    c.put([c.cls(type_id=c.type_id, name="n")], must_match_update_time=True)
    with desk.refused(ErrorCode.UNKNOWN_REFERENCE):
        c.put([c.cls(id=2, name="m")], must_match_update_time=True)


# ---- what nodes are found by


def test_artifacts_are_found_by_the_uri_they_have_now(desk: Desk) -> None:
    a, b, c = desk.artifact(uri="u"), desk.artifact(uri="u"), desk.artifact(uri="v")
    desk.settle()
    desk.store.put_artifacts([Artifact(id=a, uri="v")])

    assert [n.id for n in desk.store.get_artifacts(uri="u")] == [b]
    assert [n.id for n in desk.store.get_artifacts(uris=["v", "u", "v", "w"])] == [a, b, c]
    desk.settle()
    assert [n.id for n in desk.store.get_artifacts(uris=["v"])] == [a, c]
    assert desk.store.get_artifacts(uri="U") == []


def test_nodes_come_by_ascending_id_each_once(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)
    c.put([c.cls(type_id=c.type_id, name=str(i)) for i in range(5)])
    desk.settle()
    c.put([c.cls(type_id=c.other_type_id, name=str(i)) for i in range(3)])

    assert [n.id for n in c.get_many([7, 2, 2, 99, 0, -1, 2**70, 1])] == [1, 2, 7]
    assert [n.id for n in c.get_many()] == list(range(1, 9))
    assert [n.id for n in c.get_many(type="U")] == [6, 7, 8]
    assert [n.id for n in c.get_many([1, 7], type="U")] == [7]
    assert c.get_many(type="none") == []
    assert c.get_many(type="T", type_version="2") == []


def test_getting_one_that_is_not_there_is_an_error(desk: Desk, kind: Kind) -> None:
    c = calls(desk, kind)

    for arguments in ({"id": 1}, {"id": 0}, {"id": 2**70}, {"type": "T", "name": "n"}, {"type": "no", "name": "n"}):
        with pytest.raises(NotFoundError) as caught:
            c.get(**arguments)
        assert caught.value.code == ErrorCode.NOT_FOUND
        assert kind.word in caught.value.message
    with desk.refused(ErrorCode.MISSING_FIELD, "without a type"):
        c.get(name="n")
    with desk.refused(ErrorCode.MISSING_FIELD, "nothing given"):
        c.get()
    with desk.refused(ErrorCode.INVALID_ARGUMENT, "id and external_id"):
        c.get(1, external_id="x")
