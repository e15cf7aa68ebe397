"""A call of ours as MLMD's request, and what both stores hold in one form that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from stratalog.commands.executions import Edge, Pair, StepOptions
from stratalog.eventlog.events import KIND_OF, Artifact, Kind, Link, LinkType, Node, PropertyType, Proto, Type
from stratalog.store.store import Store
from stratalog.testing.model import World
from tests.stateful.calls import Call

ARTIFACT_STATES = ("UNKNOWN", "PENDING", "LIVE", "MARKED_FOR_DELETION", "DELETED", "ABANDONED", "REFERENCE")
EXECUTION_STATES = ("UNKNOWN", "NEW", "RUNNING", "COMPLETE", "FAILED", "CACHED", "CANCELED")
STATE_FIELD = {Kind.ARTIFACT: "state", Kind.EXECUTION: "last_known_state"}


# ---- taming: what MLMD is known to do otherwise is not asked


def tame(call: Call, world: World) -> Call | None:
    """The call without what MLMD is known to answer otherwise; None if nothing is left of it.

    Left out: empty names and external ids, doubles of more than six decimals, NaN and infinity, zero bytes, a property
    and a custom property of one name, external ids that types of two kinds share, an empty pair with a context, ends
    of links in a step that are not there, two new artifacts with one external id in a piece of lineage.
    """
    a = dict(call.arguments)
    if call.name == "log_points":
        return None
    for field in ("requests", "artifacts", "executions", "contexts"):
        if field in a:
            a[field] = [_tame_item(item) for item in a[field]]
    if a.get("mask"):
        a["mask"] = [path.replace("custom_properties.", "custom_properties.custom ") for path in a["mask"]]
    if call.name == "put_types":
        a["requests"].sort(key=lambda request: request.kind)
    if call.name == "put_execution":
        a["execution"] = _tame_item(a["execution"])
        a["pairs"] = [Pair(artifact=p.artifact and _tame_item(p.artifact), link=p.link) for p in a["pairs"]]
        if a["contexts"]:
            a["pairs"] = [p for p in a["pairs"] if p.artifact is not None or p.link is not None]
        if any(p.link is not None and _is_loose(p.link, world) for p in a["pairs"]):
            return None
    if call.name == "put_lineage":
        externals = [artifact.external_id for artifact in a["artifacts"] if artifact.external_id]
        if len(set(externals)) < len(externals) or any(_is_loose(edge.link, world) for edge in a["edges"]):
            return None
    if a.get("must_match_update_time"):
        # An update that changes nothing moves the time there, if its message is not the whole node.
        updated = [node.id for node in a["requests"] if node.id]
        a["must_match_update_time"] = call.name == "put_artifacts" and len(set(updated)) == len(updated)
    return Call(call.name, a)


def _is_loose(link: Link, world: World) -> bool:
    ends = ((Kind.ARTIFACT, link.artifact_id), (Kind.EXECUTION, link.execution_id))
    return any(id and (kind, id) not in world.nodes for kind, id in ends)


def _tame_item(item: Any) -> Any:
    if isinstance(item, Type):
        external_id = f"{item.external_id}{item.kind}" if item.external_id else None
        return msgspec.structs.replace(item, external_id=external_id)
    if not isinstance(item, Node):
        return item
    return msgspec.structs.replace(
        item,
        name=item.name or None,
        external_id=item.external_id or None,
        properties={name: _tame_value(value) for name, value in item.properties.items()},
        custom_properties={f"custom {name}": _tame_value(value) for name, value in item.custom_properties.items()},
    )


def _tame_value(value: Any) -> Any:
    if isinstance(value, float):
        return 0.25 if value != value or abs(value) > 1e6 else round(value, 3) + 0.0
    if isinstance(value, str):
        return value.replace("\0", "0")
    return value


# ---- a call as a request


def request_of(call: Call, world: World) -> dict[str, Any]:
    """What the peer is asked: method, request, stamps."""
    a = call.arguments
    if call.name == "put_types":
        fields: dict[str, Any] = {
            f"{kind.word}_types": [_type(type) for type in a["requests"] if type.kind == kind] for kind in Kind
        }
        fields["can_add_fields"], fields["can_omit_fields"] = a["can_add_fields"], a["can_omit_fields"]
        return {"method": "PutTypes", "request": fields}
    if call.name in ("put_artifacts", "put_executions", "put_contexts"):
        plural = call.name.removeprefix("put_")
        fields = {plural: [_node(node) for node in a["requests"]]}
        kind = Kind[plural[:-1].upper()]
        mask = [STATE_FIELD.get(kind, path) if path == "state" else path for path in a["mask"]]
        stamps: list[str | None] = []
        if a["must_match_update_time"]:
            fields["options"] = {"abort_if_latest_updated_time_changed": True}
            stamps = [_stamp(node, world) for node in a["requests"]]
        return {"method": f"Put{plural.capitalize()}", "request": fields, "mask": mask, "stamps": stamps}
    if call.name == "put_execution":
        fields = {
            "execution": _node(a["execution"]),
            "artifact_event_pairs": [
                {
                    **({} if pair.artifact is None else {"artifact": _node(pair.artifact)}),
                    **({} if pair.link is None else {"event": _event(pair.link)}),
                }
                for pair in a["pairs"]
            ],
            "contexts": [_node(context) for context in a["contexts"]],
            "options": _options(a["options"]),
        }
        return {"method": "PutExecution", "request": fields}
    if call.name == "put_lineage":
        options = _options(a["options"])
        fields = {field: [_node(node) for node in a[field]] for field in ("executions", "artifacts", "contexts")}
        fields["event_edges"] = [_edge(edge) for edge in a["edges"]]
        wanted = ("reuse_context_if_already_exist", "reuse_artifact_if_already_exist_by_external_id")
        fields["options"] = {name: options[name] for name in wanted}
        return {"method": "PutLineageSubgraph", "request": fields}
    if call.name == "put_links":
        return {"method": "PutEvents", "request": {"events": [_event(link) for link in a["requests"]]}}
    if call.name == "put_parent_contexts":
        found = [{"child_id": p.child_id, "parent_id": p.parent_id} for p in a["requests"]]
        return {"method": "PutParentContexts", "request": {"parent_contexts": [_without_zeros(p) for p in found]}}
    fields = {
        "attributions": [
            _without_zeros({"context_id": m.context_id, "artifact_id": m.artifact_id}) for m in a["attributions"]
        ],
        "associations": [
            _without_zeros({"context_id": m.context_id, "execution_id": m.execution_id}) for m in a["associations"]
        ],
    }
    return {"method": "PutAttributionsAndAssociations", "request": fields}


def _without_zeros(fields: dict[str, int]) -> dict[str, int]:
    return {name: id for name, id in fields.items() if id}


def _stamp(node: Node, world: World) -> str | None:
    known = world.nodes.get((KIND_OF[type(node)], node.id))
    if known is None:
        return None
    return "right" if node.update_time_ms == known.update_time_ms else "wrong"


def _type(type: Type) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": type.name, "properties": {}}
    for name, number in type.properties.items():
        fields["properties"][name] = PropertyType(number).name if number else "UNKNOWN"
    for field in ("version", "description", "external_id"):
        if getattr(type, field) is not None:
            fields[field] = getattr(type, field)
    return fields


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int):
        return {"int_value": str(value)}
    if isinstance(value, float):
        return {"double_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, Proto):
        # An Any of an unknown message has no JSON form: the one that is drawn stands for a wrapped text.
        return {"proto_value": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "x"}}
    return {"struct_value": value}


def _node(node: Node) -> dict[str, Any]:
    kind = KIND_OF[type(node)]
    fields: dict[str, Any] = {}
    for field in ("id", "type_id"):
        if getattr(node, field):
            fields[field] = str(getattr(node, field))
    for field in ("name", "external_id", "uri"):
        if getattr(node, field) is not None:
            fields[field] = getattr(node, field)
    if node.state is not None:
        fields[STATE_FIELD[kind]] = node.state
    fields["properties"] = {name: _value(value) for name, value in node.properties.items()}
    fields["custom_properties"] = {name: _value(value) for name, value in node.custom_properties.items()}
    return fields


def _event(link: Link) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": int(link.type)}
    for field in ("execution_id", "artifact_id"):
        if getattr(link, field):
            fields[field] = str(getattr(link, field))
    if link.path:
        fields["path"] = {"steps": [{"key" if isinstance(step, str) else "index": step} for step in link.path]}
    if link.time_ms is not None:
        fields["milliseconds_since_epoch"] = str(link.time_ms)
    return fields


def _edge(edge: Edge) -> dict[str, Any]:
    fields: dict[str, Any] = {} if edge.link is None else {"event": _event(edge.link)}
    for field in ("execution_index", "artifact_index"):
        if getattr(edge, field) is not None:
            fields[field] = getattr(edge, field)
    return fields


def _options(options: StepOptions) -> dict[str, bool]:
    return {
        "reuse_context_if_already_exist": options.reuse_context,
        "reuse_artifact_if_already_exist_by_external_id": options.reuse_artifact_by_external_id,
        "force_update_time": options.force_update_time,
        "force_reuse_context": options.force_reuse_context,
    }


def ids_in(call: Call, response: dict[str, Any]) -> object:
    """The ids in a response, as `run_on_store` gives them."""

    def ids(field: str) -> list[int]:
        return [int(id) for id in response.get(field, ())]

    if call.name == "put_types":
        return [id for kind in Kind for id in ids(f"{kind.word}_type_ids")]
    if call.name == "put_execution":
        return [int(response["execution_id"]), ids("artifact_ids"), ids("context_ids")]
    if call.name == "put_lineage":
        return [ids("execution_ids"), ids("artifact_ids"), ids("context_ids")]
    return ids(f"{call.name.removeprefix('put_')[:-1]}_ids")


# ---- what they hold


def ours(store: Store) -> dict[str, Any]:
    """All that our getters tell, in the form of `theirs`."""
    found: dict[str, Any] = {}
    getters: dict[Kind, tuple[Callable[..., Iterable[Any]], Callable[..., Any]]] = {
        Kind.ARTIFACT: (store.get_artifacts, store.get_artifact),
        Kind.EXECUTION: (store.get_executions, store.get_execution),
        Kind.CONTEXT: (store.get_contexts, store.get_context),
    }
    by_name: list[list[Any]] = []
    for kind, (many, _) in getters.items():
        found[f"{kind.word}s"] = [_comparable(node) for node in many()]
        types = store.get_types(kind)
        found[f"{kind.word}_types"] = [msgspec.structs.replace(type, kind=int(kind)) for type in types]
        for type in types:
            for name in ("a", "b", "c", "none"):
                ids = [node.id for node in many(type=type.id) if node.name == name]
                by_name.append([kind.word.capitalize(), type.id, name, ids[0] if ids else 0])
    found["by_name"] = by_name
    executions = [node.id for node in store.get_executions()]
    artifacts = [node.id for node in store.get_artifacts()]
    found["events"] = [_comparable_link(link) for link in store.get_links(executions=executions)]
    found["event_count_by_artifact"] = len(store.get_links(artifacts=artifacts))
    found["members"] = [
        {
            "context": node.id,
            "artifacts": [n.id for n in store.get_artifacts(context=node.id)],
            "executions": [n.id for n in store.get_executions(context=node.id)],
            "parents": [n.id for n in store.get_parent_contexts(node.id)],
            "children": [n.id for n in store.get_child_contexts(node.id)],
        }
        for node in store.get_contexts()
    ]
    found["by_uri"] = [node.id for node in store.get_artifacts(uri="u")]
    return found


def _comparable(node: Node) -> dict[str, Any]:
    fields = {field: getattr(node, field) for field in ("id", "type_id", "name", "external_id", "state")}
    fields["uri"] = (node.uri or "") if isinstance(node, Artifact) else None
    for field in ("properties", "custom_properties"):
        fields[field] = {name: _plain(value) for name, value in getattr(node, field).items()}
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, Proto):
        return "proto"
    if isinstance(value, dict):
        return ["struct", _as_floats(value)]
    return [type(value).__name__, value]


def _as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _comparable_link(link: Link) -> list[Any]:
    # A time that the caller did not give is the clock's: any large one will do.
    time_ms = link.time_ms if link.time_ms is not None and abs(link.time_ms) < 1000 else "clock"
    return [link.execution_id, link.artifact_id, LinkType(link.type).name, link.path, time_ms]


def theirs(found: dict[str, Any]) -> dict[str, Any]:
    """The peer's dump in the form of `ours`."""
    result = dict(found)
    for kind in Kind:
        states = {Kind.ARTIFACT: ARTIFACT_STATES, Kind.EXECUTION: EXECUTION_STATES}.get(kind, ())
        result[f"{kind.word}s"] = [_their_node(kind, node, states) for node in found[f"{kind.word}s"]]
        result[f"{kind.word}_types"] = [_their_type(kind, type) for type in found[f"{kind.word}_types"]]
    result["events"] = [
        [
            int(event["execution_id"]),
            int(event["artifact_id"]),
            event["type"],
            [int(step["index"]) if "index" in step else step["key"] for step in event.get("path", {}).get("steps", ())],
            time_ms if abs(time_ms := int(event["milliseconds_since_epoch"])) < 1000 else "clock",
        ]
        for event in found["events"]
    ]
    result["members"] = [
        {name: ids if name == "context" else sorted(ids) for name, ids in members.items()}
        for members in found["members"]
    ]
    return result


def _their_node(kind: Kind, node: dict[str, Any], states: tuple[str, ...]) -> dict[str, Any]:
    state = node.get(STATE_FIELD.get(kind, ""))
    return {
        "id": int(node["id"]),
        "type_id": int(node["type_id"]),
        "name": node.get("name"),
        "external_id": node.get("external_id"),
        "state": None if state is None else states.index(state),
        "uri": node.get("uri", "") if kind == Kind.ARTIFACT else None,
        "properties": {name: _their_value(value) for name, value in node.get("properties", {}).items()},
        "custom_properties": {name: _their_value(value) for name, value in node.get("custom_properties", {}).items()},
    }


def _their_value(value: dict[str, Any]) -> Any:
    ((field, content),) = value.items()
    if field == "proto_value":
        return "proto"
    if field == "struct_value":
        return ["struct", content]
    plain: dict[str, tuple[str, Callable[[Any], object]]] = {
        "int_value": ("int", int),
        "double_value": ("float", float),
        "string_value": ("str", str),
        "bool_value": ("bool", bool),
    }
    word, make = plain[field]
    return [word, make(content)]


def _their_type(kind: Kind, type: dict[str, Any]) -> Type:
    return Type(
        id=int(type["id"]),
        kind=int(kind),
        name=type["name"],
        version=type.get("version"),
        description=type.get("description"),
        external_id=type.get("external_id"),
        properties={name: int(PropertyType[word]) for name, word in type.get("properties", {}).items()},
    )
