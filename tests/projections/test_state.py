"""State: the same answers whatever lies in Base and whatever in the Tail, and after going back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratalog.eventlog.commit import Header
from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Fact,
    Link,
    MetricPoints,
    ParentContext,
    Recorded,
    RequestAnswer,
    Type,
    UnknownFact,
)
from stratalog.projections.base import Base
from stratalog.projections.state import BehindError, State

Commit = tuple[Header, list[Recorded]]


def history() -> list[Commit]:
    """Six commits with every kind of event, two of them new versions."""
    commits: list[list[tuple[Fact, int | None]]] = [
        [(Type(kind=1, id=10, name="T", external_id="t"), None), (Artifact(id=1, type_id=10, name="a", uri="u"), None)],
        [(Execution(id=1, type_id=11), None), (Context(id=1, type_id=12, name="c"), None)],
        [
            (Link(execution_id=1, artifact_id=1, type=3, path=["x", 0], time_ms=5), None),
            (Attribution(1, 1), None),
            (Association(1, 1), None),
            (UnknownFact("later", 9, 0, 0, b"\x90"), None),
        ],
        [
            (Artifact(id=1, type_id=10, name="a", uri="v", external_id="x"), 2),
            (Context(id=2, type_id=12, name="d"), None),
        ],
        [
            (ParentContext(1, 2), None),
            (MetricPoints(execution_id=1, key="k", steps=[0], times_us=[0], values=[1.0]), None),
            (Context(id=1, type_id=12, name="e"), 4),
        ],
        [
            (Type(kind=1, id=10, name="T", external_id="s", properties={"i": 1}), 1),
            (RequestAnswer(request_id="r", command="c", digest=b"d", answer=b"a"), None),
        ],
    ]
    result: list[Commit] = []
    seq = 1
    for number, facts in enumerate(commits):
        header = Header(1, number, seq, 1000 + number, b"w" * 16, number)
        result.append((header, [Recorded(seq + i, fact, prev) for i, (fact, prev) in enumerate(facts)]))
        seq += len(facts)
    return result


def answers(state: State) -> list[object]:
    """What every read of a state says."""
    return [
        state.head,
        state.next_commit,
        state.time_us,
        state.next_ids,
        state.types.of_kind(1),
        state.types.by_external,
        state.get(1, 1),
        state.get(1, 2),
        state.get(3, 2),
        state.get_many(3, [2, 1, 1, 7, 2**62]),
        [state.by_name(3, 12, name) for name in "cde"],
        state.by_name(1, 10, "a"),
        [state.by_external(1, x) for x in "xy"],
        [state.by_uri(u) for u in "uv"],
        [state.ids_by_type(kind, type_id) for kind, type_id in ((1, 10), (3, 12), (2, 99))],
        [state.ids_of_kind(kind) for kind in (1, 2, 3)],
        state.link(1, 1, 3),
        state.link(1, 1, 4),
        state.links_of_execution(1),
        state.links_of_artifact(1),
        [state.members(1, kind) for kind in (1, 2)],
        state.members(2, 3),
        [state.contexts(kind, 1) for kind in (1, 2, 3)],
        state.is_member(1, 1, 1),
        state.is_member(2, 3, 1),
        state.answer("r"),
        state.answer("s"),
        list(state.everything()),
    ]


def folded(commits: list[Commit], base: Base | None = None) -> State:
    state = State(base)
    for header, events in commits[state.next_commit :]:
        state.fold(header, events)
    return state


@pytest.mark.parametrize("upto", range(7))
@pytest.mark.parametrize("absorbed", range(7))
def test_it_does_not_matter_how_much_lies_in_base(tmp_path: Path, upto: int, absorbed: int) -> None:
    commits = history()[:upto]
    base = Base.open(tmp_path / "base.sqlite", log_id="l")
    state = folded(commits, base)
    state.absorb(absorbed)

    assert answers(state) == answers(folded(commits))
    base.close()
    again = Base.open(tmp_path / "base.sqlite", log_id="l")
    assert again.stamp().applied_commit == min(upto, absorbed)
    assert answers(folded(commits, again)) == answers(folded(commits))
    again.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 6), max_size=4))
def test_nor_in_how_many_steps_it_came_there(tmp_path: Path, stops: list[int]) -> None:
    path = tmp_path / "base.sqlite"
    path.unlink(missing_ok=True)
    base = Base.open(path, log_id="l")
    state = State(base)
    for stop in [*sorted(stops), 6]:
        for header, events in history()[state.next_commit : stop]:
            state.fold(header, events)
        state.absorb(stop)

    assert answers(state) == answers(folded(history()))
    base.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("back_to", range(7))
def test_after_going_back_nothing_is_left_of_later_commits(tmp_path: Path, back_to: int) -> None:
    base = Base.open(tmp_path / "base.sqlite", log_id="l")
    state = folded(history(), base)
    state.absorb(2)

    state.rewind(back_to)

    kept = max(back_to, 2)
    assert answers(state) == answers(folded(history()[:kept]))
    for header, events in history()[kept:]:
        state.fold(header, events)
    assert answers(state) == answers(folded(history()))
    base.close()


def test_a_commit_whose_folding_is_interrupted_is_not_there() -> None:
    commits = history()
    state = folded(commits[:3])
    header, events = commits[3]
    broken = [*events[:1], Recorded(99, object(), None)]  # type: ignore[arg-type]

    with pytest.raises(KeyError):
        state.fold(header, broken)

    assert answers(state) == answers(folded(commits[:3]))
    state.fold(header, events)
    assert answers(state) == answers(folded(commits[:4]))


# ---- two processes on one Base


def test_one_whose_tail_was_absorbed_by_another_answers_as_before_and_lets_go(tmp_path: Path) -> None:
    bases = [Base.open(tmp_path / "base.sqlite", log_id="l") for _ in range(2)]
    ours, other = (folded(history(), base) for base in bases)

    assert other.absorb(4)
    assert answers(ours) == answers(folded(history()))
    assert ours.adopt()
    assert ours.recent_event_count == sum(len(events) for _, events in history()[4:])
    assert not ours.adopt()
    assert answers(ours) == answers(folded(history()))
    # Nothing is absorbed twice.
    assert ours.absorb(4) is False
    for base in bases:
        base.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda state: state.get(3, 1),
        lambda state: state.get_many(3, [1]),
        lambda state: state.by_name(3, 12, "c"),
        lambda state: state.by_name(3, 12, "e"),
        lambda state: state.by_external(1, "x"),
        lambda state: state.by_uri("u"),
        lambda state: state.by_uri("v"),
        lambda state: state.ids_by_type(3, 12),
        lambda state: state.ids_of_kind(3),
        lambda state: state.members(2, 3),
        lambda state: state.contexts(3, 1),
        lambda state: state.is_member(2, 3, 1),
        lambda state: state.answer("r"),
        lambda state: list(state.everything()),
    ],
)
def test_a_read_that_meets_newer_commits_in_base_says_so(tmp_path: Path, read: object) -> None:
    assert callable(read)
    bases = [Base.open(tmp_path / "base.sqlite", log_id="l") for _ in range(2)]
    other = folded(history()[:3], bases[1])
    other.absorb(3)
    behind = State(bases[0])
    assert behind.next_commit == 3
    for header, events in history()[3:]:
        other.fold(header, events)
    other.absorb(6)

    with pytest.raises(BehindError):
        read(behind)
    for header, events in history()[3:]:
        behind.fold(header, events)
    assert read(behind) == read(folded(history()))
    for base in bases:
        base.close()


def test_of_two_that_absorb_at_once_one_does_it(tmp_path: Path) -> None:
    bases = [Base.open(tmp_path / "base.sqlite", log_id="l") for _ in range(2)]
    events = [event for _, recorded in history()[:2] for event in recorded]
    before = bases[0].stamp()
    after = msgspec.structs.replace(before, log_id="l", applied_seq=4, applied_commit=2)

    assert bases[0].absorb(events, before, after)
    assert not bases[1].absorb(events, before, after)
    assert bases[1].stamp() == after
    for base in bases:
        base.close()


def test_a_failure_while_absorbing_leaves_base_and_tail(tmp_path: Path) -> None:
    base = Base.open(tmp_path / "base.sqlite", log_id="l")
    state = folded(history(), base)
    state.absorb(2)
    blocker = sqlite3.connect(tmp_path / "base.sqlite")
    blocker.execute("create trigger stop before insert on edge begin select raise(abort, 'no'); end")
    blocker.close()

    with pytest.raises(sqlite3.Error, match="no"):
        state.absorb(6)

    assert base.stamp().applied_commit == 2
    assert answers(state) == answers(folded(history()))
    base.close()
