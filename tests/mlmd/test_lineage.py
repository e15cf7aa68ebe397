"""Lineage over a chain: data (1) -> train (1) -> model (2) -> score (2) -> report (3)."""

from __future__ import annotations

from typing import Any

import pytest

from stratalog.mlmd import MetadataStore, proto
from tests.mlmd.world import World, failure

Options = proto.LineageSubgraphQueryOptions
Event = proto.Event
FAR_FUTURE_MS = 10**15


@pytest.fixture
def chain(client: MetadataStore, world: World) -> MetadataStore:
    client.put_artifacts(
        [proto.Artifact(type_id=world.artifact_type, name=name) for name in ("data", "model", "report")]
    )
    client.put_executions([proto.Execution(type_id=world.execution_type, name=name) for name in ("train", "score")])
    client.put_contexts([proto.Context(type_id=world.context_type, name=name) for name in ("run", "team")])
    links = [(1, 1, Event.INPUT), (1, 2, Event.OUTPUT), (2, 2, Event.INPUT), (2, 3, Event.OUTPUT)]
    client.put_events(
        [
            Event(execution_id=execution, artifact_id=artifact, type=type, milliseconds_since_epoch=artifact - 2)
            for execution, artifact, type in links
        ]
    )
    client.put_attributions_and_associations(
        [proto.Attribution(artifact_id=2, context_id=1)], [proto.Association(execution_id=2, context_id=2)]
    )
    return client


def subgraph(client: MetadataStore, *paths: str, **options: Any) -> Any:
    request = proto.GetLineageSubgraphRequest(lineage_subgraph_query_options=Options(**options))
    request.read_mask.paths.extend(paths)
    return client._call("GetLineageSubgraph", request).lineage_subgraph


def nodes(graph: Any) -> tuple[list[int], list[int]]:
    return [a.id for a in graph.artifacts], [e.id for e in graph.executions]


def start(filter_query: str) -> Any:
    return Options.StartingNodes(filter_query=filter_query)


def end(filter_query: str, **options: bool) -> Any:
    return Options.EndingNodes(filter_query=filter_query, **options)


def test_everything_around_a_node(chain: MetadataStore) -> None:
    graph = subgraph(chain, starting_artifacts=start("name = 'model'"))

    assert nodes(graph) == ([1, 2, 3], [1, 2])
    assert [(e.execution_id, e.artifact_id, e.milliseconds_since_epoch) for e in graph.events] == [
        (1, 1, -1),
        (1, 2, 0),
        (2, 2, 0),
        (2, 3, 1),
    ]
    assert [c.id for c in graph.contexts] == [1, 2]
    assert [(a.artifact_id, a.context_id) for a in graph.attributions] == [(2, 1)]
    assert [(a.execution_id, a.context_id) for a in graph.associations] == [(2, 2)]
    assert [t.name for t in graph.artifact_types][-1] == "A"
    assert [t.name for t in graph.context_types] == ["C"]
    assert all(not a.HasField("type_id") and not a.HasField("uri") for a in graph.artifacts)
    assert not graph.parent_contexts


def test_ways_and_hops(chain: MetadataStore) -> None:
    middle = start("id = 2")

    assert nodes(subgraph(chain, starting_artifacts=middle, direction=Options.UPSTREAM)) == ([1, 2], [1])
    assert nodes(subgraph(chain, starting_artifacts=middle, direction=Options.DOWNSTREAM)) == ([2, 3], [2])
    assert nodes(subgraph(chain, starting_artifacts=middle, max_num_hops=0)) == ([2], [])
    assert nodes(subgraph(chain, starting_artifacts=middle, max_num_hops=1)) == ([2], [1, 2])
    assert nodes(subgraph(chain, starting_executions=start("id = 1"), max_num_hops=1)) == ([1, 2], [1])
    assert nodes(subgraph(chain, starting_executions=start("id = 1"), max_num_hops=1000)) == ([1, 2, 3], [1, 2])


def test_ending_nodes(chain: MetadataStore) -> None:
    first = start("name = 'data'")

    without = subgraph(chain, starting_artifacts=first, ending_executions=end("name = 'score'"))
    including = end("name = 'score'", include_ending_nodes=True)
    included = subgraph(chain, starting_artifacts=first, ending_executions=including)

    assert nodes(without) == ([1, 2], [1])
    assert [(e.execution_id, e.artifact_id) for e in without.events] == [(1, 1), (1, 2)]
    assert nodes(included) == ([1, 2], [1, 2])
    assert [(e.execution_id, e.artifact_id) for e in included.events] == [(1, 1), (1, 2), (2, 2)]


def test_the_mask_names_the_parts(chain: MetadataStore) -> None:
    graph = subgraph(chain, "events", "artifact_types", "artifacts.id", "nothing", starting_artifacts=start("id = 1"))

    assert {field.name for field, _ in graph.ListFields()} == {"events", "artifact_types"}
    assert not subgraph(chain, "nothing", starting_artifacts=start("id = 1")).ListFields()


def test_a_time_that_no_calendar_has_is_kept(chain: MetadataStore) -> None:
    late = Event(execution_id=1, artifact_id=1, type=Event.DECLARED_INPUT, milliseconds_since_epoch=FAR_FUTURE_MS)
    late.path.steps.add(key="k")
    chain.put_events([late])

    graph = subgraph(chain, "events", starting_artifacts=start("id = 1"), max_num_hops=1)

    assert [e.milliseconds_since_epoch for e in graph.events] == [-1, FAR_FUTURE_MS]
    assert graph.events[1] == late


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "InvalidArgumentError"),
        ({"starting_artifacts": start("")}, "InvalidArgumentError"),
        ({"starting_artifacts": start("name =")}, "InvalidArgumentError"),
        ({"starting_artifacts": start("id = 1"), "max_num_hops": -1}, "InvalidArgumentError"),
        ({"starting_artifacts": start("id = 1"), "ending_artifacts": end("x")}, "InvalidArgumentError"),
        ({"starting_artifacts": start("id = 99")}, "NotFoundError"),
        ({"starting_executions": start("name = 'data'")}, "NotFoundError"),
    ],
)
def test_questions_that_are_wrong(chain: MetadataStore, options: dict[str, Any], expected: str) -> None:
    assert failure(subgraph, chain, **options) == expected


def test_the_client_fetches_whole_nodes_and_the_types_that_they_have(chain: MetadataStore) -> None:
    chain.put_artifact_type(proto.ArtifactType(name="unused"))

    graph = chain.get_lineage_subgraph(Options(starting_artifacts=start("id = 1"), max_num_hops=1))

    assert [(a.name, a.type) for a in graph.artifacts] == [("data", "A")]
    assert [(e.name, e.type) for e in graph.executions] == [("train", "E")]
    assert [t.name for t in graph.artifact_types] == ["A"]
    assert [t.name for t in graph.execution_types] == ["E"]
    assert len(graph.events) == 1
    masked = chain.get_lineage_subgraph(Options(starting_artifacts=start("id = 1")), ["artifact_types", "events"])
    assert {field.name for field, _ in masked.ListFields()} == {"events"}


def whole_graph(client: MetadataStore, start: str, max_node_size: int | None = None, **stop: Any) -> Any:
    options = proto.LineageGraphQueryOptions(max_node_size=max_node_size)
    options.artifacts_options.filter_query = start
    options.stop_conditions.CopyFrom(proto.LineageGraphQueryOptions.BoundaryConstraint(**stop))
    return client._ask("GetLineageGraph", options=options).subgraph


def test_the_older_lineage_graph(chain: MetadataStore) -> None:
    graph = whole_graph(chain, "name = 'data'")

    assert [(a.name, a.type) for a in graph.artifacts] == [("data", "A"), ("model", "A"), ("report", "A")]
    assert [e.name for e in graph.executions] == ["train", "score"]
    assert [(e.execution_id, e.artifact_id) for e in graph.events] == [(1, 1), (1, 2), (2, 2), (2, 3)]
    assert [t.name for t in graph.execution_types][-1] == "E"


def test_bounds_of_the_older_lineage_graph(chain: MetadataStore) -> None:
    assert nodes(whole_graph(chain, "id = 1", max_num_hops=2)) == ([1, 2], [1])
    assert nodes(whole_graph(chain, "id = 1", max_num_hops=0)) == ([1], [])
    assert nodes(whole_graph(chain, "id = 1", boundary_executions="name = 'train'")) == ([1, 2], [1])
    assert nodes(whole_graph(chain, "id = 1", boundary_artifacts="name = 'report'")) == ([1], [1])
    assert nodes(whole_graph(chain, "id = 1", max_node_size=2)) == ([1], [1])
    assert nodes(whole_graph(chain, "id = 1", max_node_size=0)) == ([1, 2, 3], [1, 2])
    assert failure(whole_graph, chain, "id = 9") == "NotFoundError"
    assert failure(whole_graph, chain, "id = 1", max_num_hops=-1) == "InvalidArgumentError"
    assert failure(whole_graph, chain, "id = 1", boundary_artifacts="x") == "InvalidArgumentError"
