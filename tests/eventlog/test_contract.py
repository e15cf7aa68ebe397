"""The contract of a log, over every place that keeps one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.stores.local import LocalLog
from stratalog.eventlog.stores.memory import MemoryLog
from stratalog.testing.log_contract import LogContract

SMALL = LogSettings(
    grow_bytes=512, rotate_bytes=2000, rotate_events=5, direct_segment_bytes=50_000, probe_bytes=33, row_group_rows=1000
)


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log(self) -> MemoryLog:
        return MemoryLog()


class TestLocalLog(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LocalLog]:
        log = LocalLog(tmp_path / "store")
        yield log
        log.close()


class TestLocalLogWithSmallSizes(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LocalLog]:
        log = LocalLog(tmp_path / "store", settings=SMALL)
        yield log
        log.close()


class TestLocalLogInGroups(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LocalLog]:
        log = LocalLog(tmp_path / "store", durability="group", group_ms=5)
        yield log
        log.close()


class SealedLog(LocalLog):
    """A log that is sealed after each sync, so that reading always meets segments."""

    def sync(self) -> None:
        super().sync()
        if not self._is_mine():
            self.seal()
            self.merge()
            self.sweep()


class TestLocalLogThatIsSealedAllTheTime(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[SealedLog]:
        log = SealedLog(tmp_path / "store", settings=LogSettings(merge_count=3, grace_s=0.05))
        yield log
        log.close()
