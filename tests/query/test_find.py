"""Find: order, pages, types, contexts, columns, whole nodes."""

from __future__ import annotations

import datetime
import math

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Artifact, Kind, Node
from stratalog.query.find import find
from stratalog.query.nodes import load_nodes
from tests.query.conftest import AsOf
from tests.query.filter_model import NAMES, World, histories
from tests.query.graph import History, PlainSnapshot
from tests.query.story import story

A, E, C = Kind.ARTIFACT, Kind.EXECUTION, Kind.CONTEXT


@pytest.mark.parametrize(
    ("order_by", "ascending", "descending"),
    [
        ("id", [1, 2, 3], [3, 2, 1]),
        ("create_time", [1, 2, 3], [3, 2, 1]),
        ("created", [1, 2, 3], [3, 2, 1]),
        ("update_time", [2, 3, 1], [1, 3, 2]),
        ("name", [1, 2, 3], [2, 1, 3]),
        ("properties.lr", [1, 2, 3], [2, 1, 3]),
        ("custom_properties.note", [1, 2, 3], [1, 2, 3]),
        ("properties.`flag`", [2, 1, 3], [2, 3, 1]),
        ("metrics.acc", [1, 2, 3], [2, 1, 3]),
        ("metrics.none", [1, 2, 3], [3, 2, 1]),
    ],
)
def test_nodes_come_in_the_order_asked_for(
    as_of: AsOf, order_by: str, ascending: list[int], descending: list[int]
) -> None:
    snapshot = as_of("head")

    if order_by == "custom_properties.note":  # a number before a text, in both directions
        descending = [1, 2, 3]
    assert find(snapshot, E, order_by=order_by).ids() == ascending
    assert find(snapshot, E, order_by=order_by, descending=True).ids() == descending
    for direction, expected in ((False, ascending), (True, descending)):
        found, token = [], None
        while True:
            page = find(snapshot, E, order_by=order_by, descending=direction, limit=1, page_token=token)
            found += page.ids()
            token = page.next_page_token
            if token is None:
                break
        assert found == expected
    page = find(snapshot, E, order_by=order_by, limit=2)
    assert page.arrow()["id"].to_pylist() == page.ids()


def test_a_page_that_ends_at_the_end_has_no_token(as_of: AsOf) -> None:
    snapshot = as_of("head")

    assert find(snapshot, E, limit=3).next_page_token is None
    assert find(snapshot, E, limit=2).next_page_token is not None
    assert find(snapshot, E, limit=0).ids() == []
    assert find(snapshot, E, limit=0).next_page_token is None


def test_a_later_page_sees_new_nodes_and_another_filter(as_of: AsOf) -> None:
    token = find(as_of("runs"), A, limit=1).next_page_token

    assert find(as_of("head"), A, page_token=token).ids() == [2, 3]
    assert find(as_of("head"), A, "name = 'm3'", page_token=token).ids() == [3]


@pytest.mark.parametrize("token", ["x", "AAAAAAAA", "not a token", "é", "====", "A" * 10_000])
def test_a_wrong_token_is_refused(as_of: AsOf, token: str) -> None:
    good = find(as_of("head"), E, limit=1).next_page_token
    assert good is not None

    for wrong in (token, good[:-1] + ("A" if good[-1] != "A" else "B"), good + "AAAA"):
        with pytest.raises(InvalidInputError) as raised:
            find(as_of("head"), E, limit=1, page_token=wrong)
        assert raised.value.code is ErrorCode.INVALID_PAGE_TOKEN
    for order in ({"order_by": "name"}, {"descending": True}):
        with pytest.raises(InvalidInputError) as raised:
            find(as_of("head"), E, limit=1, page_token=good, **order)
        assert raised.value.code is ErrorCode.INVALID_PAGE_TOKEN


def test_type_version_and_context_narrow(as_of: AsOf) -> None:
    snapshot = as_of("head")

    assert find(snapshot, A, type="Model").ids() == [1, 2, 3]
    assert find(snapshot, A, type="Model", type_version="").ids() == [1, 3]
    assert find(snapshot, A, type="Model", type_version="2").ids() == [2]
    assert find(snapshot, A, type="Train").ids() == []
    assert find(snapshot, E, context_id=1).ids() == [1, 2]
    assert find(snapshot, A, context_id=1, type="Model").ids() == [1]
    assert find(snapshot, C, context_id=1).ids() == [2]
    assert find(snapshot, E, "state = COMPLETE", context_id=1, type="Train").ids() == [1, 2]
    assert find(snapshot, E, "properties.lr < 0.5", context_id=1, type="Train").ids() == [1]
    assert find(snapshot, E, "properties.unknown = 1", context_id=1, type="Train", type_version="").ids() == []
    assert find(snapshot, E, context_id=2**70).ids() == []


def test_the_past_stays_as_it_was(as_of: AsOf) -> None:
    assert find(as_of("runs"), E, "state = RUNNING AND properties.lr = 0.1").ids() == [1]
    assert find(as_of("head"), E, "state = RUNNING").ids() == []
    assert find(as_of("runs"), E, order_by="metrics.acc", descending=True).ids() == [2, 1, 3]
    assert find(as_of("runs"), E, "metrics.acc = 0.7").ids() == [1]
    assert find(as_of("head"), E, "metrics.acc = 0.8").ids() == [1]


def test_columns_have_the_types_of_their_values(as_of: AsOf) -> None:
    columns = ["properties.lr", "custom_properties.note", "metrics.acc", "properties.flag", "properties.layers"]
    columns += ["properties.struct", "properties.any", "properties.nothing"]

    table = find(as_of("head"), E, columns=columns).arrow()

    assert table.column_names[:7] == ["id", "type", "type_version", "name", "state", "external_id", "created"]
    assert table.schema.field("created").type == pa.timestamp("ms", tz="UTC")
    assert table["created"].to_pylist()[0] == datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.UTC)
    assert table["state"].to_pylist() == ["COMPLETE"] * 3
    lr = table["properties.lr"].to_pylist()
    assert lr[:2] == [0.2, 1.0]
    assert math.isnan(lr[2])
    assert table["custom_properties.note"].to_pylist() == ["1", "two", None]
    assert table["metrics.acc"].to_pylist()[:2] == [0.8, 0.9]
    assert table["properties.flag"].to_pylist() == [None, True, None]
    assert table["properties.layers"].to_pylist() == [2, 2, 2]
    assert table.schema.field("properties.layers").type == pa.int64()
    assert table["properties.struct"].to_pylist()[2].startswith('{"a":[1,2.5,null,true')
    assert table["properties.any"].to_pylist() == [None, None, "t/x"]
    assert table["properties.nothing"].to_pylist() == [None, None, None]
    artifacts = find(as_of("head"), A).arrow()
    assert artifacts["uri"].to_pylist() == ["s3://m", None, None]
    assert artifacts["type_version"].to_pylist() == [None, "2", None]
    assert "state" not in find(as_of("head"), C).arrow().column_names


def test_a_result_goes_to_pandas_polars_and_rows(as_of: AsOf) -> None:
    result = find(as_of("head"), E, "name = 'run-1'", columns=["properties.lr"])

    assert list(result.df()["properties.lr"]) == [0.2]
    assert result.pl()["properties.lr"].to_list() == [0.2]
    assert [row["name"] for row in result] == ["run-1"]
    assert len(result) == 1
    assert pa.table(result).equals(result.arrow())
    assert result.nkeys.to_pylist() == [1 << 2 | 2]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"order_by": "nme"}, ErrorCode.INVALID_ARGUMENT),
        ({"order_by": "metric.acc"}, ErrorCode.UNKNOWN_PROPERTY),
        ({"columns": ["lr"]}, ErrorCode.UNKNOWN_PROPERTY),
        ({"columns": ["properties."]}, ErrorCode.UNKNOWN_PROPERTY),
        ({"limit": -1}, ErrorCode.INVALID_VALUE),
        ({"where": "nme = 1"}, ErrorCode.INVALID_FILTER),
    ],
)
def test_wrong_arguments_are_refused(as_of: AsOf, arguments: dict[str, object], code: ErrorCode) -> None:
    with pytest.raises(InvalidInputError) as raised:
        find(as_of("head"), E, **arguments)  # type: ignore[arg-type]
    assert raised.value.code is code
    with pytest.raises(InvalidInputError):
        find(as_of("head"), A, columns=["metrics.acc"])


@pytest.mark.parametrize("chapter", ["runs", "changed", "head"])
def test_nodes_come_back_whole(as_of: AsOf, chapter: str) -> None:
    history, chapters = story()

    for kind in Kind:
        found = find(as_of(chapter), kind, descending=True).nodes()
        assert same(found, list(reversed(history.nodes(kind, chapters[chapter]))))
    assert load_nodes(as_of("head"), A, []) == []
    assert [node.id for node in load_nodes(as_of("head"), A, [2, 1, 2, 99])] == [1, 2]


def same(found: list[Node], expected: list[Node]) -> bool:
    """Equal, types of values and NaN and all."""
    return repr([_sorted(node) for node in found]) == repr([_sorted(node) for node in expected])


def _sorted(node: Node) -> tuple[object, ...]:
    maps = [sorted(node.properties.items()), sorted(node.custom_properties.items())]
    return (type(node), maps, *(getattr(node, f) for f in Artifact.__struct_fields__ if not f.endswith("properties")))


@settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(history=histories(), data=st.data())
def test_pages_of_any_order_hold_every_node_once(history: History, data: st.DataObject) -> None:
    snapshot = PlainSnapshot(history)
    for kind in Kind:
        name = data.draw(st.sampled_from(NAMES))
        orders = ["id", "name", "update_time", f"properties.{name}", f"custom_properties.{name}"]
        order, descending = data.draw(st.sampled_from(orders)), data.draw(st.booleans())
        whole = find(snapshot, kind, order_by=order, descending=descending)
        assert sorted(whole.ids()) == World(history, history.seq).select(kind, ("literal", True))
        found, token = [], None
        while True:
            page = find(snapshot, kind, order_by=order, descending=descending, limit=1, page_token=token)
            found += page.ids()
            token = page.next_page_token
            if token is None:
                break
        assert found == whole.ids()
        assert same(whole.nodes(), [node for id in whole.ids() for node in history.nodes(kind) if node.id == id])
