"""A store against the model, in any order of calls, seals, merges, rebuilds, reopenings and second writers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stratalog.eventlog.errors import CODES, StoreError
from stratalog.eventlog.events import Kind, Type
from stratalog.eventlog.settings import LogSettings
from stratalog.store.opening import open_store
from stratalog.store.store import Store
from stratalog.store.upkeep import UpkeepSettings
from stratalog.testing.model import Model, Refused
from tests.stateful.calls import DECLARED, Call, calls, run_on_model, run_on_store
from tests.stateful.reads import check_diff, check_points, check_questions, expect

LOG = LogSettings(
    rotate_events=15, rotate_bytes=8192, grow_bytes=4096, direct_segment_bytes=1500, merge_count=2, grace_s=0
)
UPKEEP = UpkeepSettings(seal_events=25, wait_events=60)
START_MS = 1_700_000_000_000


class StoreMachine(RuleBasedStateMachine):
    """Two `Store` objects on one folder (or one in memory), and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.now_ms = START_MS
        self.committed_ms = 0
        self.home: Path | None = None
        self.stores: list[Store] = []

    def open(self) -> Store:
        uri = "memory:" if self.home is None else self.home / "store"
        return open_store(uri, actor="machine", clock=lambda: self.now_ms * 1000, log_settings=LOG, upkeep=UPKEEP)

    @initialize(is_local=st.integers(0, 4))
    def begin(self, is_local: int) -> None:
        if is_local:
            self.home = Path(mkdtemp(prefix="stratalog-machine-"))
        self.stores = [self.open()]
        types = [Type(kind=kind, name="T", properties=DECLARED) for kind in Kind]
        self.run(Call("put_types", {"requests": types, "can_add_fields": False, "can_omit_fields": False}))

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        if self.home is not None:
            shutil.rmtree(self.home)

    def pick(self, data: st.DataObject) -> Store:
        return data.draw(st.sampled_from(self.stores), label="store") if len(self.stores) > 1 else self.stores[0]

    # ---- writing

    @rule(data=st.data(), tick=st.sampled_from([0, 0, 1, 50, -20]))
    def put(self, data: st.DataObject, tick: int) -> None:
        self.write(data, tick)

    @rule(data=st.data(), tick=st.sampled_from([0, 1]))
    def put_more(self, data: st.DataObject, tick: int) -> None:
        for _ in range(3):
            self.write(data, tick)

    def write(self, data: st.DataObject, tick: int) -> None:
        self.now_ms += tick
        self.run(data.draw(calls(self.model.world), label="call"), self.pick(data))

    def run(self, call: Call, store: Store | None = None) -> None:
        # The time of a commit never goes back, whatever the clock does.
        commit_ms = max(self.now_ms, self.committed_ms)
        head = self.model.head
        got = outcome(lambda: run_on_store(store or self.stores[0], call))
        assert got == outcome(lambda: run_on_model(self.model, call, commit_ms))
        if self.model.head > head:
            self.committed_ms = commit_ms

    # ---- reading

    @invariant()
    def the_head_is_where_it_should_be(self) -> None:
        for store in self.stores:
            assert store.head == self.model.head

    @rule(data=st.data())
    def read_the_head(self, data: st.DataObject) -> None:
        check_points(self.pick(data), self.model.world)

    @rule(data=st.data())
    def ask_the_head(self, data: st.DataObject) -> None:
        check_questions(self.pick(data), self.model.world)

    @rule(data=st.data())
    def read_the_past(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, self.model.head), label="seq")
        moment = self.pick(data).as_of(seq)
        assert moment.seq == seq
        check_points(moment, self.model.worlds[seq])
        check_questions(moment, self.model.worlds[seq])

    @rule(data=st.data())
    def tell_the_difference(self, data: st.DataObject) -> None:
        before, after = sorted(data.draw(st.tuples(*[st.integers(0, self.model.head)] * 2), label="seqs"))
        found = self.pick(data).diff(before, after)
        check_diff(found.counts(), self.model.worlds[before], self.model.worlds[after])

    # ---- upkeep

    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        self.pick(data).seal()

    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        self.pick(data).merge()

    @rule(data=st.data())
    def rebuild(self, data: st.DataObject) -> None:
        store = self.pick(data)
        before = store.digests()
        assert store.rebuild() == before
        for other in self.stores:
            assert other.digests() == before

    @rule(data=st.data())
    def verify(self, data: st.DataObject) -> None:
        report = self.pick(data).verify()
        assert report.ok, report.problems
        assert report.events == self.model.head

    @precondition(lambda self: self.home is not None)
    @rule()
    def delete_views(self) -> None:
        assert self.home is not None
        shutil.rmtree(self.home / "store" / "views", ignore_errors=True)

    @precondition(lambda self: self.home is not None)
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        store = self.pick(data)
        store.close()
        self.stores[self.stores.index(store)] = self.open()

    @precondition(lambda self: self.home is not None and len(self.stores) < 2)
    @rule()
    def open_a_second(self) -> None:
        self.stores.append(self.open())

    @precondition(lambda self: self.home is not None)
    @rule(data=st.data())
    def copy(self, data: st.DataObject) -> None:
        assert self.home is not None
        expected = self.pick(data).digests()
        target = self.home / "copy"
        copy_store(self.home / "store", target, with_views=data.draw(st.booleans(), label="with views"))
        with open_store(target, read_only=data.draw(st.booleans(), label="read only")) as store:
            assert store.digests() == expected
            expect(store.get_artifacts(), self.model.world.of_kind(Kind.ARTIFACT))
        shutil.rmtree(target)


def copy_store(source: Path, target: Path, *, with_views: bool) -> None:
    ignore = None if with_views else shutil.ignore_patterns("views")
    shutil.copytree(source, target, ignore=ignore)


def outcome(call: Callable[[], object]) -> object:
    """What a call answers, or the status of its refusal."""
    try:
        return as_lists(call())
    except (StoreError, Refused) as error:
        return CODES[error.code].grpc_status


def as_lists(answer: object) -> object:
    return [as_lists(item) for item in answer] if isinstance(answer, list | tuple) else answer


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_a_store_does_as_the_model_does() -> None:
    run(examples=12, steps=20)


@pytest.mark.slow
def test_a_store_does_as_the_model_does_for_long() -> None:
    run(examples=400, steps=60)
