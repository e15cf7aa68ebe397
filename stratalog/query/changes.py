"""Fields of versions as rows, so that two versions can be compared: what history and diff share.

A field is an attribute (`name`, `state`, ...) or a property (`properties.lr`). Its value stands as JSON text: texts in
quotes, a state as its word, doubles with a point, NaN and the infinities by their JavaScript names, a proto as its type
URL and the SHA-256 of its bytes.
"""

from __future__ import annotations

from stratalog.eventlog.events import ArtifactState, ExecutionState, Kind, PropertyType
from stratalog.query.points import Relations


def double_json(value: str) -> str:
    """SQL of a double as JSON text."""
    infinite = f"CASE WHEN {value} > 0 THEN 'Infinity' ELSE '-Infinity' END"
    return f"CASE WHEN isnan({value}) THEN 'NaN' WHEN isinf({value}) THEN {infinite} ELSE CAST({value} AS VARCHAR) END"


VALUE_JSON = (
    f"CASE t WHEN {int(PropertyType.INT)} THEN CAST(i AS VARCHAR)"
    f" WHEN {int(PropertyType.DOUBLE)} THEN {double_json('d')}"
    f" WHEN {int(PropertyType.STRING)} THEN CAST(to_json(s) AS VARCHAR)"
    f" WHEN {int(PropertyType.BOOLEAN)} THEN CASE WHEN i <> 0 THEN 'true' ELSE 'false' END"
    f" WHEN {int(PropertyType.PROTO)} THEN CAST(json_object('type_url', s, 'sha256', sha256(b)) AS VARCHAR)"
    " ELSE s END"
)
"""SQL of a property's value as JSON text, over the columns of `prop`."""


def _state_json() -> str:
    cases = []
    for kind, states in ((Kind.ARTIFACT, ArtifactState), (Kind.EXECUTION, ExecutionState)):
        words = " ".join(f"WHEN {int(state)} THEN '\"{state.name}\"'" for state in states)
        cases.append(f"WHEN {int(kind)} THEN CASE n.state {words} ELSE CAST(n.state AS VARCHAR) END")
    return f"CASE n.kind {' '.join(cases)} END"


ATTRIBUTES: dict[str, str] = {
    "type": "CAST(to_json(y.name) AS VARCHAR)",
    "name": "CAST(to_json(n.name) AS VARCHAR)",
    "uri": "CAST(to_json(n.uri) AS VARCHAR)",
    "state": _state_json(),
    "external_id": "CAST(to_json(n.external_id) AS VARCHAR)",
    "created": "CAST(n.create_ms AS VARCHAR)",
    "updated": "CAST(n.update_ms AS VARCHAR)",
}
"""Attribute -> SQL of its value as JSON text, over a node `n` and its type `y`; times are ms since 1970 UTC."""

KEEP_TELLING = "field <> 'updated' OR count(*) OVER (PARTITION BY {key}) = 1"
"""SQL for QUALIFY: that a node was updated is worth a row only if nothing else changed."""


def field_rows(snapshot: Relations, condition: str) -> str:
    """SQL of the fields, other than NULL, of versions: columns nkey, seq, place, field, value.

    `place` orders fields as people read them: attributes, properties, custom properties.

    Args:
        snapshot: up to when.
        condition: SQL over nkey and seq that chooses the versions.
    """
    fields = ", ".join(
        f"{{'place': {place}, 'field': '{name}', 'value': {sql}}}"
        for place, (name, sql) in enumerate(ATTRIBUTES.items())
    )
    table = snapshot.table
    return (
        "SELECT nkey, seq, u.place AS place, u.field AS field, u.value AS value FROM"
        f" (SELECT n.nkey AS nkey, n.seq AS seq, unnest([{fields}]) AS u FROM"
        f" (SELECT * FROM {table('node_all')} WHERE {condition}) AS n LEFT JOIN {table('type')} AS y"
        " ON y.id = n.type_id AND y.kind = n.kind) WHERE u.value IS NOT NULL"
        " UNION ALL SELECT nkey, seq, CASE WHEN custom THEN 101 ELSE 100 END,"
        f" CASE WHEN custom THEN 'custom_properties.' ELSE 'properties.' END || name, {VALUE_JSON}"
        f" FROM (SELECT * FROM {table('prop_all')} WHERE {condition})"
        f" JOIN (SELECT nid, custom, name FROM {table('prop_name')}) USING (nid)"
    )


def differences(after: str, before: str) -> str:
    """SQL of what differs between two relations with the columns key, nkey, place, field, value.

    Columns key, nkey, place, field, before, after; NULL where one side has no such field.
    """
    return (
        "SELECT key, nkey, place, field, max(before) AS before, max(after) AS after FROM"
        f" (SELECT key, nkey, place, field, CAST(NULL AS VARCHAR) AS before, value AS after FROM ({after})"
        f" UNION ALL SELECT key, nkey, place, field, value, NULL FROM ({before}))"
        " GROUP BY key, nkey, place, field HAVING max(before) IS DISTINCT FROM max(after)"
    )
