"""Metric points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from stratalog.eventlog.errors import ErrorCode
from stratalog.eventlog.events import MetricPoints, to_fact
from tests.commands.desk import START_US, Desk


def logged(desk: Desk) -> list[MetricPoints]:
    facts = [to_fact(event) for record in desk.store._log.read() for event in record.events]
    return [fact for fact in facts if isinstance(fact, MetricPoints)]


def test_a_point_of_each_metric_is_logged_in_one_commit(desk: Desk) -> None:
    e = desk.execution()

    put = desk.store.log_metrics(e, {"loss": 0.5, "acc": 1}, step=3)
    desk.store.log_metrics(e, {"nan": float("nan")}, time=7)

    assert put.ids == []
    first, second, third = logged(desk)
    assert first == MetricPoints(execution_id=e, key="loss", steps=[3], times_us=[START_US], values=[0.5])
    assert second == MetricPoints(execution_id=e, key="acc", steps=[3], times_us=[START_US], values=[1.0])
    assert (third.times_us, str(third.values)) == ([7], "[nan]")


@pytest.mark.parametrize(
    ("time", "time_us"),
    [
        (datetime(1970, 1, 1, 0, 0, 1, 5), 1_000_005),
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1))), -3_600_000_000),
        (-5, -5),
    ],
)
def test_a_time_is_a_datetime_or_microseconds(memory: Desk, time: Any, time_us: int) -> None:
    memory.store.log_metrics(memory.execution(), {"k": 1.0}, time=time)

    assert logged(memory)[0].times_us == [time_us]


def test_arrays_of_numpy_are_logged_whole(desk: Desk) -> None:
    e = desk.execution()
    arrays: dict[str, Any] = {
        "steps": np.arange(3),
        "times_us": np.arange(3, dtype=np.int32),
        "values": np.array([1, 2, 3], dtype=np.float32),
    }

    desk.store.log_points([MetricPoints(execution_id=e, key="k", **arrays)])

    assert logged(desk) == [
        MetricPoints(execution_id=e, key="k", steps=[0, 1, 2], times_us=[0, 1, 2], values=[1.0, 2.0, 3.0])
    ]


def test_an_empty_batch_is_no_event(memory: Desk) -> None:
    points = MetricPoints(execution_id=memory.execution(), key="k", steps=[], times_us=[], values=[])

    assert memory.store.log_points([points]).commit is None


BAD: list[tuple[dict[str, Any], ErrorCode, str]] = [
    ({"execution_id": 9}, ErrorCode.UNKNOWN_REFERENCE, "there is no execution 9"),
    ({"execution_id": 0}, ErrorCode.MISSING_FIELD, "no execution id"),
    ({"key": ""}, ErrorCode.MISSING_FIELD, "no key"),
    ({"key": 5}, ErrorCode.INVALID_VALUE, "5 of type int"),
    ({"key": "\ud800"}, ErrorCode.INVALID_VALUE, "surrogate"),
    ({"steps": [0, 1]}, ErrorCode.INVALID_VALUE, "2 steps, 1 times, 1 values"),
    ({"steps": None}, ErrorCode.INVALID_VALUE, "NoneType where a list"),
    ({"values": 0.5}, ErrorCode.INVALID_VALUE, "float where a list"),
    ({"values": "1"}, ErrorCode.INVALID_VALUE, "str where a list"),
    ({"steps": [0.5]}, ErrorCode.INVALID_VALUE, "step: 0.5"),
    ({"steps": [2**63]}, ErrorCode.INVALID_VALUE, "64 bits"),
    ({"times_us": ["now"]}, ErrorCode.INVALID_VALUE, "time: 'now'"),
    ({"values": ["1"]}, ErrorCode.INVALID_VALUE, "'1'"),
    ({"values": [True]}, ErrorCode.INVALID_VALUE, "True"),
    ({"values": [None]}, ErrorCode.INVALID_VALUE, "None"),
    ({"values": [1j]}, ErrorCode.INVALID_VALUE, "1j"),
    ({"values": [10**400]}, ErrorCode.INVALID_VALUE, "number"),
]


@pytest.mark.parametrize(("fields", "code", "part"), BAD)
def test_wrong_points_are_refused(memory: Desk, fields: dict[str, Any], code: ErrorCode, part: str) -> None:
    e = memory.execution()
    good: dict[str, Any] = {"execution_id": e, "key": "k", "steps": [0], "times_us": [0], "values": [0.0]}

    with memory.refused(code, part):
        memory.store.log_points([MetricPoints(**good), MetricPoints(**{**good, **fields})])


def test_log_metrics_wants_a_map_of_numbers(memory: Desk) -> None:
    e = memory.execution()

    for values, part in (([1.0], "list"), ({"k": "x"}, "'x'"), ({1: 1.0}, "1 of type int"), ({"k": [1.0]}, "[1.0]")):
        with memory.refused(ErrorCode.INVALID_VALUE, part):
            memory.store.log_metrics(e, values)  # type: ignore[arg-type]
    with memory.refused(ErrorCode.INVALID_VALUE, "time: 1.5"):
        memory.store.log_metrics(e, {"k": 1.0}, time=1.5)  # type: ignore[arg-type]
