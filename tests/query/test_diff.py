"""Diff: what was added and changed between two moments, also against a model that compares two worlds."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stratalog.eventlog.errors import InvalidInputError
from stratalog.eventlog.events import Artifact, Kind, Type
from stratalog.query.diff import diff
from tests.query.conftest import AsOf
from tests.query.filter_model import histories
from tests.query.graph import History, PlainSnapshot, real_snapshot


def test_what_changed_since_the_runs(as_of: AsOf) -> None:
    found = diff(as_of("runs"), as_of("head"))

    assert found.entities.select(["kind", "id", "type", "name", "change"]).to_pylist() == [
        {"kind": "artifact", "id": 2, "type": "Model", "name": "m2", "change": "changed"},
        {"kind": "artifact", "id": 3, "type": "Model", "name": "m3", "change": "added"},
        {"kind": "execution", "id": 1, "type": "Train", "name": "run-1", "change": "changed"},
    ]
    rows = [(r["kind"], r["id"], r["field"], r["before"], r["after"], r["actor"]) for r in found.fields.to_pylist()]
    assert rows == [
        ("artifact", 2, "updated", "0", "5", "ada"),
        ("execution", 1, "state", '"RUNNING"', '"COMPLETE"', "eve"),
        ("execution", 1, "properties.lr", "0.1", "0.2", "eve"),
        ("execution", 1, "properties.new", None, "true", "ada"),
        ("execution", 1, "custom_properties.lr", '"high"', None, "eve"),
    ]
    assert found.fields.schema.field("recorded").type == pa.timestamp("us", tz="UTC")
    assert found.links.drop_columns(["seq"]).to_pylist() == [
        {"what": "event", "from_kind": "artifact", "from_id": 1, "to_kind": "execution", "to_id": 2, "type": "INPUT"}
    ]
    assert found.counts() == {
        "artifacts_added": 1, "artifacts_changed": 1, "executions_added": 0, "executions_changed": 1,
        "contexts_added": 0, "contexts_changed": 0, "fields": 5, "links": 1,
    }  # fmt: skip


def test_links_lead_the_way_of_the_data(as_of: AsOf) -> None:
    links = diff(as_of("start"), as_of("runs")).links

    ends = [(r["what"], r["from_kind"], r["from_id"], r["to_kind"], r["to_id"], r["type"]) for r in links.to_pylist()]
    assert ends == [
        ("association", "execution", 1, "context", 1, None),
        ("association", "execution", 2, "context", 1, None),
        ("attribution", "artifact", 1, "context", 1, None),
        ("parent_context", "context", 2, "context", 1, None),
        ("event", "execution", 1, "artifact", 1, "OUTPUT"),
    ]


def test_nothing_changed_in_no_time(as_of: AsOf) -> None:
    assert not diff(as_of("head"), as_of("head"))
    assert diff(as_of("start"), as_of("runs"))


def test_a_field_is_told_with_its_last_change() -> None:
    history = History()
    history.commit(Type(kind=1, id=10, name="Model"))
    start = history.commit(Artifact(id=1, type_id=10, properties={"a": 1, "b": 1, "c": 1}))
    history.commit(Artifact(id=1, type_id=10, properties={"a": 2, "b": 2, "c": 2}), actor="bob")
    history.commit(Artifact(id=1, type_id=10, properties={"a": 3, "b": 2, "c": 1}), actor="eve")
    history.commit(Artifact(id=1, type_id=10, properties={"a": 3, "b": 2, "c": 1}, name="n"), actor="ada")

    rows = diff(PlainSnapshot(history, start), PlainSnapshot(history)).fields.to_pylist()

    assert [(r["field"], r["before"], r["after"], r["actor"], r["seq"]) for r in rows] == [
        ("name", None, '"n"', "ada", start + 3),
        ("properties.a", "1", "3", "eve", start + 2),
        ("properties.b", "1", "2", "bob", start + 1),
    ]


def test_the_other_way_round_is_refused(as_of: AsOf) -> None:
    with pytest.raises(InvalidInputError, match="lies before") as raised:
        diff(as_of("head"), as_of("runs"))
    assert raised.value.hint == "give the earlier moment first"


@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(history=histories(), data=st.data())
def test_a_diff_is_the_difference_of_two_worlds(history: History, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, history.seq))
    high = data.draw(st.integers(low, history.seq))
    if data.draw(st.booleans()):
        before, after = PlainSnapshot(history, low), PlainSnapshot(history, high)
        found = diff(before, after)
    else:
        whole = real_snapshot(history, high, merged=data.draw(st.booleans()))
        found = diff(type(whole)(whole.tables, low), whole)

    entities, fields = [], []
    for kind in Kind:
        old = {node.id: node for node in history.nodes(kind, low)}
        for node in history.nodes(kind, high):
            if node.id not in old:
                entities.append((kind.word, node.id, "added"))
            elif node is not old[node.id]:
                entities.append((kind.word, node.id, "changed"))
                for name in ("properties", "custom_properties"):
                    a, b = getattr(old[node.id], name), getattr(node, name)
                    fields += [
                        (kind.word, node.id, f"{name}.{key}", text(a.get(key)), text(b.get(key)))
                        for key in a.keys() | b.keys()
                        if text(a.get(key)) != text(b.get(key))
                    ]
    rows = found.entities.to_pylist()
    assert [(r["kind"], r["id"], r["change"]) for r in rows] == entities
    changed = [r for r in found.fields.to_pylist() if "." in r["field"]]
    assert sorted((r["kind"], r["id"], r["field"], norm(r["before"]), norm(r["after"])) for r in changed) == sorted(
        fields
    )
    assert all(low < r["seq"] <= high for r in found.fields.to_pylist())
    assert found.links.num_rows == sum(
        low < s <= high and type(fact).__name__ in ("Link", "Attribution", "Association", "ParentContext")
        for s, fact, _ in history.facts
    )


def text(value: object) -> str:
    return "" if value is None else f"{type(value).__name__} {value!r}"


def norm(after: str | None) -> str:
    return "" if after is None else text(json.loads(after))
