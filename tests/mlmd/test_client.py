"""The in-process client: MLMD's signatures, both families of messages, errors of both."""

from __future__ import annotations

import inspect
import os
import subprocess
from pathlib import Path

import pytest

import stratalog
from stratalog.mlmd import ListOptions, MetadataStore, OrderByField, errors, proto
from tests.mlmd.world import PROJECT, World, make_world

THEIR_SIGNATURES = """
import inspect
from ml_metadata.metadata_store import metadata_store as theirs
for name, method in inspect.getmembers(theirs.MetadataStore, callable):
    if not name.startswith("_"):
        parameters = inspect.signature(method).parameters.values()
        print(repr((name, [(p.name, None if p.default is p.empty else repr(p.default)) for p in parameters])))
"""


def test_every_method_has_mlmds_arguments_and_defaults(mlmd_python: str) -> None:
    import ast

    done = subprocess.run([mlmd_python, "-c", THEIR_SIGNATURES], capture_output=True, text=True, timeout=120)
    theirs = dict(ast.literal_eval(line) for line in done.stdout.splitlines())

    assert len(theirs) == 49, done.stderr
    for name, parameters in theirs.items():
        ours = inspect.signature(getattr(MetadataStore, name)).parameters.values()
        assert [(p.name, None if p.default is p.empty else repr(p.default)) for p in ours] == parameters, name


STORY = """
import sys
try:
    import duckdb, msgspec, pyarrow
except ImportError as error:
    sys.exit(f"skip: {error}")
if sys.argv[1] == "theirs first":
    import ml_metadata
from stratalog.mlmd import MetadataStore, errors as our_errors
from ml_metadata import ListOptions, OrderByField, errors
from ml_metadata.proto import metadata_store_pb2 as pb

store = MetadataStore(sys.argv[2])
data = pb.ArtifactType(name="DataSet", properties={"day": pb.INT, "split": pb.STRING})
data_id = store.put_artifact_type(data)
run_id = store.put_execution_type(pb.ExecutionType(name="Trainer"))
experiment_id = store.put_context_type(pb.ContextType(name="Experiment"))
artifact = pb.Artifact(type_id=data_id, uri="path/to/data", properties={"day": pb.Value(int_value=1)})
artifact.custom_properties["s"].struct_value.update({"k": [1, "x"]})
step = store.put_execution(
    pb.Execution(type_id=run_id),
    [(artifact, pb.Event(type=pb.Event.OUTPUT, path=pb.Event.Path(steps=[pb.Event.Path.Step(key="out")])))],
    [pb.Context(type_id=experiment_id, name="first")],
)
assert step == (1, [1], [1]), step
[got] = store.get_artifacts_by_id([1])
assert type(got) is pb.Artifact and got.type == "DataSet" and got.properties["day"].int_value == 1
assert got.custom_properties["s"].struct_value["k"][1] == "x"
filter_query = "properties.day.int_value > 0"
options = ListOptions(limit=5, order_by=OrderByField.CREATE_TIME, is_asc=False, filter_query=filter_query)
assert store.get_artifacts(options) == [got]
assert type(store.get_context_by_type_and_name("Experiment", "first")) is pb.Context
assert type(store.get_artifact_type("DataSet")) is pb.ArtifactType
assert store.get_events_by_artifact_ids([1])[0].path.steps[0].key == "out"
query = pb.LineageSubgraphQueryOptions()
query.starting_artifacts.filter_query = "id = 1"
graph = store.get_lineage_subgraph(query)
assert type(graph) is pb.LineageGraph and graph.executions[0].type == "Trainer"
try:
    store.put_artifacts([pb.Artifact(type_id=data_id, properties={"day": pb.Value(string_value="x")})])
except errors.InvalidArgumentError as error:
    assert isinstance(error, our_errors.InvalidArgumentError)
    assert error.error_code == 3 and "Found unmatched property type: day" in error.message
else:
    raise AssertionError("nothing was raised")
print("fine")
"""


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
def test_the_story_with_mlmds_own_messages(mlmd_python: str, tmp_path: Path, order: str) -> None:
    done = subprocess.run(
        [mlmd_python, "-c", STORY, order, str(tmp_path / "store")],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    if done.stderr.startswith("skip: "):
        pytest.skip(f"STRATALOG_MLMD_PYTHON cannot load the store itself: {done.stderr.removeprefix('skip: ')}")
    assert done.stdout == "fine\n", done.stderr


def test_a_store_is_opened_by_its_uri_and_closed_again(tmp_path: Path) -> None:
    with MetadataStore(tmp_path / "store") as client:
        make_world(client)

    with stratalog.open(tmp_path / "store", read_only=True, create=False) as store:
        assert [t.name for t in store.get_types()] == ["A", "E", "C"]


def test_a_store_that_was_handed_over_stays_open(store: stratalog.Store) -> None:
    with MetadataStore(store):
        pass

    assert store.head == 0


def test_a_moment_can_be_read_and_not_written(client: MetadataStore, world: World, store: stratalog.Store) -> None:
    client.put_artifacts([proto.Artifact(type_id=world.artifact_type, uri="before")])
    moment = MetadataStore(store.as_of(store.head))
    client.put_artifacts([proto.Artifact(id=1, uri="after")])

    [artifact] = moment.get_artifacts_by_id([1])
    assert artifact.uri == "before"
    with pytest.raises(errors.FailedPreconditionError, match="nothing can be put"):
        moment.put_artifacts([artifact])


def test_errors_carry_the_status_the_text_and_the_cause(client: MetadataStore) -> None:
    with pytest.raises(errors.NotFoundError) as caught:
        client.get_artifact_type("none")

    assert caught.value.error_code == 5
    assert caught.value.message.startswith("there is no artifact type 'none'")
    assert isinstance(caught.value.__cause__, stratalog.NotFoundError)
    assert isinstance(caught.value, errors.StatusError)


def test_the_numbers_of_orders_are_the_protocols() -> None:
    fields = proto.ListOperationOptions.OrderByField.Field

    assert OrderByField.CREATE_TIME.value == fields.Value("CREATE_TIME")
    assert OrderByField.UPDATE_TIME.value == fields.Value("LAST_UPDATE_TIME")
    assert OrderByField.ID.value == fields.Value("ID")
    assert ListOptions() == (None, None, True, None)


def test_pairs_that_are_empty_are_passed_over(client: MetadataStore, world: World) -> None:
    pairs = [None, (), (proto.Artifact(type_id=world.artifact_type), None)]

    assert client.put_execution(proto.Execution(type_id=world.execution_type), pairs, None) == (1, [1], [])  # type: ignore[arg-type]
