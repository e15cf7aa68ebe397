"""Request ids: a repeat gets the first answer and writes nothing; and who wrote what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stratalog.commands.executions import Pair
from stratalog.eventlog.errors import AlreadyExistsError, ErrorCode, InvalidInputError
from stratalog.eventlog.events import Artifact, Context, Execution, Link, MetricPoints
from stratalog.store.opening import open_store
from stratalog.store.store import Store
from tests.commands.desk import Desk


def test_a_repeat_gets_the_first_answer_and_writes_nothing(desk: Desk) -> None:
    t = desk.artifact_type()
    first = desk.store.put_artifacts([Artifact(type_id=t), Artifact(type_id=t)], request_id="r")
    head = desk.store.head

    for _ in range(2):
        again = desk.store.put_artifacts([Artifact(type_id=t), Artifact(type_id=t)], request_id="r")
        assert (again.ids, again.commit, again.seq) == (first.ids, None, head)
        assert desk.store.head == head
        desk.settle()


def test_a_step_can_be_repeated_after_it_was_changed_by_others(desk: Desk) -> None:
    t, e = desk.artifact_type(), desk.execution_type()
    c = desk.context_type()

    def put() -> Any:
        return desk.store.put_execution(
            Execution(type_id=e),
            [Pair(artifact=Artifact(type_id=t, name="n"), link=Link(type=3)), Pair()],
            [Context(type_id=c, name="p")],
            request_id="step",
        )

    first = put()
    desk.settle()
    desk.store.put_artifacts([Artifact(id=1, uri="changed")])
    again = put()

    assert (again.execution_id, again.artifact_ids, again.context_ids) == (1, [1, -1], [1])
    assert (first.artifact_ids, first.commit is not None, again.commit) == ([1, -1], True, None)
    assert desk.store.get_artifact(1).uri == "changed"


def test_the_same_request_id_for_something_else_is_refused(desk: Desk) -> None:
    t = desk.artifact_type()
    desk.store.put_artifacts([Artifact(type_id=t)], request_id="r")
    desk.settle()

    with desk.refused(ErrorCode.REQUEST_ID_REUSED, "'r'", "put_artifacts", hint="an id of its own"):
        desk.store.put_artifacts([Artifact(type_id=t, uri="u")], request_id="r")
    with desk.refused(ErrorCode.REQUEST_ID_REUSED):
        desk.store.put_artifacts([Artifact(type_id=t)], mask=["uri"], request_id="r")
    with desk.refused(ErrorCode.REQUEST_ID_REUSED):
        desk.store.put_contexts([], request_id="r")
    assert desk.store.put_artifacts([Artifact(type_id=t)], request_id="R").ids == [2]


def test_a_refused_request_leaves_its_id_free(desk: Desk) -> None:
    t = desk.artifact_type()

    with desk.refused(ErrorCode.TYPE_NOT_FOUND):
        desk.store.put_artifacts([Artifact(type_id=999)], request_id="r")
    assert desk.store.put_artifacts([Artifact(type_id=t)], request_id="r").ids == [1]


def test_a_request_that_decides_nothing_is_remembered_all_the_same(desk: Desk) -> None:
    id = desk.artifact()
    first = desk.store.put_artifacts([Artifact(id=id)], request_id="r")
    desk.store.put_artifacts([Artifact(id=id, uri="later")])

    assert first.commit is not None
    assert desk.store.put_artifacts([Artifact(id=id)], request_id="r").ids == [id]
    assert desk.store.get_artifact(id).uri == "later"


def test_the_first_answer_outlives_the_store_object(tmp_path: Path) -> None:
    def put(store: Store, uri: str = "u") -> list[int]:
        return store.put_artifacts([Artifact(type_id=1, uri=uri)], request_id="r").ids

    for _ in range(3):
        with open_store(tmp_path / "s") as store:
            assert put(store) == [1]
            with pytest.raises(AlreadyExistsError) as caught:
                put(store, "v")
            assert caught.value.code == ErrorCode.REQUEST_ID_REUSED
            assert len(store.get_artifacts()) == 1


def test_the_order_of_properties_makes_no_other_request(memory: Desk) -> None:
    t = memory.artifact_type()
    put = memory.store.put_artifacts

    first = put([Artifact(type_id=t, custom_properties={"a": 1, "b": {"x": 1, "y": 2}})], request_id="r")
    assert (
        put([Artifact(type_id=t, custom_properties={"b": {"y": 2, "x": 1}, "a": 1})], request_id="r").ids == first.ids
    )


def test_metrics_without_a_time_can_be_repeated(memory: Desk) -> None:
    e = memory.execution()
    memory.store.log_metrics(e, {"loss": 0.5}, request_id="r")
    head = memory.store.head
    memory.tick()

    assert memory.store.log_metrics(e, {"loss": 0.5}, request_id="r").seq == head
    with memory.refused(ErrorCode.REQUEST_ID_REUSED):
        memory.store.log_metrics(e, {"loss": 0.5}, step=1, request_id="r")
    with memory.refused(ErrorCode.REQUEST_ID_REUSED):
        memory.store.log_metrics(e, {"loss": 0.5}, time=5, request_id="r")


def test_arrays_are_told_apart(memory: Desk) -> None:
    e = memory.execution()

    def put(values: Any) -> int:
        points = MetricPoints(execution_id=e, key="k", steps=[0, 1], times_us=[0, 0], values=values)
        return memory.store.log_points([points], request_id="r").seq

    assert put(np.array([1.0, 2.0])) == put([1.0, 2.0])
    with memory.refused(ErrorCode.REQUEST_ID_REUSED):
        put(np.array([1.0, 3.0]))


@pytest.mark.parametrize(
    ("value", "part"),
    [("\ud800", "surrogate"), (2**70, "64 bits"), (object(), "object"), ({1: 2}, "1 of type int")],
)
def test_with_a_request_id_bad_arguments_get_the_same_refusal(memory: Desk, value: Any, part: str) -> None:
    t = memory.artifact_type()

    with memory.refused(ErrorCode.INVALID_VALUE, part):
        memory.store.put_artifacts([Artifact(type_id=t, custom_properties={"v": value})], request_id="r")


@pytest.mark.parametrize("field", ["actor", "reason", "request_id"])
def test_notes_must_be_text(memory: Desk, field: str) -> None:
    for wrong in (5, b"x", "\ud800"):
        with memory.refused(ErrorCode.INVALID_VALUE, field):
            memory.store.put_type("artifact", "T", **{field: wrong})  # type: ignore[arg-type]
    with memory.refused(ErrorCode.INVALID_ARGUMENT, "request_id: empty"):
        memory.store.put_type("artifact", "T", request_id="")


def test_each_commit_says_who_why_and_when(desk: Desk) -> None:
    desk.store.put_type("artifact", "T")
    desk.tick(5)
    desk.store.put_type("artifact", "U", actor="anna", reason="because", request_id="r")

    headers = [record.header for record in desk.store._log.read()]
    assert [(h.commit, h.actor, h.reason, h.request_id) for h in headers] == [
        (0, "tester", None, None),
        (1, "anna", "because", "r"),
    ]
    assert headers[1].time_us == headers[0].time_us + 5000


def test_the_actor_of_a_store_must_be_text() -> None:
    with pytest.raises(InvalidInputError, match="actor"):
        open_store("memory:", actor=5)  # type: ignore[arg-type]
