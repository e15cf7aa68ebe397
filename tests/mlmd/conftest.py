from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import stratalog
from stratalog.mlmd import MetadataStore, proto
from tests.mlmd.world import World, make_world


class Ticks:
    """A clock that moves by one millisecond whenever it is looked at."""

    def __init__(self) -> None:
        self.now_us = 1_700_000_000_000_000

    def __call__(self) -> int:
        self.now_us += 1000
        return self.now_us


@pytest.fixture
def store() -> Iterator[stratalog.Store]:
    with stratalog.open("memory:", actor="tester", clock=Ticks()) as opened:
        yield opened


@pytest.fixture
def client(store: stratalog.Store) -> MetadataStore:
    return MetadataStore(store, messages=proto)


@pytest.fixture
def world(client: MetadataStore) -> World:
    return make_world(client)


@pytest.fixture(scope="session")
def mlmd_python() -> str:
    python = os.environ.get("STRATALOG_MLMD_PYTHON")
    if not python:
        pytest.skip("STRATALOG_MLMD_PYTHON names no interpreter that has ml-metadata")
    return python
