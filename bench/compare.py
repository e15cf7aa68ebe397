"""How long does it take to lay 50,000 executions with 20 values each side by side, and how much memory?

Ours gives one Arrow table by `compare`. ml-metadata gives its messages, from which the same columns (Python lists) are
made; nothing of it needs pandas or pyarrow.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from bench import data, harness, kept
from bench.harness import Report

BAR = 14.0


class Ours:
    """Our side."""

    def open(self, path: str) -> None:
        """Open the store and ask something small, so that libraries are loaded."""
        import stratalog

        self.store = stratalog.open(path)
        self.store.compare("execution", ids=[1, 2]).arrow()

    def compare(self, rows: int) -> dict[str, Any]:
        """Everything; seconds, rows, memory on top, and the sum of one column."""
        import pyarrow.compute as pc

        before = harness.rss_bytes()
        harness.reset_peak_rss()
        start = time.perf_counter()
        table = self.store.compare("execution", where=f"type = '{data.RUN_TYPE}'").arrow()
        seconds = time.perf_counter() - start
        peak = harness.peak_rss_bytes() - before
        column = next(name for name in table.column_names if name.endswith("metric_3"))
        values = [name for name in table.column_names if name.split(".")[-1] in data.RUN_PROPERTIES]
        assert table.num_rows == rows, table.num_rows
        assert len(values) == len(data.RUN_PROPERTIES), table.column_names
        return {"seconds": seconds, "peak": peak, "count": table.num_rows, "sum": pc.sum(table[column]).as_py()}


class Peer:
    """ml-metadata's side."""

    def open(self, path: str) -> None:
        """Open the file."""
        from bench.peer import mlmd

        self.store = mlmd.connect(path)

    def compare(self, rows: int) -> dict[str, Any]:
        """Everything, in columns; seconds, rows, memory on top, and the sum of one column."""
        before = harness.rss_bytes()
        harness.reset_peak_rss()
        start = time.perf_counter()
        found = self.store.get_executions()
        columns: dict[str, list[Any]] = {name: [] for name in data.RUN_PROPERTIES}
        for execution in found:
            for name, value in execution.properties.items():
                columns[name].append(getattr(value, value.WhichOneof("value")))
        seconds = time.perf_counter() - start
        peak = harness.peak_rss_bytes() - before
        assert len(found) == rows, len(found)
        return {"seconds": seconds, "peak": peak, "count": len(found), "sum": sum(columns["metric_3"])}


def main() -> int:
    chosen = harness.options(__doc__)
    report = Report(__doc__, "compare", chosen)
    rows = chosen.rows or (500 if chosen.quick else 50_000)
    path, peer_path = kept.store("runs", rows, chosen), kept.peer_file("runs", rows, chosen)
    ours, peer = harness.ours("bench.compare:Ours"), harness.peer("bench.compare:Peer", chosen)
    with ours:
        ours.call("open", path=path)
        if peer is not None:
            peer.call("open", path=peer_path)
        found, peers = harness.alternate(
            chosen.repeats + 1,
            lambda: ours.call("compare", rows=rows),
            (lambda: peer.call("compare", rows=rows)) if peer else None,
        )
        if peer is not None:
            peer.close()
    expected = sum(float(data.run(i).properties["metric_3"]) for i in range(rows))
    for answer in found + peers:
        harness.agree("rows", answer["count"], rows)
        assert abs(answer["sum"] - expected) < 1e-6 * rows, (answer["sum"], expected)
    report.faster(
        f"{rows:,} executions x {len(data.RUN_PROPERTIES)} values",
        [answer["seconds"] for answer in found[1:]],
        [answer["seconds"] for answer in peers[1:]],
        bar=BAR,
        busy=([answer["busy"] for answer in found[1:]], [answer["busy"] for answer in peers[1:]]),
    )
    peak = [f"{max(answer['peak'] for answer in side) / 1e6:.0f} MB" for side in (found, peers) if side]
    report.show("peak memory on top", " against ".join(peak))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
