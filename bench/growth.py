"""How does the cost of each operation grow from 10,000 over 100,000 to 1,000,000 entities (10,000,000 on request)?

Every operation does the same amount of answering at every size: one step recorded, one node read, the first page and a
hundred rare hits of a filter, everything above a model. The number at the end is the cost at the largest size over that
at the smallest: 1 is flat, and 2 or 3 over a factor of 100 or more is logarithmic. A filter must look at every value of
its property, so it grows with the store; the page and the rare hits say how steeply.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from typing import Any

from bench import data, harness, kept
from bench.harness import Options, Report

FLAT_BAR = 3.0
HITS = 100


class Ours:
    """Our side: one process a size, all of them open at once and asked in turn."""

    def open(self, path: str, rows: int) -> None:
        """Open a store of artifacts."""
        import stratalog

        self.store = stratalog.open(path)
        self.rows = rows
        # So rare that a hundred artifacts pass at every size.
        self.rare = f"properties.accuracy.double_value > {1 - HITS / rows!r}"

    def point(self, way: str, indexes: list[int]) -> float:
        """Seconds of a read by id, name or uri."""
        store = self.store
        start = time.perf_counter()
        for index in indexes:
            if way == "id":
                store.get_artifact(index + 1)
            elif way == "name":
                store.get_artifact(type=data.ARTIFACT_TYPE, name=f"model-{index}")
            else:
                store.get_artifacts(uri=f"s3://bucket/models/{index}/model.bin")
        return (time.perf_counter() - start) / len(indexes)

    def page(self) -> float:
        """Seconds of a first page of a hundred."""
        start = time.perf_counter()
        found = self.store.find("artifact", data.FILTER_TENTH, limit=100).nodes()
        seconds = time.perf_counter() - start
        assert len(found) == 100
        return seconds

    def rare_hits(self) -> float:
        """Seconds of a filter that about a hundred artifacts pass."""
        start = time.perf_counter()
        found = self.store.find("artifact", self.rare).ids()
        seconds = time.perf_counter() - start
        assert HITS / 2 < len(found) < HITS * 2
        return seconds

    def past(self) -> float:
        """Seconds of the same as of the middle of the log."""
        start = time.perf_counter()
        found = self.store.as_of(self.rows // 2).find("artifact", self.rare).ids()
        seconds = time.perf_counter() - start
        assert HITS / 4 < len(found) < HITS
        return seconds

    def open_lineage(self, path: str) -> None:
        """Open a store of lineage."""
        import stratalog

        self.graph = stratalog.open(path)
        self.graph.lineage("artifact", 1, direction="up")

    def above(self) -> float:
        """Seconds of everything above a model."""
        ids = [self.graph.get_artifact(type="Fitted", name=f"g{i}-model-4").id for i in range(10)]
        start = time.perf_counter()
        found = [self.graph.lineage("artifact", id, direction="up") for id in ids]
        seconds = (time.perf_counter() - start) / len(ids)
        assert all(graph.nodes.num_rows == sum(data.upstream_of_model(4)) for graph in found)
        return seconds


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ten-million", action="store_true", help="reads at 10,000,000 too (about 15 GB on disk)")


def main() -> int:
    chosen = harness.options(__doc__, add=_more)
    report = Report(__doc__, "growth", chosen)
    sizes = [2000, 4000] if chosen.quick else [10_000, 100_000, 1_000_000]
    if chosen.extra.ten_million:
        sizes.append(10_000_000)
    reads = _reads(chosen, sizes)
    # Writing needs a copy of the store; ten million entities are only read.
    writes = _writes(chosen, [size for size in sizes if size <= 1_000_000])
    for what, by_size in {**writes, **reads}.items():
        _line(report, what, by_size)
    report.note("no bar where a filter looks at every value of a property: its growth is the share that is linear")
    return report.finish()


LINEAR = ("filter", "as of")


def _line(report: Report, what: str, by_size: dict[int, list[float]]) -> None:
    sizes = sorted(by_size)
    text = ", ".join(f"{size:,}: {harness.seconds(statistics.median(by_size[size]))}" for size in sizes)
    report.show(f"{what}, by entities", text)
    bar = None if what.startswith(LINEAR) else FLAT_BAR
    report.within(f"{what}, largest over smallest", by_size[sizes[-1]], by_size[sizes[0]], bar=bar, of=f"{sizes[0]:,}")


def _reads(chosen: Options, sizes: list[int]) -> dict[str, dict[int, list[float]]]:
    sides = {size: harness.ours("bench.growth:Ours") for size in sizes}
    found: dict[str, dict[int, list[float]]] = {}
    count = 100 if chosen.quick else 1000
    try:
        for size, side in sides.items():
            side.call("open", path=kept.store("artifacts", size, chosen), rows=size)
            side.call("open_lineage", path=kept.store("lineage", size, chosen))
        questions: dict[str, tuple[str, str]] = {
            "get by id": ("point", "id"),
            "get by type + name": ("point", "name"),
            "get by uri": ("point", "uri"),
            "first page of 100": ("page", ""),
            f"filter with {HITS} hits": ("rare_hits", ""),
            "as of the middle, the same": ("past", ""),
            "lineage above a model": ("above", ""),
        }
        for round in range(chosen.repeats + 1):
            for what, (method, way) in questions.items():
                for size, side in sides.items():
                    arguments: dict[str, Any] = {}
                    if way:
                        indexes = [data.mix(round * count + i, 62) % size for i in range(count)]
                        arguments = {"way": way, "indexes": indexes}
                    seconds = side.call(method, **arguments)
                    if round:  # the first one warms up
                        found.setdefault(what, {}).setdefault(size, []).append(seconds)
    finally:
        for side in sides.values():
            side.close()
    return found


def _writes(chosen: Options, sizes: list[int]) -> dict[str, dict[int, list[float]]]:
    sides, paths = {}, []
    found: dict[int, list[float]] = {}
    count = 30 if chosen.quick else 300
    try:
        for size in sizes:
            path = kept.scratch("growth")
            paths.append(path)
            shutil.copytree(kept.store("artifacts", size, chosen), path)
            sides[size] = side = harness.ours("bench.steps:OurSteps")
            side.call("prepare", path=path)
            side.call("open", path=path)
            side.call("steps", count=20)
        for _ in range(chosen.repeats):
            for size, side in sides.items():
                found.setdefault(size, []).append(statistics.median(side.call("steps", count=count)))
    finally:
        for side in sides.values():
            side.close()
        for path in paths:
            kept.remove(path)
    return {"a step recorded (p50)": found}


if __name__ == "__main__":
    sys.exit(main())
