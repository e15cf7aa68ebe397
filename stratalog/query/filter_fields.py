"""The names that a filter may use: which field of which kind stands for which column, and of what type it is.

Every piece of SQL that is not a bound parameter comes out of the tables of this module.

Source: docs/reference/filters.md, "Names".
"""

from __future__ import annotations

import difflib
from enum import Enum
from typing import NamedTuple

from stratalog.eventlog.events import ArtifactState, ExecutionState, Kind, LinkType
from stratalog.projections.schema import LINK_ASSOCIATION, LINK_ATTRIBUTION, LINK_PARENT


class FieldType(Enum):
    """What a field or a value is; the value is the word in messages."""

    INT = "an integer"
    DOUBLE = "a number"
    TIME = "a time"
    STRING = "a text"
    BOOL = "a boolean"
    ENUM = "an enumeration"
    ANY = "a property of any type"


Words = dict[str, int]


class Field(NamedTuple):
    """A column and its type; `column` is SQL with `{0}` for the alias of the relation it stands in.

    `relation` is which of a node's or neighbour's relations that is: "" the node or the link itself, "n" the
    neighbour's node, "t" the type.
    """

    column: str
    type: FieldType
    relation: str = ""
    words: Words = {}


class Neighbour(NamedTuple):
    """A relation that leads from a node to its neighbours.

    `own` is the nkey of the node that is asked for, `other` the nkey of the neighbour, `condition` what holds of
    the relation's rows.
    """

    table: str
    own: str
    condition: str
    other: str
    fields: dict[str, Field]


ARTIFACT_STATES: Words = {state.name: int(state) for state in ArtifactState}
EXECUTION_STATES: Words = {state.name: int(state) for state in ExecutionState}
EVENT_TYPES: Words = {"UNKNOWN": 0} | {link.name: int(link) for link in LinkType}

_TIMES = {
    "create_time_since_epoch": "create_ms",
    "last_update_time_since_epoch": "update_ms",
    "created": "create_ms",
    "updated": "update_ms",
}


def _node_fields(kind: Kind, relation: str) -> dict[str, Field]:
    fields = {
        "type": Field("{0}.name", FieldType.STRING, "t"),
        "name": Field("{0}.name", FieldType.STRING, relation),
        "external_id": Field("{0}.external_id", FieldType.STRING, relation),
    }
    for name, column in _TIMES.items():
        fields[name] = Field(f"{{0}}.{column}", FieldType.TIME, relation)
    if kind is Kind.ARTIFACT:
        fields["uri"] = Field("coalesce({0}.uri, '')", FieldType.STRING, relation)
        fields["state"] = Field("{0}.state", FieldType.ENUM, relation, ARTIFACT_STATES)
    elif kind is Kind.EXECUTION:
        state = Field("{0}.state", FieldType.ENUM, relation, EXECUTION_STATES)
        fields["last_known_state"] = fields["state"] = state
    return fields


def _attributes(kind: Kind) -> dict[str, Field]:
    numbers = {"id": Field("{0}.id", FieldType.INT), "type_id": Field("{0}.type_id", FieldType.INT)}
    return numbers | _node_fields(kind, "")


ATTRIBUTES: dict[Kind, dict[str, Field]] = {kind: _attributes(kind) for kind in Kind}
"""What every node of a kind has, by name."""


def _contexts(link_kind: int) -> Neighbour:
    fields = {"id": Field("{0}.context", FieldType.INT)} | _node_fields(Kind.CONTEXT, "n")
    del fields["external_id"]
    return Neighbour("link", "{0}.nkey", f"{{0}}.kind = {link_kind}", "({0}.context * 4 + 3)", fields)


def _members(link_kind: int, kind: Kind) -> Neighbour:
    fields = {"id": Field("({0}.nkey >> 2)", FieldType.INT)} | _node_fields(kind, "n")
    if kind is Kind.CONTEXT:
        del fields["external_id"]
    return Neighbour("link", "({0}.context * 4 + 3)", f"{{0}}.kind = {link_kind}", "{0}.nkey", fields)


def _events(own: str, other: str) -> Neighbour:
    fields = {
        "type": Field("{0}.type", FieldType.ENUM, "", EVENT_TYPES),
        "milliseconds_since_epoch": Field("{0}.ms", FieldType.TIME),
        f"{other}_id": Field(f"{{0}}.{other}", FieldType.INT),
    }
    own_kind = Kind.ARTIFACT if own == "artifact" else Kind.EXECUTION
    return Neighbour("edge", f"({{0}}.{own} * 4 + {int(own_kind)})", "", "", fields)


MEMBERSHIP = {Kind.ARTIFACT: LINK_ATTRIBUTION, Kind.EXECUTION: LINK_ASSOCIATION, Kind.CONTEXT: LINK_PARENT}
"""The kind of the rows in the table `link` that put a node of a kind into a context."""

NEIGHBOURS: dict[Kind, dict[str, Neighbour]] = {
    Kind.ARTIFACT: {"contexts": _contexts(LINK_ATTRIBUTION), "events": _events("artifact", "execution")},
    Kind.EXECUTION: {"contexts": _contexts(LINK_ASSOCIATION), "events": _events("execution", "artifact")},
    Kind.CONTEXT: {
        "parent_contexts": _contexts(LINK_PARENT),
        "child_contexts": _members(LINK_PARENT, Kind.CONTEXT),
        "artifacts": _members(LINK_ATTRIBUTION, Kind.ARTIFACT),
        "executions": _members(LINK_ASSOCIATION, Kind.EXECUTION),
    },
}
"""The neighbours of a kind, by the word before `_ALIAS`."""

PROPERTY_MAPS = {"properties": False, "custom_properties": True}
"""The word before a property's name, and whether it is a custom one."""

VALUE_FIELDS: dict[str, Field] = {
    "int_value": Field("CASE WHEN {0}.t = 1 THEN {0}.i END", FieldType.INT),
    "double_value": Field("{0}.d", FieldType.DOUBLE),
    "string_value": Field("CASE WHEN {0}.t = 3 THEN {0}.s END", FieldType.STRING),
    "bool_value": Field("CASE WHEN {0}.t = 6 THEN {0}.i <> 0 END", FieldType.BOOL),
}
ANY_VALUE = Field("{0}", FieldType.ANY)
METRIC_VALUE = Field("{0}.v", FieldType.DOUBLE)


def suggestion(word: str, candidates: list[str]) -> str | None:
    """A hint that names the candidate closest to `word`, or all of them if they are few and none is close."""
    close = difflib.get_close_matches(word, candidates, n=1) or difflib.get_close_matches(word.lower(), candidates, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of {', '.join(candidates)}" if len(candidates) <= 16 else None


def top_names(kind: Kind) -> list[str]:
    """The first parts that a name may have in filters over `kind`."""
    words = [*ATTRIBUTES[kind], *PROPERTY_MAPS]
    if kind is Kind.EXECUTION:
        words.append("metrics")
    return words + [f"{word}_ALIAS" for word in NEIGHBOURS[kind]]
