"""The peer: MLMD's own store behind JSON lines. Runs in MLMD's environment, knows nothing of Stratalog.

Each line on standard input is `{"method": ..., "request": <its message as JSON>, "mask": [...], "stamps": [...]}`;
the answer is `{"response": ...}` or `{"code": "<gRPC status>"}`. `{"reset": true}` begins an empty store,
`{"dump": true}` answers everything that the store's getters tell. `stamps` says of each artifact of a PutArtifacts
request whether it is to carry the update time that is stored (`right`) or another (`wrong`).
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format, wrappers_pb2  # wrappers: the message in an Any is looked up by name
from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as model
from ml_metadata.proto import metadata_store_service_pb2 as service

WRAPPED = wrappers_pb2.StringValue
KINDS = ("Artifact", "Execution", "Context")
NAMES = {code: name for name, code in vars(errors).items() if name.isupper() and isinstance(code, int)}


def new_store() -> Any:
    config = model.ConnectionConfig()
    config.fake_database.SetInParent()
    store = metadata_store.MetadataStore(config)
    store._max_num_retries = 1  # nobody else writes: what is aborted once is aborted for ever
    return store


def call(store: Any, method: str, request: Any) -> Any:
    response = getattr(service, method + "Response")()
    store._call(method, request, response)  # the client hides some options of the messages
    return response


def as_json(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def run(store: Any, wish: dict[str, Any]) -> dict[str, Any]:
    method = wish["method"]
    request = json_format.ParseDict(wish["request"], getattr(service, method + "Request")())
    if wish.get("mask"):  # the JSON form of a mask is not for every path
        request.update_mask.paths.extend(wish["mask"])
    stamps: Sequence[str | None] = wish.get("stamps", ())
    for artifact, stamp in zip(getattr(request, "artifacts", ()), stamps, strict=False):
        if stamp and artifact.HasField("id"):
            stored = call(store, "GetArtifactsByID", service.GetArtifactsByIDRequest(artifact_ids=[artifact.id]))
            time = stored.artifacts[0].last_update_time_since_epoch if stored.artifacts else 0
            artifact.last_update_time_since_epoch = time - (stamp == "wrong")
    return as_json(call(store, method, request))


def dump(store: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        plural = kind.lower() + "s"
        found[plural] = as_json(call(store, f"Get{kind}s", getattr(service, f"Get{kind}sRequest")())).get(plural, [])
        listed = call(store, f"Get{kind}Types", getattr(service, f"Get{kind}TypesRequest")())
        ids = [type.id for type in getattr(listed, f"{kind.lower()}_types")]
        request = getattr(service, f"Get{kind}TypesByIDRequest")(type_ids=ids)
        field = f"{kind.lower()}_types"
        found[field] = as_json(call(store, f"Get{kind}TypesByID", request)).get(field, []) if ids else []
    executions = [int(node["id"]) for node in found["executions"]]
    artifacts = [int(node["id"]) for node in found["artifacts"]]
    found["events"] = [
        event
        for id in executions
        for event in as_json(
            call(store, "GetEventsByExecutionIDs", service.GetEventsByExecutionIDsRequest(execution_ids=[id]))
        ).get("events", [])
    ]
    by_artifact = service.GetEventsByArtifactIDsRequest(artifact_ids=artifacts)
    found["event_count_by_artifact"] = (
        len(call(store, "GetEventsByArtifactIDs", by_artifact).events) if artifacts else 0
    )
    found["members"] = []
    for node in found["contexts"]:
        id = int(node["id"])
        members: dict[str, Any] = {"context": id}
        for what, method in (
            ("artifacts", "GetArtifactsByContext"),
            ("executions", "GetExecutionsByContext"),
        ):
            response = call(store, method, getattr(service, method + "Request")(context_id=id))
            members[what] = [member.id for member in getattr(response, what)]
        for what, method in (
            ("parents", "GetParentContextsByContext"),
            ("children", "GetChildrenContextsByContext"),
        ):
            response = call(store, method, getattr(service, method + "Request")(context_id=id))
            members[what] = [member.id for member in response.contexts]
        found["members"].append(members)
    found["by_name"] = []
    for kind in KINDS:
        for type in found[f"{kind.lower()}_types"]:
            for name in ("a", "b", "c", "none"):
                request = getattr(service, f"Get{kind}ByTypeAndNameRequest")(type_name=type["name"])
                request.type_version = type.get("version", "")
                setattr(request, f"{kind.lower()}_name", name)
                response = call(store, f"Get{kind}ByTypeAndName", request)
                node = getattr(response, kind.lower())
                found["by_name"].append([kind, int(type["id"]), name, node.id if node.HasField("id") else 0])
    uris = service.GetArtifactsByURIRequest(uris=["u"])
    found["by_uri"] = sorted(node.id for node in call(store, "GetArtifactsByURI", uris).artifacts)
    return found


def main() -> None:
    store = new_store()
    for line in sys.stdin:
        wish = json.loads(line)
        if "reset" in wish:
            store = new_store()
            answer = {}
        elif "dump" in wish:
            answer = dump(store)
        else:
            try:
                answer = {"response": run(store, wish)}
            except errors.StatusError as error:
                answer = {"code": NAMES[error.error_code], "message": str(error)}
            except Exception as error:  # a request that the test made wrong
                answer = {"code": f"peer: {error!r}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
