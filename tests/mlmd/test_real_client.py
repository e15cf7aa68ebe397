"""MLMD's own client of 1.17.1, unmodified, against the server: the story from types to lineage.

It runs in the interpreter that STRATALOG_MLMD_PYTHON names, since its packages and ours need not fit together.
"""

from __future__ import annotations

import subprocess

import stratalog
from stratalog.mlmd import ServerSettings, serve

STORY = """
import sys
from ml_metadata import metadata_store, errors
from ml_metadata.proto import metadata_store_pb2 as pb

host, port = sys.argv[1].rsplit(":", 1)
store = metadata_store.MetadataStore(pb.MetadataStoreClientConfig(host=host, port=int(port)))

data = pb.ArtifactType(name="DataSet", properties={"day": pb.INT, "split": pb.STRING})
model = pb.ArtifactType(name="SavedModel", properties={"version": pb.INT}, base_type=pb.ArtifactType.MODEL)
data_id, model_id = store.put_artifact_type(data), store.put_artifact_type(model)
trainer_id = store.put_execution_type(pb.ExecutionType(name="Trainer", properties={"state": pb.STRING}))
experiment_id = store.put_context_type(pb.ContextType(name="Experiment", properties={"note": pb.STRING}))
assert [t.name for t in store.get_artifact_types()] == ["DataSet", "SavedModel"]

source = pb.Artifact(type_id=data_id, uri="path/to/data", state=pb.Artifact.LIVE)
source.properties["day"].int_value = 1
source.properties["split"].string_value = "train"
[source_id] = store.put_artifacts([source])
run = pb.Execution(type_id=trainer_id, last_known_state=pb.Execution.RUNNING)
[run_id] = store.put_executions([run])
store.put_events([pb.Event(artifact_id=source_id, execution_id=run_id, type=pb.Event.DECLARED_INPUT)])

made = pb.Artifact(type_id=model_id, uri="path/to/model", name="MNIST-v1")
made.properties["version"].int_value = 1
[made_id] = store.put_artifacts([made])
store.put_events([pb.Event(artifact_id=made_id, execution_id=run_id, type=pb.Event.DECLARED_OUTPUT)])
run.id, run.last_known_state = run_id, pb.Execution.COMPLETE
store.put_executions([run])

[experiment] = store.put_contexts([pb.Context(type_id=experiment_id, name="exp1")])
store.put_attributions_and_associations(
    [pb.Attribution(artifact_id=made_id, context_id=experiment)],
    [pb.Association(execution_id=run_id, context_id=experiment)],
)
assert [a.name for a in store.get_artifacts_by_context(experiment)] == ["MNIST-v1"]
assert [e.last_known_state for e in store.get_executions_by_context(experiment)] == [pb.Execution.COMPLETE]

step = store.put_execution(
    pb.Execution(type_id=trainer_id),
    [(store.get_artifacts_by_id([source_id])[0], pb.Event(type=pb.Event.INPUT))],
    [pb.Context(type_id=experiment_id, name="exp1")],
    reuse_context_if_already_exist=True,
)
assert step == (2, [source_id], [experiment]), step

options = metadata_store.ListOptions(
    limit=10,
    order_by=metadata_store.OrderByField.CREATE_TIME,
    filter_query='type = "SavedModel" AND properties.version.int_value = 1 AND contexts_a.name LIKE "exp%"',
)
assert [a.id for a in store.get_artifacts(options)] == [made_id]
query = pb.LineageSubgraphQueryOptions(direction=pb.LineageSubgraphQueryOptions.UPSTREAM)
query.starting_artifacts.filter_query = 'name = "MNIST-v1"'
graph = store.get_lineage_subgraph(query)
assert [a.uri for a in graph.artifacts] == ["path/to/data", "path/to/model"]
assert [t.name for t in graph.execution_types] == ["Trainer"]
assert len(graph.events) == 2 and len(graph.attributions) == 2

for call, expected in [
    (lambda: store.get_artifact_type("none"), errors.NotFoundError),
    (lambda: store.put_contexts([pb.Context(type_id=experiment_id, name="exp1")]), errors.AlreadyExistsError),
    (lambda: store.put_artifacts([pb.Artifact()]), errors.InvalidArgumentError),
    (lambda: store.get_artifacts(metadata_store.ListOptions(filter_query="bad =")), errors.InvalidArgumentError),
    (lambda: store.get_contexts_by_artifact(99), errors.NotFoundError),
]:
    try:
        call()
    except expected:
        continue
    raise AssertionError(f"{expected} was expected")
print("fine")
"""


def test_the_story_of_a_trained_model(mlmd_python: str, store: stratalog.Store) -> None:
    with serve(store, ServerSettings(port=0)) as running:
        done = subprocess.run([mlmd_python, "-c", STORY, running.address], capture_output=True, text=True, timeout=120)

    assert done.stdout == "fine\n", done.stderr
    assert store.get_artifact(type="SavedModel", name="MNIST-v1").uri == "path/to/model"
    assert store.lineage("artifact", 2, direction="up").ids(stratalog.Kind.ARTIFACT) == [1, 2]
