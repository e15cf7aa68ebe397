from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratalog.eventlog.events import Kind, Link, LinkType
from stratalog.projections.lineage import Graph, Links, codes_of
from stratalog.query.walk import Reached, Stops, links_between, walk
from tests.query import lineage_model as model
from tests.query.lineage_model import Key, naive_walk

WIDE = 2**40
"""Ids this far apart must not cost memory."""


def graph_of(links: list[Link], cuts: list[int] | None = None, *, spread: int = 1) -> Graph:
    """A graph of links with seqs 1, 2, 3 ..., extended after each of the cuts."""
    graph, done = Graph(), 0
    for cut in [*sorted(cuts or []), len(links)]:
        part = links[done:cut]
        table = pa.table(
            {
                "execution": pa.array([link.execution_id * spread for link in part], pa.int64()),
                "artifact": pa.array([link.artifact_id * spread for link in part], pa.int64()),
                "type": pa.array([link.type for link in part], pa.int8()),
                "seq": pa.array(range(done + 1, cut + 1), pa.int64()),
            }
        )
        graph, done = graph.extended(Links.of(table), cut), cut
    return graph


def codes(keys: Any, *, spread: int = 1) -> Any:
    return np.array([id * spread << 1 | (kind == Kind.EXECUTION) for kind, id in keys], np.int64)


def key_of(code: int, spread: int = 1) -> Key:
    return (Kind.EXECUTION if code & 1 else Kind.ARTIFACT, (code >> 1) // spread)


def hops_of(reached: Reached, spread: int = 1) -> dict[Key, int]:
    return {
        key_of(code, spread): hops for code, hops in zip(reached.codes.tolist(), reached.hops.tolist(), strict=True)
    }


@settings(deadline=None)
@given(data=st.data(), links=model.links(), direction=model.directions)
def test_a_walk_finds_what_the_meaning_says(data: st.DataObject, links: list[Link], direction: Any) -> None:
    spread = data.draw(st.sampled_from([1, WIDE]))
    graph = graph_of(links, data.draw(st.lists(st.integers(0, len(links)), max_size=3)), spread=spread)
    starts = data.draw(st.sets(model.keys(id_max=7), min_size=1, max_size=3))
    ending = data.draw(st.sets(model.keys(id_max=7), max_size=4))
    included = data.draw(st.sets(st.sampled_from([Kind.ARTIFACT, Kind.EXECUTION])))
    seq = data.draw(st.integers(0, len(links)))
    max_hops = data.draw(st.none() | st.integers(0, 6))

    stops = Stops(
        codes([key for key in ending if key[0] in included], spread=spread),
        codes([key for key in ending if key[0] not in included], spread=spread),
    )
    starting = codes(starts, spread=spread)
    reached = walk(graph, starting, direction, as_of_seq=seq, max_hops=max_hops, stops=stops)
    expected = naive_walk(
        list(enumerate(links, 1)), starts, direction, seq=seq, max_hops=max_hops, ending=ending, included_kinds=included
    )

    assert hops_of(reached, spread) == expected.hops
    assert len(reached.codes) == len(expected.hops)
    assert sorted(reached.link_seqs.tolist()) == sorted(expected.seqs)
    order = [(hops, *key_of(code)) for code, hops in zip(reached.codes.tolist(), reached.hops.tolist(), strict=True)]
    assert order == sorted(order)
    assert not reached.is_cut
    for source, target, link_type, s in zip(*reached[2:6], strict=True):
        link = links[s - 1]
        ends = {key_of(source, spread), key_of(target, spread)}
        assert ends == {(Kind.ARTIFACT, link.artifact_id), (Kind.EXECUTION, link.execution_id)}
        assert link_type == link.type


@settings(deadline=None)
@given(data=st.data(), links=model.links(), direction=model.directions, node_max=st.integers(0, 8))
def test_a_bound_on_nodes_keeps_the_nearest_and_the_links_between_them(
    data: st.DataObject, links: list[Link], direction: Any, node_max: int
) -> None:
    graph = graph_of(links)
    starts = codes(data.draw(st.sets(model.keys(), min_size=1, max_size=3)))

    whole = walk(graph, starts, direction)
    reached = walk(graph, starts, direction, node_max=node_max)

    assert reached.codes.tolist() == whole.codes.tolist()[:node_max]
    assert reached.is_cut == (len(whole.codes) > node_max)
    kept = set(reached.codes.tolist())
    assert set(reached.link_sources.tolist()) | set(reached.link_targets.tolist()) <= kept
    if not reached.is_cut:
        assert reached.link_seqs.tolist() == whole.link_seqs.tolist()
    inner = {code for code, hops in zip(reached.codes.tolist(), reached.hops.tolist(), strict=True) if hops}
    assert inner <= set(reached.link_targets.tolist())


@settings(deadline=None)
@given(data=st.data(), links=model.links())
def test_links_between_are_those_with_both_ends_inside(data: st.DataObject, links: list[Link]) -> None:
    spread = data.draw(st.sampled_from([1, WIDE]))
    graph = graph_of(links, data.draw(st.lists(st.integers(0, len(links)), max_size=3)), spread=spread)
    inside = data.draw(st.sets(model.keys(id_max=7)))
    seq = data.draw(st.integers(0, len(links)))

    found = links_between(graph, codes(inside, spread=spread), as_of_seq=seq)

    assert found.tolist() == [
        s
        for s, link in enumerate(links, 1)
        if s <= seq and {(Kind.ARTIFACT, link.artifact_id), (Kind.EXECUTION, link.execution_id)} <= inside
    ]


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_cycle_ends(direction: Any) -> None:
    links = [
        Link(execution_id=1, artifact_id=1, type=LinkType.INPUT),
        Link(execution_id=1, artifact_id=2, type=LinkType.OUTPUT),
        Link(execution_id=2, artifact_id=2, type=LinkType.INPUT),
        Link(execution_id=2, artifact_id=1, type=LinkType.OUTPUT),
    ]

    reached = walk(graph_of(links), codes_of(Kind.ARTIFACT, [1]), direction)

    assert len(reached.codes) == 4
    assert sorted(reached.link_seqs.tolist()) == [1, 2, 3, 4]


def test_an_artifact_that_one_step_reads_and_writes_is_reached_once() -> None:
    links = [
        Link(execution_id=1, artifact_id=1, type=LinkType.INPUT),
        Link(execution_id=1, artifact_id=1, type=LinkType.OUTPUT),
    ]

    reached = walk(graph_of(links), codes_of(Kind.ARTIFACT, [1]), "down")

    assert hops_of(reached) == {(Kind.ARTIFACT, 1): 0, (Kind.EXECUTION, 1): 1}
    assert reached.link_seqs.tolist() == [1, 2]


def test_a_walk_without_links_gives_its_starts() -> None:
    reached = walk(Graph(), codes_of(Kind.EXECUTION, [9, 4]), "both")

    assert hops_of(reached) == {(Kind.EXECUTION, 4): 0, (Kind.EXECUTION, 9): 0}
    assert len(reached.link_seqs) == 0
