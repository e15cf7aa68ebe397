from __future__ import annotations

import itertools
import threading
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stratalog.eventlog.events import Kind, LinkType
from stratalog.projections.lineage import JOIN_SHARE, SMALL_LINK_COUNT, Adjacency, Graph, Links, codes_of, in_order


def random_edges(count: int, *, seed: int = 1, node_count: int | None = None) -> pa.Table:
    random = np.random.default_rng(seed)
    node_count = count if node_count is None else node_count
    return pa.table(
        {
            "execution": random.integers(1, node_count + 1, count),
            "artifact": random.integers(1, node_count + 1, count),
            "type": random.integers(1, 8, count).astype(np.int8),
            "seq": np.arange(1, count + 1),
        }
    )


def pairs(graph: Graph, way: str) -> set[tuple[int, int, int, int]]:
    """(source, target, type, seq) of every link of a graph, read through `find`."""
    found: set[tuple[int, int, int, int]] = set()
    for part in graph.parts:
        rows = getattr(part, way)
        sources = np.unique(rows.sources())
        picked, places = rows.find(sources)
        columns = (sources[picked], rows.targets[places], rows.types[places], rows.seqs[places])
        found.update(zip(*(column.tolist() for column in columns), strict=True))
    return found


def expected(edges: pa.Table, way: str) -> set[tuple[int, int, int, int]]:
    found: set[tuple[int, int, int, int]] = set()
    for row in edges.to_pylist():
        artifact, execution = row["artifact"] << 1, row["execution"] << 1 | 1
        upper, lower = (artifact, execution) if LinkType(row["type"]).is_input else (execution, artifact)
        ends = (upper, lower) if way == "down" else (lower, upper)
        found.add((*ends, row["type"], row["seq"]))
    return found


@settings(deadline=None)
@given(count=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=5), spread=st.sampled_from([1, 2**40]))
def test_a_graph_extended_step_by_step_holds_each_link_once_in_both_directions(
    count: int, cuts: list[int], spread: int
) -> None:
    edges = random_edges(count, node_count=20)
    for name in ("execution", "artifact"):
        place = edges.column_names.index(name)
        edges = edges.set_column(place, name, pa.array(edges[name].to_numpy() * spread))
    graph, done = Graph(), 0
    for cut in [*sorted(min(cut, count) for cut in cuts), count]:
        graph, done = graph.extended(Links.of(edges.slice(done, cut - done)), cut), cut

    assert graph.seq == count
    assert graph.link_count == count
    for way in ("down", "up"):
        assert pairs(graph, way) == expected(edges, way)


def test_parts_stay_few_and_are_rarely_sorted_again() -> None:
    edges = random_edges(60_000)
    graph, done, sorted_count = Graph(), 0, 0
    for size in [40_000, *[100] * 200]:
        before = set(map(id, graph.parts))
        graph, done = graph.extended(Links.of(edges.slice(done, size)), done + size), done + size
        sorted_count += sum(part.count for part in graph.parts if id(part) not in before)
        counts = [part.count for part in graph.parts]
        assert len(counts) <= 3
        assert all(a > JOIN_SHARE * b or b == counts[-1] for a, b in itertools.pairwise(counts))
        assert all(count >= SMALL_LINK_COUNT for count in counts[:-1])

    assert graph.link_count == 60_000
    assert sorted_count < 20 * 60_000


def test_wide_gaps_between_ids_cost_no_memory() -> None:
    edges = pa.table({"execution": [1, 2**55], "artifact": [2**55, 3], "type": [3, 4], "seq": [1, 2]})
    edges = edges.set_column(2, "type", edges["type"].cast(pa.int8()))

    tracemalloc.start()
    graph = Graph().extended(Links.of(edges), 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert graph.place_count == 4
    assert peak < 1_000_000
    assert graph.linked(np.array([6, 7, 2**56])).tolist() == [6, 2**56]


def test_the_adjacency_reads_only_what_is_new() -> None:
    edges = random_edges(100)
    asked: list[tuple[int, int]] = []

    def read(after: int, upto: int) -> pa.Table:
        asked.append((after, upto))
        return edges.slice(after, upto - after)

    adjacency = Adjacency()
    first = adjacency.at(40, read)
    again = adjacency.at(30, read)
    second = adjacency.at(100, read)

    assert asked == [(0, 40), (40, 100)]
    assert again is first
    assert first.link_count == 40
    assert second.link_count == 100
    assert pairs(second, "down") == expected(edges, "down")


def test_threads_that_ask_at_once_read_each_link_once() -> None:
    edges = random_edges(1000)
    asked: list[tuple[int, int]] = []
    adjacency = Adjacency()
    start = threading.Barrier(4)

    def read(after: int, upto: int) -> pa.Table:
        asked.append((after, upto))
        return edges.slice(after, upto - after)

    def ask(counts: list[int]) -> None:
        start.wait()
        counts.extend(adjacency.at(seq, read).link_count - seq for seq in range(100, 1001, 100))

    results: list[list[int]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=ask, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(len(result) == 10 and min(result) >= 0 for result in results)
    assert sorted(asked) == [(seq, seq + 100) for seq in range(0, 1000, 100)]
    assert adjacency.at(1000, read).link_count == 1000


def test_a_failed_read_leaves_the_adjacency_as_it_was() -> None:
    edges = random_edges(10)
    adjacency = Adjacency()
    before = adjacency.at(4, lambda after, upto: edges.slice(after, upto - after))

    def broken(after: int, upto: int) -> Any:
        raise OSError("gone")

    try:
        adjacency.at(10, broken)
    except OSError as error:
        caught: str = str(error)

    assert caught == "gone"
    assert adjacency.at(4, broken) is before
    assert adjacency.at(10, lambda after, upto: edges.slice(after, upto - after)).link_count == 10


def test_codes_are_put_in_order_by_kind_and_id_each_once() -> None:
    codes = np.concatenate([codes_of(Kind.EXECUTION, [3, 1, 3]), codes_of(Kind.ARTIFACT, [2, 9, 2])])

    assert in_order(codes).tolist() == [4, 18, 3, 7]
    assert in_order(codes[:3]).tolist() == [3, 7]
    assert in_order(codes[:0]).tolist() == []
