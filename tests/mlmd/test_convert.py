"""What goes in comes out: values, types, events."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratalog.eventlog.events import INT64_MAX, INT64_MIN, Kind
from stratalog.mlmd import MetadataStore, proto
from stratalog.mlmd.convert import read_mask
from tests.mlmd.world import World, make_world

texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.floats(allow_nan=False)
items = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def values(draw: st.DrawFn) -> Any:
    value = proto.Value()
    match draw(st.integers(1, 6)):
        case 1:
            value.int_value = draw(st.integers(INT64_MIN, INT64_MAX))
        case 2:
            value.double_value = draw(numbers)
        case 3:
            value.string_value = draw(texts)
        case 4:
            value.struct_value.SetInParent()
            for key, item in draw(st.dictionaries(texts, items, max_size=3)).items():
                value.struct_value[key] = item
        case 5:
            value.proto_value.SetInParent()
            value.proto_value.type_url = draw(texts)
            value.proto_value.value = draw(st.binary(max_size=8))
        case 6:
            value.bool_value = draw(st.booleans())
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(custom=st.dictionaries(texts, values(), max_size=4), state=st.none() | st.integers(0, 6), uri=texts)
def test_an_artifact_comes_back_as_it_was_put(custom: dict[str, Any], state: int | None, uri: str) -> None:
    with MetadataStore("memory:", messages=proto) as client:
        world = make_world(client)
        put = proto.Artifact(type_id=world.artifact_type, uri=uri, state=state)
        for name, value in custom.items():
            put.custom_properties[name].CopyFrom(value)
            which = value.WhichOneof("value")
            declared = {"int_value": "i", "double_value": "d", "string_value": "s", "struct_value": "st"}
            declared |= {"proto_value": "p", "bool_value": "b"}
            put.properties[declared[which]].CopyFrom(value)

        [id] = client.put_artifacts([put])
        [got] = client.get_artifacts_by_id([id])

        put.id, put.type = id, "A"
        put.create_time_since_epoch = put.last_update_time_since_epoch = got.create_time_since_epoch
        assert got == put
        assert client.put_artifacts([got]) == [id]
        assert client.get_artifacts_by_id([id]) == [got]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e-9, math.pi, -0.0])
def test_doubles_are_kept_whole(client: MetadataStore, world: World, number: float) -> None:
    put = proto.Artifact(type_id=world.artifact_type)
    put.properties["d"].double_value = number

    [id] = client.put_artifacts([put])

    [got] = client.get_artifacts_by_id([id])
    assert repr(got.properties["d"].double_value) == repr(number)


@pytest.mark.parametrize("text", ["__MLMD_NULL__", "mlmd-struct::x", "mlmd-proto::x", "a\0b", "'; --", "\U0001f600"])
def test_texts_that_mlmd_cannot_read_back_are_kept(client: MetadataStore, world: World, text: str) -> None:
    put = proto.Artifact(type_id=world.artifact_type, name=text, uri=text)
    put.custom_properties[text].string_value = text

    client.put_artifacts([put])

    [got] = client.get_artifacts()
    assert (got.name, got.uri, got.custom_properties[text].string_value) == (text, text, text)
    assert client.get_artifact_by_type_and_name("A", text) == got


def test_absent_stays_absent_and_a_uri_is_always_set(client: MetadataStore, world: World) -> None:
    [id] = client.put_artifacts([proto.Artifact(type_id=world.artifact_type)])
    client.put_executions([proto.Execution(type_id=world.execution_type, last_known_state=0)])

    [artifact] = client.get_artifacts_by_id([id])
    [execution] = client.get_executions()
    assert [name for name in ("name", "external_id", "state") if artifact.HasField(name)] == []
    assert artifact.HasField("uri")
    assert artifact.uri == ""
    assert execution.HasField("last_known_state")


def test_an_item_of_a_struct_without_a_value_is_null(client: MetadataStore, world: World) -> None:
    put = proto.Artifact(type_id=world.artifact_type)
    put.properties["st"].struct_value.fields["k"].SetInParent()

    client.put_artifacts([put])

    [got] = client.get_artifacts()
    assert got.properties["st"].struct_value.fields["k"].WhichOneof("kind") == "null_value"


def test_a_type_comes_back_as_it_was_put(client: MetadataStore) -> None:
    put = proto.ExecutionType(
        name="T", version="2", description="", external_id="x", base_type=proto.ExecutionType.TRAIN
    )
    put.properties["a"] = proto.STRUCT
    put.input_type.dict.properties["in"].simple.name = "A"
    put.output_type.none.SetInParent()

    put.id = client.put_execution_type(put)

    assert client.get_execution_type("T", "2") == put
    assert client.get_execution_types() == [put]


def test_an_event_comes_back_as_it_was_put(client: MetadataStore, world: World) -> None:
    client.put_artifacts([proto.Artifact(type_id=world.artifact_type)])
    client.put_executions([proto.Execution(type_id=world.execution_type)])
    put = proto.Event(artifact_id=1, execution_id=1, type=proto.Event.PENDING_OUTPUT, milliseconds_since_epoch=-5)
    put.path.steps.add(key="")
    put.path.steps.add()
    put.path.steps.add(index=0)

    client.put_events([put])

    del put.path.steps[1]
    assert client.get_events_by_execution_ids([1]) == [put]
    assert client.get_events_by_artifact_ids([1]) == [put]


def test_masks_are_read_in_the_words_of_the_kind() -> None:
    assert read_mask(["last_known_state", "state", "uri"], Kind.EXECUTION) == ["state", "", ""]
    assert read_mask(["last_known_state", "state", "uri"], Kind.ARTIFACT) == ["last_known_state", "state", "uri"]
    assert read_mask(["state", "properties.state", ""], Kind.CONTEXT) == ["", "properties.state", ""]
