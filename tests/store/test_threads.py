"""One store, many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratalog.commands.executions import Pair, StepOptions
from stratalog.eventlog.errors import ConflictError, ErrorCode, StoreError
from stratalog.eventlog.events import Artifact, Context, Execution, Link
from stratalog.eventlog.settings import LogSettings
from stratalog.store.opening import open_store
from stratalog.store.upkeep import UpkeepSettings

LOG = LogSettings(rotate_events=60, grow_bytes=4096, merge_count=2, grace_s=0)
UPKEEP = UpkeepSettings(seal_events=80, wait_events=400)


def run_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` with 0, 1, ... in so many threads at once, and raise the first error."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def guarded(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_each_thread_sees_its_own_writes_and_all_ids_differ(place: str, tmp_path: Path) -> None:
    uri: Any = "memory:" if place == "memory" else tmp_path / "s"
    ids: list[int] = []
    with open_store(uri, log_settings=LOG, upkeep=UPKEEP) as store:
        type_id = store.put_type("artifact", "T", {"i": "int"})

        def work(number: int) -> None:
            for i in range(25):
                name = f"{number}-{i}"
                id = store.put_artifacts([Artifact(type_id=type_id, name=name, uri=str(number))]).id
                ids.append(id)
                assert store.get_artifact(id).name == name
                assert store.get_artifact(type="T", name=name).id == id
                store.put_artifacts([Artifact(id=id, properties={"i": i}, uri=str(number))])
                assert store.get_artifact(id).properties == {"i": i}
                assert len(store.get_artifacts(uri=str(number))) == i + 1

        run_threads(8, work)

        assert sorted(ids) == list(range(1, 201))
        assert len(store.get_artifacts()) == 200
        assert store.last_upkeep_error is None
        digests = store.digests()
        assert store.rebuild() == digests
        assert store.verify().ok
    with open_store(uri, create=True) as again:
        assert again.digests() == digests or place == "memory"


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_sixteen_that_publish_into_one_new_context_get_one_context(place: str, tmp_path: Path) -> None:
    uri: Any = "memory:" if place == "memory" else tmp_path / "s"
    with open_store(uri) as store:
        artifact_type = store.put_type("artifact", "A")
        execution_type = store.put_type("execution", "E")
        context_type = store.put_type("context", "C")
        answers: list[list[int]] = []

        def work(number: int) -> None:
            step = store.put_execution(
                Execution(type_id=execution_type, name=str(number)),
                [Pair(artifact=Artifact(type_id=artifact_type, name=str(number)), link=Link(type=4))],
                [Context(type_id=context_type, name="one"), Context(type_id=context_type, name="two")],
                options=StepOptions(reuse_context=True),
            )
            answers.append(step.context_ids)

        run_threads(16, work)

        assert answers == [answers[0]] * 16
        assert [context.name for context in store.get_contexts()] == ["one", "two"]
        assert len(store.get_executions(context=answers[0][0])) == 16


def test_of_many_that_want_one_name_one_gets_it(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        type_id = store.put_type("artifact", "T")
        outcomes: list[object] = []

        def work(_: int) -> None:
            try:
                outcomes.append(store.put_artifacts([Artifact(type_id=type_id, name="n")]).id)
            except StoreError as error:
                outcomes.append(error.code)

        run_threads(8, work)

        assert sorted(map(str, outcomes)) == sorted(["1"] + [str(ErrorCode.ALREADY_EXISTS)] * 7)


def test_of_many_that_repeat_one_request_one_writes(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        type_id = store.put_type("artifact", "T")
        answers: list[list[int]] = []

        def work(_: int) -> None:
            answers.append(store.put_artifacts([Artifact(type_id=type_id)] * 3, request_id="r").ids)

        run_threads(8, work)

        assert answers == [[1, 2, 3]] * 8
        assert len(store.get_artifacts()) == 3


def test_optimistic_concurrency_lets_no_count_get_lost(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", clock=lambda: 1_000_000) as store:
        type_id = store.put_type("artifact", "T", {"i": "int"})
        id = store.put_artifacts([Artifact(type_id=type_id, properties={"i": 0})]).id

        def add_one() -> bool:
            read = store.get_artifact(id)
            count = read.properties["i"]
            assert isinstance(count, int)
            request = Artifact(id=id, properties={"i": count + 1}, update_time_ms=read.update_time_ms)
            try:
                store.put_artifacts([request], must_match_update_time=True)
            except ConflictError:
                return False
            return True

        def work(_: int) -> None:
            done = 0
            while done < 10:
                done += add_one()

        run_threads(6, work)

        assert store.get_artifact(id).properties == {"i": 60}


def test_reads_of_the_past_stay_as_they_are_while_others_write_and_seal(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", log_settings=LOG, upkeep=UPKEEP) as store:
        type_id = store.put_type("artifact", "T", {"i": "int"})
        store.put_artifacts([Artifact(type_id=type_id, name=str(i), properties={"i": i}) for i in range(20)])
        moment = store.as_of("now")
        ids = moment.find("artifact", "properties.i.int_value >= 10").ids()
        stop = threading.Event()

        def write(number: int) -> None:
            for i in range(40):
                store.put_artifacts([Artifact(id=1 + (i + number) % 20, properties={"i": -i})])
            if number == 0:
                stop.set()

        def read(_: int) -> None:
            while not stop.is_set():
                assert moment.find("artifact", "properties.i.int_value >= 10").ids() == ids == list(range(11, 21))
                assert moment.get_artifact(15).properties == {"i": 14}

        def work(number: int) -> None:
            (write if number < 3 else read)(number)

        run_threads(5, work)

        assert moment.get_artifact(1).properties == {"i": 0}


def test_a_closed_store_says_so_and_closing_waits_for_upkeep(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s", upkeep=UpkeepSettings(seal_events=5, wait_events=1000))
    for i in range(10):
        store.put_type("artifact", f"T{i}")
    moment = store.as_of(3)
    store.close()
    store.close()

    calls: list[Callable[[], object]] = [
        lambda: store.head,
        lambda: store.get_types(),
        lambda: store.put_type("artifact", "X"),
        lambda: store.as_of(1),
        lambda: moment.get_types(),
        store.digests,
        store.seal,
        store.verify,
        store.rebuild,
    ]
    for call in calls:
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.code == ErrorCode.STORE_CLOSED
        assert "open it again" in (caught.value.hint or "")
    assert repr(store).endswith("(closed)>")
    assert not (tmp_path / "s" / "views" / "base.sqlite-wal").exists()
