"""A small store, and two ways to run a command on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stratalog.cli.app import app
from tests.cli.small_store import PROJECT, Done, Run, SmallStore, Spawn, build


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
    return build(tmp_path_factory.mktemp("cli") / "store")


@pytest.fixture
def run(small: SmallStore, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs on the small store unless told otherwise; its output is that of a pipe."""
    monkeypatch.delenv("STRATALOG_TRACEBACK", raising=False)

    def invoke(*arguments: object, input: str | None = None, store: Path | str | None = None) -> Result:
        monkeypatch.setenv("STRATALOG_URI", str(store or small.path))
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return invoke


@pytest.fixture
def environment(small: SmallStore) -> dict[str, str]:
    """The environment of a process that works on the small store."""
    path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Buffered as it is for users, whatever the tests themselves run with.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRATALOG", "PYTHONUNBUF"))}
    return kept | {"STRATALOG_URI": str(small.path), "PYTHONPATH": path}


@pytest.fixture
def spawn(environment: dict[str, str]) -> Spawn:
    def start(*arguments: object, env: dict[str, str] | None = None, input: str = "") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "stratalog", *(str(argument) for argument in arguments)],
            capture_output=True,
            text=True,
            env={**environment, **(env or {})},
            input=input,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return start
