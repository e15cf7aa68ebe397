"""Find: the nodes of a kind that match a filter, in an order, whole or by pages.

A page continues after the last node of the page before, by (order, id); nodes that came in between appear if they come
later in that order. A token holds the place and the order, nothing of the filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import INT64_MAX, INT64_MIN, Kind, Node
from stratalog.query.filter import Filter, parse_filter
from stratalog.query.filter_fields import MEMBERSHIP, suggestion
from stratalog.query.nodes import load_nodes
from stratalog.query.page_token import Place, open_token
from stratalog.query.points import Reader, last_points, one_of
from stratalog.query.result import Result
from stratalog.query.values import (
    ValueName,
    attributes,
    metric_pivot,
    parse_value_name,
    pivot,
    with_times,
)

if TYPE_CHECKING:
    import pyarrow as pa

_ORDERS = {
    "id": [],
    "create_time": ["n.create_ms"],
    "update_time": ["n.update_ms"],
    "name": ["n.name"],
}
_ORDER_ALIASES = {
    "created": "create_time",
    "updated": "update_time",
    "create_time_since_epoch": "create_time",
    "last_update_time_since_epoch": "update_time",
}
Loader = Callable[[Kind, Sequence[int]], list[Node]]


class _Order(NamedTuple):
    """What rows are sorted by: SQL of the keys before the id, and a join that brings them."""

    name: str
    keys: list[str]
    join: str


class FindResult(Result):
    """The nodes that were found. Their ids are there at once; columns and whole nodes are read when asked for."""

    def __init__(
        self,
        kind: Kind,
        nkeys: pa.Int64Array,
        next_page_token: str | None,
        fetch: Callable[[], pa.Table],
        load: Loader,
    ) -> None:
        self._kind = kind
        self._nkeys = nkeys
        self._fetch = fetch
        self._load = load
        self._fetched: pa.Table | None = None
        self.next_page_token = next_page_token
        """The token of the page after this one; None if there is none."""

    @property
    def nkeys(self) -> pa.Int64Array:
        """The keys of the nodes in the tables, id << 2 | kind, in order."""
        return self._nkeys

    def ids(self) -> list[int]:
        """The ids, in order."""
        return [nkey >> 2 for nkey in self._nkeys.to_pylist()]

    def nodes(self) -> list[Node]:
        """The nodes, whole, in order."""
        ids = self.ids()
        found = {node.id: node for node in self._load(self._kind, ids)}
        return [found[id] for id in ids]

    def arrow(self) -> pa.Table:
        """The nodes as a table: id, type, type_version, name, uri, state, external_id, created, updated, and `columns`.

        Only artifacts have uri; contexts have no state. Times are timestamps in ms, UTC.
        """
        if self._fetched is None:
            self._fetched = self._fetch()
        return self._fetched

    def __len__(self) -> int:
        return len(self._nkeys)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows())


def find(
    snapshot: Reader,
    kind: Kind,
    where: str | None = None,
    *,
    order_by: str = "id",
    descending: bool = False,
    limit: int | None = None,
    page_token: str | None = None,
    type: str | None = None,
    type_version: str | None = None,
    context_id: int | None = None,
    columns: Sequence[str] | None = None,
    load: Loader | None = None,
) -> FindResult:
    """Find nodes of a kind.

    Args:
        snapshot: as of when.
        kind: which kind of nodes.
        where: a filter, see docs/reference/filters.md; None and '' select all.
        order_by: `id`, `create_time`, `update_time`, `name`, `properties.NAME`, `custom_properties.NAME` or
            `metrics.NAME` (its last value). Equal ones are ordered by id in the same direction. Nodes without a value,
            and NaN, come last in both directions; numbers come before texts when both occur.
        descending: the largest first.
        limit: how many at most, 0 or more; with more to come the result has a `next_page_token`.
        page_token: where to go on; order and direction must be those of the page that it came with.
        type: only nodes of this type, by name.
        type_version: with `type`: only of this version, '' for the type without a version. None: any version.
        context_id: only members of this context; for contexts: its children.
        columns: values to add as columns, such as `properties.lr` or `metrics.acc`, under these names.
        load: reads whole nodes of a kind by ids, the snapshot's tables unless given.

    Raises:
        InvalidInputError: the filter (`invalid_filter`), the token (`invalid_page_token`), the order, a column or the
            limit is wrong.
    """
    if limit is not None and limit < 0:
        raise InvalidInputError(f"find: limit {limit} where 0 or more was expected", code=ErrorCode.INVALID_VALUE)
    filter = parse_filter(where, kind)
    values = [(column, parse_value_name(column, kind, where="find: columns")) for column in columns or ()]
    order = _order(snapshot, kind, order_by)
    parameters: dict[str, object] = {}
    after = ""
    if page_token:
        place = _open_token(page_token, order, descending)
        after = _after(order, descending, place, parameters)
    hits = _selected(snapshot, filter, type, type_version, context_id, parameters)
    page = _page_sql(hits, order, descending, after, None if limit is None else limit + 1)
    found = snapshot.query(page, parameters)
    token = None
    if limit is not None and len(found) > limit:
        found = found.slice(0, limit)
        if limit:
            token = _close_token(order, descending, found)
    nkeys = found["nkey"].combine_chunks()

    def fetch() -> pa.Table:
        limited = _page_sql(hits, order, descending, after, limit)
        return _columns(snapshot, kind, limited, _sorting(order, descending), parameters, values)

    return FindResult(kind, nkeys, token, fetch, load or (lambda kind, ids: load_nodes(snapshot, kind, ids)))


def _selected(
    snapshot: Reader,
    filter: Filter,
    type: str | None,
    type_version: str | None,
    context_id: int | None,
    parameters: dict[str, object],
) -> str:
    """SQL with the column nkey; its values are added to `parameters`."""
    kind, conditions = int(filter.kind), []
    if type is not None:
        parameters["type"] = type
        version = ""
        if type_version is not None:
            version = " AND coalesce(version, '') = $version"
            parameters["version"] = type_version
        conditions.append(
            f"n.type_id IN (SELECT id FROM {snapshot.table('type')} WHERE kind = {kind} AND name = $type{version})"
        )
    if context_id is not None:
        parameters["context"] = context_id
        link = MEMBERSHIP[filter.kind]
        conditions.append(
            f"n.nkey IN (SELECT nkey FROM {snapshot.table('link')} WHERE kind = {link} AND context = $context::BIGINT)"
        )
        if not INT64_MIN <= context_id <= INT64_MAX:
            parameters["context"] = -1
    selection = filter.select(snapshot, conditions=tuple(conditions))
    for name in [name for name in parameters if name in ("type", "version", "context")]:
        if f"${name}" not in selection.sql:  # nothing can match, and DuckDB refuses values without a place
            del parameters[name]
    parameters.update(selection.parameters)
    return selection.sql


def _order(snapshot: Reader, kind: Kind, order_by: str) -> _Order:
    name = _ORDER_ALIASES.get(order_by, order_by)
    if name in _ORDERS:
        return _Order(name, _ORDERS[name], "" if name == "id" else f"JOIN {snapshot.table('node')} AS n USING (nkey)")
    if "." not in name:
        raise InvalidInputError(
            f"find: order_by {order_by!r} is no order",
            hint=suggestion(order_by, [*_ORDERS, "properties.NAME", "custom_properties.NAME", "metrics.NAME"]),
        )
    value = parse_value_name(name, kind, where="find: order_by")
    nid = value.nid(snapshot, kind)
    if nid is None:
        return _Order(str(value), [], "")
    if value.group == "metrics":
        points = f"LEFT JOIN ({last_points(snapshot, [nid])}) AS v USING (nkey)"
        return _Order(str(value), ["CASE WHEN isnan(v.v) THEN NULL ELSE v.v END"], points)
    number = "CASE WHEN isnan(v.d) THEN NULL ELSE coalesce(v.d, CAST(v.i AS DOUBLE)) END"
    # The integer itself tells apart those that are one double.
    join = f"LEFT JOIN (SELECT nkey, i, d, s FROM {snapshot.table('prop')} WHERE nid = {nid}) AS v USING (nkey)"
    return _Order(str(value), [number, "v.i", "v.s"], join)


def _page_sql(hits: str, order: _Order, descending: bool, after: str, limit: int | None) -> str:
    keys = "".join(f", {key} AS k{i}" for i, key in enumerate(order.keys))
    inner = f"SELECT h.nkey AS nkey{keys} FROM ({hits}) AS h {order.join}"
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    return f"SELECT * FROM ({inner}){after} ORDER BY {_sorting(order, descending)}{bound}"


def _sorting(order: _Order, descending: bool) -> str:
    direction = "DESC" if descending else "ASC"
    return "".join(f"k{i} {direction} NULLS LAST, " for i in range(len(order.keys))) + f"nkey {direction}"


def _columns(
    snapshot: Reader,
    kind: Kind,
    page: str,
    sorting: str,
    parameters: dict[str, object],
    values: list[tuple[str, ValueName]],
) -> pa.Table:
    import pyarrow as pa

    numbers = {name: name.nid(snapshot, kind) for _, name in values}
    properties = [nid for name, nid in numbers.items() if nid is not None and name.group != "metrics"]
    metrics = [nid for name, nid in numbers.items() if nid is not None and name.group == "metrics"]
    start = f"WITH page AS MATERIALIZED ({page})"
    joins = ""
    if properties:
        found = snapshot.query(
            f"{start} SELECT nid, t FROM {snapshot.table('prop')} WHERE {one_of('nid', properties)}"
            " AND nkey IN (SELECT nkey FROM page) GROUP BY ALL ORDER BY ALL",
            parameters,
        ).to_pylist()
        types = {nid: frozenset(row["t"] for row in found if row["nid"] == nid) for nid in properties}
        joins += f" LEFT JOIN ({pivot(types, snapshot, 'page')}) AS props USING (nkey)"
    if metrics:
        joins += f" LEFT JOIN ({metric_pivot(metrics, snapshot, 'page')}) AS points USING (nkey)"
    shown = [f'{sql} AS "{name}"' for name, sql in attributes(kind, "n", "y").items()]
    shown += [_shown(name, numbers[name], f"c{i}") for i, (_, name) in enumerate(values)]
    table = snapshot.query(
        f"{start} SELECT {', '.join(shown)} FROM page JOIN {snapshot.table('node')} AS n USING (nkey)"
        f" JOIN {snapshot.table('type')} AS y ON y.id = n.type_id AND y.kind = n.kind{joins} ORDER BY {sorting}",
        parameters,
    )
    names = table.column_names[: len(table.column_names) - len(values)] + [column for column, _ in values]
    return with_times(pa.Table.from_arrays(table.columns, names=names))


def _shown(name: ValueName, nid: int | None, alias: str) -> str:
    if nid is None:
        return f"CAST(NULL AS VARCHAR) AS {alias}"
    return f"{'m' if name.group == 'metrics' else 'p'}{nid} AS {alias}"


def _close_token(order: _Order, descending: bool, page: pa.Table) -> str:
    last = page.slice(len(page) - 1).to_pylist()[0]
    keys = [last[f"k{i}"] for i in range(len(order.keys))]
    return Place(order.name, descending, keys, last["nkey"]).token()


def _open_token(token: str, order: _Order, descending: bool) -> list[Any]:
    """The keys of the last node of the page before, and its nkey."""
    place = open_token(token, order.name, descending)
    # A name that got its first value after the token was made: all nodes stood among those without one.
    return [*place.keys, *[None] * (len(order.keys) - len(place.keys)), place.nkey]


def _after(order: _Order, descending: bool, place: list[Any], parameters: dict[str, object]) -> str:
    """WHERE that keeps what comes after a place in the order, with its values added to `parameters`."""
    sign = "<" if descending else ">"
    parameters["after"] = place[-1]
    condition = f"nkey {sign} $after::BIGINT"
    for i in reversed(range(len(order.keys))):
        value = place[i]
        if value is None:
            condition = f"(k{i} IS NULL AND {condition})"
        else:
            parameters[f"after{i}"] = value
            condition = f"(k{i} {sign} $after{i} OR k{i} IS NULL OR (k{i} = $after{i} AND {condition}))"
    return f" WHERE {condition}"
