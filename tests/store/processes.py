"""What the processes of the tests do: `python -m tests.store.processes NAME ARGUMENT...`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from stratalog.commands.executions import Pair, StepOptions
from stratalog.eventlog.events import Artifact, Context, Execution, Link
from stratalog.eventlog.settings import LogSettings
from stratalog.store.opening import open_store
from stratalog.store.store import Store
from stratalog.store.upkeep import UpkeepSettings

ROOT = Path(__file__).parents[2]
LOG = LogSettings(rotate_events=60, grow_bytes=4096, merge_count=2, grace_s=0)
UPKEEP = UpkeepSettings(seal_events=60, wait_events=300)


def open_here(path: str | Path) -> Store:
    """A store that seals and merges all the time."""
    return open_store(path, log_settings=LOG, upkeep=UPKEEP)


def start(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process; what it prints are lines of JSON."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.processes", name, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines(process: subprocess.Popen[str]) -> list[object]:
    """All that a process still has to say; it must end well."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, process.returncode
    return [json.loads(line) for line in output.splitlines()]


def say(*values: object) -> None:
    """Print one line of JSON."""
    print(json.dumps(values), flush=True)


def answers(stream: IO[str]) -> object:
    """The next line that a process says."""
    return json.loads(stream.readline())


def record_steps(path: str, number: str, count: str) -> None:
    """Record steps into one context, and read each back at once."""
    with open_here(path) as store:
        say("ready")
        sys.stdin.readline()
        types = [store.put_type(kind, "T") for kind in ("artifact", "execution", "context")]
        for i in range(int(count)):
            name = f"{number}-{i}"
            step = store.put_execution(
                Execution(type_id=types[1], name=name),
                [Pair(artifact=Artifact(type_id=types[0], name=name), link=Link(type=4))],
                [Context(type_id=types[2], name="one")],
                options=StepOptions(reuse_context=True),
            )
            assert store.get_execution(type="T", name=name).id == step.execution_id
            assert [link.artifact_id for link in store.get_links(executions=step.execution_id)] == step.artifact_ids
            assert any(node.name == name for node in store.get_artifacts(context=step.context_ids[0]))
            say(step.execution_id, step.artifact_ids[0], step.context_ids[0], name)
        assert store.last_upkeep_error is None, store.last_upkeep_error


def write_on_demand(path: str) -> None:
    """Put an artifact for each line that comes in, and say its id once it is acknowledged."""
    with open_here(path) as store:
        type_id = store.put_type("artifact", "T", {"i": "int"})
        say("ready")
        for line in sys.stdin:
            word, value = line.split()
            if word == "put":
                say(store.put_artifacts([Artifact(type_id=type_id, name=value)]).id)
            elif word == "seal":
                store.seal()
                say("sealed")
            else:
                say(store.rebuild()["state"])


def put_under_fire(path: str) -> None:
    """Put artifacts until told to stop, whatever number of times Ctrl-C strikes; say what was acknowledged."""
    stop = threading.Event()
    acknowledged: list[str] = []
    is_armed = False
    struck = number = 0

    def strike(*_: object) -> None:
        nonlocal is_armed
        if is_armed:
            is_armed = False
            raise KeyboardInterrupt

    with open_here(path) as store:
        type_id = store.put_type("artifact", "T")
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGINT, strike)
        say("ready")
        while not stop.is_set():
            number += 1
            name = str(number)
            try:
                is_armed = True
                id = store.put_artifacts([Artifact(type_id=type_id, name=name)]).id
                is_armed = False
            except KeyboardInterrupt:
                struck += 1
                continue
            acknowledged.append(name)
            assert store.get_artifact(id).name == name
        report = store.verify()
        assert report.ok, report.problems
        say(struck, acknowledged, [node.name for node in store.get_artifacts()])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
