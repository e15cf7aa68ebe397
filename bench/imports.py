"""What does `import stratalog` cost beyond bare Python, and what does it load?

New processes: `python -c "import stratalog"` against `python -c pass`, in turn. Then: duckdb, pyarrow and numpy are not
loaded by the import, nor by opening a store, writing to it and reading a node back; they are by the first question.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

from bench import harness, kept
from bench.harness import Report
from bench.remote import ROOT

BAR_S = 0.060
HEAVY = ("duckdb", "pyarrow", "numpy")

LOADED = f"""
import sys
import stratalog
def loaded():
    return [name for name in {HEAVY!r} if name in sys.modules]
assert loaded() == [], f"import stratalog loads {{loaded()}}"
store = stratalog.open(sys.argv[1])
store.put_type("artifact", "Model")
node = store.put_artifact(type="Model", name="a")
assert store.get_artifact(node).name == "a"
print("point", *loaded())
assert store.find("artifact", "name = 'a'").ids() is not None
print("question", *loaded())
"""


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "imports", chosen)
    repeats = 3 if chosen.quick else max(chosen.repeats, 15)
    _run("import stratalog")  # compiles what has changed
    imported, bare = harness.alternate(repeats, lambda: _run("import stratalog"), lambda: _run("pass"))
    for what, place, bar in (("", 0, BAR_S), (", processor time", 1, None)):
        beyond = [a[place] - b[place] for a, b in zip(imported, bare, strict=True)]
        report.at_most(f"import stratalog, beyond bare Python{what}", beyond, bar=bar)
    report.show("bare Python", harness.seconds(sorted(bare)[len(bare) // 2][0]))
    path = kept.scratch("imports")
    text = subprocess.run(
        [sys.executable, "-c", LOADED, path], cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True
    ).stdout
    kept.remove(path)
    for line in text.splitlines():
        step, *names = line.split()
        title = "an open, a put and a point read" if step == "point" else "the first question"
        report.show(f"of {', '.join(HEAVY)}, loaded after {title}", ", ".join(names) or "none")
    return report.finish()


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _run(code: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor of a process."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=_environment(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, busy


if __name__ == "__main__":
    sys.exit(main())
