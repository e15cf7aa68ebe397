"""The protocol's message classes, in a descriptor pool of their own.

protobuf keeps one default pool in a process and refuses a second message of a name in it; the client library of MLMD
registers its messages there. Ours live apart, so both can be loaded, in either order. Messages of the two do not mix:
between them go bytes.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from stratalog.eventlog.errors import ErrorCode, InvalidInputError

try:
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, field_mask_pb2, message_factory, struct_pb2
except ImportError as error:
    raise InvalidInputError(
        f"stratalog.mlmd needs protobuf: {error}",
        code=ErrorCode.MISSING_DEPENDENCY,
        hint="pip install 'stratalog[mlmd]'",
    ) from error

SERVICE = "ml_metadata.MetadataStoreService"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1.ServerReflection"

_WELL_KNOWN = (any_pb2, descriptor_pb2, field_mask_pb2, struct_pb2)


def _load() -> descriptor_pool.DescriptorPool:
    loaded = descriptor_pool.DescriptorPool()
    for module in _WELL_KNOWN:
        # The runtime's own text of these: it fits the runtime, whichever version that is.
        loaded.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    content = resources.files("stratalog.mlmd.schema").joinpath("schema.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        loaded.AddSerializedFile(file.SerializeToString())
    return loaded


pool = _load()
"""All files of the schema, and the files of protobuf that they import."""


def message_class(full_name: str) -> Any:
    """The class of a message by its full name, such as `ml_metadata.Artifact`; always the same one.

    Raises:
        KeyError: the schema has no such message.
    """
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))


class _Proto:
    """The messages of package ml_metadata as attributes: `proto.Artifact(...)`; enumerations as well."""

    def __getattr__(self, name: str) -> Any:
        found: Any
        try:
            found = message_class(f"ml_metadata.{name}")
        except KeyError:
            if name != "PropertyType" and name not in _PROPERTY_TYPES:
                raise AttributeError(f"package ml_metadata has no message {name!r}") from None
            from google.protobuf.internal import enum_type_wrapper

            words = enum_type_wrapper.EnumTypeWrapper(pool.FindEnumTypeByName("ml_metadata.PropertyType"))
            found = words if name == "PropertyType" else words.Value(name)
        setattr(self, name, found)
        return found


_PROPERTY_TYPES = frozenset(pool.FindEnumTypeByName("ml_metadata.PropertyType").values_by_name)

proto = _Proto()
"""What `ml_metadata.proto.metadata_store_pb2` is in MLMD's client library, with the service's messages too."""
