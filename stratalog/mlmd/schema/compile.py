"""Make `schema.binpb` of the `.proto` files beside this module: `python -m stratalog.mlmd.schema.compile`.

For developers only; it needs grpcio-tools, whose protoc is the only thing that is used of them. No Python is generated:
code made by one protoc would tie users to its protobuf, a descriptor set works with them all.
"""

from __future__ import annotations

import sys
from pathlib import Path

FILES = (
    "ml_metadata/proto/metadata_store.proto",
    "ml_metadata/proto/metadata_store_service.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
)
"""The files by the names that they have in descriptors, in the order of their imports."""


def compile_schema(target: Path) -> None:
    """Compile the texts into a FileDescriptorSet without comments, and without protobuf's own files.

    Raises:
        RuntimeError: protoc refused; it has told why on stderr.
    """
    from grpc_tools import protoc

    here = Path(__file__).parent
    own = Path(protoc.__file__).parent / "_proto"
    places = {file: here / file.rpartition("/")[2] for file in FILES}
    arguments = [f"--proto_path={file}={place}" for file, place in places.items()]
    code = protoc.main(["protoc", *arguments, f"--proto_path={own}", f"--descriptor_set_out={target}", *FILES])
    if code:
        raise RuntimeError(f"protoc ended with {code}")


if __name__ == "__main__":
    compile_schema(Path(__file__).with_name("schema.binpb"))
    sys.stdout.write("schema.binpb is made\n")
