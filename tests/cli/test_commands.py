"""What each command answers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import stratalog
from tests.cli.small_store import ODD_NAME, Run, SmallStore, Spawn


def table(result: Result) -> list[dict[str, str]]:
    """The rows of a command's plain output."""
    assert result.exit_code == 0, result.stderr
    head, *rows = (line.split("\t") for line in result.stdout.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


# ---- ls, find, show


def test_ls_takes_kinds_in_singular_and_plural_and_narrows_by_type_and_context(run: Run) -> None:
    assert [row["id"] for row in table(run("ls", "execution"))] == ["1", "2", "3"]
    assert [row["name"] for row in table(run("ls", "contexts"))] == ["reds"]
    assert [row["id"] for row in table(run("ls", "artifacts", "--type", "Model", "-r"))] == ["4", "3", "2"]
    assert [row["id"] for row in table(run("ls", "artifacts", "--context", "Experiment:reds", "-n", 2))] == ["1", "2"]
    assert table(run("ls", "artifacts", "--limit", 1, "--type", "DataSet"))[0]["properties"] == "rows=178"


def test_ls_reads_page_by_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratalog.cli.nodes.PAGE_ROWS", 2)

    assert [row["id"] for row in table(run("ls", "artifacts"))] == ["1", "2", "3", "4"]
    assert [row["id"] for row in table(run("ls", "artifacts", "--limit", 3))] == ["1", "2", "3"]


def test_ls_types_has_versions_and_declared_properties(run: Run) -> None:
    rows = table(run("ls", "types"))

    assert [(row["name"], row["version"]) for row in rows if row["name"] == "Model"] == [("Model", ""), ("Model", "2")]
    assert rows[0]["properties"] == "rows:int"
    assert objects(run("ls", "types", "--json", "--type", "DataSet"))[0]["properties"] == {"rows": "int"}


def test_ls_as_of_a_moment(run: Run, small: SmallStore) -> None:
    [now] = objects(run("find", "artifacts", "name = 'first'", "--json"))
    [then] = objects(run("find", "artifacts", "name = 'first'", "--json", "--as-of", small.moment))

    assert (then["properties"]["stage"], now["properties"]["stage"]) == ("candidate", "champion")
    assert "card" not in then["properties"]
    assert table(run("ls", "artifacts", "--as-of", 0)) == []


def test_find_filters_orders_and_picks_columns(run: Run) -> None:
    found = run(
        *("find", "artifacts", "properties.accuracy > 0.915", "--order-by", "properties.accuracy", "--desc"),
        *("--columns", "properties.accuracy,name"),
    )

    assert [list(row) for row in table(found)] == [["id", "properties.accuracy", "name"]] * 2
    assert [(row["id"], row["properties.accuracy"]) for row in table(found)] == [("4", "0.93"), ("3", "0.92")]


def test_find_knows_metrics_of_executions(run: Run) -> None:
    rows = table(run("find", "executions", "metrics.loss < 0.2", "-c", "metrics.loss"))

    assert [(row["id"], row["metrics.loss"]) for row in rows] == [("2", "0.125"), ("3", str(0.25 / 3))]


@pytest.mark.parametrize(
    "words", [("artifact", "2"), ("artifact/2",), ("artifacts", "Model:first"), ("artifact/Model:first",)]
)
def test_show_takes_every_way_to_name_a_node(run: Run, words: tuple[str, ...]) -> None:
    assert document(run("show", *words, "--json"))["id"] == 2


def test_show_tells_all_that_touches_an_artifact(run: Run, small: SmallStore) -> None:
    page = document(run("show", "artifact", 2, "--json"))

    assert (page["type"], page["name"], page["state"]) == ("Model", "first", "LIVE")
    assert page["contexts"] == [{"id": 1, "type": "Experiment", "name": "reds"}]
    [link] = page["links"]
    assert (link["link"], link["kind"], link["id"], link["path"]) == ("output", "execution", 1, "models[1]")
    assert (page["made"]["actor"], page["made"]["reason"]) == ("ada", "try 1")
    assert (page["changed"]["actor"], page["changed"]["reason"]) == ("judge", "the best so far")
    assert document(run("show", "artifact", 2, "--json", "--as-of", small.moment))["changed"] is None


def test_show_has_the_metrics_of_an_execution_and_reads_before_it_makes(run: Run) -> None:
    page = document(run("show", "execution", 2, "--json"))

    assert [link["link"] for link in page["links"]] == ["input", "output"]
    [loss] = page["metrics"]
    assert (loss["points"], loss["first"], loss["last"], loss["min"], loss["last_step"]) == (3, 0.5, 0.125, 0.125, 2)


def test_show_in_a_pipe_is_pairs_of_field_and_value(run: Run) -> None:
    pairs = {row["field"]: row["value"] for row in table(run("show", "artifact", 2))}

    assert pairs["properties.stage"] == "champion"
    assert pairs["contexts.1.name"] == "reds"
    assert pairs["changed.actor"] == "judge"


def test_show_a_context_and_a_type(run: Run) -> None:
    assert document(run("show", "context", "Experiment:reds", "--json"))["name"] == "reds"
    model = document(run("show", "type", "artifact:Model", "--json"))
    assert (model["properties"]["accuracy"], model["count"]) == ("double", 3)
    assert document(run("show", "type", model["id"], "--json")) == model


# ---- log


def test_log_lists_commits_newest_first_and_narrows_them(run: Run, small: SmallStore) -> None:
    rows = table(run("log"))

    assert [int(row["commit"]) for row in rows] == sorted((int(row["commit"]) for row in rows), reverse=True)
    assert (rows[0]["actor"], rows[0]["reason"]) == ("judge", "the best so far")
    assert table(run("log", "--limit", 1)) == rows[:1]
    assert table(run("log", "--actor", "judge")) == rows[:1]
    assert table(run("log", "--since", small.moment)) == rows[:1]
    assert table(run("log", "--as-of", small.moment)) == rows[1:]


def test_log_of_one_entity(run: Run, small: SmallStore) -> None:
    reasons = [row["reason"] for row in table(run("log", "--entity", "artifact/2"))]

    assert reasons == ["the best so far", "try 1"]
    assert [row["reason"] for row in table(run("log", "--entity", "artifact/2", "--as-of", small.moment))] == ["try 1"]
    assert [row["reason"] for row in table(run("log", "--entity", "artifact/Model:first", "-n", 1))] == reasons[:1]
    assert table(run("log", "--entity", "artifact/2", "--actor", "nobody")) == []


# ---- compare, lineage, history, diff


def test_compare_only_different(run: Run) -> None:
    rows = table(run("compare", "executions", 3, 1, "--only-different"))

    assert [row["id"] for row in rows] == ["3", "1"]
    assert {"learning_rate", "loss"} <= set(rows[0])
    assert not {"depth", "state", "type"} & set(rows[0])


def test_compare_by_filter_with_columns(run: Run) -> None:
    rows = objects(
        run("compare", "executions", "--where", "properties.learning_rate < 0.06", "-c", "learning_rate", "--json")
    )

    assert [(row["id"], row["learning_rate"]) for row in rows] == [(2, 0.05), (3, 0.1 / 3)]


def test_lineage_up_and_down(run: Run) -> None:
    up = table(run("lineage", "artifact", "Model:first", "--direction", "up"))
    down = document(run("lineage", "artifact", "DataSet:wine", "--direction", "down", "--types", "Model", "--json"))

    assert [(row["kind"], row["id"], row["hops"]) for row in up] == [
        ("artifact", "2", "0"), ("execution", "1", "1"), ("artifact", "1", "2"),
    ]  # fmt: skip
    assert [node["id"] for node in down["nodes"]] == [2, 3, 4]
    assert len(down["links"]) == 6
    assert len(table(run("lineage", "artifact", 1, "--hops", 1))) == 4


def test_history_has_before_after_and_reason(run: Run) -> None:
    rows = objects(run("history", "artifact", 2, "--property", "stage", "--json"))

    assert [(row["before"], row["after"], row["actor"], row["reason"]) for row in rows] == [
        (None, "candidate", "ada", "try 1"),
        ("candidate", "champion", "judge", "the best so far"),
    ]


def test_diff_of_two_moments(run: Run, small: SmallStore) -> None:
    found = document(run("diff", small.moment, "--json"))

    assert [(row["kind"], row["id"], row["change"]) for row in found["entities"]] == [("artifact", 2, "changed")]
    assert ("properties.stage", "candidate", "champion") in [
        (f["field"], f["before"], f["after"]) for f in found["fields"]
    ]
    rows = table(run("diff", 0, small.moment))
    assert {row["change"] for row in rows} == {"added", "linked"}
    assert len([row for row in rows if row["change"] == "added"]) == 4 + 3 + 1


# ---- sql


def test_sql_takes_text_stdin_and_files_with_parameters(run: Run, tmp_path: Path) -> None:
    text = "SELECT id FROM artifacts WHERE name = $name AND id > $least"
    (tmp_path / "query.sql").write_text(text)
    values = ("-p", "name=first", "-p", "least=1")

    for result in (
        run("sql", text, *values),
        run("sql", *values, input=text),
        run("sql", "-", *values, input=text),
        run("sql", "-f", tmp_path / "query.sql", *values),
    ):
        assert table(result) == [{"id": "2"}]
    assert run("sql", text, "-f", tmp_path / "query.sql").exit_code == 2
    assert table(run("sql", "SELECT $x AS x", "-p", 'x="12"')) == [{"x": "12"}]


def test_sql_as_of_a_moment(run: Run, small: SmallStore) -> None:
    text = "SELECT string_value FROM properties WHERE name = 'stage' AND id = 2"

    assert [table(run("sql", text, "--as-of", when))[0]["string_value"] for when in (small.moment, "now")] == [
        "candidate", "champion",
    ]  # fmt: skip


# ---- upkeep


def test_init_makes_a_store_once(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path / "new").stdout.startswith("made an empty store")
    with stratalog.open(tmp_path / "new") as store:
        store.put_type("artifact", "DataSet")

    again = document(run("init", tmp_path / "new", "--json"))

    assert (again["made"], again["head"]) == (False, 1)


def test_verify_and_stats_have_the_figures(run: Run) -> None:
    report = document(run("verify", "--json"))
    figures = document(run("stats", "--json"))

    assert report["ok"] is True
    assert report["events"] == figures["head"] == sum(report["kinds"].values())
    assert (figures["artifacts"], figures["executions"], figures["contexts"], figures["links"]) == (4, 3, 1, 6)
    assert {row["what"]: row["found"] for row in table(run("verify"))}["verdict"] == "ok"
    assert {row["what"]: row["figure"] for row in table(run("stats"))}["metric_points"] == "9"


def test_rebuild_and_seal_change_no_answer(run: Run, small: SmallStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.path, copy)
    before = run("ls", "artifacts", store=copy).stdout

    rebuilt = document(run("rebuild", "--json", store=copy))
    sealed = document(run("seal", "--json", store=copy))

    assert rebuilt["equal"] is True
    assert rebuilt["digests"] == rebuilt["digests_before"]
    assert sealed["head"]["before"] == sealed["head"]["after"]
    assert run("ls", "artifacts", store=copy).stdout == before


def test_reading_commands_touch_nothing_in_the_folder(run: Run, small: SmallStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.path, copy)

    def listing() -> dict[str, tuple[int, int]]:
        return {str(p.relative_to(copy)): (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(copy.rglob("*"))}

    before = listing()
    for arguments in (
        ("ls", "artifacts"), ("show", "artifact", 1), ("find", "executions"), ("log",), ("compare", "executions"),
        ("lineage", "artifact", 1), ("history", "artifact", 2), ("diff", 0), ("sql", "SELECT 1"), ("stats",),
        ("verify",), ("init", copy),
    ):  # fmt: skip
        assert run(*arguments, store=copy).exit_code == 0, arguments

    assert listing() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop its rights")
def test_a_folder_that_may_only_be_read_is_enough(small: SmallStore, tmp_path: Path, run: Run) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.path, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in (copy, *copy.parents):
        if path != Path("/tmp") and path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o555)
    os.seteuid(65534)
    try:
        assert len(table(run("ls", "artifacts", store=copy))) == 4
        assert document(run("verify", "--json", store=copy))["ok"] is True
    finally:
        os.seteuid(0)


# ---- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str) -> None:
    assert "_STRATALOG_COMPLETE" in run("completion", shell).stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("stratalog li", {"lineage"}),
        ("stratalog ls ", {"artifacts", "executions", "contexts", "types"}),
        ("stratalog ls artifacts --type Mo", {"Model"}),
        ("stratalog lineage artifact 1 --types ", {"DataSet", "Model", "Train", "Experiment"}),
    ],
)
def test_completion_knows_commands_kinds_and_the_types_of_the_store(
    spawn: Spawn, words: str, expected: set[str]
) -> None:
    count = len(words.split()) - (0 if words.endswith(" ") else 1)

    done = spawn(env={"_STRATALOG_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)})

    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


def test_completion_without_a_store_is_silent(spawn: Spawn, tmp_path: Path) -> None:
    done = spawn(
        env={
            "_STRATALOG_COMPLETE": "bash_complete",
            "COMP_WORDS": "stratalog ls artifacts --type ",
            "COMP_CWORD": "4",
            "STRATALOG_URI": str(tmp_path / "nothing"),
        }
    )

    assert (done.exit_code, done.stdout.strip(), done.stderr) == (0, "", "")


def test_an_odd_name_survives_the_way_through_json(run: Run) -> None:
    assert objects(run("ls", "artifacts", "--json"))[-1]["name"] == ODD_NAME
