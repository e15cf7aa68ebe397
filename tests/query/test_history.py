"""History: every field of every version, links and points, with who, when and why."""

from __future__ import annotations

import datetime
import json

import pyarrow as pa
import pytest

from stratalog.eventlog.errors import NotFoundError
from stratalog.eventlog.events import Kind
from stratalog.query.history import history
from tests.query.conftest import AsOf

A, E, C = Kind.ARTIFACT, Kind.EXECUTION, Kind.CONTEXT
Row = tuple[str, str, str | None, str | None]


def rows(as_of: AsOf, kind: Kind, id: int, chapter: str = "head", **arguments: str) -> list[Row]:
    table = history(as_of(chapter), kind, id, **arguments)
    return [(row["change"], row["field"], row["before"], row["after"]) for row in table]


def test_a_run_tells_all_that_happened_to_it(as_of: AsOf) -> None:
    table = history(as_of("head"), E, 1).arrow()

    assert table.column_names == [
        *("seq", "commit", "recorded", "actor", "reason", "change", "field", "before", "after")
    ]
    assert table.schema.field("recorded").type == pa.timestamp("us", tz="UTC")
    assert table["recorded"][0].as_py() == datetime.datetime(2023, 11, 14, 22, 13, 21, 1, tzinfo=datetime.UTC)
    assert rows(as_of, E, 1) == [
        ("created", "type", None, '"Train"'),
        ("created", "name", None, '"run-1"'),
        ("created", "state", None, '"RUNNING"'),
        ("created", "created", None, "1000"),
        ("created", "properties.layers", None, "2"),
        ("created", "properties.lr", None, "0.1"),
        ("created", "properties.name", None, '"x"'),
        ("created", "custom_properties.lr", None, '"high"'),
        ("created", "custom_properties.note", None, "1"),
        ("logged", "metrics.acc", None, '{"points":2,"first_step":0,"last_step":1,"last":0.7}'),
        ("logged", "metrics.layers", None, '{"points":1,"first_step":0,"last_step":0,"last":3.0}'),
        ("linked", "association", None, '{"context":1}'),
        ("linked", "event", None, '{"type":"OUTPUT","artifact":1,"path":["model",0],"time_ms":77}'),
        ("changed", "state", '"RUNNING"', '"COMPLETE"'),
        ("changed", "properties.lr", "0.1", "0.2"),
        ("changed", "custom_properties.lr", '"high"', None),
        ("changed", "properties.new", None, "true"),
        ("logged", "metrics.acc", None, '{"points":1,"first_step":2,"last_step":2,"last":0.8}'),
    ]
    changed = [row for row in history(as_of("head"), E, 1) if row["field"] == "state" and row["before"]]
    assert [(row["actor"], row["reason"], row["commit"]) for row in changed] == [("eve", "typo", 4)]


def test_one_property_alone(as_of: AsOf) -> None:
    expected = [
        ("created", "properties.lr", None, "0.1"),
        ("created", "custom_properties.lr", None, '"high"'),
        ("changed", "properties.lr", "0.1", "0.2"),
        ("changed", "custom_properties.lr", '"high"', None),
    ]

    assert rows(as_of, E, 1, property="lr") == expected
    assert rows(as_of, E, 1, property="custom_properties.lr") == [expected[1], expected[3]]
    assert rows(as_of, E, 1, "runs", property="lr") == expected[:2]
    assert [row[1] for row in rows(as_of, E, 1, property="acc")] == ["metrics.acc"] * 2
    assert rows(as_of, E, 1, property="nothing") == []


def test_contexts_and_artifacts_have_their_links(as_of: AsOf) -> None:
    assert [row for row in rows(as_of, C, 1) if row[0] == "linked"] == [
        ("linked", "association", None, '{"execution":1}'),
        ("linked", "association", None, '{"execution":2}'),
        ("linked", "attribution", None, '{"artifact":1}'),
        ("linked", "parent_context", None, '{"child":2}'),
    ]
    assert [row for row in rows(as_of, C, 2) if row[0] == "linked"] == [
        ("linked", "parent_context", None, '{"parent":1}')
    ]
    assert [row[1:] for row in rows(as_of, A, 1) if row[0] == "linked"] == [
        ("attribution", None, '{"context":1}'),
        ("event", None, '{"type":"OUTPUT","execution":1,"path":["model",0],"time_ms":77}'),
        ("event", None, '{"type":"INPUT","execution":2,"path":[],"time_ms":78}'),
    ]


def test_values_stand_as_json(as_of: AsOf) -> None:
    fields = {row[1]: row[3] for row in rows(as_of, E, 3)}

    assert fields["properties.lr"] == "NaN"
    assert json.loads(str(fields["properties.struct"]))["n"] == 2**60
    assert json.loads(str(fields["properties.any"]))["type_url"] == "t/x"
    artifact = {row[1]: row[3] for row in rows(as_of, A, 1)}
    assert json.loads(str(artifact["properties.text"])) == "a\x00b"
    assert artifact["properties.big"] == str(2**53 + 1)


def test_a_version_that_only_moved_the_time_has_a_row(as_of: AsOf) -> None:
    assert rows(as_of, A, 2)[-1] == ("changed", "updated", "0", "5")


@pytest.mark.parametrize("id", [4, 0, -1, 2**70])
def test_a_node_that_is_not_there_is_refused(as_of: AsOf, id: int) -> None:
    with pytest.raises(NotFoundError):
        history(as_of("head"), A, id)
    with pytest.raises(NotFoundError):
        history(as_of("runs"), A, 3)
