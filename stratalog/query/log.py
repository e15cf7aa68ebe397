"""The commits of a store, newest first: `stratalog log`."""

from __future__ import annotations

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.query.result import Result
from stratalog.query.snapshot import Snapshot


def commits(snapshot: Snapshot, *, after_seq: int = 0, actor: str | None = None, limit: int | None = None) -> Result:
    """Commits up to a snapshot's seq, newest first.

    Columns: commit, first_seq, last_seq, recorded (timestamp, UTC), actor, reason, request_id, event_count.

    Args:
        snapshot: up to when.
        after_seq: only commits whose first event comes after this seq.
        actor: only those of this actor.
        limit: how many at most.

    Raises:
        InvalidInputError: the limit is negative.
    """
    if limit is not None and limit < 0:
        raise InvalidInputError(f"log: limit {limit} where 0 or more was expected", code=ErrorCode.INVALID_VALUE)
    import pyarrow as pa

    conditions = ["first_seq > $1"]
    parameters: list[int | str] = [after_seq]
    if actor is not None:
        conditions.append("actor = $2")
        parameters.append(actor)
    text = (
        "select commit, first_seq, last_seq, time_us as recorded, actor, reason, request_id, "
        f"last_seq - first_seq + 1 as event_count from {snapshot.table('commits')} "
        f"where {' and '.join(conditions)} order by commit desc"
    )
    if limit is not None:
        text += f" limit {int(limit)}"
    table = snapshot.query(text, parameters)
    place = table.schema.get_field_index("recorded")
    # Cast in Arrow: DuckDB would name the time zone of the machine.
    recorded = table["recorded"].cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return Result(table.set_column(place, "recorded", recorded))
