"""A side of a benchmark in a process of its own: one line of JSON asks, one line of JSON answers.

`python -m bench.remote bench.filter Peer` makes a `Peer` of that module and calls its methods by name, so that the two
sides of a question stand in one file and alternate within one run, each in its own interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class RemoteError(Exception):
    """A call failed on the other side; the text holds its traceback."""


class Remote:
    """A process that holds one side, and the calls to it.

    Args:
        side: the class to make there, as `bench.filter:Peer`.
        python: its interpreter; None is this one.
        prefix: a command that runs it, such as strace with its options.
    """

    def __init__(self, side: str, *, python: str | None = None, prefix: Sequence[str] = ()) -> None:
        module, _, name = side.partition(":")
        self.side = side
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [*prefix, python or sys.executable, "-m", "bench.remote", module, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
        )

    def send(self, method: str, **arguments: Any) -> None:
        """Ask, without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """The answer to the oldest question that waits for one.

        Raises:
            RemoteError: the call failed, or the process ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RemoteError(f"{self.side}: the process ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RemoteError(f"{self.side}: {answer['error']}")
        return answer["value"]

    def call(self, method: str, **arguments: Any) -> Any:
        """Ask and wait."""
        self.send(method, **arguments)
        return self.receive()

    def close(self) -> None:
        """Let the process end and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(module: str, name: str) -> None:
    """Answer calls until the input ends. What a side prints goes to the standard error.

    An answer that is a dictionary without `busy` is given the processor seconds of the whole call under this name.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side = getattr(importlib.import_module(module), name)()
    for line in sys.stdin:
        method, arguments = json.loads(line)
        begin = time.process_time()
        try:
            value = getattr(side, method)(**arguments)
            if isinstance(value, dict):
                value.setdefault("busy", time.process_time() - begin)
            answer = {"value": value}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
