"""The same random calls to MLMD 1.17.1 and to ours: the same ids, the same refusals, the same content.

MLMD lives in an environment of its own, named by `STRATALOG_MLMD_PYTHON`; under `-m slow` one is made in the cache of
pytest if the variable is not set. What MLMD is known to do otherwise, and we mend, is not asked (see `tame`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratalog.eventlog.errors import CODES, StoreError
from stratalog.eventlog.events import Kind, Type
from stratalog.store.opening import open_store
from stratalog.testing.model import Model, Refused
from tests.conformance.translation import ids_in, ours, request_of, tame, theirs
from tests.stateful.calls import DECLARED, Call, calls, run_on_model, run_on_store

VARIABLE = "STRATALOG_MLMD_PYTHON"
VERSION = "1.17.1"


class Peer:
    """MLMD in a process of its own."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, wish: dict[str, Any]) -> dict[str, Any]:
        """One line there, one line back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"MLMD ended with {self._process.wait()} at {wish}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    found = Peer(_python(request))
    yield found
    found.close()


def _python(request: pytest.FixtureRequest) -> str:
    """The interpreter that has MLMD."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    if "slow" not in str(request.config.getoption("-m")).replace("not slow", ""):
        pytest.skip(f"set {VARIABLE} to a Python with ml-metadata=={VERSION}, or run with -m slow to make one")
    folder = Path(str(request.config.cache.mkdir("mlmd"))) / f"venv-{VERSION}"
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run(["python3.11", "-m", "venv", str(folder)], check=True, capture_output=True)
            install = [str(python), "-m", "pip", "install", "--quiet", f"ml-metadata=={VERSION}"]
            subprocess.run(install, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no environment for ml-metadata=={VERSION} could be made: {error}")
    return str(python)


FIRST = Call(
    "put_types",
    {
        "requests": [Type(kind=kind, name="T", properties=DECLARED) for kind in Kind],
        "can_add_fields": False,
        "can_omit_fields": False,
    },
)


def compare(peer: Peer, data: st.DataObject, steps: int) -> None:
    """Run some random calls on both, and compare all that they answer and hold."""
    peer.ask({"reset": True})
    model = Model()
    now_us = 1_700_000_000_000_000
    with open_store("memory:", clock=lambda: now_us) as store:
        for step in range(steps + 1):
            call = tame(data.draw(calls(model.world), label="call"), model.world) if step else FIRST
            if call is None:
                continue
            expected = peer.ask(request_of(call, model.world))
            try:
                run_on_model(model, call, now_us // 1000)
            except Refused:
                pass
            got: object
            try:
                got = msgspec.to_builtins(run_on_store(store, call))
                message = ""
            except StoreError as error:
                got, message = CODES[error.code].grpc_status, error.message
            wanted = ids_in(call, expected["response"]) if "response" in expected else expected["code"]
            # A unique name or external id that an update breaks is INTERNAL there; a context that is to be reused, but
            # is new and has an external id that is taken, is ABORTED, as if another writer had just made it.
            if got == "ALREADY_EXISTS" and wanted in ("INTERNAL", "ABORTED"):
                wanted = got
            # A property of no type, in a type that does not evolve anyhow, is refused for one reason or the other.
            if has_unknown_property(call) and isinstance(wanted, str):
                assert isinstance(got, str), (call, expected)
                continue
            assert as_lists(got) == as_lists(wanted), (call, message, expected)
        found, known = ours(store), theirs(peer.ask({"dump": True}))
        assert found.keys() == known.keys()
        for part in found:
            for own, other in zip_longest(as_list(found[part]), as_list(known[part])):
                assert own == other, part


def as_list(part: object) -> list[object]:
    return part if isinstance(part, list) else [part]


def has_unknown_property(call: Call) -> bool:
    return call.name == "put_types" and any(0 in type.properties.values() for type in call.arguments["requests"])


def as_lists(answer: object) -> object:
    return [as_lists(item) for item in answer] if isinstance(answer, list | tuple) else answer


SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)


@SETTINGS
@given(data=st.data())
def test_mlmd_answers_and_holds_the_same(peer: Peer, data: st.DataObject) -> None:
    compare(peer, data, 10)


@pytest.mark.slow
@settings(SETTINGS, max_examples=2000)
@given(data=st.data())
def test_mlmd_answers_and_holds_the_same_for_long(peer: Peer, data: st.DataObject) -> None:
    compare(peer, data, 30)
