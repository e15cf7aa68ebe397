from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Link,
    MetricPoints,
    ParentContext,
    Proto,
    Type,
)
from stratalog.projections.tables import Tables, TablesSettings
from stratalog.query.snapshot import Snapshot
from stratalog.query.views import VIEWS
from tests.projections.table_model import History

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql-views.md"


def world() -> History:
    history = History()
    history.commit(
        [
            Type(kind=1, id=10, name="Model", version="v2", properties={"accuracy": 2}),
            Type(kind=2, id=11, name="Train"),
            Type(kind=3, id=12, name="Experiment"),
        ]
    )
    proto = Proto("type.example/x" * 4, b"\0bytes" * 100)
    history.commit(
        [
            Artifact(
                id=1,
                type_id=10,
                name="m",
                uri="s3://m",
                state=2,
                create_time_ms=1_700_000_000_123,
                properties={"accuracy": 0.5, "n": 7, "ok": True, "note": "hi"},
                custom_properties={"n": {"k": [1, None]}, "p": proto},
            ),
            Execution(id=2, type_id=11, name="run", state=3),
            Context(id=3, type_id=12, name="exp"),
            Context(id=4, type_id=12, name="sub"),
            Link(execution_id=2, artifact_id=1, type=4, path=["models", 0], time_ms=1_700_000_000_456),
            Link(execution_id=2, artifact_id=1, type=3),
            Attribution(3, 1),
            Association(3, 2),
            ParentContext(4, 3),
            MetricPoints(execution_id=2, key="loss", steps=[2, 1], times_us=[20, 10], values=[0.25, 0.5]),
        ]
    )
    history.commit([Artifact(id=1, type_id=10, name="m", uri="s3://m", state=4, properties={"accuracy": 0.75})])
    return history


@pytest.fixture(scope="module")
def now() -> Snapshot:
    history = world()
    return Snapshot(Tables(history.log, None), history.head)


@pytest.fixture(scope="module")
def before() -> Snapshot:
    return Snapshot(Tables(world().log, None), 13)


def ask(snapshot: Snapshot, text: str, params: Any = ()) -> list[tuple[Any, ...]]:
    rows = snapshot.sql(text, params)
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def test_nodes_come_with_words_times_and_who_recorded_them(now: Snapshot, before: Snapshot) -> None:
    columns = "id, type, type_version, name, uri, state, epoch_ms(created), epoch_us(recorded), seq, actor"

    assert ask(now, f"SELECT {columns} FROM artifacts") == [
        (1, "Model", "v2", "m", "s3://m", "DELETED", 0, 10**15 + 2000, 14, "actor 2")
    ]
    assert ask(before, f"SELECT {columns} FROM artifacts") == [
        (1, "Model", "v2", "m", "s3://m", "LIVE", 1_700_000_000_123, 10**15 + 1000, 4, "actor 1")
    ]
    assert ask(now, "SELECT id, type, name, state FROM executions") == [(2, "Train", "run", "COMPLETE")]
    assert ask(now, "SELECT id, type, name FROM contexts") == [(3, "Experiment", "exp"), (4, "Experiment", "sub")]


def test_properties_show_each_type_in_its_own_column(before: Snapshot, now: Snapshot) -> None:
    shown = "name, custom, type, int_value, double_value, string_value, bool_value, struct_value, text"

    assert ask(before, f"SELECT {shown} FROM properties WHERE type <> 'PROTO'") == [
        ("accuracy", False, "DOUBLE", None, 0.5, None, None, None, "0.5"),
        ("n", False, "INT", 7, None, None, None, None, "7"),
        ("ok", False, "BOOLEAN", None, None, None, True, None, "true"),
        ("note", False, "STRING", None, None, "hi", None, None, "hi"),
        ("n", True, "STRUCT", None, None, None, None, '{"k":[1,null]}', '{"k":[1,null]}'),
    ]
    assert ask(before, "SELECT proto_type_url, proto_value, kind, id FROM properties WHERE type = 'PROTO'") == [
        ("type.example/x" * 4, b"\0bytes" * 100, "artifact", 1)
    ]
    assert ask(before, "SELECT struct_value.k[0]::INT FROM properties WHERE name = 'n' AND custom") == [(1,)]
    assert ask(now, "SELECT name, double_value FROM properties") == [("accuracy", 0.75)]


def test_links_metrics_types_and_commits(now: Snapshot) -> None:
    assert ask(now, "SELECT execution_id, artifact_id, type, direction, path, epoch_ms(happened), seq FROM events") == [
        (2, 1, "OUTPUT", "output", '["models",0]', 1_700_000_000_456, 8),
        (2, 1, "INPUT", "input", "[]", None, 9),
    ]
    assert ask(now, "SELECT context_id, artifact_id, seq FROM attributions") == [(3, 1, 10)]
    assert ask(now, "SELECT context_id, execution_id, seq FROM associations") == [(3, 2, 11)]
    assert ask(now, "SELECT parent_id, child_id, seq FROM parent_contexts") == [(3, 4, 12)]
    assert ask(now, "SELECT execution_id, key, step, epoch_us(happened), value, seq FROM metrics") == [
        (2, "loss", 1, 10, 0.5, 13),
        (2, "loss", 2, 20, 0.25, 13),
    ]
    assert ask(now, "SELECT count(*) FROM types WHERE is_system") == [(9,)]
    assert ask(now, "SELECT id, kind, name, properties FROM types WHERE NOT is_system LIMIT 1") == [
        (10, "artifact", "Model", '{"accuracy":"DOUBLE"}')
    ]
    assert ask(now, 'SELECT "commit", first_seq, last_seq, actor, reason FROM commits') == [
        (0, 1, 3, "actor 0", "why"),
        (1, 4, 13, "actor 1", "why"),
        (2, 14, 14, "actor 2", "why"),
    ]


@pytest.mark.parametrize("name", list(VIEWS))
def test_every_view_has_the_columns_and_types_of_the_reference(now: Snapshot, name: str) -> None:
    section = REFERENCE.read_text().split(f"## {name}\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)

    assert ask(now, f"SELECT column_name, column_type FROM (DESCRIBE {name})") == [
        (column, {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(kind, kind)) for column, kind in documented
    ]
    assert [(column.name, column.type) for column in VIEWS[name].columns] == documented
    assert now.sql(f"SELECT * FROM {name}").num_rows > 0


def test_every_column_can_be_asked_for_alone(now: Snapshot) -> None:
    for name, view in VIEWS.items():
        whole = now.sql(f"SELECT * FROM {name}")
        for column in view.columns:
            alone = now.sql(f'SELECT "{column.name}" FROM {name}')
            assert alone[column.name].to_pylist() == whole[column.name].to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM artifacts a",
        "SELECT artifacts FROM artifacts",
        "SELECT a.* FROM artifacts a",
        "SELECT COLUMNS('na.*') FROM artifacts",
        "SELECT y FROM artifacts AS a(x, y)",
        "FROM metrics NATURAL JOIN metrics b",
        "WITH artifacts AS (SELECT * FROM artifacts) SELECT id FROM artifacts",
        "FROM (FROM artifacts) SELECT type",
        "SELECT count(*) FROM artifacts a JOIN properties p USING (id)",
        "SELECT (SELECT max(value) FROM metrics m WHERE m.execution_id = e.id) FROM executions e",
        "SELECT id FROM Artifacts WHERE Name = 'm'",
        'SELECT "Id" FROM "ARTIFACTS"',
        "SUMMARIZE artifacts",
        "VALUES (1)",
        "SELECT unnest([1, 2])",
        "SELECT * FROM range(3)",
        "SELECT row_number() OVER (ORDER BY seq) FROM events",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r",
        "TABLE artifacts",
        "SELECT id FROM artifacts;",
    ],
)
def test_all_ways_to_select_work(now: Snapshot, text: str) -> None:
    assert now.sql(text).num_rows > 0


@pytest.mark.parametrize(
    "text",
    [
        "FROM '/etc/passwd'",
        "FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "WITH a AS (FROM '/etc/passwd') FROM a",
        "WITH \"/etc/passwd\" AS (SELECT 1) SELECT * FROM (FROM '/etc/passwd')a, glob('*')",
        "SELECT * FROM glob('/etc/*')",
        "FROM query('SELECT 1')",
        "FROM query_table('artifacts')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('threads')",
        "FROM duckdb_settings()",
        "FROM node_at(1)",
        "FROM rec_node",
        "FROM recent_node",
        "FROM system_type",
        "FROM superseded",
        "FROM information_schema.tables",
        "FROM main.artifacts",
        "FROM sqlite_master",
        "COPY artifacts TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW t AS SELECT 1",
        "INSERT INTO artifacts VALUES (1)",
        "DELETE FROM artifacts",
        "DROP VIEW artifacts",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 4",
        "RESET threads",
        "PRAGMA version",
        "CALL pragma_version()",
        "EXPORT DATABASE 'x'",
        "SHOW TABLES",
        "BEGIN",
        "CHECKPOINT",
        "SELECT 1; SELECT 2",
        "",
        "-- nothing",
        "SELEC 1",
        "SELECT nothing FROM artifacts",
        "FROM artefacts",
        "SELECT ?",
        "SELECT $x",
        "SELECT 1 + 'a'::INT",
        "SELECT sum(name) FROM artifacts",
    ],
)
def test_everything_else_is_refused_with_a_code_and_a_hint(now: Snapshot, text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        now.sql(text)

    assert caught.value.code == ErrorCode.INVALID_SQL
    assert caught.value.hint


def test_files_stay_closed_even_to_sql_that_gets_past_the_reading_of_it(tmp_path: Path) -> None:
    history = world()
    tables = Tables(history.log, tmp_path / "views")
    tables.merge(force=True)
    snapshot = Snapshot(tables, history.head)
    snapshot.sql("SELECT 1")
    from stratalog.query.sandbox import sandbox_of

    cursor = sandbox_of(tables)._connection.cursor()

    for text in ("FROM read_text('/etc/passwd')", "SET threads = 4", "SET enable_external_access = true"):
        with pytest.raises(Exception, match=r"disabled|locked"):
            cursor.execute(text).fetchall()


def test_a_wrong_name_gets_a_guess_and_the_columns(now: Snapshot) -> None:
    with pytest.raises(InvalidInputError) as view:
        now.sql("SELECT * FROM artefacts")
    with pytest.raises(InvalidInputError) as column:
        now.sql("SELECT uir FROM artifacts")

    assert "did you mean 'artifacts'?" in str(view.value.hint)
    assert "type_version" in str(column.value.hint)
    assert 'Referenced column "uir"' in column.value.message


def test_parameters_are_values_and_never_sql(now: Snapshot) -> None:
    assert ask(now, "SELECT id FROM artifacts WHERE name = ?", ["m"]) == [(1,)]
    assert ask(now, "SELECT id FROM artifacts WHERE name = $name", {"name": "m"}) == [(1,)]
    assert ask(now, "SELECT id FROM artifacts WHERE name = $name", {"name": "' OR true --"}) == []


def test_times_out_of_the_calendar_are_null(tmp_path: Path) -> None:
    history = History()
    history.commit([Link(execution_id=1, artifact_id=1, type=3, time_ms=2**63 - 1)])

    assert ask(Snapshot(Tables(history.log, None), 1), "SELECT happened FROM events") == [(None,)]


ROUNDING = [
    "SELECT avg(value), sum(value), stddev(value), corr(value, step) FROM metrics",
    "SELECT key, sum(value) s FROM metrics GROUP BY key ORDER BY s",
    "SELECT key, sum(value) s FROM metrics GROUP BY key",
    "SELECT m.key, sum(m.value * p.double_value) FROM metrics m JOIN properties p ON p.id = m.execution_id GROUP BY 1",
    "SELECT sum(double_value) FROM properties p JOIN executions e USING (id) JOIN metrics m ON m.execution_id = e.id",
    "SELECT step, value FROM metrics ORDER BY key LIMIT 7",
    "SELECT list(value), first(value), arg_max(step, key), string_agg(key, ',') FROM metrics",
    "SELECT sum(value) OVER (PARTITION BY key ORDER BY step) FROM metrics",
    "SELECT DISTINCT ON (key) key, value FROM metrics",
    "SELECT * FROM properties",
]


def answers(snapshot: Snapshot) -> list[bytes]:
    found = []
    for text in ROUNDING:
        rows = snapshot.sql(text).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        found.append(sink.getvalue().to_pybytes())
    return found


def test_the_same_question_gives_the_same_bytes_however_the_rows_are_stored(tmp_path: Path) -> None:
    history = History()
    tables = Tables(history.log, tmp_path / "views", settings=TablesSettings(part_event_count=20))
    in_memory = Tables(history.log, None)
    history.followers += [tables, in_memory]
    for number in range(1, 40):
        run = number * 7 % 13 + 1
        history.commit(
            [
                Execution(id=run, properties={"x": 0.1 * number, f"y{number % 3}": 1 / number}),
                MetricPoints(
                    execution_id=run,
                    key=f"k{number % 4}",
                    steps=[number, number + 1, number],
                    times_us=[1, 2, 3],
                    values=[1e15 / number, 1 / number, -1e-9 * number],
                ),
            ]
        )
        if number % 9 == 0:
            tables.seal()
    seq = history.head - 10
    first = answers(Snapshot(tables, seq))

    in_memory.merge(force=True)
    assert answers(Snapshot(in_memory, seq)) == first
    history.commit([Execution(id=3)])
    assert tables.merge(force=True)
    assert answers(Snapshot(tables, seq)) == first
    history.commit([Execution(id=4)])
    tables.seal()
    assert answers(Snapshot(tables, seq)) == first
    shutil.copytree(tmp_path / "views", tmp_path / "copy")
    assert answers(Snapshot(Tables(history.log, tmp_path / "copy"), seq)) == first
    tables.rebuild()
    assert answers(Snapshot(tables, seq)) == first


def test_sql_survives_the_loss_of_the_files(tmp_path: Path) -> None:
    history = world()
    tables = Tables(history.log, tmp_path / "views")
    tables.merge(force=True)
    snapshot = Snapshot(tables, history.head)
    expected = ask(snapshot, "SELECT * FROM artifacts")
    for path in (tmp_path / "views").glob("*.parquet"):
        path.unlink()

    assert ask(snapshot, "SELECT * FROM artifacts") == expected
    assert ask(snapshot, "SELECT count(*) FROM properties") == [(1,)]


def test_sql_survives_damage_that_comes_while_the_store_is_open(tmp_path: Path) -> None:
    history = world()
    tables = Tables(history.log, tmp_path / "views")
    tables.merge(force=True)
    snapshot = Snapshot(tables, history.head)
    for path in (tmp_path / "views").glob("*.parquet"):
        data = bytearray(path.read_bytes())
        data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
        path.write_bytes(data)

    assert ask(snapshot, "SELECT id, name FROM artifacts") == [(1, "m")]
    assert snapshot.query(f"SELECT count(*) AS n FROM {snapshot.table('edge')}")["n"].to_pylist() == [2]
