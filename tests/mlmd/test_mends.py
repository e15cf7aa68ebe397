"""Where MLMD loses data or breaks, and we do what is meant: docs/mlmd.md, "What differs".

Values that are kept whole are in test_convert, pages in test_lists, empty pairs in test_puts.
"""

from __future__ import annotations

from typing import Any

import pytest

from stratalog.mlmd import ListOptions, MetadataStore, proto
from tests.mlmd.world import World, failure

A, E, C, Event = proto.Artifact, proto.Execution, proto.Context, proto.Event


def text(value: str) -> Any:
    return proto.Value(string_value=value)


def find(client: MetadataStore, filter_query: str) -> list[int]:
    return [a.id for a in client.get_artifacts(ListOptions(filter_query=filter_query))]


def test_a_property_and_a_custom_property_of_one_name_are_apart(client: MetadataStore, world: World) -> None:
    both = A(type_id=world.artifact_type, properties={"s": text("p")}, custom_properties={"s": text("c")})
    client.put_artifacts([both])

    client.put_artifacts([A(id=1, properties={"s": text("q")})], ["properties.s"])
    client.put_artifacts([A(id=1)], ["properties.s", "custom_properties.none"])

    [got] = client.get_artifacts()
    assert not got.properties
    assert got.custom_properties["s"].string_value == "c"


def test_updates_that_break_a_unique_name_or_external_id(client: MetadataStore, world: World) -> None:
    client.put_contexts([C(type_id=world.context_type, name=name, external_id=name) for name in "ab"])

    assert failure(client.put_contexts, [C(id=1, name="b")]) == "AlreadyExistsError"
    assert failure(client.put_contexts, [C(id=1, name="a", external_id="b")]) == "AlreadyExistsError"


def test_empty_names_and_external_ids_are_absent(client: MetadataStore, world: World) -> None:
    empty = A(type_id=world.artifact_type, name="", external_id="")

    assert client.put_artifacts([empty, empty]) == [1, 2]
    assert [(a.HasField("name"), a.HasField("external_id")) for a in client.get_artifacts()] == [(False, False)] * 2


def test_types_of_two_kinds_may_share_an_external_id(client: MetadataStore) -> None:
    client.put_artifact_type(proto.ArtifactType(name="T", external_id="x"))

    assert client.put_execution_type(proto.ExecutionType(name="T", external_id="x")) == 11
    other = proto.ArtifactType(name="U", external_id="x")
    assert failure(client.put_artifact_type, other) == "AlreadyExistsError"


def test_events_of_what_is_not_there_are_refused(client: MetadataStore, world: World) -> None:
    gone = Event(type=Event.INPUT, artifact_id=99)

    assert failure(client.put_execution, E(type_id=world.execution_type), [(None, gone)], []) == "InvalidArgumentError"
    edge = (None, None, Event(type=Event.INPUT, artifact_id=99, execution_id=99))
    assert failure(client.put_lineage_subgraph, [], [], [], [edge]) == "InvalidArgumentError"


def test_a_put_without_the_type_changes_nothing(client: MetadataStore, world: World) -> None:
    client.put_artifacts([A(type_id=world.artifact_type, uri="u")])
    [before] = client.get_artifacts()
    before_without_type = A()
    before_without_type.CopyFrom(before)
    before_without_type.ClearField("type")

    client.put_artifacts([before_without_type])

    assert client.get_artifacts() == [before]


def test_two_artifacts_with_one_new_external_id_are_one_if_it_may_be_reused(
    client: MetadataStore, world: World
) -> None:
    artifacts = [A(type_id=world.artifact_type, external_id="x", uri=uri) for uri in ("first", "second")]

    ids = client.put_lineage_subgraph([], artifacts, [], [], reuse_artifact_if_already_exist_by_external_id=True)

    assert ids == ([], [1, 1], [])
    assert client.get_artifacts()[0].uri == "second"


def test_types_come_with_external_ids_and_base_types_everywhere(client: MetadataStore) -> None:
    full = proto.ArtifactType(name="T", external_id="x", base_type=proto.ArtifactType.MODEL)
    full.id = client.put_artifact_type(full)
    client.put_artifacts([A(type_id=full.id)])
    query = proto.LineageSubgraphQueryOptions()
    query.starting_artifacts.filter_query = "id = 1"
    request = proto.GetLineageSubgraphRequest(lineage_subgraph_query_options=query)

    graph = client._call("GetLineageSubgraph", request).lineage_subgraph

    assert client.get_artifact_types() == [full]
    assert client.get_artifact_types_by_external_ids(["x"]) == [full]
    assert client.get_artifacts_and_types_by_artifact_ids([1])[1] == [full]
    assert graph.artifact_types[-1] == full


def test_numbers_that_no_enumeration_has_are_passed_over(client: MetadataStore, world: World) -> None:
    later = A.FromString(A(type_id=world.artifact_type).SerializeToString() + b"\x30\x63")

    client.put_artifacts([later])

    assert not client.get_artifacts()[0].HasField("state")


def test_an_empty_uri_finds_nothing(client: MetadataStore, world: World) -> None:
    client.put_artifacts([A(type_id=world.artifact_type)])

    assert client.get_artifacts_by_uri("") == []


@pytest.mark.parametrize(
    ("filter_query", "expected"),
    [
        ("custom_properties.MyKey.string_value = 'Upper'", [1]),
        ("custom_properties.mykey.string_value = 'lower'", [1]),
        ("custom_properties.string_value.string_value = 'x'", [1]),
        ('custom_properties.`a"b`.string_value = "x"', [1]),
        ("custom_properties.st.string_value IS NOT NULL", []),
        ("custom_properties.words.string_value = 'state = LIVE'", [1]),
        (r"custom_properties.slash.string_value = 'a\\b'", [1]),
        ("state = ABANDONED", [2]),
        ("state != LIVE", [1, 2]),
        ("events_a.type = PENDING_OUTPUT", [2]),
    ],
)
def test_filters_find_what_is_meant(
    client: MetadataStore, world: World, filter_query: str, expected: list[int]
) -> None:
    first = A(type_id=world.artifact_type, name="first")
    for name, value in [
        ("MyKey", "Upper"),
        ("mykey", "lower"),
        ("string_value", "x"),
        ('a"b', "x"),
        ("words", "state = LIVE"),
        ("slash", r"a\b"),
    ]:
        first.custom_properties[name].string_value = value
    first.custom_properties["st"].struct_value.update({"k": 1})
    second = A(type_id=world.artifact_type, state=A.ABANDONED)
    client.put_execution(
        E(type_id=world.execution_type), [(first, None), (second, Event(type=Event.PENDING_OUTPUT))], []
    )

    assert find(client, filter_query) == expected


def test_contexts_are_found_by_all_that_is_told_of_neighbours(client: MetadataStore, world: World) -> None:
    context = C(type_id=world.context_type, name="run")
    artifact = A(type_id=world.artifact_type, external_id="x", state=A.LIVE)
    client.put_execution(E(type_id=world.execution_type), [(artifact, None)], [context])
    client.put_contexts([C(type_id=world.context_type, name="above")])
    client.put_parent_contexts([proto.ParentContext(child_id=1, parent_id=2)])

    def contexts(filter_query: str) -> list[int]:
        return [c.id for c in client.get_contexts(ListOptions(filter_query=filter_query))]

    assert contexts("artifacts_a.external_id = 'x'") == [1]
    assert contexts("artifacts_a.state != DELETED") == [1]
    assert contexts("parent_contexts_a.create_time_since_epoch > 0") == [1]
    assert contexts("child_contexts_a.name = 'run'") == [2]
    functions = ["UPPER(name) = 'RUN'", "CASE WHEN TRUE THEN TRUE END", "CAST(id AS STRING) = '1'", "id IN (SELECT 1)"]
    assert [failure(contexts, text) for text in functions] == ["InvalidArgumentError"] * 4
