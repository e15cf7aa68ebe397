"""Checking a filter's tree against the fields and types, and turning each condition into SQL.

The outcome still knows nothing of a snapshot: conditions over aliases, what each alias stands for, and the bound
values. `filter.py` puts them together.

Source: docs/reference/filters.md, "Types" and "Meaning".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from stratalog.eventlog.errors import InvalidInputError
from stratalog.eventlog.events import Kind
from stratalog.query.filter_fields import (
    ANY_VALUE,
    ATTRIBUTES,
    METRIC_VALUE,
    NEIGHBOURS,
    PROPERTY_MAPS,
    VALUE_FIELDS,
    Field,
    FieldType,
    Neighbour,
    Words,
    suggestion,
    top_names,
)
from stratalog.query.filter_syntax import (
    And,
    Between,
    Compare,
    In,
    IsNull,
    Like,
    Literal,
    Name,
    Not,
    Or,
    Sum,
    Tree,
    filter_error,
)

LONG_LIST = 16
"""A list of more values than this becomes one bound list."""

_INT, _DOUBLE, _TIME = FieldType.INT, FieldType.DOUBLE, FieldType.TIME
_STRING, _BOOL, _ENUM, _ANY = FieldType.STRING, FieldType.BOOL, FieldType.ENUM, FieldType.ANY
_NUMBERS = frozenset({_INT, _DOUBLE, _TIME})
_WHOLE = frozenset({_INT, _TIME})
_TYPE_OF_LITERAL = {bool: _BOOL, int: _INT, float: _DOUBLE, str: _STRING}
_ALIAS = re.compile(r"(parent_contexts|child_contexts|contexts|events|artifacts|executions)_([0-9A-Za-z_]+)")


class PropertyAlias(NamedTuple):
    """A property that the node must have."""

    custom: bool
    name: str


class MetricAlias(NamedTuple):
    """A metric that the execution must have."""

    name: str


class NeighbourAlias(NamedTuple):
    """A neighbour that the node must have."""

    word: str
    alias: str
    neighbour: Neighbour


Alias = PropertyAlias | MetricAlias | NeighbourAlias


class Condition(NamedTuple):
    """One of the conditions that must all be true: SQL, and the relations that it speaks of."""

    sql: str
    relations: frozenset[str]


class Checked(NamedTuple):
    """A whole filter, checked.

    `aliases` maps the letter and number of an alias (`p0` property, `m0` metric, `h0` neighbour) to what it stands
    for. `conditions` also speak of `n` (the node) and of `nt`, `h0n`, `h0t` (types and nodes of neighbours).
    """

    kind: Kind
    conditions: tuple[Condition, ...]
    aliases: dict[str, Alias]
    parameters: dict[str, object]


def check(kind: Kind, text: str, tree: Tree) -> Checked:
    """Check the names and types of a filter over nodes of `kind`.

    Raises:
        InvalidInputError: INVALID_FILTER, with the column and, where there is one, a suggestion.
    """
    return _Checker(kind, text).whole(tree)


class _Operand(NamedTuple):
    sql: str
    type: FieldType
    at: int
    value: int | float | str | bool | None = None
    """Set for literals, which get their parameter when the other side is known."""
    words: Words = {}


class _Checker:
    def __init__(self, kind: Kind, text: str) -> None:
        self._kind = kind
        self._text = text
        self._aliases: dict[str, Alias] = {}
        self._short: dict[Alias | tuple[str, str], str] = {}
        self._parameters: dict[str, object] = {}
        self._used: set[str] = set()

    def whole(self, tree: Tree) -> Checked:
        conditions = []
        for term in _conjuncts(tree):
            self._used = set()
            sql = self._condition(term)
            conditions.append(Condition(sql, frozenset(self._used)))
        return Checked(self._kind, tuple(conditions), self._aliases, self._parameters)

    def _fail(self, at: int, problem: str, hint: str | None = None) -> InvalidInputError:
        return filter_error(self._text, at, problem, hint)

    # Conditions

    def _condition(self, tree: Tree) -> str:
        match tree:
            case And():
                return "(" + " AND ".join([self._condition(term) for term in tree.terms]) + ")"
            case Or():
                return "(" + " OR ".join([self._condition(term) for term in tree.terms]) + ")"
            case Not():
                return f"(NOT {self._condition(tree.term)})"
            case Compare():
                return self._comparison(tree)
            case Between():
                value, low, high = self._operand(tree.value), self._operand(tree.low), self._operand(tree.high)
                return f"({self._compare('>=', value, low, tree.at)} AND {self._compare('<=', value, high, tree.at)})"
            case In():
                return self._membership(tree)
            case Like():
                text = self._as(self._operand(tree.value), _STRING, tree.at, "LIKE works on texts")
                return f"({text} LIKE {self._bind(tree.pattern)})"
            case IsNull():
                operand = self._operand(tree.value, enum=True)
                sql = f"{operand.sql}.t" if operand.type is _ANY else self._plain(operand)
                return f"({sql} IS {'NOT ' if tree.negated else ''}NULL)"
        return self._as(self._operand(tree), _BOOL, tree.at, "a condition is needed here")

    def _comparison(self, tree: Compare) -> str:
        left = self._operand(tree.left, enum=True)
        if left.type is not _ENUM:
            return self._compare(tree.operator, left, self._operand(tree.right), tree.at)
        if tree.operator not in ("=", "!="):
            raise self._fail(tree.at, f"{tree.operator!r} does not go with an enumeration", "use =, != or IN")
        number = self._word(left, tree.right)
        # A node without a state has another state than the one asked for, but NOT (state = LIVE) leaves it out.
        return f"({left.sql} {'=' if tree.operator == '=' else 'IS DISTINCT FROM'} {number})"

    def _membership(self, tree: In) -> str:
        value = self._operand(tree.value, enum=True)
        if value.type is _ENUM:
            numbers = ", ".join(str(self._word(value, option)) for option in tree.options)
            return (
                f"(coalesce({value.sql}, -1) NOT IN ({numbers}))" if tree.negated else f"({value.sql} IN ({numbers}))"
            )
        options = [self._operand(option) for option in tree.options]
        if len(options) > LONG_LIST and all(option.value is not None for option in options):
            sql = self._long_membership(value, options, tree.at)
        else:
            sql = "(" + " OR ".join([self._compare("=", value, option, tree.at) for option in options]) + ")"
        return f"(NOT {sql})" if tree.negated else sql

    def _long_membership(self, value: _Operand, options: list[_Operand], at: int) -> str:
        types = {option.type for option in options}
        if value.type is _TIME:
            options = [self._as_time(option) if option.type is _STRING else option for option in options]
            types = {option.type for option in options}
        if types <= _NUMBERS and (value.type in _NUMBERS or value.type is _ANY):
            if value.type in _WHOLE and types <= _WHOLE:
                return f"({self._plain(value)} IN (SELECT unnest({self._bind([o.value for o in options])}::BIGINT[])))"
            numbers = [float(option.value) for option in options if isinstance(option.value, (int, float))]
            return f"({self._as_double(value)} IN (SELECT unnest({self._bind(numbers)}::DOUBLE[])))"
        if types == {_STRING} and value.type in (_STRING, _ANY):
            texts = self._bind([option.value for option in options])
            return f"({self._as(value, _STRING, at, '')} IN (SELECT unnest({texts}::VARCHAR[])))"
        return "(" + " OR ".join([self._compare("=", value, option, at) for option in options]) + ")"

    def _word(self, field: _Operand, tree: Tree) -> int:
        words = list(field.words)
        if not isinstance(tree, Name) or len(tree.parts) != 1 or tree.quoted[0]:
            raise self._fail(tree.at, "an enumeration compares with bare words only", f"one of {', '.join(words)}")
        if tree.parts[0] not in field.words:
            raise self._fail(tree.at, f"no word {tree.parts[0]!r}", suggestion(tree.parts[0], words))
        return field.words[tree.parts[0]]

    # Comparisons

    def _compare(self, operator: str, a: _Operand, b: _Operand, at: int) -> str:
        if a.type is _TIME and b.type is _STRING and b.value is not None:
            b = self._as_time(b)
        elif b.type is _TIME and a.type is _STRING and a.value is not None:
            a = self._as_time(a)
        if a.type is _ANY and b.type is _ANY:
            # Each of the three is NULL unless both values are of its type.
            parts = [self._compare(operator, self._cast(a, t), self._cast(b, t), at) for t in (_DOUBLE, _STRING, _BOOL)]
            return f"coalesce({', '.join(parts)})"
        if a.type is _ANY and b.type in _NUMBERS and b.value is not None:
            return self._compare_any(operator, a, b)
        if b.type is _ANY and a.type in _NUMBERS and a.value is not None:
            return self._compare_any(_MIRRORED[operator], b, a)
        if a.type is _ANY:
            a = self._cast(a, _DOUBLE if b.type in _NUMBERS else b.type)
        elif b.type is _ANY:
            b = self._cast(b, _DOUBLE if a.type in _NUMBERS else a.type)
        if a.type in _NUMBERS and b.type in _NUMBERS:
            if a.type in _WHOLE and b.type in _WHOLE:
                return f"({self._plain(a)} {operator} {self._plain(b)})"
            return self._compare_doubles(operator, a, b)
        if a.type is b.type and a.type is not _ENUM:
            return f"({self._plain(a)} {operator} {self._plain(b)})"
        raise self._fail(at, f"cannot compare {a.type.value} with {b.type.value}", _compare_hint(a, b))

    def _compare_any(self, operator: str, a: _Operand, b: _Operand) -> str:
        whole = _Operand(f"{a.sql}.i", _INT, a.at)
        double = _Operand(f"{a.sql}.d", _DOUBLE, a.at)
        # A CASE without ELSE: a property of another type compares as NULL.
        return (
            f"(CASE {a.sql}.t WHEN 2 THEN {self._compare(operator, double, b, b.at)}"
            f" WHEN 1 THEN {self._compare(operator, whole, b, b.at)} END)"
        )

    def _compare_doubles(self, operator: str, a: _Operand, b: _Operand) -> str:
        # DuckDB holds NaN equal to itself and above all else; IEEE 754 holds it unequal to everything. A literal is
        # never NaN and no value is above it, so only one side of one direction needs a guard then.
        left, right = self._as_double(a), self._as_double(b)
        if a.value is None and b.value is None:
            if operator == "!=":
                return f"(NOT {self._compare_doubles('=', a, b)})"
            plain = f"{left} {operator} {right}"
            return f"(CASE WHEN {plain} THEN NOT isnan({left}) AND NOT isnan({right}) ELSE {plain} END)"
        plain = f"{left} {operator} {right}"
        if operator in (">", ">=") and a.value is None:
            return f"({plain} AND {left} <= 'infinity'::DOUBLE)"
        if operator in ("<", "<=") and b.value is None:
            return f"({plain} AND {right} <= 'infinity'::DOUBLE)"
        return f"({plain})"

    # Operands

    def _operand(self, tree: Tree, *, enum: bool = False) -> _Operand:
        match tree:
            case Literal():
                return _Operand("", _TYPE_OF_LITERAL[type(tree.value)], tree.at, tree.value)
            case Name():
                operand = self._name(tree)
                if operand.type is _ENUM and not enum:
                    words = ", ".join(operand.words)
                    raise self._fail(tree.at, f"the enumeration {tree} is of no use here", f"{tree} = one of {words}")
                return operand
            case Sum():
                return self._sum(tree)
        return _Operand(self._condition(tree), _BOOL, tree.at)

    def _sum(self, tree: Sum) -> _Operand:
        terms = [(sign, self._operand(term)) for sign, term in tree.terms]
        for _, term in terms:
            if term.type not in _NUMBERS and term.type is not _ANY:
                raise self._fail(term.at, f"{term.type.value} cannot be added or subtracted")
        whole = all(term.type in _WHOLE for _, term in terms)
        parts = []
        for sign, term in terms:
            # 128 bits hold the sum of any number of 64-bit integers that a filter has room for.
            sql = f"CAST({self._plain(term)} AS HUGEINT)" if whole else self._as_double(term)
            parts.append(f"{'-' if sign < 0 else '+'} {sql}")
        moments = sum(sign for sign, term in terms if term.type is _TIME)
        result = _DOUBLE if not whole else _TIME if moments == 1 else _INT
        return _Operand(f"(0 {' '.join(parts)})", result, tree.at)

    def _name(self, name: Name) -> _Operand:
        first = name.parts[0]
        match len(name.parts):
            case 1 if not name.quoted[0]:
                field = ATTRIBUTES[self._kind].get(first.lower())
                if field is not None and (field.type is not _ENUM or first in ATTRIBUTES[self._kind]):
                    return self._field(field, "n", "nt", "n", name)
            case 2 | 3 if first in PROPERTY_MAPS and not name.quoted[0]:
                return self._property(name)
            case 2 if first == "metrics" and self._kind is Kind.EXECUTION:
                return self._field(METRIC_VALUE, self._alias(MetricAlias(name.parts[1]), "m"), "", "", name)
            case 2:
                found = _ALIAS.fullmatch(first)
                neighbour = NEIGHBOURS[self._kind].get(found[1]) if found else None
                if found and neighbour and not name.quoted[1]:
                    return self._neighbour_field(name, NeighbourAlias(found[1], found[2], neighbour))
        raise self._no_field(name)

    def _field(self, field: Field, own: str, type_relation: str, node_relation: str, name: Name) -> _Operand:
        relation = {"": own, "n": node_relation, "t": type_relation}[field.relation]
        self._used.add(relation)
        return _Operand(field.column.format(relation), field.type, name.at, None, field.words)

    def _property(self, name: Name) -> _Operand:
        alias = self._alias(PropertyAlias(PROPERTY_MAPS[name.parts[0]], name.parts[1]), "p")
        field = ANY_VALUE
        if len(name.parts) == 3:
            known = None if name.quoted[2] else VALUE_FIELDS.get(name.parts[2])
            if known is None:
                hint = suggestion(name.parts[2], list(VALUE_FIELDS))
                raise self._fail(name.at, f"no value field {name.parts[2]!r} in {str(name)!r}", hint)
            field = known
        return self._field(field, alias, "", "", name)

    def _neighbour_field(self, name: Name, alias: NeighbourAlias) -> _Operand:
        field = alias.neighbour.fields.get(name.parts[1])
        if field is None:
            hint = suggestion(name.parts[1], list(alias.neighbour.fields))
            raise self._fail(name.at, f"no field {name.parts[1]!r} in {name.parts[0]!r}", hint)
        short = self._alias(alias, "h")
        return self._field(field, short, f"{short}t", f"{short}n", name)

    def _alias(self, alias: Alias, letter: str) -> str:
        key: Alias | tuple[str, str] = (alias.word, alias.alias) if isinstance(alias, NeighbourAlias) else alias
        short = self._short.get(key)
        if short is None:
            short = self._short[key] = f"{letter}{len(self._aliases)}"
            self._aliases[short] = alias
        return short

    def _no_field(self, name: Name) -> InvalidInputError:
        first, hint = name.parts[0], None
        own = NEIGHBOURS[self._kind]
        if len(name.parts) == 1 and (first in PROPERTY_MAPS or first == "metrics" or _ALIAS.fullmatch(first)):
            hint = f"name a part of it: {first}.{'NAME' if '_' not in first or first in PROPERTY_MAPS else 'id'}"
        elif first in own:
            hint = f"give the neighbour a name of your own: {first}_a.{name.parts[-1]}"
        elif found := _ALIAS.fullmatch(first):
            hint = f"{self._kind.word}s have {', '.join(f'{word}_ALIAS' for word in own)}"
            if found[1] in own:
                hint = f"a field of a neighbour has two parts: {first}.id"
        elif first in ATTRIBUTES[self._kind]:
            hint = f"{first!r} has no parts"
        else:
            hint = suggestion(first, top_names(self._kind))
        shown = first if len(name.parts) > 1 and not _ALIAS.fullmatch(first) and first not in own else str(name)
        return self._fail(name.at, f"no field {shown!r}", hint)

    # Values

    def _bind(self, value: object) -> str:
        key = f"f{len(self._parameters)}"
        self._parameters[key] = value
        return f"${key}"

    def _plain(self, operand: _Operand) -> str:
        return operand.sql if operand.value is None else self._bind(operand.value)

    def _as_double(self, operand: _Operand) -> str:
        if operand.type is _ANY:
            return self._cast(operand, _DOUBLE).sql
        if operand.value is not None:
            assert isinstance(operand.value, (int, float))
            return self._bind(float(operand.value))
        return operand.sql if operand.type is _DOUBLE else f"CAST({operand.sql} AS DOUBLE)"

    def _cast(self, operand: _Operand, wanted: FieldType) -> _Operand:
        """The value of a property of any type as one type: NULL if it has another."""
        alias = operand.sql
        if wanted is _DOUBLE:
            sql = f"(CASE {alias}.t WHEN 2 THEN {alias}.d WHEN 1 THEN CAST({alias}.i AS DOUBLE) END)"
        else:
            sql = VALUE_FIELDS["string_value" if wanted is _STRING else "bool_value"].column.format(alias)
        return operand._replace(sql=sql, type=wanted)

    def _as(self, operand: _Operand, wanted: FieldType, at: int, problem: str) -> str:
        if operand.type is _ANY:
            operand = self._cast(operand, wanted)
        if operand.type is not wanted:
            raise self._fail(at, f"{problem}, found {operand.type.value}")
        return f"({self._plain(operand)})"

    def _as_time(self, operand: _Operand) -> _Operand:
        assert isinstance(operand.value, str)
        try:
            moment = datetime.fromisoformat(operand.value)
        except ValueError:
            problem = f"{operand.value!r} is no time"
            raise self._fail(operand.at, problem, "write '2026-11-01' or '2026-11-01T10:00:00Z'") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        time_us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        whole, rest = divmod(time_us, 1000)
        # A finer time than the milliseconds that are kept lies between two of them; a double of that size is exact
        # enough to tell on which side.
        if rest:
            return operand._replace(type=_DOUBLE, value=time_us / 1000)
        return operand._replace(type=_TIME, value=whole)


_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _compare_hint(a: _Operand, b: _Operand) -> str | None:
    types = {a.type, b.type}
    if _STRING in types and types & _NUMBERS:
        return "write numbers without quotes, texts with them"
    if _BOOL in types:
        return "booleans compare with TRUE and FALSE"
    return None


def _conjuncts(tree: Tree) -> list[Tree]:
    if not isinstance(tree, And):
        return [tree]
    return [term for part in tree.terms for term in _conjuncts(part)]
