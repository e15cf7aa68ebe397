from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stratalog.store.opening import open_store
from stratalog.store.upkeep import UpkeepSettings
from tests.commands.desk import START_US, Clock, Desk


@pytest.fixture(params=["memory", "sealed"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A store with a clock in hand: all in memory, or in a folder where `settle` moves everything into Base."""
    clock = Clock(START_US)
    uri = "memory:" if request.param == "memory" else str(tmp_path / "store")
    with open_store(uri, actor="tester", clock=clock, upkeep=UpkeepSettings(seal_at_close=False)) as store:
        yield Desk(store, clock)


@pytest.fixture
def memory() -> Iterator[Desk]:
    """A store in memory, where it does not matter where the state lies."""
    clock = Clock(START_US)
    with open_store("memory:", actor="tester", clock=clock) as store:
        yield Desk(store, clock)
