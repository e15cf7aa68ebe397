"""`stratalog serve` as a process: the ready line, signals, what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

import stratalog
from stratalog.mlmd import proto
from tests.mlmd.world import PROJECT, Wire, put_type

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT), "GRPC_VERBOSITY": "NONE"}


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server's process and its address, once it has said that it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stratalog", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), (line, process.communicate(timeout=60))
        yield process, line.removeprefix("listening on ").strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "stratalog", "serve", *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_when_told_to_and_loses_nothing(tmp_path: Path, number: int) -> None:
    with serving("--grpc_port=0", "--actor", "pipelines", str(tmp_path / "store")) as (process, address):
        assert address.startswith("127.0.0.1:")
        with grpc.insecure_channel(address) as channel:
            put_type(Wire(channel))

        process.send_signal(number)

        assert process.wait(60) == 0
    with stratalog.open(tmp_path / "store", read_only=True, create=False) as store:
        assert store.get_type("artifact", "A").id == 10
        assert store.log().rows()[0]["actor"] == "pipelines"
        assert store.verify().ok


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    arguments = ("--mlmd-port", "0", str(tmp_path / "store"))
    acknowledged: list[int] = []
    with serving(*arguments) as (process, address), grpc.insecure_channel(address) as channel:
        wire = Wire(channel)
        type_id = put_type(wire)
        for _ in range(50):
            acknowledged += wire("PutArtifacts", artifacts=[proto.Artifact(type_id=type_id)]).artifact_ids
        process.kill()
        process.wait(60)

    with serving(*arguments) as (_, address), grpc.insecure_channel(address) as channel:
        assert [a.id for a in Wire(channel)("GetArtifacts").artifacts] == acknowledged


def test_reading_only_and_as_of(tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    with stratalog.open(uri) as store:
        store.put_type("artifact", "A")
        store.put_artifact(type="A", uri="before")
        seq = store.head
        store.put_artifact(id=1, uri="after")

    for arguments, expected in ((["--read-only"], "after"), (["--as-of", str(seq)], "before")):
        with (
            serving("--mlmd-port", "0", "--store", uri, *arguments) as (_, address),
            grpc.insecure_channel(address) as channel,
        ):
            wire = Wire(channel)
            assert [a.uri for a in wire("GetArtifacts").artifacts] == [expected]
            assert wire.status("PutArtifacts", artifacts=[proto.Artifact(id=1)]) == "FAILED_PRECONDITION"


def test_what_is_refused_before_it_listens(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, text = refused("--mlmd-port", str(taken.getsockname()[1]), store)
    assert (code, "cannot listen on 127.0.0.1:" in text) == (2, True), text
    code, text = refused("--host", "0.0.0.0", "--mlmd-port", "0", store)
    assert (code, "can be reached from other machines" in text) == (2, True), text
    code, text = refused("--tls-key", "key.pem", "--mlmd-port", "0", store)
    assert (code, "--tls-cert" in text) == (2, True), text
    code, text = refused("--read-only", "--mlmd-port", "0", str(tmp_path / "none"))
    assert code == 3, text


def test_other_hosts_may_be_served_if_that_is_meant() -> None:
    with serving("--host", "0.0.0.0", "--insecure", "--mlmd-port", "0", "memory:") as (_, address):
        port = address.rpartition(":")[2]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert Wire(channel).status("GetContextTypes") == "OK"


def test_a_server_is_ready_before_the_packages_of_arrays_are_loaded() -> None:
    script = """
import sys
from stratalog import open
from stratalog.mlmd.server import ServerSettings, serve
with open("memory:") as store, serve(store, ServerSettings(port=0)):
    print([name for name in ("duckdb", "numpy", "pandas", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT, timeout=60)

    assert done.stdout == "[]\n", done.stderr
