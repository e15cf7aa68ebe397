"""History: what happened to one node, version by version, and every link that was added to it."""

from __future__ import annotations

from stratalog.eventlog.errors import NotFoundError
from stratalog.eventlog.events import INT64_MAX, Kind, LinkType
from stratalog.projections.schema import LINK_ASSOCIATION, LINK_ATTRIBUTION, LINK_PARENT
from stratalog.query.changes import KEEP_TELLING, differences, double_json, field_rows
from stratalog.query.points import Reader
from stratalog.query.result import Result
from stratalog.query.values import with_times

_LINKED, _LOGGED = 200, 201


def history(snapshot: Reader, kind: Kind, id: int, *, property: str | None = None) -> Result:
    """What happened to a node up to a snapshot's seq, oldest first.

    One row for each field that a version has set, changed or removed, for each link, and for each batch of points of a
    metric. Columns:

    - seq, commit, recorded (timestamp in µs, UTC), actor, reason: when, by whom, why;
    - change: `created` (a field of the first version), `changed`, `linked`, `logged`;
    - field: an attribute, `properties.lr`, `custom_properties.lr`, `metrics.acc`, or the sort of link: `event`,
      `attribution`, `association`, `parent_context`;
    - before, after: the values as JSON text, NULL for none; see `changes`. Of a link, `after` is an object that names
      the other end; of points, one with their number, first and last step and last value.

    The field `updated` has a row only where nothing else changed.

    Args:
        snapshot: up to when.
        kind: the kind of the node.
        id: which node.
        property: only this property, custom property or metric: `lr` or `properties.lr`.

    Raises:
        NotFoundError: there is no such node as of the snapshot.
    """
    key = id << 2 | kind if 0 < id <= INT64_MAX >> 2 else -1
    _check_there(snapshot, kind, id, key)
    parts = [f"SELECT * FROM ({_versions(snapshot, key)})"]
    if kind is Kind.EXECUTION:
        parts.append(_points(snapshot, id))
    if property is None:
        parts += _links(snapshot, kind, id, key)
    parameters: dict[str, object] = {}
    where = ""
    if property is not None:
        names = [property, *(f"{group}.{property}" for group in ("properties", "custom_properties", "metrics"))]
        parameters["names"] = [name for name in names if "." in name]
        where = "WHERE field IN (SELECT unnest($names::VARCHAR[]))"
    table = snapshot.query(
        "SELECT e.seq AS seq, c.commit AS commit, c.time_us AS recorded, c.actor AS actor,"
        " c.reason AS reason, e.change AS change, e.field AS field, e.before AS before, e.after AS after"
        f" FROM (SELECT * FROM ({' UNION ALL '.join(parts)}) {where}) AS e"
        f" ASOF JOIN {snapshot.table('commits')} AS c ON e.seq >= c.first_seq"
        " ORDER BY e.seq, e.place, e.field, e.after",
        parameters,
    )
    return Result(with_times(table))


def _check_there(snapshot: Reader, kind: Kind, id: int, key: int) -> None:
    if not snapshot.query(f"SELECT 1 FROM {snapshot.table('node')} WHERE nkey = {key}").num_rows:
        raise NotFoundError(
            f"history: no {kind.word} {id} as of seq {snapshot.seq}", hint=f"look for it with find({kind.word!r}, ...)"
        )


def _versions(snapshot: Reader, key: int) -> str:
    condition = f"nkey = {key}"
    after = "SELECT seq AS key, nkey, place, field, value FROM fields"
    before = (
        "SELECT v.seq AS key, f.nkey AS nkey, f.place AS place, f.field AS field, f.value AS value"
        " FROM fields AS f JOIN versions AS v ON v.prev = f.seq"
    )
    return (
        f"WITH fields AS MATERIALIZED ({field_rows(snapshot, condition)}), versions AS MATERIALIZED"
        f" (SELECT seq, prev FROM {snapshot.table('node_all')} WHERE {condition})"
        " SELECT key AS seq, place, CASE WHEN v.prev IS NULL THEN 'created' ELSE 'changed' END AS change, field,"
        f" before, after FROM ({differences(after, before)}) AS d JOIN versions AS v ON v.seq = d.key"
        f" QUALIFY {KEEP_TELLING.format(key='key')}"
    )


def _points(snapshot: Reader, id: int) -> str:
    last = double_json("arg_max(v, {'step': step, 'ts': ts, 'v': v})")
    after = (
        "'{\"points\":' || count(*) || ',\"first_step\":' || min(step) || ',\"last_step\":' || max(step)"
        f" || ',\"last\":' || {last} || '}}'"
    )
    return (
        f"SELECT p.seq AS seq, {_LOGGED} AS place, 'logged' AS change, 'metrics.' || name AS field,"
        f" CAST(NULL AS VARCHAR) AS before, {after} AS after FROM {snapshot.table('point')} AS p"
        f" JOIN (SELECT nid, name FROM {snapshot.table('prop_name')}) USING (nid) WHERE run = {int(id)}"
        " GROUP BY p.seq, nid, name"
    )


def _links(snapshot: Reader, kind: Kind, id: int, key: int) -> list[str]:
    words = " ".join(f"WHEN {int(word)} THEN '{word.name}'" for word in LinkType)
    parts = []
    own, other = {Kind.ARTIFACT: ("artifact", "execution"), Kind.EXECUTION: ("execution", "artifact")}.get(
        kind, (None, None)
    )
    if own:
        after = (
            f"json_object('type', CASE type {words} ELSE CAST(type AS VARCHAR) END, '{other}', {other},"
            " 'path', CAST(coalesce(path, '[]') AS JSON), 'time_ms', ms)"
        )
        parts.append(_linked("event", after, f"{snapshot.table('edge')} WHERE {own} = {int(id)}"))
    link = snapshot.table("link")
    if kind is Kind.CONTEXT:
        for word, number, member in (
            ("attribution", LINK_ATTRIBUTION, "artifact"),
            ("association", LINK_ASSOCIATION, "execution"),
            ("parent_context", LINK_PARENT, "child"),
        ):
            condition = f"{link} WHERE kind = {number} AND context = {int(id)}"
            parts.append(_linked(word, f"json_object('{member}', nkey >> 2)", condition))
        condition = f"{link} WHERE kind = {LINK_PARENT} AND nkey = {key}"
        parts.append(_linked("parent_context", "json_object('parent', context)", condition))
    else:
        word = "attribution" if kind is Kind.ARTIFACT else "association"
        parts.append(_linked(word, "json_object('context', context)", f"{link} WHERE nkey = {key}"))
    return parts


def _linked(word: str, after: str, rows: str) -> str:
    return (
        f"SELECT seq, {_LINKED} AS place, 'linked' AS change, '{word}' AS field, CAST(NULL AS VARCHAR) AS before,"
        f" CAST({after} AS VARCHAR) AS after FROM {rows}"
    )
