"""What the tables load, and when: a process that only writes must not pay for DuckDB, nobody for pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
import stratalog.projections.tables

def loaded(*names):
    return sorted(name for name in names if name in sys.modules)

assert loaded("duckdb", "pyarrow", "numpy", "pandas") == [], "on import"

from pathlib import Path
from tests.projections.table_model import Artifact, History, MetricPoints, Tables

assert loaded("pandas") == []
history = History()
tables = Tables(history.log, Path(sys.argv[1]))
history.followers.append(tables)
for number in range(3):
    history.commit([Artifact(id=1, name="n", properties={"a": number, "b": {"k": None}, "c": "\\u00e9"})])
    history.commit([MetricPoints(execution_id=1, key="k", steps=[1], times_us=[1], values=[0.5])])
tables.seal()
assert loaded("duckdb", "pandas") == [], "after seal"

from stratalog.query.snapshot import Snapshot

snapshot = Snapshot(tables, tables.refresh())
snapshot.query(f"FROM {snapshot.table('prop')}")
snapshot.sql("SELECT * FROM artifacts WHERE id = ?", [1])
tables.merge(force=True)
tables.digests(), tables.seq_at(1)
tables.rebuild()
assert loaded("pandas") == [], "after questions"
"""


def test_heavy_packages_are_loaded_when_needed_and_pandas_never(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "views")], cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
