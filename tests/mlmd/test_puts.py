"""Writing through the protocol: what is refused and how, and what the commands cannot see in a message."""

from __future__ import annotations

from typing import Any

import pytest

import stratalog
from stratalog.mlmd import MetadataStore, errors, proto
from tests.mlmd.world import World, failure

A, E, C, Event = proto.Artifact, proto.Execution, proto.Context, proto.Event


def artifact(world: World, **fields: Any) -> Any:
    return A(type_id=world.artifact_type, **fields)


def test_the_options_of_types_are_obeyed(client: MetadataStore, world: World) -> None:
    wider = proto.ArtifactType(name="A", properties={"i": 1, "new": 3})

    assert failure(client.put_artifact_type, wider) == "AlreadyExistsError"
    assert failure(client.put_artifact_type, wider, can_add_fields=True) == "AlreadyExistsError"
    assert client.put_artifact_type(wider, can_add_fields=True, can_omit_fields=True) == world.artifact_type
    assert len(client.get_artifact_type("A").properties) == 7


def test_a_base_type_is_set_once(client: MetadataStore) -> None:
    def put(**fields: Any) -> str:
        return failure(client.put_artifact_type, proto.ArtifactType(name="T", **fields))

    assert put(base_type=proto.ArtifactType.UNSET) == "UnimplementedError"
    assert put() == "nothing"
    assert put(base_type=proto.ArtifactType.MODEL) == "nothing"
    assert put(base_type=proto.ArtifactType.MODEL) == "nothing"
    assert put() == "nothing"
    assert put(base_type=proto.ArtifactType.DATASET) == "UnimplementedError"
    assert client.get_artifact_type("T").base_type == proto.ArtifactType.MODEL


def test_system_types_are_there_and_not_listed(client: MetadataStore) -> None:
    model = client.get_artifact_type("mlmd.Model")

    assert model.id == 2
    assert client.get_execution_type("mlmd.Deploy").id == 9
    assert client.get_artifact_types() == []
    assert client.put_artifacts([A(type_id=model.id)]) == [1]
    assert client.get_artifacts()[0].type == "mlmd.Model"
    assert client.put_artifact_type(proto.ArtifactType(name="mlmd.Model")) == 2
    assert client.put_artifact_type(proto.ArtifactType(name="first")) == 10


def test_put_types_answers_a_list_of_ids_for_each_kind(client: MetadataStore) -> None:
    request = proto.PutTypesRequest()
    for name in ("a", "b"):
        request.artifact_types.add(name=name)
        request.execution_types.add(name=name)
    request.context_types.add(name="c")

    response = client._call("PutTypes", request)

    assert list(response.artifact_type_ids) == [10, 11]
    assert list(response.execution_type_ids) == [12, 13]
    assert list(response.context_type_ids) == [14]


def test_put_types_is_all_or_nothing(client: MetadataStore, store: stratalog.Store) -> None:
    request = proto.PutTypesRequest()
    request.artifact_types.add(name="good")
    request.context_types.add(name="")

    assert failure(client._call, "PutTypes", request) == "InvalidArgumentError"
    assert store.head == 0
    request = proto.PutTypesRequest(all_fields_match=False)
    assert failure(client._call, "PutTypes", request) == "UnimplementedError"


def test_what_is_wrong_with_an_artifact_is_told_by_its_status(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world, name="n", external_id="x")])

    def put(*artifacts: Any) -> str:
        return failure(client.put_artifacts, artifacts)

    assert put(A()) == "InvalidArgumentError"
    assert put(A(type="A")) == "InvalidArgumentError"
    assert put(A(type_id=0)) == "NotFoundError"
    assert put(A(type_id=99)) == "NotFoundError"
    assert put(A(type_id=world.execution_type)) == "NotFoundError"
    assert put(artifact(world, id=0)) == "InvalidArgumentError"
    assert put(artifact(world, id=9)) == "InvalidArgumentError"
    assert put(A(id=1, type_id=0)) == "InvalidArgumentError"
    assert put(A(id=1, type_id=1)) == "InvalidArgumentError"
    assert put(artifact(world, name="n")) == "AlreadyExistsError"
    assert put(artifact(world, external_id="x")) == "AlreadyExistsError"
    assert put(artifact(world, name="m"), artifact(world, name="m")) == "AlreadyExistsError"
    assert put(artifact(world, properties={"zz": proto.Value(int_value=1)})) == "InvalidArgumentError"
    assert put(artifact(world, properties={"i": proto.Value()})) == "InvalidArgumentError"
    assert put(artifact(world, custom_properties={"i": proto.Value()})) == "InvalidArgumentError"
    assert [a.id for a in client.get_artifacts()] == [1]


def test_a_value_that_does_not_fit_is_told_in_mlmds_words(client: MetadataStore, world: World) -> None:
    wrong = artifact(world, properties={"s": proto.Value(int_value=1)})

    with pytest.raises(errors.InvalidArgumentError, match="Found unmatched property type: s"):
        client.put_artifacts([wrong])


def test_an_update_replaces_what_it_lacks_but_not_the_name(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world, name="n", uri="u", state=A.LIVE, external_id="x")])

    client.put_artifacts([A(id=1, name="other")])

    [got] = client.get_artifacts()
    assert (got.name, got.uri, got.HasField("state"), got.HasField("external_id")) == ("n", "", False, False)


def test_a_mask_names_what_changes(client: MetadataStore, world: World) -> None:
    client.put_executions([E(type_id=world.execution_type, last_known_state=E.RUNNING, properties={"i": int_(1)})])
    changed = E(id=1, last_known_state=E.COMPLETE, properties={"d": proto.Value(double_value=2), "i": int_(5)})
    changed.custom_properties["wrong, but not looked at"].SetInParent()

    client.put_executions([changed], ["last_known_state", "properties.d", "state", "nothing", ""])

    [got] = client.get_executions()
    assert got.last_known_state == E.COMPLETE
    assert (got.properties["i"].int_value, got.properties["d"].double_value) == (1, 2)
    client.put_executions([E(id=1, last_known_state=E.FAILED)], ["state"])
    assert client.get_executions()[0].last_known_state == E.COMPLETE
    client.put_executions([E(id=1)], ["last_known_state", "properties"])
    [got] = client.get_executions()
    assert not got.HasField("last_known_state")
    assert not got.properties


def int_(number: int) -> Any:
    return proto.Value(int_value=number)


def test_a_stale_artifact_is_refused_if_asked_for(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world)])
    [read] = client.get_artifacts()
    options = proto.PutArtifactsRequest.Options(abort_if_latest_updated_time_changed=True)

    def put(message: Any) -> str:
        return failure(client._call, "PutArtifacts", proto.PutArtifactsRequest(artifacts=[message], options=options))

    read.uri = "first"
    assert put(read) == "nothing"
    read.uri = "second"
    assert put(read) == "FailedPreconditionError"
    assert put(A(id=1)) == "FailedPreconditionError"
    assert put(artifact(world)) == "nothing"
    assert put(A(id=99)) == "InvalidArgumentError"


def test_a_step_is_put_with_all_that_belongs_to_it(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world)])
    pairs = [
        (A(id=1, uri="in"), Event(type=Event.INPUT)),
        (artifact(world, uri="out"), Event(type=Event.OUTPUT)),
        (artifact(world), None),
        (None, Event(type=Event.DECLARED_INPUT, artifact_id=1)),
    ]
    context = C(type_id=world.context_type, name="run")

    ids = client.put_execution(E(type_id=world.execution_type), pairs, [context])

    assert ids == (1, [1, 2, 3, 1], [1])
    assert [e.type for e in client.get_events_by_execution_ids([1])] == [
        Event.INPUT,
        Event.OUTPUT,
        Event.DECLARED_INPUT,
    ]
    assert [a.id for a in client.get_artifacts_by_context(1)] == [1, 2, 3]
    assert [e.id for e in client.get_executions_by_context(1)] == [1]
    assert client.get_artifacts_by_id([1])[0].uri == "in"


def test_options_of_a_step(client: MetadataStore, world: World) -> None:
    context, execution = C(type_id=world.context_type, name="run"), E(type_id=world.execution_type)
    client.put_execution(execution, [], [context])

    assert failure(client.put_execution, execution, [], [context]) == "AlreadyExistsError"
    assert client.put_execution(execution, [], [context], reuse_context_if_already_exist=True) == (2, [], [1])
    assert client.put_execution(execution, [], [C(id=1)], force_reuse_context=True) == (3, [], [1])
    assert failure(client.put_execution, execution, [], [C(id=1)]) == "InvalidArgumentError"
    assert failure(client.put_execution, execution, [], [C(id=0)], force_reuse_context=True) == "NotFoundError"
    named = artifact(world, external_id="x", uri="new")
    client.put_artifacts([artifact(world, external_id="x")])
    assert failure(client.put_execution, execution, [(named, None)], []) == "AlreadyExistsError"
    pair = [(named, None)]
    again = client.put_execution(execution, pair, [], reuse_artifact_if_already_exist_by_external_id=True)
    assert again == (4, [1], [])
    before = client.get_executions_by_id([1])[0]
    client.put_execution(before, [], [])
    assert client.get_executions_by_id([1]) == [before]
    client.put_execution(before, [], [], force_update_time=True)
    assert client.get_executions_by_id([1])[0].last_update_time_since_epoch > before.last_update_time_since_epoch


def test_what_is_wrong_with_a_step(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world)])
    client.put_execution(E(type_id=world.execution_type), [(A(id=1), Event(type=Event.INPUT))], [])

    def put(execution: Any, *pairs: Any) -> str:
        return failure(client.put_execution, execution, pairs, [])

    new = E(type_id=world.execution_type)
    assert failure(client._call, "PutExecution", proto.PutExecutionRequest()) == "InvalidArgumentError"
    assert put(E()) == "InvalidArgumentError"
    assert put(new, (A(id=1), Event(type=Event.INPUT, artifact_id=2))) == "InvalidArgumentError"
    assert put(new, (A(id=1), Event(type=Event.INPUT, execution_id=1))) == "InvalidArgumentError"
    assert put(new, (None, Event(type=Event.INPUT))) == "InvalidArgumentError"
    assert put(new, (None, Event(type=Event.INPUT, artifact_id=77))) == "InvalidArgumentError"
    assert put(new, (A(id=1), Event())) == "InvalidArgumentError"
    assert put(E(id=1), (A(id=1), Event(type=Event.INPUT, execution_id=1))) == "AlreadyExistsError"
    assert len(client.get_executions()) == 1


def test_an_empty_pair_answers_minus_one_and_links_nothing(client: MetadataStore, world: World) -> None:
    request = proto.PutExecutionRequest(execution=E(type_id=world.execution_type))
    request.artifact_event_pairs.add()
    request.contexts.add(type_id=world.context_type, name="run")

    response = client._call("PutExecution", request)

    assert list(response.artifact_ids) == [-1]
    assert client.get_artifacts_by_context(1) == []


def test_a_piece_of_lineage_is_put_at_once(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world)])
    edges = [
        (0, 0, Event(type=Event.INPUT)),
        (1, None, Event(type=Event.INPUT, artifact_id=1)),
        (None, 0, Event(type=Event.OUTPUT, execution_id=1)),
    ]
    executions = [E(type_id=world.execution_type), E(type_id=world.execution_type)]
    client.put_executions(executions[:1])

    ids = client.put_lineage_subgraph(executions, [artifact(world)], [C(type_id=world.context_type, name="run")], edges)

    assert ids == ([2, 3], [2], [1])
    links = [(e.execution_id, e.artifact_id) for e in client.get_events_by_execution_ids([1, 2, 3])]
    assert links == [(1, 2), (2, 2), (3, 1)]
    assert [e.id for e in client.get_executions_by_context(1)] == [3, 2]


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ((2, 0, Event(type=Event.INPUT)), "OutOfRangeError"),
        ((-1, 0, Event(type=Event.INPUT)), "OutOfRangeError"),
        ((0, 0, None), "InvalidArgumentError"),
        ((None, 0, Event(type=Event.INPUT)), "InvalidArgumentError"),
        ((0, None, Event(type=Event.INPUT)), "InvalidArgumentError"),
        ((0, 0, Event(type=Event.INPUT, artifact_id=1)), "InvalidArgumentError"),
        ((0, 0, Event()), "InvalidArgumentError"),
        ((0, 0, Event(type=Event.INPUT)), "nothing"),
    ],
)
def test_edges_of_a_piece_of_lineage(client: MetadataStore, world: World, edge: Any, expected: str) -> None:
    executions, artifacts = [E(type_id=world.execution_type)], [artifact(world)]

    assert failure(client.put_lineage_subgraph, executions, artifacts, [], [edge]) == expected
    assert len(client.get_executions()) == (expected == "nothing")


def test_events_that_are_wrong(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world)])
    client.put_executions([E(type_id=world.execution_type)])

    def put(*events: Any) -> str:
        return failure(client.put_events, events)

    assert put(Event(artifact_id=1, execution_id=1)) == "InvalidArgumentError"
    assert put(Event(artifact_id=1, execution_id=1, type=Event.UNKNOWN)) == "InvalidArgumentError"
    assert put(Event(artifact_id=0, execution_id=1, type=Event.INPUT)) == "InvalidArgumentError"
    assert put(Event(artifact_id=1, execution_id=2, type=Event.INPUT)) == "InvalidArgumentError"
    assert put(*[Event(artifact_id=1, execution_id=1, type=Event.INPUT)] * 2) == "AlreadyExistsError"
    assert client.get_events_by_artifact_ids([1]) == []
    assert put(Event(artifact_id=1, execution_id=1, type=Event.INPUT)) == "nothing"
    assert put(Event(artifact_id=1, execution_id=1, type=Event.OUTPUT)) == "nothing"


def test_places_in_contexts(client: MetadataStore, world: World) -> None:
    client.put_artifacts([artifact(world)])
    client.put_executions([E(type_id=world.execution_type)])
    client.put_contexts([C(type_id=world.context_type, name=name) for name in "abc"])
    both = [proto.Attribution(artifact_id=1, context_id=1)], [proto.Association(execution_id=1, context_id=2)]

    client.put_attributions_and_associations(*both)
    client.put_attributions_and_associations(*both)
    client.put_parent_contexts([proto.ParentContext(child_id=1, parent_id=2)])

    assert failure(client.put_attributions_and_associations, [proto.Attribution(context_id=1)], []) == (
        "InvalidArgumentError"
    )
    assert [c.name for c in client.get_contexts_by_artifact(1)] == ["a"]
    assert [c.name for c in client.get_contexts_by_execution(1)] == ["b"]
    again = [proto.ParentContext(child_id=1, parent_id=2)]
    assert failure(client.put_parent_contexts, again) == "AlreadyExistsError"
    circle = [proto.ParentContext(child_id=2, parent_id=3), proto.ParentContext(child_id=3, parent_id=1)]
    assert failure(client.put_parent_contexts, circle) == "InvalidArgumentError"
    assert client.get_parent_contexts_by_context(2) == []


def test_each_call_is_one_commit(client: MetadataStore, world: World, store: stratalog.Store) -> None:
    before = len(store.log())

    client.put_execution(
        E(type_id=world.execution_type),
        [(artifact(world), Event(type=Event.OUTPUT))] * 2,
        [C(type_id=world.context_type, name="run")],
    )

    [newest, *older] = store.log().rows()
    assert len(older) == before
    assert newest["event_count"] == 9
    assert newest["actor"] == "tester"
