"""Links, attributions, associations, parent contexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stratalog.eventlog.errors import ErrorCode
from stratalog.eventlog.events import Association, Attribution, Link, LinkType, ParentContext
from tests.commands.desk import START_US, Desk


def put(desk: Desk, *links: Link) -> None:
    desk.store.put_links(links)


def test_a_link_comes_back_from_both_ends(desk: Desk) -> None:
    a, b, e, f = desk.artifact(), desk.artifact(), desk.execution(), desk.execution()
    links = [
        Link(execution_id=e, artifact_id=a, type=LinkType.INPUT, path=["x", 0, "", -5], time_ms=7),
        Link(execution_id=f, artifact_id=a, type=LinkType.OUTPUT, path=[], time_ms=0),
        Link(execution_id=e, artifact_id=b, type=LinkType.OUTPUT, time_ms=-3),
    ]
    put(desk, links[0])
    desk.settle()
    put(desk, *links[1:])

    for _ in range(2):
        assert desk.store.get_links(executions=e) == [links[0], links[2]]
        assert desk.store.get_links(executions=[f, e, f]) == [links[1], links[0], links[2]]
        assert desk.store.get_links(artifacts=[a]) == links[:2]
        assert desk.store.get_links(executions=[e], artifacts=[b]) == [links[2]]
        assert desk.store.get_links(artifacts=[99]) == desk.store.get_links(executions=[0, -1, 2**70]) == []
        desk.settle()


def test_a_link_without_a_time_gets_that_of_the_commit(desk: Desk) -> None:
    a, e = desk.artifact(), desk.execution()
    put(desk, Link(execution_id=e, artifact_id=a, type=1))
    desk.settle()

    assert desk.store.get_links(executions=e)[0].time_ms == START_US // 1000


def test_the_identity_of_a_link_is_execution_artifact_and_type(desk: Desk) -> None:
    a, e = desk.artifact(), desk.execution()
    put(desk, *(Link(execution_id=e, artifact_id=a, type=t) for t in LinkType))
    desk.settle()

    for again in (Link(execution_id=e, artifact_id=a, type=3, path=["other"], time_ms=9),):
        with desk.refused(ErrorCode.ALREADY_EXISTS, f"execution {e}", f"artifact {a}", "type INPUT already"):
            put(desk, again)
    other = desk.artifact(name="other")
    with desk.refused(ErrorCode.ALREADY_EXISTS, f"artifact {other}"):
        put(desk, *[Link(execution_id=e, artifact_id=other, type=3, path=[str(i)]) for i in range(2)])
    assert [link.type for link in desk.store.get_links(executions=e)] == list(range(1, 8))


BAD_LINKS: list[tuple[dict[str, Any], ErrorCode, str]] = [
    ({"type": 0}, ErrorCode.MISSING_FIELD, "type 0"),
    ({"type": 8}, ErrorCode.INVALID_VALUE, "type 8"),
    ({"type": None}, ErrorCode.INVALID_VALUE, "None"),
    ({"type": "INPUT"}, ErrorCode.INVALID_VALUE, "'INPUT'"),
    ({"type": []}, ErrorCode.INVALID_VALUE, "list"),
    ({"artifact_id": 0}, ErrorCode.MISSING_FIELD, "no artifact id"),
    ({"execution_id": 0}, ErrorCode.MISSING_FIELD, "no execution id"),
    ({"execution_id": None}, ErrorCode.MISSING_FIELD, "no execution id"),
    ({"artifact_id": 9}, ErrorCode.UNKNOWN_REFERENCE, "there is no artifact 9"),
    ({"execution_id": 9}, ErrorCode.UNKNOWN_REFERENCE, "there is no execution 9"),
    ({"execution_id": 2**63 - 1}, ErrorCode.UNKNOWN_REFERENCE, "there is no execution"),
    ({"artifact_id": -1}, ErrorCode.UNKNOWN_REFERENCE, "there is no artifact -1"),
    ({"artifact_id": "1"}, ErrorCode.INVALID_VALUE, "'1'"),
    ({"artifact_id": True}, ErrorCode.INVALID_VALUE, "bool"),
    ({"path": "abc"}, ErrorCode.INVALID_VALUE, "path 'abc'"),
    ({"path": None}, ErrorCode.INVALID_VALUE, "path None"),
    ({"path": [None]}, ErrorCode.INVALID_VALUE, "NoneType"),
    ({"path": [1.5]}, ErrorCode.INVALID_VALUE, "1.5"),
    ({"path": ["\ud800"]}, ErrorCode.INVALID_VALUE, "surrogate"),
    ({"time_ms": "now"}, ErrorCode.INVALID_VALUE, "'now'"),
    ({"time_ms": 2**63}, ErrorCode.INVALID_VALUE, "64 bits"),
]


@pytest.mark.parametrize(("fields", "code", "part"), BAD_LINKS)
def test_a_wrong_link_is_refused_with_all_of_its_request(
    desk: Desk, fields: dict[str, Any], code: ErrorCode, part: str
) -> None:
    a, e = desk.artifact(), desk.execution()
    desk.settle()
    good: dict[str, Any] = {"artifact_id": a, "execution_id": e, "type": 3}

    with desk.refused(code, part):
        put(desk, Link(**good), Link(**{**good, "type": 4, **fields}))


def test_ids_of_numpy_are_good_ends(desk: Desk) -> None:
    number: Any = np.int64
    a, e, c = number(desk.artifact()), number(desk.execution()), number(desk.context("c"))
    put(desk, Link(execution_id=e, artifact_id=a, type=number(3), path=[number(1)], time_ms=number(5)))
    desk.store.put_attributions_and_associations([Attribution(c, a)], [Association(c, e)])
    desk.settle()

    assert desk.store.get_links(executions=e) == [Link(execution_id=1, artifact_id=1, type=3, path=[1], time_ms=5)]
    assert [n.id for n in desk.store.get_artifacts(context=c)] == [1]


# ---- membership


def test_members_are_found_from_both_sides_and_a_repeat_is_no_error(desk: Desk) -> None:
    a, b, e, c, d = desk.artifact(), desk.artifact(), desk.execution(), desk.context("c"), desk.context("d")
    desk.store.put_attributions_and_associations([Attribution(c, b), Attribution(c, a), Attribution(d, a)], [])
    desk.settle()
    head = desk.store.head

    put = desk.store.put_attributions([Attribution(c, a), Attribution(c, a)])
    assert (put.seq, put.commit) == (head, None)
    desk.store.put_associations([Association(d, e), Association(d, e), Association(c, e)])
    assert desk.store.head == head + 2

    for _ in range(2):
        assert [n.id for n in desk.store.get_artifacts(context=c)] == [a, b]
        assert [n.id for n in desk.store.get_executions(context=c)] == [e]
        assert [n.id for n in desk.store.get_contexts(artifact=a)] == [c, d]
        assert [n.id for n in desk.store.get_contexts(execution=e)] == [c, d]
        assert [n.id for n in desk.store.get_contexts(artifact=b, execution=e)] == [c]
        assert not desk.store.get_contexts(artifact=99)
        assert not desk.store.get_artifacts(context=99)
        desk.settle()


@pytest.mark.parametrize(
    ("attribution", "code", "part"),
    [
        ((0, 1), ErrorCode.MISSING_FIELD, "no context id"),
        ((1, 0), ErrorCode.MISSING_FIELD, "no artifact id"),
        ((9, 1), ErrorCode.UNKNOWN_REFERENCE, "there is no context 9"),
        ((1, 9), ErrorCode.UNKNOWN_REFERENCE, "there is no artifact 9"),
        ((2**62, 1), ErrorCode.UNKNOWN_REFERENCE, "there is no context"),
        (("1", 1), ErrorCode.INVALID_VALUE, "'1'"),
    ],
)
def test_an_attribution_needs_both_ends(desk: Desk, attribution: tuple[Any, Any], code: ErrorCode, part: str) -> None:
    a, c, e = desk.artifact(), desk.context("c"), desk.execution()
    desk.settle()

    with desk.refused(code, part):
        desk.store.put_attributions([Attribution(c, a), Attribution(*attribution)])
    with desk.refused(code, part.replace("artifact", "execution")):
        desk.store.put_attributions_and_associations(
            [Attribution(c, a)], [Association(c, e), Association(*attribution)]
        )


# ---- parents


def family(desk: Desk, count: int) -> list[int]:
    return [desk.context(str(i)) for i in range(count)]


def test_parents_and_children_are_direct_neighbours(desk: Desk) -> None:
    a, b, c, d = family(desk, 4)
    desk.store.put_parent_contexts([ParentContext(b, a), ParentContext(c, b)])
    desk.settle()
    desk.store.put_parent_contexts([ParentContext(c, d), ParentContext(c, a)])

    for _ in range(2):
        assert [n.id for n in desk.store.get_parent_contexts(c)] == [a, b, d]
        assert [n.id for n in desk.store.get_child_contexts(a)] == [b, c]
        assert desk.store.get_parent_contexts(a) == desk.store.get_child_contexts(99) == []
        assert desk.store.get_artifacts(context=a) == []
        desk.settle()


def test_a_context_cannot_be_its_own_ancestor(desk: Desk) -> None:
    a, b, c, d = family(desk, 4)
    desk.store.put_parent_contexts([ParentContext(b, a), ParentContext(c, b)])
    desk.settle()

    for pairs in ([(a, a)], [(a, b)], [(a, c)], [(d, c), (a, d)], [(d, a), (a, d)]):
        with desk.refused(ErrorCode.CONTEXT_CYCLE, f"context {pairs[-1][0]} would be its own ancestor", hint="swap"):
            desk.store.put_parent_contexts([ParentContext(*pair) for pair in pairs])
    desk.store.put_parent_contexts([ParentContext(c, a), ParentContext(d, c), ParentContext(d, b), ParentContext(d, a)])


def test_a_parent_that_is_there_is_refused(desk: Desk) -> None:
    a, b, c = family(desk, 3)
    desk.store.put_parent_contexts([ParentContext(b, a)])
    desk.settle()

    with desk.refused(ErrorCode.ALREADY_EXISTS, f"parent context {a} of context {b}"):
        desk.store.put_parent_contexts([ParentContext(c, a), ParentContext(b, a)])
    with desk.refused(ErrorCode.ALREADY_EXISTS, f"parent context {a} of context {c}"):
        desk.store.put_parent_contexts([ParentContext(c, a), ParentContext(c, a)])


@pytest.mark.parametrize(
    ("pair", "code"),
    [((0, 1), ErrorCode.MISSING_FIELD), ((1, 0), ErrorCode.MISSING_FIELD), ((1, 9), ErrorCode.UNKNOWN_REFERENCE),
     ((9, 1), ErrorCode.UNKNOWN_REFERENCE), (("a", 1), ErrorCode.INVALID_VALUE)],
)  # fmt: skip
def test_a_parent_context_needs_both_ends(memory: Desk, pair: tuple[Any, Any], code: ErrorCode) -> None:
    family(memory, 2)

    with memory.refused(code, "parent context"):
        memory.store.put_parent_contexts([ParentContext(2, 1), ParentContext(*pair)])


def test_empty_requests_write_nothing(desk: Desk) -> None:
    store = desk.store

    puts = [
        store.put_types([]),
        store.put_artifacts([]),
        store.put_executions([]),
        store.put_contexts([]),
        store.put_links([]),
        store.put_attributions_and_associations(),
        store.put_parent_contexts([]),
        store.log_points([]),
    ]

    assert [(put.ids, put.seq, put.commit) for put in puts] == [([], 0, None)] * 8


def test_an_element_of_another_class_is_refused(memory: Desk) -> None:
    a, c = memory.artifact(), memory.context("c")

    calls: list[Callable[[Any], object]] = [
        memory.store.put_artifacts,
        memory.store.put_links,
        memory.store.put_attributions,
        memory.store.put_associations,
        memory.store.put_parent_contexts,
        memory.store.log_points,
    ]
    for call in calls:
        with memory.refused(ErrorCode.INVALID_VALUE, "element 0: tuple where"):
            call([(c, a)])
