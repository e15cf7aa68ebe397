"""Recording steps: put_execution and put_lineage."""

from __future__ import annotations

from typing import Any

import pytest

from stratalog.commands.executions import Edge, Pair, StepOptions
from stratalog.eventlog.errors import ErrorCode
from stratalog.eventlog.events import Artifact, Context, Execution, Link
from tests.commands.desk import Desk

REUSE_CONTEXT = StepOptions(reuse_context=True)
REUSE_ARTIFACT = StepOptions(reuse_artifact_by_external_id=True)
FORCE_REUSE = StepOptions(force_reuse_context=True)


class Types:
    def __init__(self, desk: Desk) -> None:
        self.artifact = desk.artifact_type()
        self.execution = desk.execution_type()
        self.context = desk.context_type()


def test_a_step_is_one_commit_of_artifacts_execution_links_and_contexts(desk: Desk) -> None:
    t = Types(desk)
    old = desk.artifact(name="old", properties={"i": 1})
    commits = desk.store.put_artifacts([]).seq
    desk.settle()

    step = desk.store.put_execution(
        Execution(type_id=t.execution, name="run"),
        [
            Pair(artifact=Artifact(id=old, properties={"i": 2}), link=Link(type=3, path=["in"])),
            Pair(artifact=Artifact(type_id=t.artifact, name="new"), link=Link(type=4)),
            Pair(artifact=Artifact(type_id=t.artifact, name="unlinked")),
            Pair(link=Link(type=5, artifact_id=old)),
            Pair(),
        ],
        [Context(type_id=t.context, name="p"), Context(type_id=t.context, name="q")],
    )
    desk.settle()

    new, unlinked = old + 1, old + 2
    assert (step.execution_id, step.artifact_ids, step.context_ids) == (1, [old, new, unlinked, old, -1], [1, 2])
    # 3 artifacts, 1 execution, 3 links, and for 2 contexts: itself, 1 association, 3 attributions
    assert step.seq == desk.store.head == commits + 3 + 1 + 3 + 2 * 5
    assert desk.store.get_artifact(old).properties == {"i": 2}
    links = desk.store.get_links(executions=1)
    assert [(link.artifact_id, link.type, link.path) for link in links] == [
        (old, 3, ["in"]),
        (new, 4, []),
        (old, 5, []),
    ]
    for context in (1, 2):
        assert [n.id for n in desk.store.get_artifacts(context=context)] == [old, new, unlinked]
        assert [n.id for n in desk.store.get_executions(context=context)] == [1]


def test_a_step_again_with_its_id_is_an_update_and_repeats_no_link(desk: Desk) -> None:
    t = Types(desk)
    first = desk.store.put_execution(
        Execution(type_id=t.execution),
        [Pair(artifact=Artifact(type_id=t.artifact), link=Link(type=3))],
        [Context(type_id=t.context, name="p")],
    )
    desk.settle()

    with desk.refused(ErrorCode.ALREADY_EXISTS, "link of execution 1 and artifact 1"):
        desk.store.put_execution(Execution(id=1, state=3), [Pair(artifact=Artifact(id=1), link=Link(type=3))])
    again = desk.store.put_execution(
        Execution(id=1, state=3),
        [Pair(artifact=Artifact(id=1), link=Link(type=4))],
        [Context(id=1, type_id=t.context, name="p")],
    )
    assert (again.execution_id, again.artifact_ids, again.context_ids) == (1, [1], [1])
    assert again.seq == first.seq + 2, "a new version of the execution and a link; the memberships are there"


def test_an_execution_update_that_changes_nothing_can_be_forced(desk: Desk) -> None:
    t = Types(desk)
    desk.store.put_execution(Execution(type_id=t.execution))
    head = desk.store.head
    desk.tick(5)

    assert desk.store.put_execution(Execution(id=1)).commit is None
    assert desk.store.head == head
    desk.store.put_execution(Execution(id=1), options=StepOptions(force_update_time=True))
    node = desk.store.get_execution(1)
    assert node.update_time_ms == node.create_time_ms + 5


def test_the_ids_of_a_link_must_be_those_of_its_pair(desk: Desk) -> None:
    t = Types(desk)
    a, b, e = desk.artifact(), desk.artifact(), desk.execution()
    desk.settle()
    put = desk.store.put_execution

    with desk.refused(ErrorCode.INVALID_VALUE, "pair 1", "execution id 9"):
        put(Execution(id=e), [Pair(), Pair(artifact=Artifact(id=a), link=Link(type=3, execution_id=9))])
    with desk.refused(ErrorCode.INVALID_VALUE, "pair 0", f"artifact id {b}"):
        put(Execution(id=e), [Pair(artifact=Artifact(id=a), link=Link(type=3, artifact_id=b))])
    with desk.refused(ErrorCode.INVALID_VALUE, "pair 0", "artifact id 1"):
        put(Execution(id=e), [Pair(artifact=Artifact(type_id=t.artifact), link=Link(type=3, artifact_id=1))])
    with desk.refused(ErrorCode.MISSING_FIELD, "pair 0: neither an artifact nor an artifact id"):
        put(Execution(id=e), [Pair(link=Link(type=3))])
    with desk.refused(ErrorCode.UNKNOWN_REFERENCE, "there is no artifact 9"):
        put(Execution(type_id=t.execution), [Pair(link=Link(type=3, artifact_id=9))])
    with desk.refused(ErrorCode.MISSING_FIELD, "type 0"):
        put(Execution(type_id=t.execution), [Pair(artifact=Artifact(id=a), link=Link())])
    step = put(Execution(id=e), [Pair(artifact=Artifact(id=a), link=Link(type=3, execution_id=e, artifact_id=a))])
    assert step.artifact_ids == [a]


def test_a_late_refusal_in_a_step_leaves_nothing_of_it(desk: Desk) -> None:
    t = Types(desk)
    desk.context("taken")
    desk.settle()
    pairs = [Pair(artifact=Artifact(type_id=t.artifact, name="n", external_id="x"), link=Link(type=3))]
    new = Context(type_id=t.context, name="new")

    for bad, code in (
        (Context(type_id=t.context, name="taken"), ErrorCode.ALREADY_EXISTS),
        (Context(type_id=t.context, name="new"), ErrorCode.ALREADY_EXISTS),
        (Context(type_id=t.context), ErrorCode.MISSING_FIELD),
        (Context(name="n"), ErrorCode.MISSING_FIELD),
        (Context(type_id=999, name="n"), ErrorCode.TYPE_NOT_FOUND),
        (Context(type_id=t.context, id=9, name="n"), ErrorCode.UNKNOWN_REFERENCE),
    ):
        with desk.refused(code, "context"):
            desk.store.put_execution(Execution(type_id=t.execution), pairs, [new, bad])
    with desk.refused(ErrorCode.MISSING_FIELD, "new execution: no type_id"):
        desk.store.put_execution(Execution(), pairs)


# ---- contexts of a step


def test_a_context_is_reused_as_it_is(desk: Desk) -> None:
    t = Types(desk)
    c = desk.context("p", properties={"i": 1})
    desk.settle()
    request = Context(type_id=t.context, name="p", properties={"i": 2})

    with desk.refused(ErrorCode.ALREADY_EXISTS, "the name 'p'"):
        desk.store.put_execution(Execution(type_id=t.execution), [], [request])
    step = desk.store.put_execution(
        Execution(type_id=t.execution),
        [],
        [request, Context(type_id=t.context, name="q"), request],
        options=REUSE_CONTEXT,
    )
    desk.settle()

    assert step.context_ids == [c, c + 1, c]
    assert desk.store.get_context(c).properties == {"i": 1}
    assert [n.id for n in desk.store.get_executions(context=c)] == [1]


def test_reuse_needs_type_and_name_and_looks_within_the_type(desk: Desk) -> None:
    t = Types(desk)
    other = desk.store.put_type("context", "Other")
    desk.context("p")
    put = desk.store.put_execution

    for context, code in (
        (Context(type_id=t.context), ErrorCode.MISSING_FIELD),
        (Context(type_id=t.context, name=""), ErrorCode.MISSING_FIELD),
        (Context(name="p"), ErrorCode.MISSING_FIELD),
        (Context(type_id=t.artifact, name="p"), ErrorCode.TYPE_NOT_FOUND),
    ):
        with desk.refused(code):
            put(Execution(type_id=t.execution), [], [context], options=REUSE_CONTEXT)
    step = put(Execution(type_id=t.execution), [], [Context(type_id=other, name="p")], options=REUSE_CONTEXT)
    assert step.context_ids == [2]


def test_a_context_with_an_id_is_an_update_unless_its_reuse_is_forced(desk: Desk) -> None:
    t = Types(desk)
    c = desk.context("p", properties={"i": 1})
    desk.settle()
    put = desk.store.put_execution

    for request in (Context(id=c, name="p"), Context(id=c, type_id=t.context)):
        with desk.refused(ErrorCode.MISSING_FIELD, f"context {c}"):
            put(Execution(type_id=t.execution), [], [request])
    put(Execution(type_id=t.execution), [], [Context(id=c, name="r")], options=FORCE_REUSE)
    assert desk.store.get_context(c).name == "p"
    with desk.refused(ErrorCode.NOT_FOUND, "context 9"):
        put(Execution(type_id=t.execution), [], [Context(id=9, type_id=t.context, name="p")], options=FORCE_REUSE)
    put(Execution(type_id=t.execution), [], [Context(id=c, type_id=t.context, name="r")], options=REUSE_CONTEXT)
    node = desk.store.get_context(c)
    assert (node.name, node.properties) == ("r", {})


# ---- artifacts of a step


def test_an_artifact_is_reused_by_its_external_id_and_updated(desk: Desk) -> None:
    t = Types(desk)
    a = desk.artifact(external_id="x", name="n", properties={"i": 1}, uri="u")
    other = desk.store.put_type("artifact", "Other")
    desk.settle()
    put = desk.store.put_execution
    request = Pair(artifact=Artifact(type_id=t.artifact, external_id="x", properties={"d": 2.0}), link=Link(type=3))
    new = Pair(artifact=Artifact(type_id=t.artifact, external_id="y"), link=Link(type=4))

    with desk.refused(ErrorCode.ALREADY_EXISTS, "the external id 'x'"):
        put(Execution(type_id=t.execution), [request])
    step = put(Execution(type_id=t.execution), [request, new, Pair(artifact=new.artifact)], options=REUSE_ARTIFACT)
    desk.settle()
    assert step.artifact_ids == [a, a + 1, a + 1]
    node = desk.store.get_artifact(a)
    assert (node.name, node.properties, node.uri, node.external_id) == ("n", {"d": 2.0}, None, "x")
    with desk.refused(ErrorCode.TYPE_MISMATCH, f"type_id {other}"):
        put(
            Execution(type_id=t.execution),
            [Pair(artifact=Artifact(type_id=other, external_id="x"))],
            options=REUSE_ARTIFACT,
        )
    empty = [Pair(artifact=Artifact(type_id=t.artifact, external_id="")) for _ in range(2)]
    assert len(set(put(Execution(type_id=t.execution), empty, options=REUSE_ARTIFACT).artifact_ids)) == 2


def test_what_is_no_artifact_execution_or_link_has_no_place_in_a_step(memory: Desk) -> None:
    t = Types(memory)
    memory.execution()
    put: Any = memory.store.put_execution
    lineage: Any = memory.store.put_lineage
    pair: Any = Pair
    edge: Any = Edge
    artifact: Any = Artifact
    context: Any = Context
    execution = Execution(type_id=t.execution)

    calls: list[tuple[Any, str]] = [
        (lambda: put(Artifact(type_id=t.artifact)), "Artifact where Execution"),
        (lambda: put(None), "NoneType where Execution"),
        (lambda: put(execution, [(None, None)]), "tuple where Pair"),
        (lambda: put(execution, [pair(artifact=execution)]), "pair 0, artifact: Execution where Artifact"),
        (lambda: put(execution, [Pair(), pair(artifact="x")]), "pair 1, artifact: str where Artifact"),
        (lambda: put(execution, [pair(link="x")]), "pair 0, link: str where Link"),
        (lambda: put(execution, [], [execution]), "Execution where Context"),
        (lambda: lineage(artifacts=[execution]), "Execution where Artifact"),
        (lambda: lineage(edges=[Link()]), "Link where Edge"),
        (lambda: lineage(edges=[edge(link=7)]), "edge 0, link: int where Link"),
        (lambda: lineage(edges=[edge(execution_index="0", link=Link(artifact_id=1))]), "execution_index: '0'"),
        (
            lambda: put(
                execution, [pair(artifact=artifact(type_id=t.artifact, external_id=["x"]))], options=REUSE_ARTIFACT
            ),
            "external_id: ['x']",
        ),
        (lambda: put(execution, [], [context(type_id=t.context, name=["p"])], options=REUSE_CONTEXT), "name: ['p']"),
        (lambda: put(execution, [], [context(id="1")], options=FORCE_REUSE), "id: '1'"),
    ]
    for call, part in calls:
        with memory.refused(ErrorCode.INVALID_VALUE, part):
            call()


# ---- lineage


def test_a_piece_of_lineage_is_one_commit(desk: Desk) -> None:
    t = Types(desk)
    old_artifact, old_execution = desk.artifact(name="old"), desk.execution(name="old")
    c = desk.context("p")
    desk.settle()

    piece = desk.store.put_lineage(
        executions=[
            Execution(type_id=t.execution, name="e"),
            Execution(id=old_execution, type_id=t.execution, state=3),
        ],
        artifacts=[Artifact(type_id=t.artifact, name="a"), Artifact(id=old_artifact, type_id=t.artifact)],
        contexts=[Context(type_id=t.context, name="p"), Context(type_id=t.context, name="q")],
        edges=[
            Edge(execution_index=0, artifact_index=1, link=Link(type=3)),
            Edge(execution_index=0, artifact_index=0, link=Link(type=4, path=["o"])),
            Edge(artifact_index=0, link=Link(type=3, execution_id=old_execution)),
            Edge(
                execution_index=1,
                artifact_index=1,
                link=Link(type=3, execution_id=old_execution, artifact_id=old_artifact),
            ),
        ],
        options=REUSE_CONTEXT,
    )
    desk.settle()

    assert (piece.execution_ids, piece.artifact_ids, piece.context_ids) == ([2, 1], [2, 1], [c, c + 1])
    assert piece.seq == desk.store.head
    links = desk.store.get_links(executions=[1, 2])
    assert [(n.execution_id, n.artifact_id, n.type, n.path) for n in links] == [
        (1, 2, 3, []),
        (1, 1, 3, []),
        (2, 1, 3, []),
        (2, 2, 4, ["o"]),
    ]
    for context in piece.context_ids:
        assert [n.id for n in desk.store.get_executions(context=context)] == [1, 2]
        assert [n.id for n in desk.store.get_artifacts(context=context)] == [1, 2]


def test_lineage_may_be_empty_or_edges_alone_or_nodes_alone(desk: Desk) -> None:
    t = Types(desk)
    a, e = desk.artifact(), desk.execution()
    desk.settle()

    assert desk.store.put_lineage().commit is None
    edges_alone = desk.store.put_lineage(edges=[Edge(link=Link(type=3, execution_id=e, artifact_id=a))])
    assert (edges_alone.execution_ids, edges_alone.artifact_ids) == ([], [])
    assert desk.store.put_lineage(artifacts=[Artifact(type_id=t.artifact)]).artifact_ids == [2]
    assert len(desk.store.get_links(executions=e)) == 1


@pytest.mark.parametrize(
    ("edge", "code", "part"),
    [
        (Edge(execution_index=0, artifact_index=0), ErrorCode.MISSING_FIELD, "edge 1: no link"),
        (Edge(artifact_index=0, link=Link(type=3)), ErrorCode.MISSING_FIELD, "neither execution_index"),
        (Edge(execution_index=0, link=Link(type=3)), ErrorCode.MISSING_FIELD, "neither artifact_index"),
        (
            Edge(execution_index=2, artifact_index=0, link=Link(type=3)),
            ErrorCode.INDEX_OUT_OF_RANGE,
            "2 in a list of 2",
        ),
        (Edge(execution_index=0, artifact_index=-1, link=Link(type=3)), ErrorCode.INDEX_OUT_OF_RANGE, "-1 in a list"),
        (
            Edge(execution_index=0, artifact_index=0, link=Link(type=3, execution_id=1)),
            ErrorCode.INVALID_VALUE,
            "execution id 1 where that of execution 0, new",
        ),
        (
            Edge(execution_index=1, artifact_index=0, link=Link(type=3, execution_id=7)),
            ErrorCode.INVALID_VALUE,
            "execution id 7 where that of execution 1, 1",
        ),
        (Edge(execution_index=0, link=Link(type=3, artifact_id=99)), ErrorCode.UNKNOWN_REFERENCE, "no artifact 99"),
        (Edge(execution_index=0, artifact_index=0, link=Link()), ErrorCode.MISSING_FIELD, "type 0"),
        (Edge(execution_index=0, artifact_index=0, link=Link(type=4)), ErrorCode.ALREADY_EXISTS, "type OUTPUT already"),
    ],
)
def test_a_wrong_edge_refuses_all(desk: Desk, edge: Edge, code: ErrorCode, part: str) -> None:
    t = Types(desk)
    e = desk.execution()
    desk.settle()

    with desk.refused(code, part):
        desk.store.put_lineage(
            executions=[Execution(type_id=t.execution), Execution(id=e, type_id=t.execution, state=1)],
            artifacts=[Artifact(type_id=t.artifact)],
            contexts=[Context(type_id=t.context, name="p")],
            edges=[Edge(execution_index=0, artifact_index=0, link=Link(type=4)), edge],
        )


def test_lineage_wants_the_type_of_every_node_and_looks_at_all_before_it_writes(desk: Desk) -> None:
    t = Types(desk)
    a = desk.artifact()
    desk.settle()
    put = desk.store.put_lineage

    with desk.refused(ErrorCode.MISSING_FIELD, f"artifact {a}: no type_id"):
        put(artifacts=[Artifact(id=a)])
    with desk.refused(ErrorCode.TYPE_NOT_FOUND, "type_id 999"):
        put(artifacts=[Artifact(type_id=t.artifact)], executions=[Execution(type_id=999)])
    misfit = Artifact(type_id=t.artifact, properties={"zz": 1})
    with desk.refused(ErrorCode.TYPE_NOT_FOUND, "type_id 999"):
        put(artifacts=[misfit, Artifact(type_id=999)])
    with desk.refused(ErrorCode.UNKNOWN_PROPERTY, "'zz'"):
        put(artifacts=[misfit], executions=[Execution(type_id=999)])
    with desk.refused(ErrorCode.UNKNOWN_PROPERTY, "'zz'"):
        put(contexts=[Context(type_id=t.context, name="p", properties={"zz": 1})], options=REUSE_CONTEXT)
    with desk.refused(ErrorCode.INDEX_OUT_OF_RANGE):
        put(artifacts=[Artifact(type_id=999)], edges=[Edge(execution_index=5, artifact_index=0, link=Link(type=3))])


def test_lineage_reuses_contexts_and_artifacts_as_a_step_does(desk: Desk) -> None:
    t = Types(desk)
    a, c = desk.artifact(external_id="x", uri="u"), desk.context("p", properties={"i": 1})
    desk.settle()
    options = StepOptions(reuse_context=True, reuse_artifact_by_external_id=True)

    piece = desk.store.put_lineage(
        artifacts=[Artifact(type_id=t.artifact, external_id="x"), Artifact(type_id=t.artifact, external_id="y")],
        contexts=[Context(type_id=t.context, name="p")],
        options=options,
    )

    assert (piece.artifact_ids, piece.context_ids) == ([a, a + 1], [c])
    assert desk.store.get_artifact(a).uri is None
    assert desk.store.get_context(c).properties == {"i": 1}
    with desk.refused(ErrorCode.MISSING_FIELD, "no type_id"):
        desk.store.put_lineage(contexts=[Context(id=c)], options=FORCE_REUSE)
