from __future__ import annotations

import itertools
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stratalog
from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Artifact, ArtifactState, Execution, ExecutionState, Kind, Link, LinkType
from stratalog.query.lineage import Lineage, StopAt, adjacency_of, lineage
from stratalog.query.lineage_tree import TreeNode
from stratalog.query.subgraph import PARTS, Subgraph, subgraph
from stratalog.store.store import Store
from tests.query.lineage_model import Found, Key, naive_walk
from tests.query.lineage_world import WALKABLE, Seen, World

seeds = st.integers(0, 2**32).map(Random)


def row_of(world: World, seen: Seen, key: Key, hops: int) -> dict[str, Any]:
    node = seen.nodes[key]
    words: Any = ArtifactState if key[0] is Kind.ARTIFACT else ExecutionState
    return {
        "kind": key[0].word,
        "id": node.id,
        "type": world.type_names[node.type_id],
        "name": node.name,
        "uri": node.uri,
        "state": None if node.state is None else words(node.state).name,
        "hops": hops,
    }


def link_row(seq: int, link: Link) -> dict[str, Any]:
    return {
        "execution_id": link.execution_id,
        "artifact_id": link.artifact_id,
        "type": LinkType(link.type).name,
        "path": msgspec.json.encode(link.path).decode(),
        "happened": datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=link.time_ms or 0),
        "seq": seq,
    }


def random_stop(random: Random, seen: Seen) -> tuple[StopAt, set[Key], set[Kind]]:
    """Where to end, the nodes that this means, and the kinds of them that are part of the answer."""
    ending = set(random.sample(sorted(seen.nodes), min(len(seen.nodes), random.randint(0, 4))))
    texts: dict[Kind, str | None] = {}
    for kind in WALKABLE:
        ids = [str(id) for k, id in ending if k is kind]
        texts[kind] = f"id IN ({', '.join(ids)})" if ids else random.choice([None, "", "id < 0"])
    included = {kind for kind in WALKABLE if random.random() < 0.5}
    stop = StopAt(
        artifacts=texts[Kind.ARTIFACT],
        executions=texts[Kind.EXECUTION],
        include_artifacts=Kind.ARTIFACT in included,
        include_executions=Kind.EXECUTION in included,
    )
    return stop, ending, included


@settings(deadline=None, max_examples=8)
@given(random=seeds)
def test_lineage_is_what_the_meaning_says_as_of_every_moment(random: Random) -> None:
    world = World(random)
    for _ in range(4):
        world.grow(random.choice([3, 15, 30]))
        seq = random.choice([world.store.head, random.randint(0, world.store.head)])
        seen = world.seen(seq)
        if not seen.nodes:
            continue
        starts = random.sample(sorted(seen.nodes), min(len(seen.nodes), random.randint(1, 3)))
        direction = random.choice(["up", "down", "both"])
        max_hops = random.choice([None, 0, 1, 2, 3, 8])
        stop, ending, included = random_stop(random, seen)
        types = random.choice([None, ["Model"], ["Shared", "Train"], ["Nothing"], []])
        state = random.choice([None, world.store._state])

        found = lineage(
            world.snapshot(seq),
            starts,
            direction=direction,
            max_hops=max_hops,
            types=types,
            stop_at=stop,
            state=state,
        )

        expected = naive_walk(
            seen.links, starts, direction, seq=seq, max_hops=max_hops, ending=ending, included_kinds=included
        )
        in_order = sorted(expected.hops, key=lambda key: (expected.hops[key], key))
        rows = [row_of(world, seen, key, expected.hops[key]) for key in in_order]
        assert found.rows() == [row for row in rows if types is None or row["type"] in types]
        assert found.links.to_pylist() == [link_row(s, link) for s, link in seen.links if s in expected.seqs]
        for kind in WALKABLE:
            assert found.ids(kind) == sorted(row["id"] for row in found.rows() if row["kind"] == kind.word)
        check_tree(found, expected, set(types) if types is not None else None)


def walk_tree(roots: Collection[TreeNode]) -> list[tuple[TreeNode | None, TreeNode]]:
    found: list[tuple[TreeNode | None, TreeNode]] = [(None, root) for root in roots]
    for _, node in found:
        found.extend((node, child) for child in node.children)
    return found


def check_tree(found: Lineage, expected: Found, types: set[str] | None) -> None:
    pairs = walk_tree(found.tree())
    full = [node for _, node in pairs if not node.is_repeat]
    keys = [(node.kind, node.id) for node in full]
    assert len(set(keys)) == len(keys)
    assert all(node.more == 0 and node.hops == expected.hops[node.kind, node.id] for _, node in pairs)
    assert all(not node.children for _, node in pairs if node.is_repeat)
    assert all(parent is None or parent.hops + 1 == node.hops for parent, node in pairs if not node.is_repeat)
    if types is None:
        assert set(keys) == set(expected.hops)
        shown = sum(len(node.link_types) for _, node in pairs)
        assert shown == len(expected.seqs)
    else:
        ends = {(node.kind, node.id) for node in full if not node.children}
        wanted = {(Kind[row["kind"].upper()], row["id"]) for row in found.rows()}
        assert wanted <= set(keys)
        assert all(key in wanted or expected.hops[key] == 0 for key in ends)


@settings(deadline=None, max_examples=8)
@given(random=seeds)
def test_a_subgraph_is_what_mlmd_says(random: Random) -> None:
    world = World(random)
    for _ in range(4):
        world.grow(random.choice([3, 15, 30]))
        seq = random.choice([world.store.head, random.randint(0, world.store.head)])
        seen = world.seen(seq)
        kind = random.choice(WALKABLE)
        there = sorted(id for k, id in seen.nodes if k is kind)
        if not there:
            continue
        ids = random.sample(there, random.randint(1, min(3, len(there))))
        direction = random.choice(["up", "down", "both"])
        max_hops = random.choice([None, 0, 1, 2, 5, 1000])
        stop, ending, included = random_stop(random, seen)
        parts = random.choice([PARTS, frozenset(random.sample(sorted(PARTS), 2)), {"artifacts.id", "nonsense"}])

        found = subgraph(
            world.snapshot(seq),
            kind,
            f"id IN ({', '.join(map(str, ids))})",
            direction=direction,
            max_hops=max_hops,
            stop_at=stop,
            parts=parts,
        )

        walked = naive_walk(
            seen.links,
            [(kind, id) for id in ids],
            direction,
            seq=seq,
            max_hops=max_hops,
            ending=ending,
            included_kinds=included,
        )
        artifacts = sorted(id for k, id in walked.hops if k is Kind.ARTIFACT)
        executions = sorted(id for k, id in walked.hops if k is Kind.EXECUTION)
        attributions = [member for member in seen.attributions if member[1] in artifacts]
        associations = [member for member in seen.associations if member[1] in executions]
        links = [link_row(s, link) for s, link in seen.links if s in walked.seqs]
        contexts = sorted({member[0] for member in attributions + associations})
        assert found.artifact_ids == (artifacts if "artifacts" in parts else [])
        assert found.execution_ids == (executions if "executions" in parts else [])
        assert found.context_ids == (contexts if "contexts" in parts else [])
        assert found.links.to_pylist() == (links if "events" in parts else [])
        assert members(found, "attributions") == (attributions if "attributions" in parts else [])
        assert members(found, "associations") == (associations if "associations" in parts else [])


def members(found: Subgraph, part: str) -> list[tuple[int, int, int]]:
    table = getattr(found, part)
    assert table.column_names == ["context_id", "artifact_id" if part == "attributions" else "execution_id", "seq"]
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


# ---- a store that tells a story: data -> clean -> train x2 -> two models, one of them evaluated


@pytest.fixture
def store() -> Store:
    store: Store = stratalog.open("memory:")
    data, model = store.put_type("artifact", "Data"), store.put_type("artifact", "Model")
    step = store.put_type("execution", "Step")
    store.put_type("context", "Run")
    store.put_artifacts([Artifact(type_id=data, name=name) for name in ("raw", "clean")])
    store.put_artifacts([Artifact(type_id=model, name=name) for name in ("small", "large")])
    store.put_artifacts([Artifact(type_id=data, name="report")])
    store.put_executions([Execution(type_id=step, name=name) for name in ("clean", "train1", "train2", "evaluate")])
    story = [(1, 1, 3), (1, 2, 4), (2, 2, 3), (2, 3, 4), (3, 2, 3), (3, 4, 4), (4, 3, 3), (4, 4, 3), (4, 5, 4)]
    for execution, artifact, link_type in story:
        store.put_links([Link(execution_id=execution, artifact_id=artifact, type=link_type)])
    return store


def ask(store: Store, *starts: tuple[Kind, int], **arguments: Any) -> Lineage:
    return lineage(store.snapshot(), starts, **arguments)


def unread(after: int, upto: int) -> Any:
    raise AssertionError(f"links after {after} up to {upto} are read again")


def names(found: Lineage) -> list[str]:
    return [row["name"] for row in found.rows()]


def test_all_models_trained_on_a_data_set(store: Store) -> None:
    found = ask(store, (Kind.ARTIFACT, 1), direction="down", types=["Model"])

    assert names(found) == ["small", "large"]
    assert found.ids(Kind.ARTIFACT) == [3, 4]
    assert found.ids(Kind.EXECUTION) == []
    assert found.df()["hops"].tolist() == [4, 4]
    assert found.pl()["kind"].to_list() == ["artifact", "artifact"]


def test_every_step_back_from_a_model_to_its_sources(store: Store) -> None:
    found = ask(store, (Kind.ARTIFACT, 3), direction="up")

    assert names(found) == ["small", "train1", "clean", "clean", "raw"]
    assert found.arrow()["hops"].to_pylist() == [0, 1, 2, 3, 4]


def test_the_store_asks_the_same(store: Store) -> None:
    found = store.lineage("artifact", 3, direction="up")

    assert found.arrow().equals(ask(store, (Kind.ARTIFACT, 3), direction="up").arrow())
    assert names(store.as_of(store.head - 6).lineage("artifact", 3, direction="up")) == ["small"]


def test_the_state_and_the_tables_give_the_same_bytes(store: Store) -> None:
    for kind, id, types in itertools.product(WALKABLE, [1, 4], [None, ["Data"], ["Step"], []]):
        slow = ask(store, (kind, id), types=types)
        fast = ask(store, (kind, id), types=types, state=store._state)

        assert fast.arrow().equals(slow.arrow())
        assert fast.arrow().schema.equals(slow.arrow().schema)


def test_a_state_that_has_gone_on_is_not_asked(store: Store) -> None:
    snapshot = store.snapshot()
    store.put_artifacts([Artifact(id=3, type_id=store.get_artifact(3).type_id, uri="s3://new")])

    found = lineage(snapshot, [(Kind.ARTIFACT, 3)], direction="up", state=store._state)

    assert found.rows()[0]["uri"] is None
    assert ask(store, (Kind.ARTIFACT, 3), state=store._state).rows()[0]["uri"] == "s3://new"


def test_a_tree_shows_each_node_in_full_once(store: Store) -> None:
    (root,) = ask(store, (Kind.ARTIFACT, 1), direction="down").tree()

    clean = root.children[0].children[0]
    train1, train2 = clean.children
    evaluate, repeated = train1.children[0].children[0], train2.children[0].children[0]
    assert (clean.name, clean.link_types, clean.hops) == ("clean", ("OUTPUT",), 2)
    assert (evaluate.id, evaluate.is_repeat, [child.name for child in evaluate.children]) == (4, False, ["report"])
    assert (repeated.id, repeated.is_repeat, repeated.children, repeated.name) == (4, True, [], "evaluate")


def test_a_tree_keeps_to_its_bounds_and_counts_what_is_left_out(store: Store) -> None:
    found = ask(store, (Kind.ARTIFACT, 2), direction="down")

    (shallow,) = found.tree(max_depth=1)
    (narrow,) = found.tree(max_children=1)

    assert [(child.name, child.children, child.more) for child in shallow.children] == [
        ("train1", [], 1),
        ("train2", [], 1),
    ]
    assert [child.name for child in narrow.children] == ["train1"]
    assert narrow.more == 1


def test_a_long_chain_makes_a_deep_tree(store: Store) -> None:
    data = store.get_type("artifact", "Data").id
    step = store.get_type("execution", "Step").id
    count = 700
    first = store.put_artifacts([Artifact(type_id=data) for _ in range(count + 1)]).ids[0]
    run = store.put_executions([Execution(type_id=step) for _ in range(count)]).ids[0]
    store.put_links(
        Link(execution_id=run + i, artifact_id=first + i + is_output, type=4 if is_output else 3)
        for i in range(count)
        for is_output in (0, 1)
    )

    found = ask(store, (Kind.ARTIFACT, first), direction="down")
    (node,) = found.tree(max_depth=2 * count)

    assert len(found) == 2 * count + 1
    depth = 0
    while node.children:
        (node,) = node.children
        depth += 1
    assert depth == 2 * count


def test_a_limit_on_nodes_keeps_the_nearest(store: Store) -> None:
    found = ask(store, (Kind.ARTIFACT, 1), direction="down", node_limit=4)

    assert names(found) == ["raw", "clean", "clean", "train1"]
    assert found.is_cut
    assert found.links["seq"].to_pylist() == ask(store, (Kind.EXECUTION, 2), max_hops=9).links["seq"].to_pylist()[:3]
    assert not ask(store, (Kind.ARTIFACT, 1), node_limit=9).is_cut


def test_stops_take_any_filter(store: Store) -> None:
    kept = ask(store, (Kind.ARTIFACT, 1), direction="down", stop_at=StopAt(artifacts="type = 'Model'"))
    left_out = ask(
        store,
        (Kind.ARTIFACT, 1),
        direction="down",
        stop_at=StopAt(executions="name LIKE 'train%'", include_executions=False),
    )

    assert names(kept) == ["raw", "clean", "clean", "train1", "train2", "small", "large"]
    assert names(left_out) == ["raw", "clean", "clean"]
    assert len(left_out.links) == 2


def test_a_question_after_a_commit_reads_only_what_is_new(store: Store) -> None:
    ask(store, (Kind.ARTIFACT, 1))
    before = adjacency_of(store.snapshot().tables).at(0, unread)
    run = store.put_executions([Execution(type_id=store.get_type("execution", "Step").id)]).id
    store.put_links([Link(execution_id=run, artifact_id=5, type=3)])

    found = ask(store, (Kind.ARTIFACT, 5), direction="down")

    assert found.ids(Kind.EXECUTION) == [run]
    assert before.link_count == 9
    assert adjacency_of(store.snapshot().tables).at(store.head, unread).link_count == 10


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize(
    ("kind", "id"), [(Kind.ARTIFACT, 99), (Kind.EXECUTION, 99), (Kind.ARTIFACT, 0), (Kind.EXECUTION, 2**62)]
)
def test_a_start_that_is_not_there_is_refused(store: Store, kind: Kind, id: int, with_state: bool) -> None:
    state = store._state if with_state else None

    with pytest.raises(NotFoundError, match=f"no {kind.word} {id}") as caught:
        ask(store, (Kind.ARTIFACT, 1), (kind, id), types=["Model"], state=state)

    assert caught.value.code == ErrorCode.NOT_FOUND


def test_a_start_that_was_not_yet_there_is_refused(store: Store) -> None:
    ask(store, (Kind.ARTIFACT, 3))  # from here on, later links of the artifact are at hand
    early = store.as_of(5).snapshot()

    with pytest.raises(NotFoundError, match="no artifact 3"):
        lineage(early, [(Kind.ARTIFACT, 3)])
    assert lineage(early, [(Kind.ARTIFACT, 1)]).ids(Kind.ARTIFACT) == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": "sideways"}, "direction 'sideways'"),
        ({"max_hops": -1}, "max_hops -1"),
        ({"max_hops": 1.5}, "max_hops 1.5"),
        ({"node_limit": -1}, "node_limit -1"),
        ({"stop_at": StopAt(artifacts="nonsense = 1")}, "nonsense"),
    ],
)
def test_wrong_arguments_are_refused(store: Store, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ask(store, (Kind.ARTIFACT, 1), **arguments)


def test_contexts_and_nothing_are_no_starts(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="cannot start from context 1"):
        ask(store, (Kind.CONTEXT, 1))
    with pytest.raises(InvalidInputError, match="no node to start from"):
        ask(store)


def test_a_subgraph_needs_starts(store: Store) -> None:
    snapshot = store.snapshot()

    with pytest.raises(InvalidInputError, match="no filter"):
        subgraph(snapshot, Kind.ARTIFACT, "")
    with pytest.raises(InvalidInputError, match="contexts"):
        subgraph(snapshot, Kind.CONTEXT, "id = 1")
    with pytest.raises(NotFoundError, match="matches 'id = 77'"):
        subgraph(snapshot, Kind.EXECUTION, "id = 77")
    with pytest.raises(InvalidInputError, match="max_hops -3"):
        subgraph(snapshot, Kind.ARTIFACT, "id = 1", max_hops=-3)


def test_a_subgraph_starts_from_no_more_than_mlmd_does(store: Store) -> None:
    data = store.get_type("artifact", "Data").id
    store.put_artifacts([Artifact(type_id=data) for _ in range(200)])

    found = subgraph(store.snapshot(), Kind.ARTIFACT, "id > 10", max_hops=0)

    assert found.artifact_ids == list(range(11, 112))


def test_a_subgraph_goes_no_further_than_a_hundred_hops(store: Store) -> None:
    data, step = store.get_type("artifact", "Data").id, store.get_type("execution", "Step").id
    first = store.put_artifacts([Artifact(type_id=data, name="first"), *[Artifact(type_id=data)] * 80]).ids[0]
    run = store.put_executions([Execution(type_id=step)] * 80).ids[0]
    store.put_links(
        Link(execution_id=run + i, artifact_id=first + i + is_output, type=4 if is_output else 3)
        for i in range(80)
        for is_output in (0, 1)
    )

    for max_hops in (None, 100, 5000):
        found = subgraph(store.snapshot(), Kind.ARTIFACT, "name = 'first'", max_hops=max_hops)
        assert len(found.artifact_ids) == 51
        assert len(found.execution_ids) == 50
        assert len(found.links) == 100
