"""Filters select what trying every choice of neighbours selects, on random histories as of random seqs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from stratalog.eventlog.events import Kind
from stratalog.query.filter import parse_filter
from stratalog.query.points import Reader
from tests.query.filter_model import World, as_text, filters, histories
from tests.query.graph import History, PlainSnapshot, real_snapshot

SNAPSHOTS: list[Callable[[History, int], Reader]] = [PlainSnapshot, real_snapshot, partial(real_snapshot, merged=True)]


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("kind", list(Kind))
# Without shrinking: the note names the one filter that failed, and shrinking a whole history takes minutes.
@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data(), history=histories())
def test_random_filters_select_what_their_meaning_says(kind: Kind, data: st.DataObject, history: History) -> None:
    seq = data.draw(st.integers(len(history.facts) // 2, history.seq) if history.seq else st.just(0))
    world = World(history, seq)
    snapshot = data.draw(st.sampled_from(SNAPSHOTS))(history, seq)
    for _ in range(8):
        tree = data.draw(filters(kind))
        text = as_text(tree)
        note(text)
        selection = parse_filter(text, kind).select(snapshot)
        note(selection.sql)

        found = snapshot.query(selection.sql, selection.parameters)["nkey"].to_pylist()

        assert sorted(found) == [id << 2 | kind for id in world.select(kind, tree)], text
