"""Types: identity, evolution, external ids, base types."""

from __future__ import annotations

from typing import Any

import pytest

from stratalog.eventlog.errors import ErrorCode, NotFoundError
from stratalog.eventlog.events import Kind, PropertyType, Type
from tests.commands.desk import Desk

KINDS = list(Kind)
ALL_TYPES = {"i": 1, "d": 2, "s": 3, "t": 4, "p": 5, "b": 6}


@pytest.mark.parametrize("kind", KINDS)
def test_a_type_comes_back_as_it_was_put(desk: Desk, kind: Kind) -> None:
    id = desk.store.put_type(
        kind,
        "T",
        {"i": "int", "d": 2, "s": PropertyType.STRING, "t": "struct", "p": "Proto", "b": "boolean"},
        version="v1",
        description="about it",
        external_id="ext",
        input_type=b"\x00in",
        output_type=b"out\xff",
    )
    desk.settle()

    expected = Type(
        id=id,
        kind=kind,
        name="T",
        version="v1",
        description="about it",
        external_id="ext",
        properties=ALL_TYPES,
        input_type=b"\x00in",
        output_type=b"out\xff",
    )
    assert desk.store.get_type(kind, "T", version="v1") == expected
    assert desk.store.get_type(kind, id=id) == expected
    assert desk.store.get_type(kind, external_id="ext") == expected
    assert desk.store.get_types(kind) == [expected]


def test_the_same_name_is_another_type_in_another_kind_and_version(desk: Desk) -> None:
    ids = [desk.store.put_type(kind, "T", version=version) for kind in KINDS for version in (None, "1", "2")]

    assert ids == sorted(set(ids))
    assert desk.store.put_type("artifact", "T", version="") == ids[0]
    assert [t.id for t in desk.store.get_types()] == ids
    assert [t.id for t in desk.store.get_types(ids=[ids[4], 999, ids[0], ids[4]])] == [ids[4], ids[0], ids[4]]
    with pytest.raises(NotFoundError):
        desk.store.get_type("artifact", "T", version="3")
    with pytest.raises(NotFoundError):
        desk.store.get_type("execution", id=ids[0])


def test_names_of_types_are_told_apart_by_case(desk: Desk) -> None:
    assert desk.store.put_type("artifact", "T") != desk.store.put_type("artifact", "t")


def test_the_nine_system_types_are_there_but_not_listed(desk: Desk) -> None:
    names = {t.name: t.kind for t in desk.store.get_types(with_system=True)}

    assert desk.store.get_types() == []
    assert names == {
        **dict.fromkeys(["mlmd.Dataset", "mlmd.Model", "mlmd.Metrics", "mlmd.Statistics"], Kind.ARTIFACT),
        **dict.fromkeys(
            ["mlmd.Train", "mlmd.Transform", "mlmd.Process", "mlmd.Evaluate", "mlmd.Deploy"], Kind.EXECUTION
        ),
    }
    model = desk.store.get_type("artifact", "mlmd.Model")
    assert desk.artifact(type_id=model.id) == 1


def test_a_system_type_evolves_like_any_other(desk: Desk) -> None:
    id = desk.store.put_type("artifact", "mlmd.Model", {"i": "int"}, can_add_fields=True)
    desk.settle()

    assert desk.store.get_type("artifact", "mlmd.Model").properties == {"i": 1}
    assert desk.store.get_type("artifact", "mlmd.Model").id == id < 10
    assert desk.store.put_type("artifact", "New") >= 10


def test_a_repeat_decides_nothing(desk: Desk) -> None:
    id = desk.artifact_type()
    head = desk.store.head
    desk.settle()

    assert desk.artifact_type() == id
    assert desk.store.head == head


@pytest.mark.parametrize(
    ("put", "add", "omit", "result"),
    [
        ({"a": 1}, False, False, None),
        ({"a": 1}, False, True, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2, "c": 3}, False, False, None),
        ({"a": 1, "b": 2, "c": 3}, True, False, {"a": 1, "b": 2, "c": 3}),
        ({"a": 1, "c": 3}, True, False, None),
        ({"a": 1, "c": 3}, False, True, None),
        ({"a": 1, "c": 3}, True, True, {"a": 1, "b": 2, "c": 3}),
        ({"a": 1, "b": 2}, True, True, {"a": 1, "b": 2}),
        ({"a": 2, "b": 2}, True, True, None),
        ({}, False, True, {"a": 1, "b": 2}),
        ({}, False, False, None),
    ],
)
def test_evolution_adds_by_leave_and_takes_nothing_away(
    desk: Desk, put: dict[str, int], add: bool, omit: bool, result: dict[str, int] | None
) -> None:
    id = desk.store.put_type("execution", "T", {"a": 1, "b": 2})
    desk.settle()

    if result is None:
        with desk.refused(ErrorCode.TYPE_CONFLICT, "execution type 'T'"):
            desk.store.put_type("execution", "T", put, can_add_fields=add, can_omit_fields=omit)
        result = {"a": 1, "b": 2}
    else:
        assert desk.store.put_type("execution", "T", put, can_add_fields=add, can_omit_fields=omit) == id
    desk.settle()
    assert desk.store.get_type("execution", "T").properties == result


def test_each_refusal_of_an_evolution_says_which_properties_and_how_to_go_on(desk: Desk) -> None:
    desk.store.put_type("artifact", "T", {"a": "int", "b": "double"})

    with desk.refused(ErrorCode.TYPE_CONFLICT, "'a'", "INT", "STRING", hint="new name"):
        desk.store.put_type("artifact", "T", {"a": "string", "b": "double"}, can_add_fields=True)
    with desk.refused(ErrorCode.TYPE_CONFLICT, "['b']", hint="can_omit_fields"):
        desk.store.put_type("artifact", "T", {"a": "int"})
    with desk.refused(ErrorCode.TYPE_CONFLICT, "['c']", hint="can_add_fields"):
        desk.store.put_type("artifact", "T", {"a": "int", "b": "double", "c": "int"})


def test_the_description_and_signatures_of_the_first_put_stay(desk: Desk) -> None:
    desk.store.put_type("execution", "T", description="first", input_type=b"1", output_type=b"2")
    desk.settle()
    head = desk.store.head

    desk.store.put_type("execution", "T", description="second", input_type=b"3", output_type=b"4")

    found = desk.store.get_type("execution", "T")
    assert (found.description, found.input_type, found.output_type) == ("first", b"1", b"2")
    assert desk.store.head == head


def test_the_external_id_of_a_type_can_change_but_not_be_taken_away(desk: Desk) -> None:
    id = desk.store.put_type("artifact", "T", external_id="one")
    desk.settle()
    desk.store.put_type("artifact", "T", external_id="two")
    desk.settle()
    desk.store.put_type("artifact", "T")
    desk.store.put_type("artifact", "T", external_id="")

    assert desk.store.get_type("artifact", external_id="two").id == id
    with pytest.raises(NotFoundError):
        desk.store.get_type("artifact", external_id="one")
    assert [t.id for t in desk.store.get_types("artifact", external_ids=["two", "none"])] == [id]


def test_an_external_id_is_unique_among_the_types_of_a_kind(desk: Desk) -> None:
    desk.store.put_type("artifact", "T", external_id="x")
    desk.store.put_type("execution", "T", external_id="x")
    other = desk.store.put_type("artifact", "U")
    desk.settle()

    with desk.refused(ErrorCode.ALREADY_EXISTS, "external id 'x'"):
        desk.store.put_type("artifact", "V", external_id="x")
    with desk.refused(ErrorCode.ALREADY_EXISTS, "external id 'x'"):
        desk.store.put_type("artifact", "U", external_id="x")
    desk.store.put_type("artifact", "T", external_id="y")
    assert desk.store.put_type("artifact", "U", external_id="x") == other


def test_a_base_type_is_set_once(desk: Desk) -> None:
    desk.store.put_type("artifact", "Early", base_type="mlmd.Model")
    desk.store.put_type("artifact", "Late")
    desk.settle()
    desk.store.put_type("artifact", "Late", base_type="mlmd.Dataset")
    desk.store.put_type("artifact", "Late", base_type="mlmd.Dataset")
    desk.store.put_type("artifact", "Late")
    desk.settle()

    assert [t.base_type for t in desk.store.get_types("artifact")] == ["mlmd.Model", "mlmd.Dataset"]
    with desk.refused(ErrorCode.UNSUPPORTED_REQUEST, "'mlmd.Model'", "'mlmd.Dataset'"):
        desk.store.put_type("artifact", "Early", base_type="mlmd.Dataset")
    with desk.refused(ErrorCode.UNSUPPORTED_REQUEST, "taken away"):
        desk.store.put_type("artifact", "Early", base_type="")
    with desk.refused(ErrorCode.UNSUPPORTED_REQUEST, "taken away"):
        desk.store.put_type("artifact", "New", base_type="")


def test_an_upsert_that_changes_the_base_type_is_undone_as_a_whole(desk: Desk) -> None:
    desk.store.put_type("artifact", "T", base_type="mlmd.Model")

    with desk.refused(ErrorCode.UNSUPPORTED_REQUEST):
        desk.store.put_type("artifact", "T", {"a": "int"}, base_type="mlmd.Metrics", can_add_fields=True)


@pytest.mark.parametrize(("kind", "base"), [("artifact", "mlmd.Train"), ("execution", "mlmd.Model"), ("context", "x")])
def test_a_base_type_of_another_kind_is_refused(memory: Desk, kind: str, base: str) -> None:
    with memory.refused(ErrorCode.INVALID_VALUE, repr(base)):
        memory.store.put_type(kind, "T", base_type=base)


def test_several_types_are_put_together_or_not_at_all(desk: Desk) -> None:
    with desk.refused(ErrorCode.INVALID_VALUE, "'U'", "'a'"):
        desk.store.put_types([Type(kind=1, name="T"), Type(kind=3, name="U", properties={"a": 0})])

    put = desk.store.put_types([Type(kind=3, name="C"), Type(kind=1, name="A"), Type(kind=3, name="C")])
    assert put.ids == [10, 11, 10]


def test_a_later_type_of_a_request_sees_the_earlier_ones(desk: Desk) -> None:
    with desk.refused(ErrorCode.TYPE_CONFLICT, "['b']"):
        desk.store.put_types(
            [Type(kind=1, name="T", properties={"a": 1}), Type(kind=1, name="T", properties={"a": 1, "b": 1})]
        )
    put = desk.store.put_types(
        [Type(kind=1, name="T", properties={"a": 1}), Type(kind=1, name="T", properties={"a": 1, "b": 1})],
        can_add_fields=True,
    )
    assert put.ids == [10, 10]
    desk.settle()
    assert desk.store.get_type("artifact", "T").properties == {"a": 1, "b": 1}


SURROGATE = "\ud800"
BAD_TYPES: list[tuple[dict[str, Any], ErrorCode, str]] = [
    ({"kind": 1}, ErrorCode.MISSING_FIELD, "no name"),
    ({"kind": 1, "name": ""}, ErrorCode.MISSING_FIELD, "no name"),
    ({"kind": 1, "name": 5}, ErrorCode.INVALID_VALUE, "5 of type int"),
    ({"kind": 1, "name": SURROGATE}, ErrorCode.INVALID_VALUE, "surrogate"),
    ({"kind": 4, "name": "T"}, ErrorCode.INVALID_VALUE, "kind 4"),
    ({"kind": True, "name": "T"}, ErrorCode.INVALID_VALUE, "bool"),
    ({"kind": [], "name": "T"}, ErrorCode.INVALID_VALUE, "list"),
    ({"kind": 1, "name": "T", "version": 1}, ErrorCode.INVALID_VALUE, "version"),
    ({"kind": 1, "name": "T", "description": b"x"}, ErrorCode.INVALID_VALUE, "description"),
    ({"kind": 1, "name": "T", "external_id": 1.0}, ErrorCode.INVALID_VALUE, "external_id"),
    ({"kind": 1, "name": "T", "properties": {"a": 0}}, ErrorCode.INVALID_VALUE, "'a': type 0"),
    ({"kind": 1, "name": "T", "properties": {"a": 7}}, ErrorCode.INVALID_VALUE, "'a': type 7"),
    ({"kind": 1, "name": "T", "properties": {"a": []}}, ErrorCode.INVALID_VALUE, "'a': type []"),
    ({"kind": 1, "name": "T", "properties": {5: 1}}, ErrorCode.INVALID_VALUE, "property name: 5"),
    ({"kind": 1, "name": "T", "properties": {SURROGATE: 1}}, ErrorCode.INVALID_VALUE, "surrogate"),
    ({"kind": 1, "name": "T", "properties": [("a", 1)]}, ErrorCode.INVALID_VALUE, "list"),
    ({"kind": 1, "name": "T", "properties": None}, ErrorCode.INVALID_VALUE, "NoneType"),
    ({"kind": 1, "name": "T", "base_type": 5}, ErrorCode.INVALID_VALUE, "base type 5"),
    ({"kind": 1, "name": "T", "input_type": "text"}, ErrorCode.INVALID_VALUE, "input_type: str"),
    ({"kind": 1, "name": "T", "output_type": bytearray(b"x")}, ErrorCode.INVALID_VALUE, "output_type: bytearray"),
]


@pytest.mark.parametrize(("fields", "code", "part"), BAD_TYPES)
def test_a_wrong_type_is_refused(memory: Desk, fields: dict[str, Any], code: ErrorCode, part: str) -> None:
    with memory.refused(code, part):
        memory.store.put_types([Type(kind=2, name="Good"), Type(**fields)])


def test_words_that_are_no_types_are_refused(memory: Desk) -> None:
    with memory.refused(ErrorCode.INVALID_VALUE, "'float'", "'double'"):
        memory.store.put_type("artifact", "T", {"a": "float"})
    with memory.refused(ErrorCode.INVALID_VALUE, "kind 'model'"):
        memory.store.put_type("model", "T")
    with memory.refused(ErrorCode.INVALID_VALUE, "properties: list"):
        memory.store.put_type("artifact", "T", [("a", "int")])  # type: ignore[arg-type]
    with memory.refused(ErrorCode.INVALID_VALUE, "element 0: str"):
        memory.store.put_types(["T"])  # type: ignore[list-item]
