"""The server over a real channel: statuses, sizes, many clients, the end."""

from __future__ import annotations

import socket
import threading
from typing import Any

import grpc
import pytest

import stratalog
from stratalog.mlmd import ServerSettings, proto, serve
from stratalog.mlmd.pool import SERVICE
from tests.mlmd.world import Wire, put_type, served


def test_a_call_goes_there_and_back(store: stratalog.Store) -> None:
    with served(store) as wire:
        artifact = proto.Artifact(type_id=put_type(wire), uri="u", custom_properties={"k": proto.Value(int_value=-1)})

        assert list(wire("PutArtifacts", artifacts=[artifact]).artifact_ids) == [1]

        [got] = wire("GetArtifactsByID", artifact_ids=[1]).artifacts
        assert (got.uri, got.type, got.custom_properties["k"].int_value) == ("u", "A", -1)
        assert store.get_artifact(1).uri == "u"


def test_errors_have_a_status_a_text_and_our_code(store: stratalog.Store) -> None:
    with served(store) as wire:
        put_type(wire)
        wrong = proto.Artifact(type_id=10, properties={"i": proto.Value(string_value="x" * 100_000)})

        with pytest.raises(grpc.RpcError) as caught:
            wire("PutArtifacts", artifacts=[wrong])

        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "Found unmatched property type: i" in caught.value.details()
        assert ("stratalog-code", "property_type_mismatch") in [
            tuple(pair) for pair in caught.value.trailing_metadata()
        ]
        assert wire.status("GetArtifactType", type_name="none") == "NOT_FOUND"
        assert wire.status("PutArtifactType", artifact_type=proto.ArtifactType(name="A")) == "ALREADY_EXISTS"
        assert wire.status("PutTypes", all_fields_match=False) == "UNIMPLEMENTED"


def test_a_request_that_is_no_message_is_the_callers_fault(store: stratalog.Store) -> None:
    with served(store) as wire:
        call = wire.channel.unary_unary(f"/{SERVICE}/GetArtifactsByID", bytes, bytes)
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff", timeout=30)
        unknown = wire.channel.unary_unary(f"/{SERVICE}/NoSuchMethod", bytes, bytes)
        with pytest.raises(grpc.RpcError) as unknown_caught:
            unknown(b"", timeout=30)
        not_utf8 = wire.channel.unary_unary(f"/{SERVICE}/PutArtifactType", bytes, bytes)
        with pytest.raises(grpc.RpcError) as text_caught:
            not_utf8(b"\x0a\x04\x12\x02\xff\xfe", timeout=30)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert unknown_caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert text_caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_bug_of_ours_is_internal_and_logged(
    store: stratalog.Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("oh")

    with served(store) as wire:
        monkeypatch.setattr(stratalog.Store, "get_links", broken)
        assert wire.status("GetEventsByArtifactIDs", artifact_ids=[1]) == "INTERNAL"
        assert wire.status("GetArtifactTypes") == "OK"

    assert "GetEventsByArtifactIDs failed" in caplog.text


def test_large_messages_pass_and_larger_ones_do_not(store: stratalog.Store) -> None:
    with served(store) as wire:
        type_id = put_type(wire)

        def put(size: int) -> str:
            artifact = proto.Artifact(type_id=type_id, properties={"s": proto.Value(string_value="x" * size)})
            return wire.status("PutArtifacts", artifacts=[artifact])

        assert put(20 << 20) == "OK"
        assert put(101 << 20) == "RESOURCE_EXHAUSTED"
        [got] = wire("GetArtifacts").artifacts
        assert len(got.properties["s"].string_value) == 20 << 20


def test_sixteen_clients_publish_into_one_new_context(store: stratalog.Store) -> None:
    with served(store) as wire:
        wire("PutExecutionType", execution_type=proto.ExecutionType(name="E"))
        wire("PutContextType", context_type=proto.ContextType(name="C"))
        together, outcomes = threading.Barrier(16), []

        def publish() -> None:
            together.wait()
            outcomes.append(
                wire.status(
                    "PutExecution",
                    execution=proto.Execution(type_id=10),
                    contexts=[proto.Context(type_id=11, name="run")],
                    options=proto.PutExecutionRequest.Options(reuse_context_if_already_exist=True),
                )
            )

        threads = [threading.Thread(target=publish) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert outcomes == ["OK"] * 16
        assert len(wire("GetContexts").contexts) == 1
        assert len(wire("GetExecutionsByContext", context_id=1).executions) == 16


def test_a_moment_is_served_for_reading_only(store: stratalog.Store) -> None:
    store.put_type("artifact", "A")
    store.put_artifact(type="A", uri="before")
    with served(store.as_of(store.head)) as wire:
        store.put_artifact(id=1, uri="after")

        assert wire("GetArtifactsByID", artifact_ids=[1]).artifacts[0].uri == "before"
        assert wire("GetArtifactsByURI", uris=["after", "before"]).artifacts[0].id == 1
        assert wire.status("PutArtifacts", artifacts=[proto.Artifact(id=1)]) == "FAILED_PRECONDITION"
        assert wire.status("GetArtifacts", options=proto.ListOperationOptions(filter_query="uri = 'before'")) == "OK"


def test_a_port_in_use_is_refused(store: stratalog.Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(stratalog.InvalidInputError, match="cannot listen on"):
            serve(store, ServerSettings(port=taken.getsockname()[1]))
    running = serve(store, ServerSettings(port=0))
    with running, pytest.raises(stratalog.InvalidInputError, match="cannot listen on"):
        serve(store, ServerSettings(port=running.port))


def test_calls_that_run_are_answered_before_the_end(store: stratalog.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Event(), threading.Event()
    real = stratalog.Store.put_types

    def slow(*arguments: Any, **options: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(stratalog.Store, "put_types", slow)
    running = serve(store, ServerSettings(port=0))
    outcomes: list[str] = []
    with grpc.insecure_channel(running.address) as channel:
        wire = Wire(channel)
        caller = threading.Thread(
            target=lambda: outcomes.append(wire.status("PutTypes", artifact_types=[{"name": "A"}]))
        )
        caller.start()
        assert entered.wait(30)
        stopper = threading.Thread(target=running.stop)
        stopper.start()

        leave.set()

        stopper.join()
        caller.join()
    assert outcomes == ["OK"]
    assert store.get_type("artifact", "A").id == 10
