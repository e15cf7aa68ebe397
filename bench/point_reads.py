"""How long does it take to get one artifact by id, by type and name, by uri, at 100,000 and 1,000,000 artifacts?

Each read asks for another artifact, in a shuffled order; ml-metadata is asked at 100,000, and that is also what ours at
1,000,000 is held against. An answer is the whole artifact with its five properties.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench import data, harness, kept
from bench.harness import Options, Report
from bench.remote import Remote

BAR = 6.0
WAYS = ("id", "type + name", "uri")


class Ours:
    """Our side."""

    def open(self, path: str) -> None:
        """Open the store."""
        import stratalog

        self.store = stratalog.open(path, read_only=False)

    def read(self, way: str, indexes: list[int]) -> dict[str, Any]:
        """Read artifacts one by one; seconds a read, and the sum of a property over all of them."""
        store, kind = self.store, data.ARTIFACT_TYPE
        calls: dict[str, Any] = {
            "id": lambda key: store.get_artifact(key),
            "type + name": lambda key: store.get_artifact(type=kind, name=key),
            "uri": lambda key: store.get_artifacts(uri=key)[0],
        }
        return _read(calls[way], way, indexes, lambda node: node.properties["epochs"])


class Peer:
    """ml-metadata's side."""

    def open(self, path: str) -> None:
        """Open the file."""
        from bench.peer import mlmd

        self.store = mlmd.connect(path)

    def read(self, way: str, indexes: list[int]) -> dict[str, Any]:
        """Read artifacts one by one; seconds a read, and the sum of a property over all of them."""
        store, kind = self.store, data.ARTIFACT_TYPE
        calls: dict[str, Any] = {
            "id": lambda key: store.get_artifacts_by_id([key])[0],
            "type + name": lambda key: store.get_artifact_by_type_and_name(kind, key),
            "uri": lambda key: store.get_artifacts_by_uri(key)[0],
        }
        return _read(calls[way], way, indexes, lambda node: node.properties["epochs"].int_value)


def _read(call: Any, way: str, indexes: list[int], value: Any) -> dict[str, Any]:
    if way == "id":
        keys: list[Any] = [index + 1 for index in indexes]
    elif way == "uri":
        keys = [f"s3://bucket/models/{index}/model.bin" for index in indexes]
    else:
        keys = [f"model-{index}" for index in indexes]
    start = time.perf_counter()
    found = [call(key) for key in keys]
    return {"seconds": (time.perf_counter() - start) / len(keys), "sum": sum(value(node) for node in found)}


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "point_reads", chosen)
    sizes = [chosen.rows] if chosen.rows else ([2000] if chosen.quick else [100_000, 1_000_000])
    count = 200 if chosen.quick else 3000
    for rows in sizes:
        _at(report, chosen, rows, min(sizes), count)
    return report.finish()


def _at(report: Report, chosen: Options, rows: int, peer_rows: int, count: int) -> None:
    path, peer_path = kept.store("artifacts", rows, chosen), kept.peer_file("artifacts", peer_rows, chosen)
    ours, peer = harness.ours("bench.point_reads:Ours"), harness.peer("bench.point_reads:Peer", chosen)
    with ours:
        ours.call("open", path=path)
        if peer is not None:
            peer.call("open", path=peer_path)
        for way in WAYS:
            rounds = iter(range(2 * chosen.repeats + 2))
            # A first round warms both sides up; every round asks for other artifacts.
            answers = harness.alternate(
                chosen.repeats + 1,
                partial(_ask, ours, way, rounds, rows, count),
                partial(_ask, peer, way, rounds, peer_rows, count) if peer else None,
            )
            seconds, busy = ([[answer[key] for answer in side[1:]] for side in answers] for key in ("seconds", "busy"))
            report.faster(f"by {way}, {rows:,} artifacts", seconds[0], seconds[1], bar=BAR, busy=(busy[0], busy[1]))
        if peer is not None:
            peer.close()


def _ask(side: Remote, way: str, rounds: Iterator[int], rows: int, count: int) -> dict[str, float]:
    round = next(rounds)
    indexes = [data.mix(round * count + i, 60) % rows for i in range(count)]
    answer = side.call("read", way=way, indexes=indexes)
    expected = sum(int(data.artifact(index).properties["epochs"]) for index in indexes)
    harness.agree(f"{side.side}, by {way}: the sum of epochs", answer["sum"], expected)
    return {"seconds": answer["seconds"], "busy": answer["busy"]}


if __name__ == "__main__":
    sys.exit(main())
