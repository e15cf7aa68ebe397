"""How long does a new process take, from its start, to a first point read and to a first filter at 1,000,000 artifacts?

Whole processes, from start to end, in turn with a process of ml-metadata that opens its file (100,000 artifacts, which
favours it) and gets one artifact by id. Files are in the page cache on both sides.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench import data, harness, kept
from bench.harness import Report
from bench.remote import ROOT

FILTER_BAR_S = 0.6
POINT_BAR = 1.0

POINT = """
import sys, stratalog
store = stratalog.open(sys.argv[1])
print(store.get_artifact(int(sys.argv[2])).name)
store.close()
"""
QUESTION = """
import sys, stratalog
store = stratalog.open(sys.argv[1])
print(len(store.find("artifact", sys.argv[2]).ids()))
store.close()
"""
PEER = """
import sys
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
config = pb.ConnectionConfig()
config.sqlite.filename_uri = sys.argv[1]
print(metadata_store.MetadataStore(config).get_artifacts_by_id([int(sys.argv[2])])[0].name)
"""


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "cold_open", chosen)
    rows = chosen.rows or (2000 if chosen.quick else 1_000_000)
    peer_rows = min(rows, 100_000)
    path, peer_path = kept.store("artifacts", rows, chosen), kept.peer_file("artifacts", peer_rows, chosen)
    repeats = max(chosen.repeats, 2 if chosen.quick else 9)
    wanted = peer_rows // 2
    point, peer, question = harness.alternate(
        repeats + 1,
        lambda: _run(sys.executable, POINT, path, str(wanted)),
        (lambda: _run(chosen.peer or "", PEER, peer_path or "", str(wanted))) if chosen.peer else None,
        lambda: _run(sys.executable, QUESTION, path, data.FILTER_RARE),
    )
    for _, answer in point + peer:
        harness.agree("the artifact's name", answer, f"model-{wanted - 1}")
    hits = sum(map(data.rare, data.artifacts(0, rows)))
    for _, answer in question:
        harness.agree("hits", int(answer), hits)
    times, peer_times, question_times = ([taken for taken, _ in side[1:]] for side in (point, peer, question))
    report.faster(f"whole process, first point read, {rows:,} artifacts", times, peer_times, bar=POINT_BAR)
    report.at_most(f"whole process, first filter ({hits:,} hits)", question_times, bar=FILTER_BAR_S)
    return report.finish()


def _run(python: str, code: str, *arguments: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(
        [python, "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return time.perf_counter() - start, done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
