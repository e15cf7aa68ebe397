"""Named values of nodes, spread into columns: properties, custom properties and last values of metrics.

A value is named `properties.NAME`, `custom_properties.NAME` or `metrics.NAME`; all after the first dot is the name,
back quotes around it are optional. A column gets the type of its values: int64, double, bool or string; integers and
doubles together are double; any other mixture, structs and protos are text (a struct as JSON, a proto as its type URL).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import ArtifactState, ExecutionState, Kind, PropertyType
from stratalog.projections.names import METRIC_KIND
from stratalog.query.filter_fields import suggestion
from stratalog.query.points import Relations, last_points, one_of

if TYPE_CHECKING:
    import pyarrow as pa


GROUPS = ("properties", "custom_properties", "metrics")
"""The first parts of names of values."""


class ValueName(NamedTuple):
    """A property, a custom property or a metric; `group` is one of `GROUPS`."""

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.group}.{self.name}"

    def nid(self, snapshot: Relations, kind: Kind) -> int | None:
        """The number of the name, None if no node of the kind ever had it."""
        if self.group == "metrics":
            return snapshot.names.get(METRIC_KIND, False, self.name)
        return snapshot.names.get(int(kind), self.group == "custom_properties", self.name)


def parse_value_name(text: str, kind: Kind, *, where: str) -> ValueName:
    """Read `properties.lr` and the like.

    Args:
        text: what the caller gave.
        kind: the kind of nodes; only executions have metrics.
        where: the argument, for the message.

    Raises:
        InvalidInputError: it names no value.
    """
    group, dot, name = text.partition(".")
    if len(name) > 2 and name[0] == name[-1] == "`":
        name = name[1:-1]
    groups = [known for known in GROUPS if known != "metrics" or kind is Kind.EXECUTION]
    if not dot or not name or group not in groups:
        raise InvalidInputError(
            f"{where}: {text!r} names no value of {kind.word}s",
            code=ErrorCode.UNKNOWN_PROPERTY,
            hint=suggestion(group, groups) if group not in groups else f"write {group}.NAME",
        )
    return ValueName(group, name)


_INT, _DOUBLE, _STRING = int(PropertyType.INT), int(PropertyType.DOUBLE), int(PropertyType.STRING)
_BOOLEAN = int(PropertyType.BOOLEAN)


def cell(nid: int, types: frozenset[int]) -> str:
    """SQL of one column of a pivot over `prop`, for the property `nid` whose values have `types`."""
    if types == {_INT}:
        value = "i"
    elif types == {_DOUBLE}:
        value = "d"
    elif types == {_BOOLEAN}:
        value = "i <> 0"
    elif types == {_INT, _DOUBLE}:
        value = "coalesce(d, CAST(i AS DOUBLE))"
    else:
        value = (
            f"CASE t WHEN {_INT} THEN CAST(i AS VARCHAR) WHEN {_DOUBLE} THEN CAST(d AS VARCHAR)"
            f" WHEN {_BOOLEAN} THEN CASE WHEN i <> 0 THEN 'true' ELSE 'false' END ELSE s END"
        )
    # max over one value a group: measured twice as fast as FILTER, and as PIVOT.
    return f"max(CASE WHEN nid = {int(nid)} THEN {value} END)"


def pivot(types: Mapping[int, frozenset[int]], snapshot: Relations, hits: str) -> str:
    """SQL that spreads properties of nodes into columns `p<nid>`, one row a node that has one: nkey first.

    Args:
        types: number of the name -> the types of its values among the nodes.
        snapshot: where to look.
        hits: SQL of a relation with the column nkey.
    """
    cells = ", ".join(f"{cell(nid, found)} AS p{nid}" for nid, found in types.items())
    return (
        f"SELECT nkey, {cells} FROM {snapshot.table('prop')} WHERE {one_of('nid', types)}"
        f" AND nkey IN (SELECT nkey FROM {hits}) GROUP BY nkey"
    )


def metric_pivot(nids: Sequence[int], snapshot: Relations, hits: str) -> str:
    """SQL that spreads last values of metrics into columns `m<nid>`, one row an execution that has one: nkey first."""
    cells = ", ".join(f"max(CASE WHEN nid = {nid} THEN v END) AS m{nid}" for nid in nids)
    return f"SELECT nkey, {cells} FROM ({last_points(snapshot, nids, hits)}) GROUP BY nkey"


def state_word(kind: Kind, column: str) -> str:
    """SQL of the word of a state, NULL where there is none."""
    states: type[ArtifactState] | type[ExecutionState]
    states = ArtifactState if kind is Kind.ARTIFACT else ExecutionState
    words = " ".join(f"WHEN {int(state)} THEN '{state.name}'" for state in states)
    # A state of a later release stands as its number.
    return f"CASE {column} {words} ELSE CAST({column} AS VARCHAR) END"


def attributes(kind: Kind, node: str, type_: str) -> dict[str, str]:
    """Attribute -> SQL, over a row of `node` and one of `type`: the columns that every answer about nodes has."""
    columns = {
        "id": f"{node}.id",
        "type": f"{type_}.name",
        "type_version": f"{type_}.version",
        "name": f"{node}.name",
        "uri": f"{node}.uri",
        "state": state_word(kind, f"{node}.state"),
        "external_id": f"{node}.external_id",
        "created": f"{node}.create_ms",
        "updated": f"{node}.update_ms",
    }
    if kind is not Kind.ARTIFACT:
        del columns["uri"]
    if kind is Kind.CONTEXT:
        del columns["state"]
    return columns


def with_times(table: pa.Table) -> pa.Table:
    """The table with its integer columns of times as timestamps in UTC.

    created and updated are ms since 1970, recorded is µs. DuckDB would name the time zone of the machine.
    """
    import pyarrow as pa

    for name, unit in (("created", "ms"), ("updated", "ms"), ("recorded", "us")):
        place = table.schema.get_field_index(name)
        if place >= 0:
            column = table.column(place).cast(pa.int64()).cast(pa.timestamp(unit, tz="UTC"))
            table = table.set_column(place, name, column)
    return table
