"""Compare: nodes side by side, one row a node, one column a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError
from stratalog.eventlog.events import INT64_MAX, Kind
from stratalog.projections.names import METRIC_KIND
from stratalog.query.filter import parse_filter
from stratalog.query.filter_fields import suggestion
from stratalog.query.points import Reader
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
    if ids is not None and where is not None:
        raise InvalidInputError("compare: ids and where given where at most one of them was expected")
    groups = _groups(include)
    order = "n.id"
    parameters: dict[str, object] = {}
    if ids is not None:
        keys = _keys(snapshot, kind, ids)
        parameters = {"keys": keys}
        hits = "SELECT unnest($keys::BIGINT[]) AS nkey, unnest(range(len($keys))) AS place"
        order = "hits.place"
    else:
        selection = parse_filter(where, kind).select(snapshot)
        hits, parameters = selection.sql, selection.parameters
    start = f"WITH hits AS MATERIALIZED ({hits})"
    wanted = GROUPS if columns is not None else tuple(group for group in GROUPS if group in groups)
    found = _values(snapshot, kind, start, parameters, wanted)
    shown = _shown(snapshot, kind, found, columns, "attributes" in groups)
    table = snapshot.query(_sql(snapshot, start, found, shown, order), parameters)
    table = with_times(table.rename_columns([column.name for column in shown]))
    return Comparison(_different(table) if only_different else table)


def _groups(include: Iterable[str]) -> set[str]:
    groups = set(include)
    for group in sorted(groups - set(INCLUDE)):
        raise InvalidInputError(f"compare: no group {group!r}", hint=suggestion(group, list(INCLUDE)))
    return groups


def _keys(snapshot: Reader, kind: Kind, ids: Iterable[int]) -> list[int]:
    """The nkeys of ids, each once, in order; all of them must be there."""
    unique = dict.fromkeys(ids)
    keys = [id << 2 | kind for id in unique if 0 < id <= INT64_MAX >> 2]
    present = snapshot.query(
        f"SELECT nkey FROM {snapshot.table('node')} WHERE nkey IN (SELECT unnest($keys::BIGINT[]))", {"keys": keys}
    )
    missing = unique.keys() - {nkey >> 2 for nkey in present["nkey"].to_pylist()}
    if missing:
        shown = ", ".join(map(str, sorted(missing)[:10])) + (", ..." if len(missing) > 10 else "")
        raise NotFoundError(
            f"compare: no {kind.word} {shown} as of seq {snapshot.seq}",
            hint=f"{len(missing)} of {len(unique)} ids are not there; find the ids by a filter",
        )
    return keys


def _values(
    snapshot: Reader, kind: Kind, start: str, parameters: dict[str, Any], groups: tuple[str, ...]
) -> list[_Found]:
    """The names that the nodes have values of, by group and name."""
    found: list[_Found] = []
    if "properties" in groups or "custom_properties" in groups:
        rows = snapshot.query(
            f"{start} SELECT nid, custom, name, list_sort(list(t)) AS types FROM"
            f" (SELECT nid, t FROM {snapshot.table('prop')} WHERE nkey IN (SELECT nkey FROM hits) GROUP BY nid, t)"
            f" JOIN {snapshot.table('prop_name')} USING (nid) GROUP BY nid, custom, name ORDER BY custom, name",
            parameters,
        ).to_pylist()
        for row in rows:
            group = "custom_properties" if row["custom"] else "properties"
            if group in groups:
                found.append(_Found(ValueName(group, row["name"]), row["nid"], frozenset(row["types"])))
    if "metrics" in groups and kind is Kind.EXECUTION:
        rows = snapshot.query(
            f"{start} SELECT nid, name FROM {snapshot.table('prop_name')} WHERE kind = {METRIC_KIND} AND nid IN"
            f" (SELECT nid FROM {snapshot.table('point')} WHERE run * 4 + 2 IN (SELECT nkey FROM hits)) ORDER BY name",
            parameters,
        ).to_pylist()
        found += [_Found(ValueName("metrics", row["name"]), row["nid"], frozenset()) for row in rows]
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


def _sql(snapshot: Reader, start: str, found: list[_Found], shown: list[_Column], order: str) -> str:
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
        f" JOIN {snapshot.table('type')} AS y ON y.id = n.type_id AND y.kind = n.kind{joins} ORDER BY {order}"
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
