"""The step that is recorded in the write benchmarks, on both sides: 1 execution, 2 inputs that exist, 2 new outputs.

The execution and each output have five properties; two contexts that exist take the execution and all four artifacts.
The requests are made before the clock starts, on both sides; a timed call is one `put_execution`.
"""

from __future__ import annotations

import os
import time
from typing import Any

from bench import data

INPUTS = 100
"""Artifacts that exist and are read in turn."""


class OurSteps:
    """A client of ours."""

    def prepare(self, path: str) -> None:
        """Make the types, the inputs and the contexts."""
        import stratalog
        from stratalog import Artifact

        with stratalog.open(path) as store:
            part = store.put_type("artifact", "StepPart", data.STEP_PROPERTIES)
            store.put_type("execution", "Step", data.STEP_PROPERTIES)
            store.put_context(type=store.put_type("context", "Pipeline"), name="pipeline")
            store.put_context(type=store.put_type("context", "PipelineRun"), name="run")
            store.put_artifacts(
                [
                    Artifact(
                        type_id=part, name=f"input-{i}", uri=f"file:///in/{i}", properties=data.step_properties(i, 9)
                    )
                    for i in range(INPUTS)
                ]
            )

    def open(self, path: str, client: int = 0) -> int:
        """Open the store as client number `client`; return this process's id."""
        import stratalog

        self.store = stratalog.open(path)
        self.client = client
        self.made = 0
        store = self.store
        self.part = store.get_type("artifact", "StepPart").id
        self.step = store.get_type("execution", "Step").id
        self.contexts = [
            store.get_context(type="Pipeline", name="pipeline"),
            store.get_context(type="PipelineRun", name="run"),
        ]
        self.inputs = [store.get_artifact(type="StepPart", name=f"input-{i}").id for i in range(INPUTS)]
        return os.getpid()

    def requests(self, count: int) -> list[Any]:
        """The arguments of the next `count` calls."""
        from stratalog import Artifact, Execution, ExecutionState, Link, LinkType, Pair

        found = []
        for i in range(self.made, self.made + count):
            at = self.client * 10_000_000 + i
            pairs = [
                Pair(link=Link(type=LinkType.INPUT, artifact_id=self.inputs[(2 * i + k) % INPUTS], path=["in", k]))
                for k in range(2)
            ]
            pairs += [
                Pair(
                    artifact=Artifact(
                        type_id=self.part,
                        name=f"output-{at}-{k}",
                        uri=f"file:///out/{at}/{k}",
                        properties=data.step_properties(at, 2 + k),
                    ),
                    link=Link(type=LinkType.OUTPUT, path=["out", k]),
                )
                for k in range(2)
            ]
            execution = Execution(
                type_id=self.step,
                name=f"step-{at}",
                state=ExecutionState.COMPLETE,
                properties=data.step_properties(at, 1),
            )
            found.append((execution, pairs, self.contexts))
        self.made += count
        return found

    def steps(self, count: int) -> list[float]:
        """Record `count` steps, one after another; seconds of each."""
        put = self.store.put_execution
        return _clocked(lambda request: put(*request), self.requests(count))

    def make(self, count: int) -> None:
        """Make the requests of the next `steps_until`."""
        self.waiting = self.requests(count)

    def steps_until(self, start: float, end: float) -> dict[str, Any]:
        """Record steps from `start` to `end` (Unix times); seconds of each, and how often a call had to be repeated."""
        put = self.store.put_execution
        return {"latencies": _until(lambda request: put(*request), self.waiting, start, end), "retries": 0}

    def steps_by_threads(self, threads: int, count: int) -> dict[str, Any]:
        """Record `count` steps by each of several threads of this process."""
        import threading

        put = self.store.put_execution
        work = [self.requests(count) for _ in range(threads)]
        found: list[list[float]] = [[] for _ in range(threads)]
        ready = threading.Barrier(threads + 1)

        def one(index: int) -> None:
            ready.wait()
            found[index] = _clocked(lambda request: put(*request), work[index])

        running = [threading.Thread(target=one, args=(index,)) for index in range(threads)]
        for thread in running:
            thread.start()
        ready.wait()
        begin = time.perf_counter()
        for thread in running:
            thread.join()
        return {"seconds": time.perf_counter() - begin, "latencies": [value for part in found for value in part]}

    def busy(self) -> float:
        """Processor seconds of this process so far."""
        return time.process_time()

    def counts(self) -> list[int]:
        """How many executions, artifacts and links the store holds."""
        found = self.store.sql(
            "SELECT (SELECT count(*) FROM executions) AS e, (SELECT count(*) FROM artifacts) AS a, "
            "(SELECT count(*) FROM events) AS l"
        ).arrow()
        return [int(found[name][0].as_py()) for name in ("e", "a", "l")]

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class PeerSteps:
    """A client of ml-metadata on the same SQLite file as the others."""

    def prepare(self, path: str) -> None:
        """Make the types, the inputs and the contexts."""
        from ml_metadata.proto import metadata_store_pb2 as pb

        from bench.peer import mlmd

        store = mlmd.connect(path)
        part = mlmd.put_artifact_type(store, "StepPart", data.STEP_PROPERTIES)
        mlmd.put_execution_type(store, "Step", data.STEP_PROPERTIES)
        for kind, name in (("Pipeline", "pipeline"), ("PipelineRun", "run")):
            store.put_contexts([pb.Context(type_id=store.put_context_type(pb.ContextType(name=kind)), name=name)])
        rows = (data.Row(f"input-{i}", f"file:///in/{i}", data.step_properties(i, 9)) for i in range(INPUTS))
        store.put_artifacts([mlmd.artifact(part, row) for row in rows])

    def open(self, path: str, client: int = 0) -> int:
        """Open the file as client number `client`; return this process's id."""
        from bench.peer import mlmd

        # One try inside, so that each repeat is ours to count and comes at once rather than after two seconds.
        self.store = store = mlmd.connect(path, retries=1)
        self.client = client
        self.made = 0
        self.retries = 0
        self.part = store.get_artifact_type("StepPart").id
        self.step = store.get_execution_type("Step").id
        self.contexts = [
            store.get_context_by_type_and_name("Pipeline", "pipeline"),
            store.get_context_by_type_and_name("PipelineRun", "run"),
        ]
        self.inputs = [store.get_artifact_by_type_and_name("StepPart", f"input-{i}").id for i in range(INPUTS)]
        return os.getpid()

    def requests(self, count: int) -> list[Any]:
        """The arguments of the next `count` calls."""
        from ml_metadata.proto import metadata_store_pb2 as pb

        from bench.peer import mlmd

        found = []
        for i in range(self.made, self.made + count):
            at = self.client * 10_000_000 + i
            pairs: list[Any] = []
            for k in range(4):
                is_input = k < 2
                event = pb.Event(type=pb.Event.INPUT if is_input else pb.Event.OUTPUT)
                event.path.steps.add(key="in" if is_input else "out")
                event.path.steps.add(index=k % 2)
                if is_input:
                    event.artifact_id = self.inputs[(2 * i + k) % INPUTS]
                    pairs.append((None, event))
                else:
                    row = data.Row(f"output-{at}-{k - 2}", f"file:///out/{at}/{k - 2}", data.step_properties(at, k))
                    pairs.append((mlmd.artifact(self.part, row), event))
            row = data.Row(f"step-{at}", "", data.step_properties(at, 1))
            found.append((mlmd.execution(self.step, row), pairs, self.contexts))
        self.made += count
        return found

    def _put(self, request: Any) -> None:
        import random

        from bench.peer import mlmd

        execution, pairs, contexts = request
        for attempt in range(10_000):
            try:
                self.store.put_execution(execution, pairs, contexts, force_reuse_context=True)
                return
            except mlmd.BUSY:
                self.retries += 1
                time.sleep(random.random() * min(0.05, 0.001 * 2**attempt))
        raise RuntimeError("the file stayed locked for 10,000 attempts")

    def steps(self, count: int) -> list[float]:
        """Record `count` steps, one after another; seconds of each."""
        return _clocked(self._put, self.requests(count))

    def make(self, count: int) -> None:
        """Make the requests of the next `steps_until`."""
        self.waiting = self.requests(count)

    def steps_until(self, start: float, end: float) -> dict[str, Any]:
        """Record steps from `start` to `end` (Unix times); seconds of each, and how often a call had to be repeated."""
        self.retries = 0
        latencies = _until(self._put, self.waiting, start, end)
        return {"latencies": latencies, "retries": self.retries}

    def busy(self) -> float:
        """Processor seconds of this process so far."""
        return time.process_time()

    def counts(self) -> list[int]:
        """How many executions, artifacts and links the file holds."""
        store = self.store
        executions = store.get_executions()
        events = 0
        for at in range(0, len(executions), 500):
            events += len(store.get_events_by_execution_ids([e.id for e in executions[at : at + 500]]))
        return [len(executions), len(store.get_artifacts()), events]

    def close(self) -> None:
        """Drop the connection."""
        del self.store


class TableSteps:
    """A bare SQLite table: one row of the same bytes a step, WAL and synchronous FULL; the floor of that engine."""

    def open(self, path: str) -> None:
        """Make the file."""
        import sqlite3

        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute("CREATE TABLE IF NOT EXISTS step (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
        self.made = 0

    def steps(self, count: int) -> list[float]:
        """Insert `count` rows, one transaction each; seconds of each."""
        import json

        rows = [
            (f"step-{i}", json.dumps([data.step_properties(i, k) for k in (1, 2, 3)]).encode())
            for i in range(self.made, self.made + count)
        ]
        self.made += count
        insert = self.connection.execute
        return _clocked(lambda row: insert("INSERT INTO step (name, body) VALUES (?, ?)", row), rows)


def _clocked(call: Any, requests: list[Any]) -> list[float]:
    clock = time.perf_counter
    found: list[float] = []
    for request in requests:
        start = clock()
        call(request)
        found.append(clock() - start)
    return found


def _until(call: Any, requests: list[Any], start: float, end: float) -> list[float]:
    while time.time() < start:
        time.sleep(0.001)
    clock = time.perf_counter
    found: list[float] = []
    for request in requests:
        if time.time() >= end:
            return found
        begin = clock()
        call(request)
        found.append(clock() - begin)
    raise RuntimeError(f"{len(requests)} requests were done before the end; make more")
