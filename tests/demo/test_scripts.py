"""bin/demo and bin/test: what they need, what they say, what they skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.pages import PROJECT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the scripts need of the project, in a folder with a space in its name."""
    copy = tmp_path / "a project"
    shutil.copytree(PROJECT / "bin", copy / "bin")
    shutil.copy(PROJECT / "pyproject.toml", copy)
    return copy


def bare_path(folder: Path, *programs: str) -> str:
    """A folder that holds nothing but some programs."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    return str(folder)


def start(script: Path, path: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(cwd)}
    return subprocess.run(
        [shutil.which("bash") or "bash", str(script)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_scripts_can_be_run_and_are_sound_shell(name: str) -> None:
    script = PROJECT / "bin" / name

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    for path in (script, PROJECT / "bin" / "setup.sh"):
        subprocess.run(["bash", "-n", str(path)], check=True)


def test_without_a_new_python_they_say_what_is_missing(project: Path, tmp_path: Path) -> None:
    path = bare_path(tmp_path / "programs", "dirname", "cat", "cksum")
    old = tmp_path / "programs" / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    done = start(project / "bin" / "demo", path, tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("error: no Python 3.11 or newer was found")
    assert "PYTHON=" in done.stderr
    assert not (project / ".venv").exists()


def test_a_second_run_installs_nothing_until_the_project_changes(project: Path, tmp_path: Path) -> None:
    """With an environment that is there: its pip is a program that writes down how it was called."""
    venv = project / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text(
        "#!/bin/sh\n"
        f'if [ "$2" = pip ]; then echo "$@" >> "{tmp_path}/installs"; exit 0; fi\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    (venv / "stratalog").write_text('#!/bin/sh\necho "stratalog $*"\n')
    for program in ("python", "stratalog"):
        (venv / program).chmod(0o755)
    path = bare_path(tmp_path / "programs", "dirname", "cat", "cksum")

    def installs() -> list[str]:
        start_demo = start(project / "bin" / "demo", path, tmp_path)
        assert start_demo.returncode == 0, start_demo.stderr
        assert start_demo.stdout == "stratalog demo\n"
        return (tmp_path / "installs").read_text().splitlines()

    assert len(installs()) == 1
    assert installs() == installs()
    assert len(installs()) == 1
    (project / "constraints.txt").write_text("rich==14.0\n")
    changed = installs()
    assert len(changed) == 2
    assert f"-c {project}/constraints.txt" in changed[1]
    assert changed[1].endswith(f"--editable {project}[demo]")


@pytest.mark.slow
def test_a_fresh_clone_runs_the_demo(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(
        PROJECT, clone, ignore=shutil.ignore_patterns(".venv", ".git", "*_cache", ".hypothesis"), symlinks=True
    )

    done = subprocess.run(
        [str(clone / "bin" / "demo"), "out"], cwd=tmp_path, capture_output=True, text=True, timeout=900
    )

    assert done.returncode == 0, done.stderr
    assert "verdict" in done.stdout
    assert (tmp_path / "out" / "FORMAT").exists()
