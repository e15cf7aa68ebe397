"""Compare: which rows, which columns, of which types, under which names."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import Kind
from stratalog.query.compare import compare
from tests.query.conftest import AsOf

A, E = Kind.ARTIFACT, Kind.EXECUTION


def values(table: pa.Table, name: str) -> list[Any]:
    return [None if isinstance(v, float) and math.isnan(v) else v for v in table[name].to_pylist()]


def test_every_value_has_a_column_with_a_plain_name_where_it_can(as_of: AsOf) -> None:
    table = compare(as_of("runs"), E, [1, 2, 3]).arrow()

    assert table.column_names == [
        *("id", "name", "type", "type_version", "state", "external_id", "created", "updated"),
        *("any", "flag", "properties.layers", "properties.lr", "properties.name", "struct"),
        *("custom_properties.lr", "note", "acc", "metrics.layers"),
    ]
    assert values(table, "id") == [1, 2, 3]
    assert values(table, "properties.lr") == [0.1, 1.0, None]
    assert table.schema.field("properties.lr").type == pa.float64()
    assert table.schema.field("properties.layers").type == pa.int64()
    assert table.schema.field("flag").type == pa.bool_()
    assert values(table, "note") == ["1", "two", None]
    assert values(table, "acc") == [0.7, 0.9, None]
    assert values(table, "metrics.layers") == [3.0, None, None]
    assert values(table, "custom_properties.lr") == ["high", None, None]


def test_rows_follow_the_ids_or_rise(as_of: AsOf) -> None:
    snapshot = as_of("head")

    assert values(compare(snapshot, E, [3, 1, 3]).arrow(), "id") == [3, 1]
    assert values(compare(snapshot, E, where="properties.lr > 0").arrow(), "id") == [1, 2]
    assert values(compare(snapshot, E).arrow(), "id") == [1, 2, 3]
    assert values(compare(snapshot, E, []).arrow(), "id") == []
    assert values(compare(snapshot, A).arrow(), "uri") == ["s3://m", None, None]


def test_only_what_differs_stays(as_of: AsOf) -> None:
    table = compare(as_of("head"), E, [1, 2], only_different=True).arrow()

    assert table.column_names == [
        *("id", "name", "created", "updated", "flag", "lr", "properties.name", "new"),
        *("note", "acc", "metrics.layers"),
    ]
    assert compare(as_of("head"), E, [1], only_different=True).columns == ["id", "name"]


def test_chosen_columns_come_in_their_order(as_of: AsOf) -> None:
    snapshot = as_of("runs")

    assert compare(snapshot, E, columns=["acc", "state", "lr"]).columns == [
        *("id", "name", "acc", "state", "properties.lr", "custom_properties.lr")
    ]
    assert compare(snapshot, E, columns=["custom_properties.lr", "metrics.acc", "id"]).columns == [
        *("id", "name", "custom_properties.lr", "metrics.acc")
    ]
    assert values(compare(snapshot, E, columns=["new"]).arrow(), "new") == [None] * 3
    assert compare(snapshot, E, include=["metrics"]).columns == ["id", "name", "acc", "layers"]
    assert compare(snapshot, E, include=["attributes"]).columns[-1] == "updated"


def test_the_transposed_table_has_a_column_a_node(as_of: AsOf) -> None:
    table = compare(as_of("head"), E, columns=["lr", "flag"]).transposed()

    assert table.to_pydict() == {
        "field": ["lr", "flag"],
        "run-1": ["0.2", None],
        "run-2": ["1", "true"],
        "#3": ["nan", None],
    }


def test_wrong_arguments_are_refused(as_of: AsOf) -> None:
    snapshot = as_of("head")

    with pytest.raises(NotFoundError, match="no execution 4, 9 as of"):
        compare(snapshot, E, [1, 9, 4])
    with pytest.raises(NotFoundError):
        compare(snapshot, E, [2**80])
    with pytest.raises(InvalidInputError, match="no execution has a value 'layer'") as raised:
        compare(snapshot, E, columns=["layer"])
    assert raised.value.code is ErrorCode.UNKNOWN_PROPERTY
    assert raised.value.hint == "did you mean 'layers'?"
    with pytest.raises(InvalidInputError, match="no group"):
        compare(snapshot, E, include=["metric"])
    with pytest.raises(InvalidInputError, match="at most one"):
        compare(snapshot, E, [1], where="id = 1")


def test_the_same_question_has_the_same_bytes(as_of: AsOf) -> None:
    first, second = (compare(as_of("head"), E).arrow().combine_chunks() for _ in range(2))

    assert first.schema.equals(second.schema, check_metadata=True)
    assert [c.to_pylist() for c in first.columns[:8]] == [c.to_pylist() for c in second.columns[:8]]
    assert repr(first.to_pydict()) == repr(second.to_pydict())
