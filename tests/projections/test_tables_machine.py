"""The tables against a model that reads the rule of visibility aloud, in any order of seals, merges and losses."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from stratalog.eventlog.events import UnknownFact
from stratalog.projections.tables import Tables, TablesSettings
from tests.projections.table_model import COMMITS, History, actual, model

SMALL = TablesSettings(
    batch_event_count=5,
    part_event_count=11,
    absorb_event_count=8,
    merge_row_count_min=40,
    merge_time_share=1.0,
    grace_s=0.0,
)


class TablesMachine(RuleBasedStateMachine):
    """Two processes on one folder (a store's own tables, and a second reader and writer), and one in memory only."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tables-"))
        self.history = History()

    @initialize(facts=COMMITS)
    def begin(self, facts: list[Any]) -> None:
        self.history.commit(facts)
        self.members = [self.open(), self.open(), Tables(self.history.log, None, settings=SMALL)]
        self.history.followers = self.members

    def open(self) -> Tables:
        return Tables(self.history.log, self.folder / "views", settings=SMALL)

    @rule(facts=COMMITS)
    def commit(self, facts: list[Any]) -> None:
        self.history.commit(facts)

    @rule(which=st.integers(0, 2))
    def refresh(self, which: int) -> None:
        assert self.members[which].refresh() == self.history.head

    @rule(which=st.integers(0, 1), back=st.none() | st.integers(0, 3))
    def seal(self, which: int, back: int | None) -> None:
        stop = None if back is None else max(0, len(self.history.headers) - back)
        self.members[which].seal(stop)
        if not back:
            assert self.members[which].recent_count == 0

    @rule(which=st.integers(0, 2), force=st.booleans())
    def merge(self, which: int, force: bool) -> None:
        self.members[which].merge(force=force)

    @rule(which=st.integers(0, 1))
    def rebuild(self, which: int) -> None:
        self.members[which].rebuild()

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        self.members[which].close()
        self.members[which] = self.open()

    @rule()
    def lose_the_folder(self) -> None:
        shutil.rmtree(self.folder / "views", ignore_errors=True)

    @rule(place=st.integers(0, 10**6), how=st.sampled_from(["delete", "cut", "flip", "empty"]))
    def damage_a_file(self, place: int, how: str) -> None:
        files = sorted((self.folder / "views").glob("*.parquet")) + sorted((self.folder / "views").glob("*.json"))
        if not files:
            return
        path = files[place % len(files)]
        data = bytearray(path.read_bytes())
        if how == "delete":
            path.unlink()
        elif how == "cut":
            path.write_bytes(data[: len(data) // 2])
        elif how == "empty":
            path.write_bytes(b"")
        elif data:
            data[random.Random(place).randrange(len(data))] ^= 0x40
            path.write_bytes(data)
        # A process that has read the file may go on with what it read; the next one must notice.
        for which in (0, 1):
            self.reopen(which)

    @rule(which=st.integers(0, 2), data=st.data())
    def ask_as_of(self, which: int, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, self.history.head))
        assert actual(self.members[which], seq) == model(self.history, seq)

    @rule(which=st.integers(0, 2))
    def ask_for_strange_kinds(self, which: int) -> None:
        counts: dict[str, int] = {}
        for event in self.history.events:
            if isinstance(event.fact, UnknownFact):
                counts[event.fact.kind] = counts.get(event.fact.kind, 0) + 1
        assert self.members[which].unknown_kinds() == counts

    @invariant()
    def nobody_is_ahead(self) -> None:
        for tables in getattr(self, "members", ()):
            assert tables.head <= self.history.head

    def teardown(self) -> None:
        if self.history.headers:
            fresh = Tables(self.history.log, None)
            digests = [tables.digests() for tables in (*self.members, fresh)]
            assert all(found == digests[0] for found in digests)
            for tables in (*self.members, fresh):
                tables.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]


def test_the_tables_are_the_model_in_any_order_of_calls() -> None:
    run_state_machine_as_test(
        TablesMachine,
        settings=settings(max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=_QUIET),
    )


@pytest.mark.slow
def test_the_tables_are_the_model_in_very_many_orders_of_calls() -> None:
    run_state_machine_as_test(
        TablesMachine,
        settings=settings(max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=_QUIET),
    )
