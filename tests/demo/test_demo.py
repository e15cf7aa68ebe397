"""The demo: it trains, records and answers; twice works; a folder that is something else is refused."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

import stratalog
from stratalog.cli.app import app
from stratalog.cli.demo import command_lines, quote
from stratalog.demo.data import DATA_SETS, load
from stratalog.demo.models import Scores, first_runs, last_runs
from stratalog.demo.steps import Run
from stratalog.demo.story import play
from stratalog.eventlog.errors import ErrorCode, InvalidInputError, StorageError
from stratalog.eventlog.events import Kind
from tests.demo.pages import PROJECT


class Silent:
    """Tells nobody."""

    def expect(self, run_count: int) -> None:
        pass

    def doing(self, what: str) -> None:
        pass

    def done(self, run: Run, scores: Scores) -> None:
        pass


class Played(NamedTuple):
    """The demo after its first round: the folder, and what was printed."""

    folder: Path
    printed: str


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo") / "store"
    result = CliRunner().invoke(app, ["demo", str(folder)])
    assert result.exit_code == 0, result.stderr
    return Played(folder, result.stdout)


def test_it_trains_several_families_on_all_data_sets_with_different_parameters() -> None:
    recipes = first_runs(1) + last_runs(1)

    assert {recipe.data_set for recipe in recipes} == set(DATA_SETS)
    assert len(DATA_SETS) >= 3
    assert len({recipe.family for recipe in recipes}) >= 6
    assert all(first_runs(1)[i].parameters != first_runs(2)[i].parameters for i in range(len(first_runs(1))) if i != 2)


def test_every_step_of_every_run_is_recorded(played: Played) -> None:
    run_count = len(first_runs(1) + last_runs(1))
    with stratalog.open(played.folder, read_only=True) as store:
        counts = {type.name: len(store.get_executions(type=type.name)) for type in store.get_types(Kind.EXECUTION)}
        models = store.get_artifacts(type="Model")
        curves = store.sql("SELECT key, count(*) AS n FROM metrics GROUP BY key ORDER BY key").rows()

        assert counts == {"Ingest": 4, "Divide": 4, "Train": run_count, "Evaluate": run_count}
        assert len(models) == run_count
        for model in models:
            up = store.lineage("artifact", model.id, direction="up").arrow()
            assert up["type"].to_pylist() == ["Model", "Train", "Split", "Divide", "DataSet", "Ingest"]
            assert Path(str(model.uri).removeprefix("file://")).stat().st_size == model.properties["size_bytes"]
            accuracy = model.properties["accuracy"]
            assert isinstance(accuracy, float)
            assert accuracy > 0.8
        assert {row["key"]: row["n"] for row in curves}["loss"] > 50
        assert {context.name for context in store.get_child_contexts(1)} == set(DATA_SETS)


def test_data_are_known_by_their_content(played: Played) -> None:
    with stratalog.open(played.folder, read_only=True) as store:
        wine = store.get_artifact(type="DataSet", name="wine")

    assert wine.external_id == f"sha256:{load('wine').fingerprint}"
    assert load("wine").fingerprint != load("iris").fingerprint


def test_the_last_runs_change_the_leaderboard_and_the_champion(played: Played) -> None:
    found = re.search(r"--as-of (\d+)", played.printed)
    assert found is not None
    with stratalog.open(played.folder, read_only=True) as store:
        now, then = ([m.name for m in at.get_artifacts(type="Model")] for at in (store, store.as_of(int(found[1]))))
        before = store.as_of(int(found[1])).find("artifact", "properties.stage = 'champion'").nodes()
        after = store.find("artifact", "properties.stage = 'champion'").nodes()

    assert len(now) - len(then) == len(last_runs(1))
    assert len(before) == len(after) == len(DATA_SETS)
    assert {m.name for m in before} - {m.name for m in after} == {"digits-logistic-r1"}


def printed_commands(printed: str) -> list[str]:
    """The command lines that the demo printed, put together again."""
    joined = printed.replace(" \\\n", " ")
    return re.findall(r"^ {2}\$ (stratalog .*)$", joined, re.M)


def test_each_command_that_it_prints_can_be_typed(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = printed_commands(played.printed)
    monkeypatch.setenv("STRATALOG_URI", str(played.folder))

    assert len(commands) == 8
    results = [CliRunner().invoke(app, shlex.split(command)[1:]) for command in commands]
    assert [(result.exit_code, result.stderr) for result in results] == [(0, "")] * 8
    lineage, compare, up, now, then, diff, history, verify = (result.stdout for result in results)
    assert [line.split("\t")[3] for line in lineage.splitlines()[1:]] == [
        "wine-logistic-r1", "wine-neighbours-r1", "wine-forest-r1",
    ]  # fmt: skip
    assert len(compare.splitlines()) == 1 + 5
    assert len(up.splitlines()) == 1 + 6
    assert now.splitlines()[1].split("\t")[1] == "digits-svm-r1"
    assert then.splitlines()[1].split("\t")[1] == "digits-logistic-r1"
    assert "digits-svm-r1" in diff
    assert "release-bot" in history
    assert "verdict\tok" in verify


def test_the_lines_can_be_pasted_into_a_shell(played: Played, tmp_path: Path) -> None:
    """The longest of them, as printed: with its quotes and the line breaks behind backslashes."""
    shim = tmp_path / "stratalog"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stratalog "$@"\n')
    shim.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "STRATALOG_URI": str(played.folder),
    }
    found = re.search(r"^ {2}\$ (stratalog compare (?:.*\\\n)+.*)$", played.printed, re.M)
    assert found is not None

    done = subprocess.run(["sh", "-c", found[1]], env=environment, capture_output=True, text=True, timeout=300)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1 + 5


def test_what_it_prints_fits_a_hundred_columns_and_says_where_to_go_on(played: Played) -> None:
    assert max(map(len, played.printed.splitlines())) <= 100
    assert "\x1b" not in played.printed
    assert "verdict" in played.printed
    assert re.search(r"verdict +ok", played.printed)
    assert f"export STRATALOG_URI={played.folder}" in played.printed.replace("\n", "")


def test_a_second_round_goes_into_the_same_store(played: Played) -> None:
    with stratalog.open(played.folder, read_only=True) as store:
        before = [node.id for node in store.get_artifacts(type="DataSet")]
        head = store.head
    result = CliRunner().invoke(app, ["demo", str(played.folder)])

    assert result.exit_code == 0, result.stderr
    assert "round 2" in result.stdout
    with stratalog.open(played.folder, read_only=True) as store:
        assert [node.id for node in store.get_artifacts(type="DataSet")] == before
        assert store.head > head
        assert len(store.get_executions(type="Ingest")) == 8
        assert store.verify().ok


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sea.jpg").write_bytes(b"blue")

    with pytest.raises(StorageError) as error:
        play(tmp_path / "photos", Silent())

    assert error.value.code is ErrorCode.NOT_A_STORE
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["sea.jpg"]


def test_a_store_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    with stratalog.open(tmp_path / "store") as store:
        store.put_type("artifact", "DataSet", {"rows": "int"})
        head = store.head

    with pytest.raises(InvalidInputError, match="not the demo's") as error:
        play(tmp_path / "store", Silent())

    assert error.value.hint is not None
    with stratalog.open(tmp_path / "store", read_only=True) as store:
        assert store.head == head


def test_without_scikit_learn_it_says_what_to_install_and_makes_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from stratalog.cli.app import app\n"
        f"app.main(['demo', {str(tmp_path / 'store')!r}])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT, timeout=60)

    assert done.returncode == 2
    assert done.stderr.startswith("error: the demo trains models with scikit-learn")
    assert "hint: pip install 'stratalog[demo]'" in done.stderr
    assert "code: missing_dependency" in done.stderr
    assert not (tmp_path / "store").exists()


def test_command_lines_are_broken_before_options_and_quoted_for_the_shell() -> None:
    lines = command_lines(("find", "artifacts", "type = 'Model'", "--limit", "5", "--desc"), 40)

    assert lines == ["  $ stratalog find artifacts \"type = 'Model'\" \\", "      --limit 5 --desc"]
    assert [quote(word) for word in ("plain", "a b", "it's", "$x's")] == ["plain", "'a b'", '"it\'s"', "'$x'\"'\"'s'"]
