"""What is installed: the public names, the wheel, the source distribution, and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import stratalog

ROOT = Path(__file__).parents[2]
PUBLIC_NAMES = """
    AlreadyExistsError Artifact ArtifactState Association Attribution ConflictError Context CorruptLogError Edge
    ErrorCode Execution ExecutionState InternalError InvalidInputError Kind Link LinkType MetricPoints Moment
    NotFoundError Pair ParentContext Piece PropertyType Proto Put Step StepOptions StopAt StorageError Store
    StoreError Type __version__ open
"""


def test_the_public_names_are_those_that_were_promised() -> None:
    assert sorted(stratalog.__all__) == sorted(PUBLIC_NAMES.split())
    assert all(getattr(stratalog, name) is not None for name in stratalog.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, stratalog; print([m for m in ('pyarrow', 'duckdb', 'numpy', 'rich') if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_nobody_imports_through_the_links_at_the_root() -> None:
    doors = {"eventlog", "projections", "query"}
    assert all((ROOT / door).is_symlink() and (ROOT / door / "__init__.py").exists() for door in doors)
    files = [file for folder in ("stratalog", "tests", "bench") for file in (ROOT / folder).rglob("*.py")]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)]
    assert len(files) > 100

    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert not {name.split(".")[0] for name in names} & doors, file


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="the package build is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")

    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"stratalog"}
    sources = {str(file.relative_to(ROOT)) for file in (ROOT / "stratalog").rglob("*.py")}
    assert sources <= set(names)
    assert "stratalog/py.typed" in names


def test_the_source_distribution_holds_every_layer_once(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")

    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}

    assert {"stratalog/eventlog/journal.py", "stratalog/projections/state.py", "stratalog/query/find.py"} <= names
    assert not any(name.startswith(("eventlog/", "projections/", "query/")) for name in names)


def test_an_installed_wheel_imports_everything_from_an_empty_folder(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    target, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import importlib, pkgutil, stratalog\n"
        f"assert stratalog.__file__.startswith({str(target)!r}), stratalog.__file__\n"
        "for module in pkgutil.walk_packages(stratalog.__path__, 'stratalog.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
