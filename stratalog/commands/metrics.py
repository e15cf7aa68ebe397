"""Logging metrics: points of an execution, in arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized

from stratalog.commands.draft import Draft
from stratalog.commands.links import require_node
from stratalog.commands.values import check_integer, check_text
from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Kind, MetricPoints


def log_metrics(draft: Draft, batches: Sequence[MetricPoints]) -> None:
    """Decide on points, one event a batch; empty batches decide nothing.

    Raises:
        InvalidInputError: the execution is not there, a key is empty, arrays differ in length, or hold
            something else than integers and numbers.
    """
    for batch in batches:
        where = f"metric {batch.key!r} of execution {batch.execution_id}"
        execution_id = require_node(draft, Kind.EXECUTION, batch.execution_id, where)
        key = check_text(batch.key, where)
        if not key:
            raise InvalidInputError(f"{where}: no key", code=ErrorCode.MISSING_FIELD)
        counts = tuple(_count(array, where) for array in (batch.steps, batch.times_us, batch.values))
        if len(set(counts)) != 1:
            raise InvalidInputError(
                f"{where}: {counts[0]} steps, {counts[1]} times, {counts[2]} values where equal numbers were expected",
                code=ErrorCode.INVALID_VALUE,
            )
        if not counts[0]:
            continue
        draft.add_other(
            MetricPoints(
                execution_id=execution_id,
                key=key,
                steps=[check_integer(step, f"{where}, step") for step in batch.steps],
                times_us=[check_integer(time, f"{where}, time") for time in batch.times_us],
                values=[_number(value, where) for value in batch.values],
            )
        )


def _count(array: object, where: str) -> int:
    if isinstance(array, str | bytes | Mapping) or not isinstance(array, Sized):
        raise InvalidInputError(
            f"{where}: {type(array).__name__} where a list was expected", code=ErrorCode.INVALID_VALUE
        )
    return len(array)


def _number(value: float, where: str) -> float:
    if type(value) is float:
        return value
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError(
            f"{where}: {value!r} of type {type(value).__name__} where a number was expected",
            code=ErrorCode.INVALID_VALUE,
        ) from None
