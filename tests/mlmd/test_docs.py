"""docs/mlmd.md is true: its blocks run, and the files that it shows are taken."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import stratalog
from stratalog.cli.serve import serve
from stratalog.mlmd.auth import load_tokens
from tests.mlmd.world import PROJECT, write_tokens

PAGE = (PROJECT / "docs" / "mlmd.md").read_text()


def test_the_block_for_the_process_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

    exec(compile(block, "docs/mlmd.md", "exec"), {})

    with stratalog.open("my-store", read_only=True, create=False) as store:
        assert store.get_artifact(1).uri == "path/to/data"


def test_every_command_line_is_taken() -> None:
    lines = re.findall(r"^(?:    )?(stratalog serve .*?)(?:  +#.*)?$", PAGE, re.MULTILINE)

    assert len(lines) == 4
    for line in lines:
        result = CliRunner().invoke(serve, [*shlex.split(line)[2:], "--help"])
        assert result.exit_code == 0, line
        with serve.make_context("serve", shlex.split(line)[2:]):
            pass


def test_the_file_of_tokens_is_one(tmp_path: Path) -> None:
    [block] = re.findall(r"((?:    # role.*\n)(?:    .*\n)+)", PAGE)

    assert len(load_tokens(write_tokens(tmp_path, block))) == 2


def test_every_option_of_the_command_stands_in_the_docs() -> None:
    reference = (PROJECT / "docs" / "reference" / "cli.md").read_text()
    options = [name for parameter in serve.params for name in parameter.opts if name.startswith("--")]

    assert "--tokens" in options
    assert [name for name in options if name not in PAGE and name not in reference] == []
