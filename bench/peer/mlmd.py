"""ml-metadata's side: opening a store and filling it. Runs in the peer's interpreter only."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from bench import data

# A call that is refused as busy is counted and repeated; the client's own word about each is noise.
logging.getLogger("absl").setLevel(logging.CRITICAL)

BUSY = (errors.AbortedError, errors.InternalError, errors.UnavailableError)
"""What a second writer on one SQLite file may raise."""


def connect(path: str, retries: int | None = None) -> metadata_store.MetadataStore:
    """Open (or make) the SQLite file with ml-metadata's own defaults: rollback journal, synchronous FULL."""
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    if retries is not None:
        config.retry_options.max_num_retries = retries
    return metadata_store.MetadataStore(config)


def fill_values(target: Any, values: data.Properties) -> None:
    """Set properties of a message."""
    for name, value in values.items():
        if isinstance(value, str):
            target[name].string_value = value
        elif isinstance(value, float):
            target[name].double_value = value
        else:
            target[name].int_value = value


def put_artifact_type(store: metadata_store.MetadataStore, name: str, properties: dict[str, int]) -> int:
    """Store an artifact type and return its id."""
    node_type = pb.ArtifactType(name=name)
    for key, number in properties.items():
        node_type.properties[key] = number
    return int(store.put_artifact_type(node_type))


def put_execution_type(store: metadata_store.MetadataStore, name: str, properties: dict[str, int]) -> int:
    """Store an execution type and return its id."""
    node_type = pb.ExecutionType(name=name)
    for key, number in properties.items():
        node_type.properties[key] = number
    return int(store.put_execution_type(node_type))


def artifact(type_id: int, row: data.Row) -> Any:
    """The message for a row."""
    found = pb.Artifact(type_id=type_id, name=row.name, uri=row.uri)
    fill_values(found.properties, row.properties)
    return found


def execution(type_id: int, row: data.Row) -> Any:
    """The message for a row."""
    found = pb.Execution(type_id=type_id, name=row.name, last_known_state=pb.Execution.COMPLETE)
    fill_values(found.properties, row.properties)
    return found


def chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` and the rest."""
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def build_artifacts(path: str, rows: int) -> None:
    """A file with artifacts `[0, rows)`."""
    store = connect(path)
    type_id = put_artifact_type(store, data.ARTIFACT_TYPE, data.ARTIFACT_PROPERTIES)
    for chunk in chunks((artifact(type_id, row) for row in data.artifacts(0, rows)), 10_000):
        store.put_artifacts(chunk)


def build_runs(path: str, rows: int) -> None:
    """A file with runs `[0, rows)`."""
    store = connect(path)
    type_id = put_execution_type(store, data.RUN_TYPE, data.RUN_PROPERTIES)
    for chunk in chunks((execution(type_id, data.run(i)) for i in range(rows)), 5_000):
        store.put_executions(chunk)


def build_lineage(path: str, executions: int, groups: int = data.GROUPS) -> None:
    """A file with the graph of so many executions."""
    store = connect(path)
    execution_types = {name: put_execution_type(store, name, {}) for name in data.EXECUTION_TYPES}
    artifact_types = {name: put_artifact_type(store, name, {}) for name in data.LINEAGE_ARTIFACT_TYPES}
    for batch in data.lineage(executions, 1000, groups):
        edges = []
        for place, number, is_input in batch.links:
            event = pb.Event(type=pb.Event.INPUT if is_input else pb.Event.OUTPUT)
            index: int | None = number - batch.first_artifact
            if number < batch.first_artifact:
                event.artifact_id, index = number + 1, None
            edges.append((place, index, event))
        _, artifact_ids, _ = store.put_lineage_subgraph(
            [
                pb.Execution(type_id=execution_types[kind], name=name, last_known_state=pb.Execution.COMPLETE)
                for kind, name in batch.executions
            ],
            [
                pb.Artifact(type_id=artifact_types[kind], name=name, uri=f"file:///{name}")
                for kind, name in batch.artifacts
            ],
            [],
            edges,
        )
        assert list(artifact_ids)[:1] == [batch.first_artifact + 1], "ids are not what the links were made with"


def build_hub(path: str, executions: int) -> None:
    """The same graph with one group: everything was made from one source."""
    build_lineage(path, executions, 1)


BUILDERS: dict[str, Callable[[str, int], None]] = {
    "artifacts": build_artifacts,
    "runs": build_runs,
    "lineage": build_lineage,
    "hub": build_hub,
}
