"""The messages: what the schema holds, and that they live apart from MLMD's own."""

from __future__ import annotations

import os
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from stratalog.mlmd import proto
from stratalog.mlmd.pool import SERVICE, message_class, pool
from stratalog.mlmd.service import METHODS
from tests.mlmd.world import PROJECT

BOTH = """
import sys
if sys.argv[1] == "theirs first":
    import ml_metadata.proto.metadata_store_pb2 as theirs
from stratalog.mlmd.pool import proto as ours
if sys.argv[1] == "ours first":
    import ml_metadata.proto.metadata_store_pb2 as theirs
a = ours.Artifact(id=7, uri="u", state=ours.Artifact.LIVE)
a.properties["s"].struct_value.update({"k": [1, "x", None]})
b = theirs.Artifact.FromString(a.SerializeToString())
assert ours.Artifact.FromString(b.SerializeToString()) == a
assert b.properties["s"].struct_value["k"][1] == "x"
assert type(a) is not type(b)
print("fine")
"""


def test_every_method_of_the_service_is_answered() -> None:
    names = [method.name for method in pool.FindServiceByName(SERVICE).methods]

    assert len(names) == 52
    assert set(names) == set(METHODS)


def test_the_descriptor_set_is_made_of_the_text(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools has the protoc that makes the descriptor set")
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    from stratalog.mlmd.schema.compile import compile_schema

    compile_schema(tmp_path / "made")

    shipped = resources.files("stratalog.mlmd.schema").joinpath("schema.binpb").read_bytes()
    assert FileDescriptorSet.FromString((tmp_path / "made").read_bytes()) == FileDescriptorSet.FromString(shipped)


def test_defaults_that_differ_from_protobufs_own() -> None:
    options = proto.ListOperationOptions()

    assert options.max_result_size == 20
    assert options.order_by_field.field == options.order_by_field.ID
    assert options.order_by_field.is_asc
    assert proto.PutTypesRequest().all_fields_match
    assert proto.LineageGraphQueryOptions().max_node_size == 20


def test_messages_and_enumerations_are_attributes() -> None:
    assert proto.Artifact is message_class("ml_metadata.Artifact")
    assert proto.INT == 1
    assert proto.PropertyType.Name(6) == "BOOLEAN"
    with pytest.raises(AttributeError, match="no message 'Nothing'"):
        _ = proto.Nothing


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
def test_mlmds_own_messages_live_in_the_same_process(mlmd_python: str, order: str) -> None:
    done = subprocess.run(
        [mlmd_python, "-c", BOTH, order],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.stdout == "fine\n", done.stderr
