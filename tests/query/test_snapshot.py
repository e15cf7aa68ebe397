from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from stratalog.eventlog.events import Artifact, Execution
from stratalog.projections.tables import Tables
from stratalog.query.snapshot import Snapshot
from tests.projections.table_model import History


@pytest.fixture
def history() -> History:
    history = History()
    for number in range(1, 8):
        history.commit([Artifact(id=1, type_id=10, properties={"x": number}), Execution(id=number, type_id=11)])
    return history


def values(snapshot: Snapshot) -> list[int]:
    table, names = snapshot.table("prop"), snapshot.names
    nid = names.get(1, False, "x")
    found: list[int] = snapshot.query(f"SELECT i FROM {table} p WHERE nid = $nid", {"nid": nid})["i"].to_pylist()
    return found


def test_a_snapshot_answers_as_of_its_seq_whatever_comes_later(history: History, tmp_path: Path) -> None:
    tables = Tables(history.log, tmp_path / "views")
    history.followers.append(tables)
    snapshots = [Snapshot(tables, seq) for seq in range(history.head + 1)]
    expected: list[list[int]] = [[]] + [[(seq + 1) // 2] for seq in range(1, history.head + 1)]
    assert [values(snapshot) for snapshot in snapshots] == expected

    history.commit([Artifact(id=1, properties={"x": 100})])
    assert values(Snapshot(tables, history.head)) == [100]
    assert [values(snapshot) for snapshot in snapshots] == expected
    assert tables.merge(force=True)
    assert [values(snapshot) for snapshot in snapshots] == expected
    shutil.rmtree(tmp_path / "views")
    assert [values(snapshot) for snapshot in snapshots] == expected


def test_values_are_bound_by_place_or_by_name(history: History) -> None:
    snapshot = Snapshot(Tables(history.log, None), history.head)

    assert snapshot.query("SELECT ? + $2 AS n", [1, 2])["n"].to_pylist() == [3]
    assert snapshot.query("SELECT $a || $b AS n", {"a": "x", "b": "'y"})["n"].to_pylist() == ["x'y"]


def test_wrong_internal_sql_is_duckdbs_error(history: History) -> None:
    with pytest.raises(duckdb.Error):
        Snapshot(Tables(history.log, None), 1).query("SELECT nothing")
