"""The filter language by examples: what selects what, and what is refused with which words."""

from __future__ import annotations

import pytest

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import (
    Artifact,
    Association,
    Attribution,
    Context,
    Execution,
    Kind,
    Link,
    MetricPoints,
    ParentContext,
    Proto,
    Type,
)
from stratalog.query.filter import parse_filter
from stratalog.query.points import Reader
from tests.query.graph import History, PlainSnapshot, real_snapshot

A, E, C = Kind.ARTIFACT, Kind.EXECUTION, Kind.CONTEXT


@pytest.fixture(scope="module", params=["plain", "merged"])
def snapshot(request: pytest.FixtureRequest) -> Reader:
    history = History()
    history.commit(
        Type(kind=1, id=10, name="Model"), Type(kind=2, id=11, name="Train"), Type(kind=3, id=12, name="Exp")
    )
    history.commit(
        Artifact(
            id=1,
            type_id=10,
            name="churn",
            uri="s3://m/1",
            state=2,
            external_id="x-1",
            create_time_ms=1_000,
            properties={"x": 1, "lr": 0.5, "Big": 2**53 + 1, "name": "n", "flag": True, "text": 'it\'s \\ "q"'},
            custom_properties={"x": "s", 'a "b"': 7, "struct": {"k": "v"}, "any": Proto("t/x", b"1")},
        ),
        Artifact(id=2, type_id=10, create_time_ms=2_000, properties={"x": 2}, custom_properties={"MyKey": 1}),
        Artifact(
            id=3, type_id=10, name="Churn", state=5, create_time_ms=3_000, properties={"x": "1", "lr": float("nan")}
        ),
        Execution(id=1, type_id=11, state=3, properties={"lr": 0.1}),
        Execution(id=2, type_id=11),
        Context(id=1, type_id=12, name="p", create_time_ms=9),
        Context(id=2, type_id=12, name="r"),
        Attribution(1, 1),
        Attribution(2, 1),
        Attribution(2, 2),
        Association(1, 1),
        ParentContext(2, 1),
        Link(execution_id=1, artifact_id=1, type=7, time_ms=5),
        Link(execution_id=2, artifact_id=2, type=3, time_ms=6),
        MetricPoints(execution_id=1, key="acc", steps=[2, 1], times_us=[1, 2], values=[0.8, 0.9]),
        MetricPoints(execution_id=1, key="acc", steps=[2], times_us=[9], values=[0.7]),
    )
    if request.param == "plain":
        return PlainSnapshot(history)
    return real_snapshot(history, merged=request.param == "merged")


def ids(snapshot: Reader, kind: Kind, text: str) -> list[int]:
    selection = parse_filter(text, kind).select(snapshot)
    found = snapshot.query(selection.sql, selection.parameters)["nkey"].to_pylist()
    assert all(nkey & 3 == kind for nkey in found)
    return sorted(nkey >> 2 for nkey in found)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (A, "", [1, 2, 3]),
        (A, "TRUE", [1, 2, 3]),
        (A, "type = 'Model' AND id > 1", [2, 3]),
        (A, "NAME = 'churn'", [1]),
        (A, "name like 'churn'", [1]),
        (A, "name LIKE '_hur%'", [1, 3]),
        (A, "name IS NULL", [2]),
        (A, "name != 'churn'", [3]),
        (A, "NOT name = 'churn'", [3]),
        (A, "uri = ''", [2, 3]),
        (A, "external_id IN ('x-1', 'y')", [1]),
        (A, "id = 1 OR id = 2 AND id = 3", [1]),
        (A, "(id = 1 OR id = 2) AND id != 1", [2]),
        (A, "id BETWEEN 2 AND 1 + 2", [2, 3]),
        (A, "id NOT BETWEEN 2 AND 3", [1]),
        (A, "id IN (0x1, 3)", [1, 3]),
        (A, f"id NOT IN ({', '.join(map(str, range(2, 40)))})", [1]),
        (A, f"name IN ({', '.join(repr(str(i)) for i in range(20))}, 'churn')", [1]),
        (A, "create_time_since_epoch + 1000 <= last_update_time_since_epoch + 2000.5", [1]),
        (A, "1 = 1.0", [1, 2, 3]),
        # enumerations
        (A, "state = LIVE", [1]),
        (A, "state != LIVE", [2, 3]),
        (A, "state <> LIVE", [2, 3]),
        (A, "NOT (state = LIVE)", [3]),
        (A, "state = ABANDONED", [3]),
        (A, "state NOT IN (LIVE, REFERENCE)", [2, 3]),
        (A, "state IN (LIVE, UNKNOWN)", [1]),
        (A, "state IS NULL", [2]),
        (E, "last_known_state = COMPLETE", [1]),
        (A, "events_a.type = PENDING_OUTPUT AND events_a.execution_id = 1", [1]),
        (A, "events_a.type != PENDING_OUTPUT", [2]),
        (A, "events_a.type = UNKNOWN", []),
        (C, "artifacts_a.state != LIVE", [2]),
        (C, "artifacts_a.external_id = 'x-1'", [1, 2]),
        (C, "child_contexts_a.create_time_since_epoch = 9", []),
        # properties
        (A, "properties.x.int_value = 1", [1]),
        (A, "properties.x.int_value = 1 OR id = 2", [1, 2]),
        (A, "properties.lr.double_value < 1 OR id = 2", [1]),
        (A, "properties.x.string_value IS NOT NULL", [3]),
        (A, "properties.x.int_value IS NULL", [3]),
        (A, "custom_properties.MyKey.int_value = 1", [2]),
        (A, "custom_properties.mykey.int_value = 1", []),
        (A, "properties.Big.int_value = 9007199254740993", [1]),
        (A, "properties.Big.int_value = 9007199254740992", []),
        (A, "properties.name.string_value = 'n'", [1]),
        (A, 'custom_properties.`a "b"`.int_value > 6', [1]),
        (A, "custom_properties.struct.string_value IS NOT NULL", []),
        (A, "custom_properties.any.string_value IS NOT NULL", []),
        (A, r"""properties.text.string_value = 'it\'s \\ "q"' """, [1]),
        (A, r'properties.text.string_value = "it\'s \\ \"q\""', [1]),
        (A, r'properties.text.string_value = "\x69\u0074\'\163 \\ \"q\""', [1]),
        (A, "properties.flag.bool_value", [1]),
        (A, "NOT properties.flag.bool_value", []),
        (A, "properties.flag.bool_value = TRUE", [1]),
        (A, "properties.x.int_value = 1 AND NOT properties.lr.double_value > 0.6", [1]),
        # NaN is above nothing and equal to nothing
        (A, "properties.lr.double_value > 0.1", [1]),
        (A, "NOT properties.lr.double_value > 0.1", [3]),
        (A, "properties.lr.double_value = properties.lr.double_value", [1]),
        (A, "properties.lr.double_value != properties.lr.double_value", [3]),
        # short forms
        (A, "properties.x = 1", [1]),
        (A, "properties.x >= 0.5", [1, 2]),
        (A, "1.5 > properties.x", [1]),
        (A, "properties.x = '1'", [3]),
        (A, "properties.x != '2'", [3]),
        (A, "properties.Big = 9007199254740993", [1]),
        (A, "properties.flag", [1]),
        (A, "properties.flag = FALSE", []),
        (A, "properties.x IN (1, 2.0)", [1, 2]),
        (A, "properties.x LIKE '%'", [3]),
        (A, "properties.x IS NOT NULL", [1, 2, 3]),
        (A, "properties.x IS NULL", []),
        (A, "properties.x + 1 = 2", [1]),
        (A, "properties.x > properties.lr", [1]),
        (A, "custom_properties.struct IS NOT NULL", [1]),
        (E, "metrics.acc = 0.7", [1]),
        (E, "metrics.acc < 0.75 AND state = COMPLETE", [1]),
        (E, "metrics.acc > 1 OR metrics.loss > 0", []),
        # times
        (A, "created > '1970-01-01T00:00:01Z'", [2, 3]),
        (A, "create_time_since_epoch BETWEEN '1970-01-01' AND '1970-01-01T00:00:02'", [1, 2]),
        (A, "created = '1970-01-01T01:00:01+01:00'", [1]),
        (A, "created > '1970-01-01T00:00:00.999999'", [1, 2, 3]),
        (A, "created > '1970-01-01T00:00:01.000001'", [2, 3]),
        (A, "events_a.milliseconds_since_epoch < '1970-01-02'", [1, 2]),
        # neighbours
        (A, "contexts_a.name = 'p' AND contexts_b.name = 'r'", [1]),
        (A, "contexts_a.name = 'p' AND contexts_a.name = 'r'", []),
        (A, "NOT contexts_a.name = 'p'", [1, 2]),
        (A, "contexts_a.id > 0 OR id = 3", [1, 2]),
        (A, "contexts_a.id = contexts_b.id AND contexts_a.name = 'r'", [1, 2]),
        (A, "contexts_a.id = id", [1, 2]),
        (A, "contexts_a.type = 'Exp' AND TRUE", [1, 2]),
        (E, "contexts_run.name = 'p' AND events_0.artifact_id = 1", [1]),
        (C, "parent_contexts_a.name = 'p'", [2]),
        (C, "child_contexts_a.type = 'Exp' AND executions_x.last_known_state = COMPLETE", [1]),
        (C, "artifacts_a.uri LIKE 's3:%' AND artifacts_b.name IS NULL", [2]),
        # words of the language in texts, and white space
        (A, "name = 'state = LIVE'", []),
        (A, " \n id=1\tand\n(name='churn')", [1]),
        (A, "NOT NOT id = 1", [1]),
        (A, "id = - -1", [1]),
    ],
)
def test_a_filter_selects(snapshot: Reader, kind: Kind, text: str, expected: list[int]) -> None:
    assert ids(snapshot, kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "column", "problem", "hint"),
    [
        (A, "proprties.lr < 1", 1, "no field 'proprties'", "did you mean 'properties'?"),
        (A, "id = 1 AND nme = 'x'", 12, "no field 'nme'", "did you mean 'name'?"),
        (A, "STATE = LIVE", 1, "no field 'STATE'", "did you mean 'state'?"),
        (A, "last_known_state = NEW", 1, "no field 'last_known_state'", "one of id"),
        (C, "state = LIVE", 1, "no field 'state'", None),
        (A, "metrics.acc > 1", 1, "no field 'metrics'", None),
        (A, "contexts.name = 'a'", 1, "no field 'contexts.name'", "contexts_a.name"),
        (A, "contexts_a = 'a'", 1, "no field 'contexts_a'", "contexts_a.id"),
        (A, "contexts_a.nme = 'a'", 1, "no field 'nme'", "did you mean 'name'?"),
        (A, "contexts_a.name.x = 'a'", 1, "no field 'contexts_a.name.x'", "two parts"),
        (E, "artifacts_a.id = 1", 1, "no field 'artifacts_a.id'", "executions have contexts_ALIAS"),
        (A, "properties = 1", 1, "no field 'properties'", "properties.NAME"),
        (A, "properties.x.intvalue = 1", 1, "no value field 'intvalue'", "did you mean 'int_value'?"),
        (A, "properties.x.`int_value` = 1", 1, "no value field", None),
        (A, "`name` = 'a'", 1, "'`' is not expected here", "back quotes"),
        (A, "state = 2", 9, "an enumeration compares with bare words only", "LIVE"),
        (A, "state = 'LIVE'", 9, "an enumeration compares with bare words only", "LIVE"),
        (A, "state = LIV", 9, "no word 'LIV'", "did you mean 'LIVE'?"),
        (A, "state = live", 9, "no word 'live'", None),
        (A, "state < LIVE", 7, "'<' does not go with an enumeration", "IN"),
        (A, "LIVE = state", 1, "no field 'LIVE'", None),
        (A, "state IN LIVE", 10, "found 'LIVE', expected '('", None),
        (A, "state LIKE 'L%'", 1, "the enumeration state is of no use here", None),
        (A, "name = 5", 6, "cannot compare a text with an integer", "quotes"),
        (A, "id = '5'", 4, "cannot compare an integer with a text", "quotes"),
        (A, "id = TRUE", 4, "cannot compare an integer with a boolean", None),
        (A, "id IN (1, 'a')", 4, "cannot compare", None),
        (A, "id LIKE 'a'", 4, "LIKE works on texts, found an integer", None),
        (A, "name + 1 = 2", 1, "a text cannot be added or subtracted", None),
        (A, "name", 1, "a condition is needed here, found a text", None),
        (A, "1", 1, "a condition is needed here, found an integer", None),
        (A, "NOT NOT 1", 9, "a condition is needed here", None),
        (A, "created > 'soon'", 11, "'soon' is no time", "2026-11-01"),
        (A, " ", 1, "nothing but white space", "empty filter"),
        (A, "id == 1", 4, "found '=='", "equality is written '='"),
        (A, "id = 1;", 7, "';' is not expected", "one condition"),
        (A, "id = 1 -- x", 8, "found '--'", "comments"),
        (A, "id = 1 /* x */", 8, "'/' is not expected", "comments"),
        (A, "id = NULL", 6, "NULL is no value", "IS NULL"),
        (A, "name = 'a", 8, '"\'" is not expected', "closing quote"),
        (A, "id = 1 = 1", 8, "found '='", None),
        (A, "id = 1 id = 2", 8, "found 'id'", None),
        (A, "id IN ()", 8, "found ')', expected a field", None),
        (A, "id IN (1", 9, "found the end", None),
        (A, "(id = 1", 8, "found the end, expected ')'", None),
        (A, "id NOT 1", 8, "found '1', expected LIKE, IN or BETWEEN", None),
        (A, "id BETWEEN 1", 13, "found the end, expected AND", None),
        (A, "id IS 1", 7, "found '1', expected NULL", None),
        (A, "name LIKE uri", 11, "found 'uri', expected a text in quotes", None),
        (A, "length(name) = 1", 7, "found '('", "functions"),
        (A, "id = 9223372036854775808", 6, "the number is outside of 64 bits", None),
        (A, "id = 1e999", 6, "the number is outside of what a double can hold", None),
        (A, r"name = '\q'", 9, r"unknown escape '\\q'", "backslash"),
        (A, "id = 1abc", 6, "'1' is not expected", None),
        (A, "properties.x[0] = 1", 13, "'[' is not expected", "subscripts"),
        (A, "id = " + "(" * 10_000 + "1" + ")" * 10_000, 106, "more than 100 brackets", None),
        (A, "x" * 1_000_001, 1_000_001, "1000001 characters", None),
    ],
)
def test_a_wrong_filter_is_refused(kind: Kind, text: str, column: int, problem: str, hint: str | None) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_filter(text, kind)

    error = raised.value
    assert error.code is ErrorCode.INVALID_FILTER
    assert f"column {column}: {problem}" in error.message
    assert hint is None or hint in (error.hint or "")


def test_a_hundred_brackets_and_thousands_of_terms_are_fine(snapshot: Reader) -> None:
    assert ids(snapshot, A, "NOT (" * 100 + "id = 1" + ")" * 100) == [1]
    assert ids(snapshot, A, "NOT " * 10_000 + "id = 1") == [1]
    assert ids(snapshot, A, " OR ".join(f"id = {i}" for i in range(2, 1_000))) == [2, 3]
    assert ids(snapshot, A, f"id IN ({', '.join(map(str, range(2, 20_000)))})") == [2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE node_all; --",
        "x' OR '1'='1",
        "$f0",
        "\\",
        "\x00",
        "%s {0} ${x}",
    ],
)
def test_texts_and_names_never_become_sql(snapshot: Reader, text: str) -> None:
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    for condition in (f"name = {quoted}", f"name LIKE {quoted}", f"name IN ({quoted})", f"properties.x = {quoted}"):
        sql = parse_filter(condition, A).select(snapshot).sql
        assert len(text) < 5 or text not in sql
        assert ids(snapshot, A, condition) == []
    assert ids(snapshot, A, f"properties.`{text}` = 1") == []
    assert ids(snapshot, A, "id > 0") == [1, 2, 3]


def test_a_filter_is_checked_before_anything_is_read() -> None:
    assert parse_filter("name = 'a'", A) is parse_filter("name = 'a'", A)
    with pytest.raises(InvalidInputError):
        parse_filter("id = half \udc80", A)
