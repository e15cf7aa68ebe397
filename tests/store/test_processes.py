"""One folder, several processes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stratalog.eventlog.events import Artifact
from stratalog.store.opening import open_store
from stratalog.store.store import Store
from tests.store.processes import answers, lines, open_here, start


def test_four_processes_record_into_one_context_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with open_here(path) as store:
        processes = [start("record_steps", path, number, 12) for number in range(4)]
        for process in processes:
            assert process.stdout is not None
            assert answers(process.stdout) == ["ready"]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        steps = [step for process in processes for step in lines(process)]

        assert len(steps) == 48
        executions = {step[0]: step[3] for step in steps if isinstance(step, list)}
        assert sorted(executions) == list(range(1, 49))
        assert {node.id: node.name for node in store.get_executions()} == executions
        assert [context.name for context in store.get_contexts()] == ["one"]
        assert len(store.get_artifacts(context=1)) == 48
        assert store.verify().ok
        digests = store.digests()
        assert store.rebuild() == digests
    shutil.rmtree(path / "views")
    with open_store(path) as again:
        assert again.digests() == digests


class Writer:
    """Another process that writes on demand."""

    def __init__(self, path: Path) -> None:
        self.process = start("write_on_demand", path)
        assert self.hear() == ["ready"]

    def hear(self) -> object:
        assert self.process.stdout is not None
        return answers(self.process.stdout)

    def ask(self, word: str, value: str = "-") -> object:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word} {value}\n")
        self.process.stdin.flush()
        heard = self.hear()
        assert isinstance(heard, list)
        return heard[0]


@contextmanager
def writer(path: Path) -> Iterator[Writer]:
    found = Writer(path)
    yield found
    lines(found.process)


def test_what_another_process_acknowledged_is_seen_at_once(tmp_path: Path) -> None:
    with open_here(tmp_path / "s") as store, writer(tmp_path / "s") as other:
        for i in range(30):
            id = other.ask("put", f"theirs-{i}")
            assert isinstance(id, int)
            assert store.get_artifact(type="T", name=f"theirs-{i}").id == id
            assert store.find("artifact", f"name = 'theirs-{i}'").ids() == [id]
            if i % 3 == 0:
                other.ask("seal")
                assert len(store.get_artifacts()) == len(store.find("artifact")) == id
            own = store.put_artifacts([Artifact(type_id=10, name=f"ours-{i}")]).id
            assert own == id + 1
        assert store.verify().ok


def test_a_reader_goes_on_while_another_process_rebuilds(tmp_path: Path) -> None:
    with open_here(tmp_path / "s") as store, writer(tmp_path / "s") as other:
        for i in range(12):
            other.ask("put", str(i))
            if i % 4 == 3:
                state = other.ask("rebuild")
                assert len(store.get_artifacts()) == i + 1
                assert store.digests()["state"] == state
                store.seal()
                assert store.last_upkeep_error is None
                assert store._state.recent_event_count == 0
        assert [node.name for node in store.get_artifacts()] == [str(i) for i in range(12)]


# ---- Ctrl-C


def fire(path: Path, times: int) -> None:
    process = start("put_under_fire", path)
    assert process.stdout is not None
    assert answers(process.stdout) == ["ready"]
    rng = random.Random(1)
    for _ in range(times):
        time.sleep(rng.uniform(0.002, 0.02))
        process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    (said,) = lines(process)

    assert isinstance(said, list)
    struck, acknowledged, names = said
    assert struck > times / 4
    assert len(names) == len(set(names))
    assert [name for name in names if name in set(acknowledged)] == acknowledged
    with open_store(path) as store:
        assert [node.name for node in store.get_artifacts()] == names
        assert store.verify().ok


def test_a_writer_goes_on_after_every_interruption(tmp_path: Path) -> None:
    fire(tmp_path / "s", 60)


@pytest.mark.slow
def test_a_writer_goes_on_after_thousands_of_interruptions(tmp_path: Path) -> None:
    fire(tmp_path / "s", 3000)


# ---- forks


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a forked child, and fail if it fails there."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("has_asked", [False, True], ids=["cold", "warm"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_store_works_in_a_forked_child_and_in_the_parent(tmp_path: Path, has_asked: bool) -> None:
    with open_here(tmp_path / "s") as store:
        type_id = store.put_type("artifact", "T")
        store.put_artifacts([Artifact(type_id=type_id, name="before")])
        store.seal()
        if has_asked:
            store.find("artifact").ids()

        def work() -> None:
            assert store.get_artifact(1).name == "before"
            assert store.put_artifacts([Artifact(type_id=type_id, name="child")]).id == 2
            assert store.find("artifact", "name = 'child'").ids() == [2]
            store.seal()
            store.close()

        in_child(work)

        assert store.get_artifact(2).name == "child"
        assert store.put_artifacts([Artifact(type_id=type_id, name="parent")]).id == 3
        in_child(lambda: check_names(store, ["before", "child", "parent"]))
        assert store.find("artifact").ids() == [1, 2, 3]
        assert store.verify().ok


def check_names(store: Store, names: list[str]) -> None:
    assert [node.name for node in store.get_artifacts()] == names


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_store_in_memory_is_copied_by_a_fork(tmp_path: Path) -> None:
    with open_store("memory:") as store:
        store.put_type("artifact", "T")

        def work() -> None:
            store.put_type("artifact", "U")
            assert len(store.get_types()) == 2

        in_child(work)

        assert len(store.get_types()) == 1
