"""Reading by id, name, uri, external id, context; types; events."""

from __future__ import annotations

from typing import Any

import pytest

from stratalog.mlmd import MetadataStore, proto
from tests.mlmd.world import World, failure

A, E, C, Event = proto.Artifact, proto.Execution, proto.Context, proto.Event


@pytest.fixture
def filled(client: MetadataStore, world: World) -> MetadataStore:
    artifacts = [A(type_id=world.artifact_type, name=f"a{i}", uri=f"u{i % 2}", external_id=f"x{i}") for i in range(3)]
    client.put_artifacts(artifacts)
    client.put_executions([E(type_id=world.execution_type, name=f"e{i}", external_id=f"x{i}") for i in range(3)])
    client.put_contexts([C(type_id=world.context_type, name=f"c{i}", external_id=f"x{i}") for i in range(3)])
    return client


def ids(messages: Any) -> list[int]:
    return [message.id for message in messages]


def test_by_id_each_once_and_unknown_ones_left_out(filled: MetadataStore) -> None:
    assert ids(filled.get_artifacts_by_id([3, 1, 3, 99, 0, -4])) == [1, 3]
    assert ids(filled.get_executions_by_id([2])) == [2]
    assert ids(filled.get_contexts_by_id([])) == []


def test_artifacts_come_with_their_types_if_asked_for(filled: MetadataStore, world: World) -> None:
    base = proto.ArtifactType(name="B", base_type=proto.ArtifactType.MODEL)
    filled.put_artifacts([A(type_id=filled.put_artifact_type(base))])

    artifacts, types = filled.get_artifacts_and_types_by_artifact_ids([4, 1, 2])

    assert ids(artifacts) == [1, 2, 4]
    assert [(t.name, t.HasField("base_type")) for t in types] == [("A", False), ("B", True)]


def test_by_type_and_name(filled: MetadataStore) -> None:
    found = [
        filled.get_artifact_by_type_and_name("A", "a1"),
        filled.get_execution_by_type_and_name("E", "e1"),
        filled.get_context_by_type_and_name("C", "c1"),
    ]
    assert ids(found) == [2, 2, 2]
    assert filled.get_artifact_by_type_and_name("A", "none") is None
    assert filled.get_artifact_by_type_and_name("A", "a1", "2") is None
    assert filled.get_context_by_type_and_name("none", "c1") is None


def test_by_external_ids(filled: MetadataStore) -> None:
    for get in (
        filled.get_artifacts_by_external_ids,
        filled.get_executions_by_external_ids,
        filled.get_contexts_by_external_ids,
    ):
        assert ids(get(["x2", "x0", "x2", "none"])) == [1, 3]
        assert ids(get([])) == []
        assert failure(get, ["none"]) == "NotFoundError"
        assert failure(get, ["x0", ""]) == "InvalidArgumentError"


def test_types_by_external_ids(client: MetadataStore) -> None:
    for kind in ("artifact", "execution", "context"):
        put, get = getattr(client, f"put_{kind}_type"), getattr(client, f"get_{kind}_types_by_external_ids")
        put(getattr(proto, f"{kind.title()}Type")(name="T", external_id="x"))

        assert [(t.name, t.external_id) for t in get(["x", "none"])] == [("T", "x")]
        assert get([]) == []
        assert failure(get, ["none"]) == "NotFoundError"
        assert failure(get, [""]) == "InvalidArgumentError"


def test_types_by_id_follow_the_request(client: MetadataStore, world: World) -> None:
    second = client.put_artifact_type(proto.ArtifactType(name="T"))

    found = client.get_artifact_types_by_id([second, world.artifact_type, second, world.execution_type, 999, 1])

    assert [t.name for t in found] == ["T", "A", "T", "mlmd.Dataset"]


def test_a_type_that_is_not_there(client: MetadataStore, world: World) -> None:
    assert failure(client.get_artifact_type, "none") == "NotFoundError"
    assert failure(client.get_artifact_type, "A", "2") == "NotFoundError"
    assert failure(client.get_artifact_type, "E") == "NotFoundError"
    assert client.get_artifact_type("A", "").id == world.artifact_type


def test_by_uri_each_once(filled: MetadataStore) -> None:
    assert ids(filled.get_artifacts_by_uri("u0")) == [1, 3]
    response = filled._ask("GetArtifactsByURI", uris=["u1", "u0", "u1", "none"])
    assert ids(response.artifacts) == [1, 2, 3]


def test_the_uri_of_clients_before_021_is_refused(filled: MetadataStore) -> None:
    old = proto.GetArtifactsByURIRequest.FromString(b"\x0a\x02u0")

    assert failure(filled._call, "GetArtifactsByURI", old) == "InvalidArgumentError"


def test_contexts_of_what_is_in_none_is_an_error(filled: MetadataStore) -> None:
    assert failure(filled.get_contexts_by_artifact, 1) == "NotFoundError"
    assert failure(filled.get_contexts_by_execution, 99) == "NotFoundError"
    assert filled.get_artifacts_by_context(99) == []
    assert filled.get_executions_by_context(99) == []


def test_parents_and_children(filled: MetadataStore) -> None:
    pairs = [proto.ParentContext(child_id=child, parent_id=parent) for child, parent in ((1, 3), (1, 2), (2, 3))]
    filled.put_parent_contexts(pairs)

    assert ids(filled.get_parent_contexts_by_context(1)) == [2, 3]
    assert ids(filled.get_children_contexts_by_context(3)) == [1, 2]
    assert ids(filled.get_children_contexts_by_context(99)) == []
    above = filled.get_parent_contexts_by_contexts([1, 2, 3, 2, 99])
    assert {id: ids(found) for id, found in above.items()} == {1: [2, 3], 2: [3]}
    below = filled.get_children_contexts_by_contexts([1, 3])
    assert {id: ids(found) for id, found in below.items()} == {3: [1, 2]}


def test_events_of_several(filled: MetadataStore) -> None:
    pairs = [(2, 1), (1, 2), (1, 1)]
    filled.put_events([Event(execution_id=e, artifact_id=a, type=Event.INPUT) for e, a in pairs])

    of_executions = filled.get_events_by_execution_ids([1, 2, 1, 99])
    assert [(e.execution_id, e.artifact_id) for e in of_executions] == [(1, 2), (1, 1), (2, 1)]
    assert [(e.execution_id, e.artifact_id) for e in filled.get_events_by_artifact_ids([1])] == [(2, 1), (1, 1)]
    assert filled.get_events_by_artifact_ids([]) == []


def test_an_empty_request_is_answered(client: MetadataStore) -> None:
    from stratalog.mlmd.service import METHODS

    outcomes = {name: failure(client._ask, name) for name in METHODS}

    refused = {name: outcome for name, outcome in outcomes.items() if outcome != "nothing"}
    assert refused == {
        "PutArtifactType": "InvalidArgumentError",
        "PutExecutionType": "InvalidArgumentError",
        "PutContextType": "InvalidArgumentError",
        "PutExecution": "InvalidArgumentError",
        "GetArtifactType": "NotFoundError",
        "GetExecutionType": "NotFoundError",
        "GetContextType": "NotFoundError",
        "GetContextsByArtifact": "NotFoundError",
        "GetContextsByExecution": "NotFoundError",
        "GetLineageSubgraph": "InvalidArgumentError",
        "GetLineageGraph": "InvalidArgumentError",
    }
