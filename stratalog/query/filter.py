"""Filters: a text over nodes of one kind, compiled to SQL that selects their keys as of a snapshot.

    tree = filter_syntax.parse(text)          the grammar
    checked = filter_check.check(kind, tree)  names, types, conditions, bound values
    Filter.select(snapshot)                   the relations put together

Every mention of a property, a metric or a neighbour asks for one that exists: each becomes an inner join, under OR
and NOT as well. Properties and metrics are unique in a node, so they join the core. Neighbours of which no condition
speaks together with the node become semi-joins; the others join the core, which then selects each node once.

Source: docs/reference/filters.md, "Meaning".
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from stratalog.eventlog.events import Kind
from stratalog.projections.names import METRIC_KIND
from stratalog.query.filter_check import Checked, Condition, MetricAlias, NeighbourAlias, PropertyAlias, check
from stratalog.query.filter_syntax import parse
from stratalog.query.points import Relations, last_points


class Selection(msgspec.Struct, frozen=True):
    """A query with one column, `nkey`, each node once, and its bound values by name."""

    sql: str
    parameters: dict[str, object]


class Filter(msgspec.Struct, frozen=True):
    """A checked filter over the nodes of one kind; it may be used with any number of snapshots."""

    kind: Kind
    text: str
    checked: Checked | None

    def select(self, snapshot: Relations, *, conditions: tuple[str, ...] = ()) -> Selection:
        """Put the query together.

        Args:
            snapshot: where to look.
            conditions: more SQL conditions, over the node `n` (id, type_id, nkey and the other columns of `node`).
        """
        checked = self.checked or Checked(self.kind, (), {}, {})
        more = tuple(Condition(condition, frozenset({"n"})) for condition in conditions)
        return _Assembly(checked, more, snapshot).selection()


@lru_cache(maxsize=1024)
def parse_filter(text: str | None, kind: Kind) -> Filter:
    """Parse and check a filter; nothing is read. None and '' select every node.

    Raises:
        InvalidInputError: INVALID_FILTER; the message holds the filter and the column.
    """
    tree = parse(text) if text else None
    return Filter(kind, text or "", None if tree is None else check(kind, text or "", tree))


class _UnknownNameError(Exception):
    """A property or metric that no node has: nothing matches."""


class _Assembly:
    def __init__(self, checked: Checked, more: tuple[Condition, ...], snapshot: Relations) -> None:
        self._checked = checked
        self._conditions = checked.conditions + more
        self._snapshot = snapshot

    def selection(self) -> Selection:
        try:
            return Selection(self._sql(), dict(self._checked.parameters))
        except _UnknownNameError:
            return Selection("SELECT CAST(NULL AS BIGINT) AS nkey WHERE FALSE", {})

    def _sql(self) -> str:
        core = [alias for alias in self._checked.aliases if alias[0] != "h"]
        used = frozenset[str]().union(*[condition.relations for condition in self._conditions])
        groups, mixed = self._groups()
        plain = [c for c in self._conditions if not any(relation[0] == "h" for relation in c.relations)]
        if used & {"n", "nt"} or (not core and not groups):
            core.append("n")
        subqueries = [self._group(aliases, conditions) for aliases, conditions in groups]
        if not core:
            # Every condition is about neighbours: begin with the first group of them.
            rest = [f"g.nkey IN ({subquery})" for subquery in subqueries[1:]] + [c.sql for c in plain]
            filtered = f" WHERE {' AND '.join(rest)}" if rest else ""
            return f"SELECT DISTINCT g.nkey AS nkey FROM ({subqueries[0]}) AS g{filtered}"
        tables: list[str] = []
        where: list[str] = []
        for alias in core:
            table, conditions = self._core(alias)
            tables.append(table if not tables else f"{table} ON {alias}.nkey = {core[0]}.nkey")
            where += conditions
        if "nt" in used:
            tables.append(f"{self._snapshot.table('type')} AS nt ON nt.id = n.type_id")
        for alias in sorted({relation[:-1] if relation[-1] in "nt" else relation for relation in mixed}):
            own, neighbour_tables, conditions = self._neighbour(alias, used)
            tables.append(f"{neighbour_tables[0]} ON {own} = {core[0]}.nkey")
            tables += neighbour_tables[1:]
            where += conditions
        where += [condition.sql for condition in plain]
        where += [c.sql for c in self._conditions if c not in plain and c.relations & mixed]
        where += [f"{core[0]}.nkey IN ({subquery})" for subquery in subqueries]
        distinct = "DISTINCT " if mixed else ""
        filtered = f" WHERE {' AND '.join(where)}" if where else ""
        return f"SELECT {distinct}{core[0]}.nkey AS nkey FROM {' JOIN '.join(tables)}{filtered}"

    def _groups(self) -> tuple[list[tuple[list[str], list[str]]], set[str]]:
        """Neighbours that conditions bind together, with those conditions; and the relations that join the core."""
        leader = {alias: alias for alias in self._checked.aliases if alias[0] == "h"}

        def find(alias: str) -> str:
            while leader[alias] != alias:
                alias = leader[alias]
            return alias

        to_core: set[str] = set()
        for condition in self._conditions:
            aliases = sorted({_neighbour_of(relation) for relation in condition.relations if relation[0] == "h"})
            for alias in aliases[1:]:
                leader[find(alias)] = find(aliases[0])
            if aliases and any(relation[0] != "h" for relation in condition.relations):
                to_core.add(aliases[0])
        core_leaders = {find(alias) for alias in to_core}
        mixed_aliases = {alias for alias in leader if find(alias) in core_leaders}
        members: dict[str, list[str]] = {}
        for alias in leader:
            if alias not in mixed_aliases:
                members.setdefault(find(alias), []).append(alias)
        groups = []
        for aliases in members.values():
            conditions = [
                c.sql for c in self._conditions if any(_neighbour_of(r) in aliases for r in c.relations if r[0] == "h")
            ]
            groups.append((aliases, conditions))
        relations = {
            r for c in self._conditions for r in c.relations if r[0] == "h" and _neighbour_of(r) in mixed_aliases
        }
        return groups, relations | mixed_aliases

    def _group(self, aliases: list[str], conditions: list[str]) -> str:
        used = frozenset[str]().union(*[condition.relations for condition in self._conditions])
        tables: list[str] = []
        where: list[str] = []
        first_own = ""
        for alias in aliases:
            own, neighbour_tables, own_conditions = self._neighbour(alias, used)
            if tables:
                neighbour_tables[0] += f" ON {own} = {first_own}"
            else:
                first_own = own
            tables += neighbour_tables
            where += own_conditions
        return f"SELECT {first_own} AS nkey FROM {' JOIN '.join(tables)} WHERE {' AND '.join(where + conditions)}"

    def _core(self, alias: str) -> tuple[str, list[str]]:
        table, names = self._snapshot.table, self._snapshot.names
        if alias == "n":
            return f"{table('node')} AS n", [f"n.kind = {int(self._checked.kind)}"]
        meaning = self._checked.aliases[alias]
        if isinstance(meaning, PropertyAlias):
            nid = names.get(int(self._checked.kind), meaning.custom, meaning.name)
            if nid is None:
                raise _UnknownNameError
            return f"{table('prop')} AS {alias}", [f"{alias}.nid = {int(nid)}"]
        assert isinstance(meaning, MetricAlias)
        nid = names.get(METRIC_KIND, False, meaning.name)
        if nid is None:
            raise _UnknownNameError
        return f"({last_points(self._snapshot, [nid])}) AS {alias}", []

    def _neighbour(self, alias: str, used: frozenset[str]) -> tuple[str, list[str], list[str]]:
        """The SQL of a neighbour's own nkey, its tables (all but the first with ON), and what holds of them."""
        meaning = self._checked.aliases[alias]
        assert isinstance(meaning, NeighbourAlias)
        neighbour, table = meaning.neighbour, self._snapshot.table
        tables = [f"{table(neighbour.table)} AS {alias}"]
        node, type_ = f"{alias}n", f"{alias}t"
        if node in used or type_ in used:
            tables.append(f"{table('node')} AS {node} ON {node}.nkey = {neighbour.other.format(alias)}")
        if type_ in used:
            tables.append(f"{table('type')} AS {type_} ON {type_}.id = {node}.type_id")
        conditions = [neighbour.condition.format(alias)] if neighbour.condition else []
        return neighbour.own.format(alias), tables, conditions


def _neighbour_of(relation: str) -> str:
    return relation.rstrip("nt")
