"""Stores that several scripts need: built once for each size, kept in a folder under the system's temporary one."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import Options
from bench.remote import Remote

FOLDER = Path(tempfile.gettempdir()) / "stratalog-bench"


class Ours:
    """Builds our stores."""

    def build(self, what: str, path: str, rows: int) -> None:
        """Build one."""
        from bench.filling import BUILDERS

        BUILDERS[what](path, rows)


class Peer:
    """Builds ml-metadata's files."""

    def build(self, what: str, path: str, rows: int) -> None:
        """Build one."""
        from bench.peer import mlmd

        mlmd.BUILDERS[what](path, rows)


def store(what: str, rows: int, chosen: Options) -> str:
    """The path of our store with so many rows of a kind of data."""
    return _kept("Ours", what, rows, chosen, None)


def peer_file(what: str, rows: int, chosen: Options) -> str | None:
    """The path of ml-metadata's file with the same, None without a peer."""
    if chosen.peer is None:
        return None
    return _kept("Peer", what, rows, chosen, chosen.peer)


def scratch(name: str) -> str:
    """A new path that does not exist yet, for a store of one measurement; `remove` it afterwards."""
    FOLDER.mkdir(exist_ok=True)
    return f"{tempfile.mkdtemp(prefix=name + '-', dir=FOLDER)}/store"


def remove(path: str) -> None:
    """Remove what `scratch` gave."""
    shutil.rmtree(Path(path).parent, ignore_errors=True)


_built: set[Path] = set()


def _kept(side: str, what: str, rows: int, chosen: Options, python: str | None) -> str:
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{side.lower()}-{what}-{rows}-{_mark(side)}"
    if chosen.fresh and path not in _built:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    _built.add(path)
    if not path.exists():
        start = time.perf_counter()
        temporary = FOLDER / f"{path.name}.{os.getpid()}.tmp"
        with Remote(f"bench.kept:{side}", python=python) as builder:
            builder.call("build", what=what, path=str(temporary), rows=rows)
        temporary.rename(path)
        print(f"  built {path.name} in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return str(path)


def _mark(side: str) -> str:
    """Changes with the data and with how a side is filled."""
    digest = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for name in ("data.py", "filling.py" if side == "Ours" else "peer/mlmd.py"):
        digest.update((here / name).read_bytes())
    return digest.hexdigest()[:10]
