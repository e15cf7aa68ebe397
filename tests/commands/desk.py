"""What the tests of the rules share: a store, its clock, and a refusal that must leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from stratalog.eventlog.errors import CODES, ErrorCode, StoreError
from stratalog.eventlog.events import Artifact, Context, Execution, Link
from stratalog.store.store import Store

START_US = 1_700_000_000_000_000
"""What the clock shows at first: a time that no real clock of a test shows."""


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, time_us: int) -> None:
        self.time_us = time_us

    def __call__(self) -> int:
        return self.time_us


class Desk:
    """A store under test."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    def settle(self) -> None:
        """Where there is a folder, move everything committed so far out of the Tail into Base."""
        if self.store._folder is not None:
            state = self.store._state
            state.absorb(state.next_commit)
            assert not state.recent_event_count

    def tick(self, milliseconds: int = 1) -> None:
        self.clock.time_us += milliseconds * 1000

    def artifact_type(self, name: str = "Data") -> int:
        return self.store.put_type("artifact", name, {"i": "int", "d": "double", "s": "string", "b": "boolean"})

    def execution_type(self, name: str = "Train") -> int:
        return self.store.put_type("execution", name, {"i": "int"})

    def context_type(self, name: str = "Project") -> int:
        return self.store.put_type("context", name, {"i": "int"})

    def artifact(self, **fields: Any) -> int:
        fields.setdefault("type_id", self.artifact_type())
        return self.store.put_artifacts([Artifact(**fields)]).id

    def execution(self, **fields: Any) -> int:
        fields.setdefault("type_id", self.execution_type())
        return self.store.put_executions([Execution(**fields)]).id

    def context(self, name: str, **fields: Any) -> int:
        fields.setdefault("type_id", self.context_type())
        return self.store.put_contexts([Context(name=name, **fields)]).id

    @contextmanager
    def refused(self, code: ErrorCode, *parts: str, hint: str | None = None) -> Iterator[None]:
        """The block is refused with `code` and its class, a message with `parts`, and nothing is left of it."""
        before = everything(self.store)
        with pytest.raises(StoreError) as caught:
            yield
        error = caught.value
        assert error.code == code, (error.code, error.message)
        assert type(error) is CODES[code].error_class
        for part in parts:
            assert part in error.message, error.message
        assert hint is None or hint in (error.hint or ""), error.hint
        assert everything(self.store) == before, "a refused call left something behind"


def everything(store: Store) -> tuple[object, ...]:
    """All that the getters tell of a store, and how long its log is."""
    artifacts, executions, contexts = store.get_artifacts(), store.get_executions(), store.get_contexts()
    links: list[Link] = store.get_links(executions=[e.id for e in executions]) if executions else []
    nodes = msgspec.msgpack.encode((artifacts, executions, contexts))
    members = [
        (
            context.id,
            [node.id for node in store.get_artifacts(context=context.id)],
            [node.id for node in store.get_executions(context=context.id)],
            [node.id for node in store.get_child_contexts(context.id)],
        )
        for context in contexts
    ]
    return store.head, store.get_types(with_system=True), nodes, links, members
