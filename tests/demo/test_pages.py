"""README and tutorial are true: their code runs, their commands work, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from stratalog.cli.app import app
from tests.demo.pages import PROJECT, blocks, run_python


def test_the_readme_runs_and_its_commands_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_python("README.md")
    assert capsys.readouterr().out.splitlines() == ["[1]", "[]"]

    lines = [line for _, block in blocks("README.md", "sh") for line in block.splitlines()]
    asked = [shlex.split(line)[1:] for line in lines if line.startswith("stratalog ")]

    assert len(asked) >= 5
    monkeypatch.setenv("STRATALOG_URI", "my-store")
    for arguments in asked:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.stderr)


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    variables = run_python("docs/tutorial.md")

    assert variables["moment"]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/reference/cli.md"])
def test_links_lead_to_pages_that_are_there(page: str) -> None:
    source = PROJECT / page
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", source.read_text())

    assert [target for target in targets if not (source.parent / target).exists()] == []
