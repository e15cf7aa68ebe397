"""The interpreter with ml-metadata: found, or made once as `bench/.venv-mlmd`.

`$STRATALOG_BENCH_MLMD_PYTHON` names one that exists. Otherwise a virtual environment is made with Python 3.11 (the last
that ml-metadata 1.17.1 has wheels for) and pip; its protobuf pin is old, so it cannot share ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "ml-metadata==1.17.1"
VARIABLE = "STRATALOG_BENCH_MLMD_PYTHON"
FOLDER = Path(__file__).resolve().parent.parent / ".venv-mlmd"


class NoPeerError(Exception):
    """There is no interpreter with ml-metadata and none could be made; the text says why."""


def peer_python() -> str:
    """The path of an interpreter that can import ml_metadata 1.17.1.

    Raises:
        NoPeerError: there is none and none could be made.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not _works(named):
            raise NoPeerError(f"${VARIABLE} is {named!r}, which cannot import {PACKAGE}")
        return named
    python = FOLDER / "bin" / "python"
    if not (python.exists() and _works(str(python))):
        _make(python)
    return str(python)


def _works(python: str) -> bool:
    code = "import ml_metadata; assert ml_metadata.__version__ == '1.17.1'"
    try:
        return subprocess.run([python, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


def _make(python: Path) -> None:
    base = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if base is None:
        raise NoPeerError(f"no python3.11 for {PACKAGE}; install it, or set ${VARIABLE}")
    print(f"making {FOLDER} with {PACKAGE}, once", file=sys.stderr)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for command in (
        [base, "-m", "venv", str(FOLDER)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NoPeerError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    if not _works(str(python)):
        raise NoPeerError(f"{python} was made, but cannot import {PACKAGE}")


if __name__ == "__main__":
    print(peer_python())
