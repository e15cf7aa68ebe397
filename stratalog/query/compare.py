"""Compare: nodes side by side, one row a node, one column a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import INT64_MAX, Kind
from stratalog.projections.names import METRIC_KIND
from stratalog.query.filter import parse_filter
from stratalog.query.filter_fields import suggestion
from stratalog.query.points import Reader, one_of, packed, unnested
from stratalog.query.result import Result
from stratalog.query.values import (
    GROUPS,
    ValueName,
    attributes,
    metric_pivot,
    parse_value_name,
    pivot,
    with_times,
)

if TYPE_CHECKING:
    import pyarrow as pa

INCLUDE = ("attributes", *GROUPS)
"""The groups of columns, in their order."""


class Comparison(Result):
    """Nodes side by side. Columns of values have plain names (`lr`), with their group before it where two share one."""

    def transposed(self) -> pa.Table:
        """One row a value, one column a node: for a terminal or a page. All cells are text, NULL where there is none.

        The first column is `field`; the others are named by the nodes' names, by `#id` where there is no name or where
        two share it.
        """
        import pyarrow as pa

        table = self.arrow()
        names = table["name"].to_pylist()
        titles = [
            name if name and names.count(name) == 1 and name != "field" else f"#{id}"
            for id, name in zip(table["id"].to_pylist(), names, strict=True)
        ]
        fields = [name for name in table.column_names if name not in ("id", "name")]
        rows = [[_text(value) for value in table[field].to_pylist()] for field in fields]
        columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(titles))]
        return pa.Table.from_arrays([pa.array(fields, pa.string()), *columns], names=["field", *titles])


class _Column(NamedTuple):
    """A column of the answer: its name, and the SQL of its values over the relations n, y, props and points."""

    name: str
    sql: str


class _Found(NamedTuple):
    """A name that the nodes have values of; `types` is empty for metrics."""

    value: ValueName
    nid: int
    types: frozenset[int]


def compare(
    snapshot: Reader,
    kind: Kind,
    ids: Iterable[int] | None = None,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    only_different: bool = False,
    include: Iterable[str] = INCLUDE,
) -> Comparison:
    """Set nodes side by side.

    Args:
        snapshot: as of when.
        kind: which kind of nodes.
        ids: which nodes, in the order of the rows; or
        where: a filter that selects them, by rising id. Neither: all of the kind.
        columns: only these, in this order: attributes, `lr`, or `properties.lr`, `custom_properties.lr`,
            `metrics.lr`; `lr` alone means all three. id and name are always there, first.
        only_different: leave out columns in which all rows are equal (a missing value is a value, too).
        include: groups of columns to show when `columns` is not given.

    Raises:
        InvalidInputError: the filter is wrong, a column or group does not exist, or both ids and filter were given.
        NotFoundError: one of the ids is not there.
    """
    import pyarrow as pa

    if ids is not None and where is not None:
        raise InvalidInputError("compare: ids and where given where at most one of them was expected")
    groups = _groups(include)
    parameters: dict[str, object] = {}
    wanted_ids = None if ids is None else list(dict.fromkeys(ids))
    if wanted_ids is not None:
        parameters = {"keys": packed(_keys(snapshot, kind, wanted_ids))}
        hits = f"SELECT {unnested('keys')} AS nkey"
    else:
        selection = parse_filter(where, kind).select(snapshot)
        hits, parameters = selection.sql, selection.parameters
    start = f"WITH hits AS MATERIALIZED ({hits})"
    wanted = GROUPS if columns is not None else tuple(group for group in GROUPS if group in groups)
    found = _values(snapshot, kind, start, parameters, wanted)
    shown = _shown(snapshot, kind, found, columns, "attributes" in groups)
    table = snapshot.query(_sql(snapshot, start, found, shown), parameters)
    table = with_times(table.rename_columns([column.name for column in shown]))
    if wanted_ids is not None:
        places = {id: place for place, id in enumerate(sorted(wanted_ids))}
        table = table.take(pa.array([places[id] for id in wanted_ids], pa.int64()))
    return Comparison(_different(table) if only_different else table)


def _groups(include: Iterable[str]) -> set[str]:
    groups = set(include)
    for group in sorted(groups - set(INCLUDE)):
        raise InvalidInputError(f"compare: no group {group!r}", hint=suggestion(group, list(INCLUDE)))
    return groups


def _keys(snapshot: Reader, kind: Kind, ids: list[int]) -> list[int]:
    """The nkeys of ids; all of them must be there."""
    keys = [id << 2 | kind for id in ids if 0 < id <= INT64_MAX >> 2]
    present = snapshot.query(
        f"SELECT nkey FROM {snapshot.table('node')} WHERE nkey IN (SELECT {unnested('keys')})", {"keys": packed(keys)}
    )
    missing = set(ids) - {nkey >> 2 for nkey in present["nkey"].to_pylist()}
    if missing:
        shown = ", ".join(map(str, sorted(missing)[:10])) + (", ..." if len(missing) > 10 else "")
        raise NotFoundError(
            f"compare: no {kind.word} {shown} as of seq {snapshot.seq}",
            hint=f"{len(missing)} of {len(ids)} ids are not there; find the ids by a filter",
        )
    return keys


def _values(
    snapshot: Reader, kind: Kind, start: str, parameters: dict[str, Any], groups: tuple[str, ...]
) -> list[_Found]:
    """The names that the nodes have values of, by group and name."""
    found: list[_Found] = []
    for group, custom in (("properties", False), ("custom_properties", True)):
        numbers = snapshot.names.numbers(int(kind), custom) if group in groups else {}
        if numbers:
            rows = snapshot.query(
                f"{start} SELECT nid, list_sort(list(DISTINCT t)) AS types FROM {snapshot.table('prop')}"
                f" WHERE {one_of('nid', numbers.values())} AND nkey IN (SELECT nkey FROM hits) GROUP BY nid",
                parameters,
            ).to_pylist()
            types = {row["nid"]: frozenset(row["types"]) for row in rows}
            found += [
                _Found(ValueName(group, name), nid, types[nid]) for name, nid in sorted(numbers.items()) if nid in types
            ]
    numbers = snapshot.names.numbers(METRIC_KIND, False) if "metrics" in groups and kind is Kind.EXECUTION else {}
    if numbers:
        rows = snapshot.query(
            f"{start} SELECT DISTINCT nid FROM {snapshot.table('point')}"
            f" WHERE {one_of('nid', numbers.values())} AND run * 4 + 2 IN (SELECT nkey FROM hits)",
            parameters,
        ).to_pylist()
        there = {row["nid"] for row in rows}
        found += [
            _Found(ValueName("metrics", name), nid, frozenset())
            for name, nid in sorted(numbers.items())
            if nid in there
        ]
    return found


def _shown(
    snapshot: Reader, kind: Kind, found: list[_Found], columns: Sequence[str] | None, with_attributes: bool
) -> list[_Column]:
    known = attributes(kind, "n", "y")
    first = [_Column("id", known.pop("id")), _Column("name", known.pop("name"))]
    if columns is not None:
        rest = [column for name in columns for column in _chosen(snapshot, kind, found, known, name)]
        return first + rest
    taken = [*known, "id", "name"] + [each.value.name for each in found]
    shown = [_Column(name, sql) for name, sql in known.items()] if with_attributes else []
    for each in found:
        plain = taken.count(each.value.name) == 1
        shown.append(_Column(each.value.name if plain else str(each.value), _value_sql(each)))
    return first + shown


def _chosen(snapshot: Reader, kind: Kind, found: list[_Found], known: dict[str, str], name: str) -> list[_Column]:
    if name in ("id", "name"):
        return []
    if name in known:
        return [_Column(name, known[name])]
    group, dot, _ = name.partition(".")
    if dot and group in GROUPS:
        value = parse_value_name(name, kind, where="compare: columns")
        fitting = [each for each in found if each.value == value]
        meant = [value]
    else:
        fitting = [each for each in found if each.value.name == name]
        meant = [ValueName(group, name) for group in GROUPS if group != "metrics" or kind is Kind.EXECUTION]
    if fitting:
        return [_Column(name if len(fitting) == 1 else str(each.value), _value_sql(each)) for each in fitting]
    if all(value.nid(snapshot, kind) is None for value in meant):
        candidates = [*known, *(each.value.name for each in found), *(str(each.value) for each in found)]
        raise InvalidInputError(
            f"compare: no {kind.word} has a value {name!r}",
            code=ErrorCode.UNKNOWN_PROPERTY,
            hint=suggestion(name, candidates),
        )
    return [_Column(name, "CAST(NULL AS VARCHAR)")]


def _value_sql(found: _Found) -> str:
    return f"points.m{found.nid}" if found.value.group == "metrics" else f"props.p{found.nid}"


def _sql(snapshot: Reader, start: str, found: list[_Found], shown: list[_Column]) -> str:
    used = {column.sql for column in shown}
    properties = {each.nid: each.types for each in found if each.types and _value_sql(each) in used}
    metrics = [each.nid for each in found if not each.types and _value_sql(each) in used]
    joins = ""
    if properties:
        joins += f" LEFT JOIN ({pivot(properties, snapshot, 'hits')}) AS props USING (nkey)"
    if metrics:
        joins += f" LEFT JOIN ({metric_pivot(metrics, snapshot, 'hits')}) AS points USING (nkey)"
    columns = ", ".join(f"{column.sql} AS c{i}" for i, column in enumerate(shown))
    return (
        f"{start} SELECT {columns} FROM hits JOIN {snapshot.table('node')} AS n USING (nkey)"
        f" JOIN {snapshot.table('type')} AS y ON y.id = n.type_id AND y.kind = n.kind{joins} ORDER BY n.id"
    )


def _different(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    kept = [
        name for name in dict.fromkeys(table.column_names) if name in ("id", "name") or len(pc.unique(table[name])) > 1
    ]
    return table.select(kept)


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
