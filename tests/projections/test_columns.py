from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratalog.eventlog.commit import Header
from stratalog.eventlog.errors import CorruptLogError
from stratalog.eventlog.events import Artifact, MetricPoints, Recorded
from stratalog.eventlog.files import LOCAL_FILES
from stratalog.eventlog.segment import read_table, write_segment
from stratalog.eventlog.settings import LogSettings
from stratalog.projections import columns
from stratalog.projections.columns import Batch, Columns
from stratalog.projections.payloads import SEGMENT_COLUMNS
from tests.projections.table_model import COMMITS, History


def commits_of(history: History) -> list[tuple[Header, Sequence[Recorded]]]:
    return [
        (header, history.events[header.first_seq - 1 : header.first_seq - 1 + count])
        for header, count in history.headers
    ]


def rows_of(batches: Sequence[Batch]) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for batch in batches:
        for name, table in batch.tables.items():
            columns_of_rows = (column.to_pylist() for column in table.columns)
            rows.setdefault(name, []).extend(map(repr, zip(*columns_of_rows, strict=True)))
    return {name: sorted(found) for name, found in rows.items()}


def fold_values(values: list[dict[str, Any]]) -> pa.Table:
    facts = [Artifact(id=i, properties=value) for i, value in enumerate(values, start=1)]
    events = [Recorded(i, fact) for i, fact in enumerate(facts, start=1)]
    return Columns().fold([(Header(1, 0, 1, 0, b"w" * 16, 0), events)]).tables["prop"]


@given(st.lists(COMMITS, min_size=1, max_size=6), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_bulk_fold_adds_what_single_commits_add(facts: list[Any], slice_events: int) -> None:
    history = History()
    for commit in facts:
        history.commit(commit)

    whole = Columns().fold(commits_of(history))
    one_by_one = Columns()
    singly = [one_by_one.fold([commit]) for commit in commits_of(history)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "SLICE_EVENT_COUNT", slice_events)
        patch.setattr(columns, "UNIFORM_NODE_COUNT", 1)
        sliced = Columns().fold(commits_of(history))

    assert rows_of([whole]) == rows_of(singly) == rows_of([sliced])
    assert sorted(whole.unknown) == sorted(found for batch in singly for found in batch.unknown)
    assert (whole.first_seq, whole.last_seq, whole.commit) == (1, history.head, len(facts))


@given(st.lists(COMMITS, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_segment_folds_to_what_its_records_fold_to(
    tmp_path_factory: pytest.TempPathFactory, facts: list[Any]
) -> None:
    history = History()
    for commit in facts:
        history.commit(commit)
    folder = tmp_path_factory.mktemp("segments")
    write_segment(LOCAL_FILES, str(folder), uuid.UUID(int=1), history.log.read(), LogSettings())
    (file,) = folder.iterdir()

    batch = Columns().fold_segment(read_table(str(file), SEGMENT_COLUMNS))

    plain = Columns().fold(commits_of(history))
    assert rows_of([batch]) == rows_of([plain])
    assert sorted(batch.unknown) == sorted(plain.unknown)


def test_values_of_mixed_types_under_one_name_keep_their_types() -> None:
    table = fold_values([{"x": 1}, {"x": 1.0}, {"x": "1"}, {"x": True}, {"x": {"k": 1}}])

    assert table["t"].to_pylist() == [1, 2, 3, 6, 4]
    assert table["i"].to_pylist() == [1, None, None, 1, None]
    assert table["d"].to_pylist() == [None, 1.0, None, None, None]
    assert table["s"].to_pylist() == [None, None, "1", None, '{"k":1}']


def test_many_nodes_with_the_same_names_are_made_as_whole_columns() -> None:
    values = [
        {"i": n, "d": n / 2, "s": f"é{n}", "b": n % 2 == 0, "k": {"n": n}, "m": n if n % 3 else "m"} for n in range(100)
    ]

    table = fold_values(values)

    assert columns.UNIFORM_NODE_COUNT <= 100
    assert table["nid"].to_pylist() == [nid for nid in range(1, 7) for _ in range(100)]
    assert table["i"].to_pylist()[:100] == list(range(100))
    assert table["d"].to_pylist()[100:200] == [n / 2 for n in range(100)]
    assert table["s"].to_pylist()[200:300] == [f"é{n}" for n in range(100)]
    assert table["i"].to_pylist()[300:400] == [1, 0] * 50
    assert table["s"].to_pylist()[400:402] == ['{"n":0}', '{"n":1}']
    assert table["b"][401].as_py() == b"\x81\xa1n\x01"
    assert (table["s"][500].as_py(), table["i"][501].as_py()) == ("m", 1)


def test_not_a_number_is_a_value_and_not_null() -> None:
    table = fold_values([{"x": float("nan")}, {"x": 2.0}])
    points = MetricPoints(execution_id=1, key="loss", steps=[1], times_us=[1], values=[float("nan")])
    point = Columns().fold([(Header(1, 0, 1, 0, b"w" * 16, 0), [Recorded(1, points)])]).tables["point"]

    assert table["d"].null_count == 0
    assert np.isnan(table["d"][0].as_py())
    assert point["v"].null_count == 0


def test_subclasses_of_numbers_count_as_their_parents() -> None:
    table = fold_values([{"x": np.float64(0.5)}])

    assert table["t"].to_pylist() == [2]
    assert table["d"].to_pylist() == [0.5]


def test_names_are_numbered_by_their_first_use() -> None:
    events = [
        Recorded(1, MetricPoints(execution_id=1, key="loss", steps=[], times_us=[], values=[])),
        Recorded(2, Artifact(id=1, properties={"b": 1, "a": 1}, custom_properties={"b": 1})),
    ]

    batch = Columns().fold([(Header(1, 0, 1, 0, b"w" * 16, 0), events)])

    assert batch.tables["prop_name"].to_pylist() == [
        {"nid": 1, "kind": 0, "custom": False, "name": "loss", "seq": 1},
        {"nid": 2, "kind": 1, "custom": False, "name": "b", "seq": 2},
        {"nid": 3, "kind": 1, "custom": False, "name": "a", "seq": 2},
        {"nid": 4, "kind": 1, "custom": True, "name": "b", "seq": 2},
    ]


def test_more_names_than_sixteen_bits_number_are_kept_apart() -> None:
    table = fold_values([{f"name {i}": i for i in range(70_000)}, {"name 3": -3}])

    assert table["nid"].to_pylist()[:5] == [1, 2, 3, 4, 4]
    assert table["i"].to_pylist()[:5] == [0, 1, 2, 3, -3]
    assert table["i"][-1].as_py() == 69_999


def test_a_damaged_payload_is_an_error_that_says_where(tmp_path_factory: pytest.TempPathFactory) -> None:
    history = History()
    history.commit([Artifact(id=1)])
    folder = tmp_path_factory.mktemp("segments")
    write_segment(LOCAL_FILES, str(folder), uuid.UUID(int=1), history.log.read(), LogSettings())
    (file,) = folder.iterdir()
    table = read_table(str(file), SEGMENT_COLUMNS)
    damaged = table.set_column(table.schema.names.index("payload"), "payload", pa.array([b"\x93"], pa.large_binary()))

    with pytest.raises(CorruptLogError, match="events 1 to 1"):
        Columns().fold_segment(damaged)
