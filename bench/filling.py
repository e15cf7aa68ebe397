"""Our side: filling a store with the benchmarks' data. Runs in this interpreter only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bench import data

if TYPE_CHECKING:
    from stratalog import Artifact, Store

BATCH = 100_000


def chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` and the rest."""
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def artifact(type_id: int, row: data.Row, *, id: int = 0) -> Artifact:
    """The struct for a row; with an `id` it is an update."""
    from stratalog import Artifact

    return Artifact(id=id, type_id=type_id, name=row.name, uri=row.uri, properties=dict(row.properties))


def build_artifacts(path: str, rows: int) -> None:
    """A sealed store with artifacts `[0, rows)`."""
    import stratalog

    with stratalog.open(path) as store:
        put_artifacts(store, rows)
        store.seal()
        settle(store)


def put_artifacts(store: Store, rows: int) -> int:
    """Put the type and artifacts `[0, rows)`; return the type's id."""
    type_id = store.put_type("artifact", data.ARTIFACT_TYPE, data.ARTIFACT_PROPERTIES)
    for chunk in chunks((artifact(type_id, row) for row in data.artifacts(0, rows)), BATCH):
        store.put_artifacts(chunk)
    return type_id


def build_history(path: str, rows: int) -> None:
    """A sealed store with artifacts `[0, rows)`, of which each fourth was then put anew with another value.

    The middle of the history, for questions of the past, is the seq after half of these updates: `middle`.
    """
    import stratalog

    with stratalog.open(path) as store:
        type_id = put_artifacts(store, rows)
        updates = (artifact(type_id, data.artifact(i, 1), id=i + 1) for i in range(0, rows, 4))
        for chunk in chunks(updates, BATCH):
            store.put_artifacts(chunk)
        store.seal()
        settle(store)


def settle(store: Store) -> None:
    """Merge whatever the store holds back from merging: a settled store is what a scan can be held against."""
    store._tables.merge(force=True)


def middle(rows: int) -> int:
    """The seq of a store of `build_history` at which half of the updates were done; seq 1 is the type."""
    return 1 + rows + rows // 8


def newest(index: int, rows: int, *, at_middle: bool) -> data.Row:
    """What artifact `index` of such a store is, at its head or in its middle."""
    is_updated = index % 4 == 0 and (not at_middle or index // 4 < rows // 8)
    return data.artifact(index, 1 if is_updated else 0)


def build_runs(path: str, rows: int) -> None:
    """A sealed store with runs `[0, rows)`."""
    import stratalog
    from stratalog import Execution, ExecutionState

    with stratalog.open(path) as store:
        type_id = store.put_type("execution", data.RUN_TYPE, data.RUN_PROPERTIES)
        found = map(data.run, range(rows))
        runs = (
            Execution(type_id=type_id, name=row.name, state=ExecutionState.COMPLETE, properties=dict(row.properties))
            for row in found
        )
        for chunk in chunks(runs, 20_000):
            store.put_executions(chunk)
        store.seal()


def build_lineage(path: str, executions: int, groups: int = data.GROUPS) -> None:
    """A sealed store with the graph of so many executions."""
    import stratalog
    from stratalog import Artifact, Edge, Execution, ExecutionState, Link, LinkType

    with stratalog.open(path) as store:
        execution_types = {name: store.put_type("execution", name) for name in data.EXECUTION_TYPES}
        artifact_types = {name: store.put_type("artifact", name) for name in data.LINEAGE_ARTIFACT_TYPES}
        for batch in data.lineage(executions, 10_000, groups):
            edges = []
            for place, number, is_input in batch.links:
                kind = LinkType.INPUT if is_input else LinkType.OUTPUT
                if number < batch.first_artifact:
                    edges.append(Edge(execution_index=place, link=Link(type=kind, artifact_id=number + 1)))
                else:
                    index = number - batch.first_artifact
                    edges.append(Edge(execution_index=place, artifact_index=index, link=Link(type=kind)))
            piece = store.put_lineage(
                executions=[
                    Execution(type_id=execution_types[kind], name=name, state=ExecutionState.COMPLETE)
                    for kind, name in batch.executions
                ],
                artifacts=[
                    Artifact(type_id=artifact_types[kind], name=name, uri=f"file:///{name}")
                    for kind, name in batch.artifacts
                ],
                edges=edges,
            )
            assert piece.artifact_ids[0] == batch.first_artifact + 1, "ids are not what the links were made with"
        store.seal()


def build_hub(path: str, executions: int) -> None:
    """The same graph with one group: everything was made from one source."""
    build_lineage(path, executions, 1)


BUILDERS: dict[str, Callable[[str, int], None]] = {
    "artifacts": build_artifacts,
    "history": build_history,
    "runs": build_runs,
    "lineage": build_lineage,
    "hub": build_hub,
}
