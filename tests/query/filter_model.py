"""The meaning of filters, by trying every choice of neighbours; and random filters with their texts.

A filter here is a tuple tree of its own, `("and", [..])`, `("cmp", "<", a, b)`, `("field", "contexts_a", "name")`, so
that neither the parser nor the compiler takes part in saying what is right.
"""

from __future__ import annotations

import itertools
import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from stratalog.eventlog.events import (
    NODE_CLASSES,
    ArtifactState,
    Association,
    Attribution,
    ExecutionState,
    Kind,
    Link,
    LinkType,
    MetricPoints,
    Node,
    ParentContext,
    Type,
)
from tests.query.graph import History

Tree = tuple[Any, ...]

NEIGHBOURS = {
    Kind.ARTIFACT: ["contexts", "events"],
    Kind.EXECUTION: ["contexts", "events"],
    Kind.CONTEXT: ["parent_contexts", "child_contexts", "artifacts", "executions"],
}
STATE_WORDS = {Kind.ARTIFACT: list(ArtifactState.__members__), Kind.EXECUTION: list(ExecutionState.__members__)}
EVENT_WORDS = ["UNKNOWN", *LinkType.__members__]
NEIGHBOUR_KIND = {
    "contexts": Kind.CONTEXT,
    "parent_contexts": Kind.CONTEXT,
    "child_contexts": Kind.CONTEXT,
    "artifacts": Kind.ARTIFACT,
    "executions": Kind.EXECUTION,
}


class World:
    """What a history holds as of a seq, in dictionaries."""

    def __init__(self, history: History, seq: int) -> None:
        self.nodes: dict[tuple[Kind, int], Node] = {}
        self.type_names: dict[int, str] = {}
        self.neighbours: dict[tuple[Kind, int, str], list[Any]] = {}
        self.metrics: dict[tuple[int, str], float] = {}
        last: dict[tuple[int, str], tuple[int, int, int]] = {}
        for kind in Kind:
            self.nodes |= {(kind, node.id): node for node in history.nodes(kind, seq)}
        for s, fact, _ in history.facts:
            if s > seq:
                break
            match fact:
                case Type():
                    self.type_names[fact.id] = fact.name
                case Link():
                    self._add(Kind.ARTIFACT, fact.artifact_id, "events", fact)
                    self._add(Kind.EXECUTION, fact.execution_id, "events", fact)
                case Attribution():
                    self._add(Kind.ARTIFACT, fact.artifact_id, "contexts", fact.context_id)
                    self._add(Kind.CONTEXT, fact.context_id, "artifacts", fact.artifact_id)
                case Association():
                    self._add(Kind.EXECUTION, fact.execution_id, "contexts", fact.context_id)
                    self._add(Kind.CONTEXT, fact.context_id, "executions", fact.execution_id)
                case ParentContext():
                    self._add(Kind.CONTEXT, fact.child_id, "parent_contexts", fact.parent_id)
                    self._add(Kind.CONTEXT, fact.parent_id, "child_contexts", fact.child_id)
                case MetricPoints():
                    for step, ts, v in zip(fact.steps, fact.times_us, fact.values, strict=True):
                        key = (fact.execution_id, fact.key)
                        if key not in last or (step, ts, s) > last[key]:
                            last[key] = (step, ts, s)
                            self.metrics[key] = v

    def _add(self, kind: Kind, id: int, word: str, neighbour: Any) -> None:
        self.neighbours.setdefault((kind, id, word), []).append(neighbour)

    def select(self, kind: Kind, tree: Tree) -> list[int]:
        """The ids that a filter selects."""
        return [node.id for (k, _), node in self.nodes.items() if k is kind and self._matches(kind, node, tree)]

    def _matches(self, kind: Kind, node: Node, tree: Tree) -> bool:
        fields = list(_fields(tree))
        for field in fields:
            match field:
                case ("metrics", name) if (node.id, name) not in self.metrics:
                    return False
                case ("properties", name, *_) if name not in node.properties:
                    return False
                case ("custom_properties", name, *_) if name not in node.custom_properties:
                    return False
        aliases = sorted({f[0] for f in fields if re.fullmatch(r".*s_[a-z0-9]+", f[0]) and len(f) == 2})
        choices = [self.neighbours.get((kind, node.id, a.rpartition("_")[0]), []) for a in aliases]
        return any(
            Evaluation(self, kind, node, dict(zip(aliases, chosen, strict=True))).boolean(tree) is True
            for chosen in itertools.product(*choices)
        )


def _fields(tree: Any) -> Any:
    if isinstance(tree, tuple) and tree and tree[0] == "field":
        yield tree[1:]
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _fields(part)


class Evaluation:
    """One node with one choice of neighbours; None is SQL's NULL."""

    def __init__(self, world: World, kind: Kind, node: Node, chosen: dict[str, Any]) -> None:
        self.world, self.kind, self.node, self.chosen = world, kind, node, chosen

    def boolean(self, tree: Tree) -> Any:
        match tree:
            case ("and", terms):
                values = [self.boolean(term) for term in terms]
                return False if False in values else None if None in values else True
            case ("or", terms):
                values = [self.boolean(term) for term in terms]
                return True if True in values else None if None in values else False
            case ("not", term):
                value = self.boolean(term)
                return None if value is None else not value
            case ("cmp", operator, a, b):
                return compare(operator, self.value(a), self.value(b))
            case ("between", a, low, high):
                return self.boolean(("and", [("cmp", ">=", a, low), ("cmp", "<=", a, high)]))
            case ("in", negated, a, options):
                found = self.boolean(("or", [("cmp", "=", a, option) for option in options]))
                return None if found is None else found != negated
            case ("like", a, pattern):
                value = as_type(self.value(a), str)
                if value is None:
                    return None
                regex = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
                return re.fullmatch(regex, value, re.DOTALL) is not None
            case ("null", negated, a):
                return (self.value(a) is None) != negated
            case ("enum", negated, field, words):
                value = self.value(field)
                return negated if value is None else (value in words) != negated
            case ("enum_null", negated, field):
                return (self.value(field) is None) != negated
        return as_type(self.value(tree), bool)

    def value(self, tree: Tree) -> Any:
        match tree:
            case ("literal", value):
                return value
            case ("time", value, _):
                return value
            case ("sum", sign, a, b):
                left, right = self.value(a), self.value(b)
                if left is None or right is None or isinstance(left, (bool, str)) or isinstance(right, (bool, str)):
                    return None
                return left + sign * right
        assert tree[0] == "field"
        match tree[1:]:
            case ("metrics", name):
                return self.world.metrics[self.node.id, name]
            case ("properties" | "custom_properties" as which, name, *value_field):
                value = (self.node.properties if which == "properties" else self.node.custom_properties)[name]
                wanted = {"int_value": int, "double_value": float, "string_value": str, "bool_value": bool}
                return value if not value_field else as_exact_type(value, wanted[value_field[0]])
            case (attribute,):
                return self._attribute(self.kind, self.node, attribute)
        alias, name = tree[1:]
        word, neighbour = alias.rpartition("_")[0], self.chosen[alias]
        if word == "events":
            field = {"type": "type", "milliseconds_since_epoch": "time_ms"}.get(name, name)
            value = getattr(neighbour, str(field))
            return {int(t): t.name for t in LinkType}[value] if name == "type" else value
        kind = NEIGHBOUR_KIND[word]
        return self._attribute(kind, self.world.nodes[kind, neighbour], name)

    def _attribute(self, kind: Kind, node: Node, name: str) -> Any:
        match name:
            case "type":
                return self.world.type_names[node.type_id]
            case "create_time_since_epoch" | "created":
                return node.create_time_ms
            case "last_update_time_since_epoch" | "updated":
                return node.update_time_ms
            case "uri":
                return node.uri or ""
            case "state" | "last_known_state":
                return None if node.state is None else STATE_WORDS[kind][node.state]
        return getattr(node, name)


def as_exact_type(value: Any, wanted: type) -> Any:
    return value if type(value) is wanted else None


def as_type(value: Any, wanted: type[Any]) -> Any:
    if wanted is float:
        return value if type(value) in (int, float) else None
    return as_exact_type(value, wanted)


def compare(operator: str, a: Any, b: Any) -> Any:
    """NULL unless both are numbers, both texts or both booleans."""
    for wanted in (float, str, bool):
        x, y = as_type(a, wanted), as_type(b, wanted)
        if x is not None and y is not None:
            if isinstance(x, str):
                x, y = x.encode(), y.encode()
            elif type(x) is not type(y):
                x, y = float(x), float(y)
            answers = {"=": x == y, "!=": x != y, "<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}
            return answers[operator]
    return None


# Random filters

NAMES = ["x", "X", "lr", "a b", "name", "int_value"]
_INTS = st.sampled_from([0, 1, 2, 3, -1, 2**53 + 1, 5000])
_DOUBLES = st.sampled_from([0.5, 1.0, -2.5, 2.0, 5000.0])
_TEXTS = st.sampled_from(["", "a", "b", "A", "it's", 'q"\\', "a%", "é", "state = LIVE", "M", "N"])
_OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_TIMES = st.sampled_from(
    ["1970-01-01", "1970-01-01T00:00:05Z", "1970-01-01T01:00:05+01:00", "1970-01-01T00:00:00.001500"]
)


def _literals(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return values.map(lambda value: ("literal", value))


def _time(text: str) -> Tree:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    value = moment.timestamp() * 1000
    return ("time", int(value) if value.is_integer() else value, text)


@st.composite
def filters(draw: st.DrawFn, kind: Kind) -> Tree:
    """Random filters over nodes of a kind."""
    return draw(_filters(kind))


@lru_cache
def _filters(kind: Kind) -> st.SearchStrategy[Tree]:
    aliases = [f"{word}_{alias}" for word in NEIGHBOURS[kind] for alias in ("a", "b", "0")]
    others = [a for a in aliases if not a.startswith("events")]
    events = [a for a in aliases if a.startswith("events")]
    times = ["create_time_since_epoch", "last_update_time_since_epoch", "created", "updated"]

    def fields(*paths: list[tuple[str, ...]]) -> st.SearchStrategy[Tree]:
        return st.sampled_from([("field", *path) for group in paths for path in group])

    def valued(field: str) -> list[tuple[str, ...]]:
        return [(m, n, field) for m in ("properties", "custom_properties") for n in NAMES]

    other_id = "execution_id" if kind is Kind.ARTIFACT else "artifact_id"
    time_field = fields(
        [(t,) for t in times],
        [(a, t) for a in others for t in times],
        [(e, "milliseconds_since_epoch") for e in events],
    )
    number_field = st.one_of(
        fields([("id",), ("type_id",)]),
        fields([(a, "id") for a in others], [(e, other_id) for e in events]),
        fields(valued("int_value")),
        fields(valued("double_value")),
        time_field,
    )
    has_uri = [a for a in aliases if a.startswith("artifacts")]
    text_field = st.one_of(
        fields([("name",), ("type",), ("external_id",)], [("uri",)] if kind is Kind.ARTIFACT else []),
        fields([(a, n) for a in others for n in ("name", "type")], [(a, "uri") for a in has_uri]),
        fields(valued("string_value")),
    )
    bool_field = fields(valued("bool_value"))
    short = fields([(m, n) for m in ("properties", "custom_properties") for n in NAMES])
    if kind is Kind.EXECUTION:
        number_field = st.one_of(number_field, fields([("metrics", "acc"), ("metrics", "a/b")]))
    number_literal = _literals(_INTS | _DOUBLES)
    number = st.one_of(number_field, number_literal)
    summed = st.tuples(st.just("sum"), st.sampled_from([1, -1]), number | short, number)
    number = st.one_of(number, summed)
    text = st.one_of(text_field, _literals(_TEXTS))
    boolean_value = st.one_of(bool_field, _literals(st.booleans()))

    enum_fields: list[tuple[tuple[str, ...], list[str]]]
    enum_fields = [((f,), STATE_WORDS[kind]) for f in ("state", "last_known_state") if kind is Kind.EXECUTION]
    enum_fields += [(("state",), STATE_WORDS[kind])] if kind is Kind.ARTIFACT else []
    enum_fields += [((e, "type"), EVENT_WORDS) for e in events]
    enum_fields += [((a, "state"), STATE_WORDS[Kind.ARTIFACT]) for a in has_uri]
    enum_fields += [((a, "last_known_state"), STATE_WORDS[Kind.EXECUTION]) for a in aliases if a.startswith("exec")]

    def enum(pair: tuple[tuple[str, ...], list[str]]) -> st.SearchStrategy[Tree]:
        field = ("field", *pair[0])
        words = st.lists(st.sampled_from(pair[1]), min_size=1, max_size=3)
        return st.one_of(
            st.tuples(st.just("enum"), st.booleans(), st.just(field), words),
            st.tuples(st.just("enum_null"), st.booleans(), st.just(field)),
        )

    def within(value: st.SearchStrategy[Tree], options: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        sizes = st.lists(options, min_size=1, max_size=3) | st.lists(options, min_size=17, max_size=20)
        return st.tuples(st.just("in"), st.booleans(), value, sizes)

    def compared(a: st.SearchStrategy[Tree], b: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        return st.tuples(st.just("cmp"), _OPERATORS, a, b) | st.tuples(st.just("cmp"), _OPERATORS, b, a)

    time = _TIMES.map(_time)
    leaf = st.one_of(
        compared(number, number),
        compared(text, text),
        compared(boolean_value, boolean_value),
        compared(time_field, time),
        compared(short, st.one_of(number, text, boolean_value, short)),
        st.tuples(st.just("between"), number | short, number, number),
        st.tuples(st.just("between"), time_field, time, time),
        within(number, number_literal),
        within(short, number_literal),
        within(short, _literals(_TEXTS)),
        within(time_field, time),
        within(text, _literals(_TEXTS)),
        st.tuples(st.just("like"), text_field | short, st.sampled_from(["a%", "_", "%", "", "%'%", "A", "\\%"])),
        st.tuples(st.just("null"), st.booleans(), st.one_of(number_field, text_field, bool_field, short)),
        *([st.sampled_from(enum_fields).flatmap(enum)] if enum_fields else []),
        boolean_value,
        short,
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(st.just("and"), st.lists(inner, min_size=2, max_size=3)),
            st.tuples(st.just("or"), st.lists(inner, min_size=2, max_size=3)),
            st.tuples(st.just("not"), inner),
        ),
        max_leaves=6,
    )


def as_text(tree: Tree) -> str:
    """The filter as a user would write it, with no more brackets than needed around AND, OR and NOT."""
    match tree:
        case ("and", terms):
            return " AND ".join(f"({as_text(t)})" if t[0] == "or" else as_text(t) for t in terms)
        case ("or", terms):
            return "\n or ".join(as_text(term) for term in terms)
        case ("not", term):
            return f"NOT ({as_text(term)})" if term[0] in ("and", "or") else f"NOT {as_text(term)}"
        case ("cmp", operator, a, b):
            return f"{as_text(a)} {operator} {as_text(b)}"
        case ("between", a, low, high):
            return f"{as_text(a)} BETWEEN {as_text(low)} AND {as_text(high)}"
        case ("in", negated, a, options):
            return f"{as_text(a)} {'NOT ' * negated}IN ({', '.join(as_text(option) for option in options)})"
        case ("like", a, pattern):
            return f"{as_text(a)} LIKE {_quoted(pattern)}"
        case ("null" | "enum_null", negated, a):
            return f"{as_text(a)} is {'not ' * negated}null"
        case ("enum", negated, field, words):
            if len(words) == 1:
                return f"{as_text(field)}{'!=' if negated else '='}{words[0]}"
            return f"{as_text(field)} {'NOT ' * negated}IN ({', '.join(words)})"
        case ("literal", value):
            return _quoted(value) if isinstance(value, str) else str(value)
        case ("time", _, text):
            return _quoted(text)
        case ("sum", sign, a, b):
            return f"{as_text(a)} {'+' if sign > 0 else '-'} {f'({as_text(b)})' if b[0] == 'sum' else as_text(b)}"
    parts = [part if re.fullmatch("[0-9A-Za-z_]+", part) else f"`{part}`" for part in tree[1:]]
    return ".".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


# Random worlds

_VALUES = st.one_of(
    _INTS, _DOUBLES, _TEXTS, st.booleans(), st.sampled_from([math.nan, math.inf, -math.inf]), st.just({"k": "a"})
)
_MAPS = st.dictionaries(st.sampled_from(NAMES), _VALUES, max_size=4)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to three nodes of each kind, some put twice, with links and metrics among them."""
    history = History()
    types = [Type(kind=k, id=10 * k + i, name=n) for k in (1, 2, 3) for i, n in ((0, "M"), (1, "N"))]
    history.commit(*types)
    counts = {kind: draw(st.integers(0, 3)) for kind in Kind}
    for _ in range(2):
        for kind, cls in NODE_CLASSES.items():
            for id in range(1, counts[kind] + 1):
                if _ and draw(st.booleans()):
                    continue
                fact: Any = cls(
                    id=id,
                    type_id=10 * kind + draw(st.integers(0, 1)),
                    name=draw(st.none() | _TEXTS),
                    external_id=draw(st.none() | _TEXTS),
                    uri=draw(st.none() | _TEXTS) if kind is Kind.ARTIFACT else None,
                    state=draw(st.none() | st.integers(0, 6)) if kind is not Kind.CONTEXT else None,
                    properties=draw(_MAPS),
                    custom_properties=draw(_MAPS),
                    create_time_ms=draw(st.sampled_from([0, 1, 2, 5000])),
                    update_time_ms=draw(st.sampled_from([0, 1, 2, 5000])),
                )
                history.commit(fact)
        if _ == 0:
            _draw_links(draw, history, counts)
    return history


def _draw_links(draw: st.DrawFn, history: History, counts: dict[Kind, int]) -> None:
    artifacts, executions, contexts = (range(1, counts[kind] + 1) for kind in Kind)
    for context, artifact in itertools.product(contexts, artifacts):
        if draw(st.booleans()):
            history.commit(Attribution(context, artifact))
    for context, execution in itertools.product(contexts, executions):
        if draw(st.booleans()):
            history.commit(Association(context, execution))
    for child, parent in itertools.combinations(contexts, 2):
        if draw(st.booleans()):
            history.commit(ParentContext(child, parent))
    for execution, artifact in itertools.product(executions, artifacts):
        for type in draw(st.sets(st.sampled_from([1, 3, 4, 7]), max_size=2)):
            history.commit(
                Link(execution_id=execution, artifact_id=artifact, type=type, time_ms=draw(st.integers(0, 2)))
            )
    for execution, key in itertools.product(executions, ["acc", "a/b"]):
        points = draw(
            st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), _DOUBLES), max_size=3, unique_by=lambda p: p[:2])
        )
        if points:
            steps, times, values = (list(column) for column in zip(*points, strict=True))
            history.commit(MetricPoints(execution_id=execution, key=key, steps=steps, times_us=times, values=values))
