"""gRPC's health and reflection services."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto

import stratalog
from stratalog.mlmd import ServerSettings, serve
from stratalog.mlmd.auth import load_tokens
from stratalog.mlmd.pool import HEALTH, REFLECTION, SERVICE, message_class, pool
from tests.mlmd.world import served, write_tokens

CheckRequest = message_class("grpc.health.v1.HealthCheckRequest")
CheckResponse = message_class("grpc.health.v1.HealthCheckResponse")
Asked = message_class("grpc.reflection.v1.ServerReflectionRequest")
OPTIONS = "google.protobuf.EnumValueOptions"
Answered = message_class("grpc.reflection.v1.ServerReflectionResponse")


def test_health_is_told_to_anyone(store: stratalog.Store, tmp_path: Path) -> None:
    tokens = load_tokens(write_tokens(tmp_path, f"write ci {'w' * 20}\n"))
    with served(store, tokens=tokens) as wire:
        check = wire.channel.unary_unary(f"/{HEALTH}/Check", CheckRequest.SerializeToString, CheckResponse.FromString)

        for service in ("", SERVICE):
            assert check(CheckRequest(service=service), timeout=30).status == CheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            check(CheckRequest(service="none"), timeout=30)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_watcher_is_told_of_the_end(store: stratalog.Store) -> None:
    running = serve(store, ServerSettings(port=0))
    with grpc.insecure_channel(running.address) as channel:
        watch = channel.unary_stream(f"/{HEALTH}/Watch", CheckRequest.SerializeToString, CheckResponse.FromString)
        stream = watch(CheckRequest(), timeout=20)
        first = next(stream)

        running.stop(grace_s=60)

        assert [first.status, *(response.status for response in stream)] == [
            CheckResponse.SERVING,
            CheckResponse.NOT_SERVING,
        ]


def test_watchers_leave_threads_for_calls(store: stratalog.Store) -> None:
    with served(store, workers=4) as wire:
        watch = wire.channel.unary_stream(f"/{HEALTH}/Watch", CheckRequest.SerializeToString, CheckResponse.FromString)
        streams = [watch(CheckRequest(), timeout=30) for _ in range(2)]
        for stream in streams:
            assert next(stream).status == CheckResponse.SERVING

        with pytest.raises(grpc.RpcError) as caught:
            next(watch(CheckRequest(), timeout=30))

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert wire.status("GetArtifactTypes") == "OK"
        for stream in streams:
            stream.cancel()


@pytest.mark.parametrize("name", [REFLECTION, "grpc.reflection.v1alpha.ServerReflection"])
def test_reflection_tells_what_a_tool_needs(store: stratalog.Store, name: str) -> None:
    with served(store) as wire:
        info = wire.channel.stream_stream(f"/{name}/ServerReflectionInfo", Asked.SerializeToString, Answered.FromString)
        asked = [
            Asked(list_services="*"),
            Asked(file_containing_symbol=SERVICE),
            Asked(file_by_filename="ml_metadata/proto/metadata_store.proto"),
            Asked(all_extension_numbers_of_type=OPTIONS),
            Asked(file_containing_symbol="no.Such"),
            Asked(file_containing_extension={"containing_type": OPTIONS, "extension_number": 384560917}),
            Asked(),
        ]
        answers = list(info(iter(asked), timeout=30))

    assert SERVICE in [service.name for service in answers[0].list_services_response.service]
    files = descriptor_pool.DescriptorPool()
    waiting = [FileDescriptorProto.FromString(f) for f in answers[1].file_descriptor_response.file_descriptor_proto]
    while waiting:
        names = {file.name for file in waiting}
        ready = [file for file in waiting if not names.intersection(file.dependency)]
        for file in ready:
            files.AddSerializedFile(file.SerializeToString())
            waiting.remove(file)
    assert len(files.FindServiceByName(SERVICE).methods) == len(pool.FindServiceByName(SERVICE).methods)
    assert len(answers[2].file_descriptor_response.file_descriptor_proto) == 4
    assert list(answers[3].all_extension_numbers_response.extension_number) == [384560917]
    assert answers[4].error_response.error_code == answers[6].error_response.error_code == 5
    assert len(answers[5].file_descriptor_response.file_descriptor_proto) == 4
