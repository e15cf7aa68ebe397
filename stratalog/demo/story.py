"""The demo's story: a round of runs, a moment, a few more runs; then the questions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from stratalog.demo.data import DATA_SETS, Parts, divide, load, require_sklearn
from stratalog.demo.models import Scores, evaluate, first_runs, last_runs, train
from stratalog.demo.steps import PROJECT, Recorder, Run
from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from stratalog.store.store import Store

TEST_SHARE = 0.3
FIRST_ACTOR, LAST_ACTOR, JUDGE = "nightly", "ada", "release-bot"
"""Who runs the first runs, who the last, and who promotes models."""


class Progress(Protocol):
    """Who is told how far the story is."""

    def expect(self, run_count: int) -> None:
        """So many runs will follow."""
        ...

    def doing(self, what: str) -> None:
        """This begins now."""
        ...

    def done(self, run: Run, scores: Scores) -> None:
        """A run is over, and recorded."""
        ...


class Round(NamedTuple):
    """What a round left behind: its number, the seq before its last runs, and how much it did."""

    number: int
    moment: int
    run_count: int
    data_set_count: int
    seconds: float


def play(folder: Path, progress: Progress) -> Round:
    """Train one round of models and record every step in the store at `folder`.

    Raises:
        InvalidInputError: scikit-learn is missing, or the folder holds another store than the demo's.
        StorageError: the folder is no store, or cannot be written.
    """
    import stratalog

    begin = time.perf_counter()
    progress.doing("load scikit-learn")
    require_sklearn()
    with stratalog.open(folder, actor=FIRST_ACTOR) as store:
        number = _round_number(store, folder)
        recorder = Recorder(store, folder / "artifacts", number)
        first = [Run(recipe, FIRST_ACTOR) for recipe in first_runs(number)]
        last = [Run(recipe, LAST_ACTOR) for recipe in last_runs(number)]
        progress.expect(len(first) + len(last))
        for data_set in DATA_SETS:
            progress.doing(f"ingest and divide {data_set}")
            recorder.ingest(data_set, load(data_set))
            recorder.divide(data_set, _parts(data_set, number), test_share=TEST_SHARE)
        _play_runs(recorder, first, progress)
        moment = store.head
        _play_runs(recorder, last, progress)
    return Round(number, moment, len(first) + len(last), len(DATA_SETS), time.perf_counter() - begin)


def _round_number(store: Store, folder: Path) -> int:
    """1 + the rounds that the store holds; refuse a store that is not the demo's."""
    if store.head == 0:
        return 1
    try:
        store.get_context(type="Project", name=PROJECT)
    except NotFoundError:
        raise InvalidInputError(
            f"{folder}: the store there is not the demo's: it has no project {PROJECT!r}",
            code=ErrorCode.INVALID_VALUE,
            hint="name another folder: stratalog demo FOLDER",
        ) from None
    rounds = [int(str(e.name).rpartition("-r")[2]) for e in store.get_executions(type="Ingest")]
    return 1 + max(rounds)


def _parts(data_set: str, number: int) -> Parts:
    return divide(load(data_set), test_share=TEST_SHARE, seed=number)


def _play_runs(recorder: Recorder, runs: Sequence[Run], progress: Progress) -> None:
    """Train, score and record each run; then promote the best model of each data set."""
    for run in runs:
        progress.doing(f"train {run.name}")
        parts = _parts(run.recipe.data_set, recorder.number)
        begin = time.perf_counter()
        trained = train(run.recipe, parts, seed=recorder.number)
        ids = recorder.train(run, trained, seconds=time.perf_counter() - begin)
        begin = time.perf_counter()
        scores = evaluate(trained.model, parts)
        recorder.evaluate(run, ids, scores, seconds=time.perf_counter() - begin)
        progress.done(run, scores)
    for data_set in dict.fromkeys(run.recipe.data_set for run in runs):
        recorder.promote_best(data_set, actor=JUDGE)


__all__ = ["Progress", "Round", "play"]
