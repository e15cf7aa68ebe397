"""Real processes on a real disk, killed at any time: every acknowledgement must be found again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stratalog.eventlog.commit import check_sequence
from stratalog.eventlog.stores.local import LocalLog
from tests.eventlog.crash.killed_writer import SETTINGS
from tests.eventlog.records import make_record

ROOT = Path(__file__).parents[3]


def start(path: Path, process: int, seed: int, said: Path) -> subprocess.Popen[bytes]:
    with said.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.eventlog.crash.killed_writer", str(path), str(process), str(seed)],
            cwd=ROOT,
            stdout=out,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )


def acknowledgements(said: Path) -> dict[int, int]:
    """Commit -> number, from whole lines only: the last one may be cut."""
    text = said.read_text() if said.exists() else ""
    return {int(a): int(b) for a, b in (line.split() for line in text.split("\n")[:-1])}


def one_round(folder: Path, rng: random.Random, round_: int, acknowledged: dict[int, int]) -> int:
    """Start three processes, kill them one after another, and check the log; returns the number of new commits."""
    path = folder / "store"
    said = [folder / f"said-{round_}-{process}" for process in range(3)]
    processes = [start(path, (round_ << 2) + number, rng.randrange(1 << 30), said[number]) for number in range(3)]
    deadline = time.monotonic() + 60
    while not all(acknowledgements(one) for one in said) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(rng.random() * 0.3)
    for process in rng.sample(processes, 3):
        process.send_signal(signal.SIGKILL)
        time.sleep(rng.choice((0.0, 0.02)))
    assert [process.wait() for process in processes] == [-signal.SIGKILL] * 3

    new = 0
    for one in said:
        for commit, number in acknowledgements(one).items():
            assert commit not in acknowledged, f"two acknowledgements for commit {commit}"
            acknowledged[commit] = number
            new += 1
    log = LocalLog(path, settings=SETTINGS)
    before = list(check_sequence(log.read(), commit=0, seq=1))
    with log.exclusive():
        assert log.head() == len(before)
        log.append(len(before), [make_record(len(before), before[-1].end_seq, number=-round_ - 1)])
    log.sync()
    shown = list(check_sequence(log.read(), commit=0, seq=1))
    assert shown[:-1] == before
    numbers = [record.header.writer_seq for record in shown]
    assert len(set(numbers)) == len(numbers)
    assert {commit: numbers[commit] for commit in acknowledged} == acknowledged
    acknowledged[len(before)] = -round_ - 1
    report = log.verify()
    assert report.ok, report.problems
    log.close()
    return new


def rounds(folder: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    acknowledged: dict[int, int] = {}
    new = [one_round(folder, rng, round_, acknowledged) for round_ in range(count)]

    assert all(new)


def test_killed_processes_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    rounds(tmp_path, 2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_thousands_of_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    rounds(tmp_path, 10, seed)
