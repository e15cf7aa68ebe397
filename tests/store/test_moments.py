"""Every read as of every seq of one story, wherever its events lie."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stratalog.commands.executions import Edge, Pair, StepOptions
from stratalog.eventlog.errors import ErrorCode, StoreError
from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Kind,
    Link,
    MetricPoints,
    ParentContext,
    Type,
)
from stratalog.store.opening import open_store
from stratalog.store.store import Store
from stratalog.store.upkeep import UpkeepSettings
from stratalog.testing.model import Model
from tests.stateful.calls import DECLARED, Call, run_on_model, run_on_store
from tests.stateful.reads import check_diff, check_points, check_questions

START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)


def nodes(name: str, *requests: Any, mask: tuple[str, ...] = ()) -> Call:
    return Call(name, {"requests": list(requests), "mask": list(mask), "must_match_update_time": False})


def types(*requests: Type) -> Call:
    return Call("put_types", {"requests": list(requests), "can_add_fields": True, "can_omit_fields": True})


STORY = [
    types(*(Type(kind=kind, name="T", properties=DECLARED) for kind in Kind), Type(kind=1, name="T", version="2")),
    nodes(
        "put_artifacts",
        Artifact(type_id=10, name="a", uri="u", external_id="x", properties={"i": 1}, custom_properties={"k": "a"}),
        Artifact(type_id=10, name="b", uri="v", properties={"i": -1}, state=2),
        Artifact(type_id=13, name="a", uri="u", custom_properties={"k": {"deep": [1, None]}}),
    ),
    nodes("put_executions", Execution(type_id=11, name="a", state=1), Execution(type_id=11, external_id="x")),
    nodes("put_contexts", Context(type_id=12, name="a"), Context(type_id=12, name="b", external_id="y")),
    # Links of one execution that stand in another order than the ids of their artifacts.
    Call("put_links", {"requests": [Link(execution_id=1, artifact_id=3, type=3, path=["p", 0], time_ms=5)]}),
    Call("put_links", {"requests": [Link(execution_id=1, artifact_id=2, type=4, time_ms=-5)]}),
    Call(
        "put_links",
        {"requests": [Link(execution_id=2, artifact_id=2, type=3), Link(execution_id=2, artifact_id=1, type=4)]},
    ),
    Call("put_links", {"requests": [Link(execution_id=1, artifact_id=2, type=3)]}),
    Call(
        "put_attributions_and_associations",
        {
            "attributions": [Attribution(2, 3), Attribution(1, 2), Attribution(2, 1)],
            "associations": [Association(1, 2)],
        },
    ),
    Call("put_parent_contexts", {"requests": [ParentContext(1, 2)]}),
    # A name, a uri and an external id pass from one node to another.
    nodes("put_contexts", Context(id=1, name="c", external_id="w"), Context(type_id=12, name="a")),
    nodes(
        "put_artifacts", Artifact(id=1, uri="v", properties={"i": 5}), Artifact(type_id=10, external_id="x", uri="u")
    ),
    nodes("put_artifacts", Artifact(id=2, properties={"i": 0}, custom_properties={"k": -5}), mask=("properties.i",)),
    types(Type(kind=1, name="T", properties={"new": 2}, external_id="x"), Type(kind=3, name="U", external_id="x")),
    Call(
        "log_points",
        {"batches": [MetricPoints(execution_id=1, key="loss", steps=[0, 1], times_us=[5, 6], values=[0.5, 0.25])]},
    ),
    Call(
        "put_execution",
        {
            "execution": Execution(type_id=11, name="b", properties={"s": "x"}),
            "pairs": [
                Pair(artifact=Artifact(type_id=10, external_id="x", uri="u"), link=Link(type=3)),
                Pair(artifact=Artifact(type_id=10, name="c"), link=Link(type=4)),
                Pair(),
            ],
            "contexts": [Context(type_id=12, name="a"), Context(type_id=12, name="d")],
            "options": StepOptions(reuse_context=True, reuse_artifact_by_external_id=True),
        },
        "r1",
    ),
    Call(
        "put_lineage",
        {
            "executions": [Execution(id=2, type_id=11, state=3)],
            "artifacts": [Artifact(type_id=10, name="d")],
            "contexts": [Context(type_id=12, name="e")],
            "edges": [Edge(execution_index=0, artifact_index=0, link=Link(type=4))],
            "options": StepOptions(),
        },
    ),
]


SEQS_FIRST = {"memory": 0, "journal": 5, "sealed": 9, "merged": 13, "merged in the middle": 18}
"""Each place is asked as of other seqs, which together are many."""


class Told(NamedTuple):
    """A store and the model, to which the story was told, and where its events lie."""

    store: Store
    model: Model
    place: str


@pytest.fixture(scope="module", params=list(SEQS_FIRST))
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The story, told to a store and to the model, a second for each call."""
    place = request.param
    uri: str | Path = "memory:" if place == "memory" else tmp_path_factory.mktemp("told") / "s"
    now_ms = [START_MS]
    model = Model()
    upkeep = UpkeepSettings(seal_at_close=False)
    with open_store(uri, clock=lambda: now_ms[0] * 1000, upkeep=upkeep) as store:
        for number, call in enumerate(STORY):
            now_ms[0] = START_MS + 1000 * number
            expected = run_on_model(model, call, now_ms[0])
            got = run_on_store(store, call)
            assert got == expected
            if place == "sealed" and number % 3 == 0:
                store.seal()
            if place == "merged in the middle" and number == len(STORY) // 2:
                store.merge()
        if place == "merged":
            store.merge()
        yield Told(store, model, place)


def test_the_head_is_as_the_model_says(told: Told) -> None:
    store, model, _ = told

    assert store.head == model.head
    check_points(store, model.world)
    check_questions(store, model.world)


def test_every_moment_is_as_the_model_says(told: Told) -> None:
    store, model, place = told

    for seq in range(SEQS_FIRST[place], len(model.worlds), 22):
        moment = store.as_of(seq)
        assert moment.seq == seq
        check_points(moment, model.worlds[seq])


def test_every_question_of_every_moment_is_answered_as_the_model_says(told: Told) -> None:
    store, model, place = told

    for seq in range(SEQS_FIRST[place], len(model.worlds), 16):
        check_questions(store.as_of(seq), model.worlds[seq])


def test_each_difference_is_as_the_model_says(told: Told) -> None:
    store, model, _ = told

    for before in range(0, len(model.worlds), 17):
        for after in range(before, len(model.worlds), 19):
            check_diff(store.diff(before, after).counts(), model.worlds[before], model.worlds[after])
    assert not store.diff("now")


def test_a_time_is_the_last_seq_committed_by_then(told: Told) -> None:
    store = told.store
    log = store.log().rows()
    last_seqs = {row["recorded"]: row["last_seq"] for row in log}

    assert len(log) == len(STORY)
    for number in range(len(STORY)):
        time = START + timedelta(seconds=number)
        assert store.as_of(time).seq == last_seqs[time]
        assert store.as_of(time + timedelta(milliseconds=999)).seq == last_seqs[time]
        assert store.as_of(time.isoformat()).seq == last_seqs[time]
    assert store.as_of(START - timedelta(microseconds=1)).seq == 0
    assert store.as_of("2025-12-31").seq == 0
    assert store.as_of("2026-01-01").seq == store.head


def test_a_moment_that_is_none_is_refused(told: Told) -> None:
    store = told.store

    wrongs: list[Any] = ["yesterday-ish", "", -1, 1.5, None, []]
    for wrong in wrongs:
        with pytest.raises(StoreError) as caught:
            store.as_of(wrong)
        assert caught.value.code == ErrorCode.INVALID_TIME, wrong
    with pytest.raises(StoreError) as caught:
        store.diff(5, 3)
    assert caught.value.code == ErrorCode.INVALID_VALUE
