"""Values of properties: what may be stored, and how it comes back."""

from __future__ import annotations

import math
from collections import OrderedDict
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from stratalog.eventlog.errors import ErrorCode
from stratalog.eventlog.events import Artifact, Proto
from tests.commands.desk import Desk


class Text(StrEnum):
    A = "a"


class OldText(str, Enum):  # noqa: UP042 - of this kind str() gives the name, not the text
    A = "a"


class Number(IntEnum):
    ONE = 1


class MyFloat(float):
    pass


KEPT: list[Any] = [
    0, -1, 2**63 - 1, -(2**63),
    0.0, -0.0, 1e-9, math.pi, 5e-324, 1.7976931348623157e308, math.inf, -math.inf,
    "", "text", "zero\0byte", "\u00e4\U0001f600", "__MLMD_NULL__", "mlmd-struct::", "x" * 100_000,
    True, False,
    {}, {"a": None, "b": [1, 2.5, "x", True, None, [], {}], "c": {"d": {"e": -0.5}}}, {"": ""},
    Proto("type.googleapis.com/x", b"\0\xff"), Proto("", b""),
]  # fmt: skip


@pytest.mark.parametrize("value", KEPT, ids=lambda value: repr(value)[:30])
def test_a_value_comes_back_as_it_was_put(desk: Desk, value: Any) -> None:
    id = desk.artifact(custom_properties={"v": value})
    desk.settle()

    found = desk.store.get_artifact(id).custom_properties["v"]
    assert (type(found), found, repr(found)) == (type(value), value, repr(value))


def test_nan_is_kept(desk: Desk) -> None:
    id = desk.artifact(properties={"d": math.nan}, custom_properties={"v": {"deep": math.nan}})
    desk.settle()

    node = desk.store.get_artifact(id)
    values: list[Any] = [node.properties["d"], node.custom_properties["v"]]
    assert math.isnan(values[0])
    assert math.isnan(values[1]["deep"])


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (np.int8(-3), -3),
        (np.uint64(2**63 - 1), 2**63 - 1),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.str_("s"), "s"),
        (np.array(4), 4),
        (Text.A, "a"),
        (OldText.A, "a"),
        (Number.ONE, 1),
        (MyFloat(2.5), 2.5),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
        ({"a": np.int64(7), "b": [np.float64(0.5)], "c": Text.A}, {"a": 7, "b": [0.5], "c": "a"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_other_types_become_the_plain_ones(memory: Desk, given: Any, stored: Any) -> None:
    id = memory.artifact(custom_properties={"v": given})

    found = memory.store.get_artifact(id).custom_properties["v"]
    assert (type(found), found) == (type(stored), stored)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"deeper": value}
    return value


NO_BYTES: Any = "text"
LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "NoneType"),
        ([1], "list"),
        ((1,), "tuple"),
        (b"bytes", "bytes"),
        (1j, "complex"),
        pytest.param(object(), "object", id="an object"),
        (object, "type"),
        (2**63, "does not fit into 64 bits"),
        (-(2**63) - 1, "does not fit into 64 bits"),
        (np.uint64(2**63), "does not fit into 64 bits"),
        (np.array([1, 2]), "ndarray"),
        (np.datetime64("2026-01-01"), "datetime64"),
        ("\ud800", "surrogate"),
        ("ok\udfff", "at 2"),
        ({"a": "\ud800"}, "['a']"),
        ({"\ud800": 1}, "surrogate"),
        ({1: 2}, "1 of type int"),
        ({"a": [{"b": object()}]}, "['a'][0]['b']"),
        ({"a": 2**64}, "64 bits"),
        ({"a": Proto("u", b"")}, "Proto cannot lie in a struct"),
        (Proto("u", NO_BYTES), "text and bytes"),
        (Proto("\ud800", b""), "surrogate"),
        (nested(200), "nested deeper"),
        (LOOP, "nested deeper"),
    ],
    ids=lambda value: repr(value)[:25],
)
def test_a_value_that_cannot_be_stored_is_refused(memory: Desk, value: Any, part: str) -> None:
    type_id = memory.artifact_type()

    with memory.refused(ErrorCode.INVALID_VALUE, "custom properties['v']", part):
        memory.store.put_artifacts(
            [Artifact(type_id=type_id), Artifact(type_id=type_id, custom_properties={"v": value})]
        )


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": 5}, "name: 5 of type int"),
    ({"name": 0}, "name: 0 of type int"),
    ({"name": b""}, "name: b''"),
    ({"name": "\ud800"}, "surrogate"),
    ({"external_id": ["x"]}, "external_id: ['x']"),
    ({"external_id": "\udc00"}, "surrogate"),
    ({"uri": 1.5}, "uri: 1.5"),
    ({"uri": "\ud800"}, "surrogate"),
    ({"state": 7}, "state 7"),
    ({"state": -1}, "state -1"),
    ({"state": "LIVE"}, "'LIVE' of type str"),
    ({"state": True}, "bool"),
    ({"state": 2.0}, "float"),
    ({"properties": None}, "properties: NoneType"),
    ({"properties": [("i", 1)]}, "properties: list"),
    ({"custom_properties": "x"}, "custom properties: str"),
    ({"custom_properties": {5: 1}}, "name in custom properties: 5"),
    ({"custom_properties": {"\ud800": 1}}, "surrogate"),
    ({"type_id": "10"}, "type_id: '10'"),
    ({"type_id": True}, "bool"),
    ({"type_id": 10.0}, "float"),
    ({"type_id": [10]}, "list"),
    ({"id": "1"}, "id: '1'"),
    ({"id": True}, "bool"),
    ({"id": 1.0}, "float"),
]


@pytest.mark.parametrize(("fields", "part"), BAD_FIELDS)
def test_a_field_of_the_wrong_type_is_refused(memory: Desk, fields: dict[str, Any], part: str) -> None:
    type_id = memory.artifact_type()
    memory.artifact()

    with memory.refused(ErrorCode.INVALID_VALUE, part):
        memory.store.put_artifacts([Artifact(type_id=type_id), Artifact(**{"type_id": type_id, **fields})])


def test_integers_of_numpy_are_good_ids(desk: Desk) -> None:
    type_id: Any = np.int64(desk.artifact_type())
    id: Any = np.int32(desk.artifact(type_id=type_id))
    desk.settle()

    desk.store.put_artifacts([Artifact(id=id, type_id=type_id, uri="u")])
    found = desk.store.get_artifact(id)
    assert (type(found.id), type(found.type_id), found.uri) == (int, int, "u")
    assert desk.store.get_artifacts(np.array([1, 7])) == desk.store.get_artifacts(id) == [found]
    for no_id in ("1", True, 1.0, [1]):
        with desk.refused(ErrorCode.INVALID_VALUE, f"id {no_id!r}"):
            desk.store.get_artifact(no_id)  # type: ignore[arg-type]


def test_only_an_artifact_has_a_uri_and_a_context_has_no_state(memory: Desk) -> None:
    execution_type, context_type = memory.execution_type(), memory.context_type()

    with memory.refused(ErrorCode.INVALID_VALUE, "uri 'u', but only an artifact has one", hint="custom property"):
        memory.execution(uri="u", type_id=execution_type)
    with memory.refused(ErrorCode.INVALID_VALUE, "uri 'u', but only an artifact has one"):
        memory.context("c", uri="u", type_id=context_type)
    with memory.refused(ErrorCode.INVALID_VALUE, "a context has no state"):
        memory.context("c", state=0, type_id=context_type)
    assert memory.store.get_execution(memory.execution(uri="")).uri is None


def test_what_a_caller_changes_afterwards_does_not_reach_the_store(desk: Desk) -> None:
    inner = [1]
    properties: dict[str, Any] = {"v": {"list": inner}}
    id = desk.artifact(custom_properties=properties)

    inner.append(2)
    properties["more"] = 1

    assert desk.store.get_artifact(id).custom_properties == {"v": {"list": [1]}}


def test_put_artifact_and_put_context_refuse_what_is_no_map(memory: Desk) -> None:
    memory.artifact_type()
    memory.context_type()

    with memory.refused(ErrorCode.INVALID_VALUE, "properties: list"):
        memory.store.put_artifact(type="Data", properties=[1])  # type: ignore[arg-type]
    with memory.refused(ErrorCode.INVALID_VALUE, "custom properties: str"):
        memory.store.put_context(type="Project", name="n", custom_properties="x")  # type: ignore[arg-type]
    with memory.refused(ErrorCode.INVALID_VALUE, "state 'NO'", "LIVE"):
        memory.store.put_artifact(type="Data", state="no".upper())
    with memory.refused(ErrorCode.TYPE_NOT_FOUND, "'Nothing'", hint="put_type('artifact', 'Nothing'"):
        memory.store.put_artifact(type="Nothing")
    with memory.refused(ErrorCode.TYPE_NOT_FOUND, "of version '2'"):
        memory.store.put_artifact(type="Data", type_version="2")
    with memory.refused(ErrorCode.MISSING_FIELD, "no type_id"):
        memory.store.put_artifact(name="n")


def test_put_artifact_and_put_context_take_a_type_by_name_or_id(desk: Desk) -> None:
    versioned = desk.store.put_type("artifact", "Data", version="2")
    desk.artifact_type()
    context_type = desk.context_type()
    desk.settle()

    artifact = desk.store.put_artifact(type="Data", type_version="2", name="n", state="live", properties={})
    context = desk.store.put_context(type=context_type, name="c", properties={"i": 3})
    desk.store.put_artifact(id=artifact, uri="u", mask=["uri"])

    assert desk.store.get_artifact(artifact).type_id == versioned
    assert desk.store.get_artifact(artifact).state == 2
    assert desk.store.get_artifact(artifact).uri == "u"
    assert desk.store.get_context(context).properties == {"i": 3}
