"""A small world in MLMD's words, calls that may fail, and a server with a channel to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from stratalog.mlmd import MetadataStore, ServerSettings, proto, serve
from stratalog.mlmd.pool import SERVICE
from stratalog.mlmd.service import METHODS
from stratalog.store.reads import Reads

PROJECT = Path(__file__).resolve().parents[2]
PROPERTIES = {"i": 1, "d": 2, "s": 3, "st": 4, "p": 5, "b": 6}


class World(NamedTuple):
    """Ids of a type of each kind, with a property of each type of values."""

    artifact_type: int
    execution_type: int
    context_type: int


def make_world(client: MetadataStore) -> World:
    return World(
        client.put_artifact_type(proto.ArtifactType(name="A", properties=PROPERTIES)),
        client.put_execution_type(proto.ExecutionType(name="E", properties=PROPERTIES)),
        client.put_context_type(proto.ContextType(name="C", properties=PROPERTIES)),
    )


def failure(call: Any, *arguments: Any, **options: Any) -> str:
    """The name of the error's class that a call raises."""
    try:
        call(*arguments, **options)
    except Exception as error:
        return type(error).__name__
    return "nothing"


class Wire:
    """Calls over a channel, with requests and responses of our pool."""

    def __init__(self, channel: grpc.Channel, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        self.channel = channel
        self.metadata = metadata

    def __call__(self, name: str, **fields: Any) -> Any:
        method = METHODS[name]
        call = self.channel.unary_unary(
            f"/{SERVICE}/{name}", method.request.SerializeToString, method.response.FromString
        )
        return call(method.request(**fields), metadata=self.metadata, timeout=30)

    def status(self, name: str, **fields: Any) -> str:
        """The status that a call ends with."""
        try:
            self(name, **fields)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"


@contextmanager
def served(reads: Reads, **settings: Any) -> Iterator[Wire]:
    """A server on a port of its own, and a channel to it."""
    with (
        serve(reads, ServerSettings(port=0, **settings)) as running,
        grpc.insecure_channel(running.address, [("grpc.max_receive_message_length", -1)]) as channel,
    ):
        yield Wire(channel)


def put_type(wire: Wire) -> int:
    """Put a type of artifacts with a property of each type of values."""
    type_id: int = wire("PutArtifactType", artifact_type=proto.ArtifactType(name="A", properties=PROPERTIES)).type_id
    return type_id


def write_tokens(folder: Path, text: str) -> Path:
    """A file of tokens."""
    path = folder / "tokens"
    path.write_text(text)
    return path
