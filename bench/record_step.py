"""How many pipeline steps a second does one client record, durably, and with how many syncs each?

A step: see bench/steps.py. The peer is ml-metadata on SQLite; a bare SQLite table (one row a step, WAL, synchronous
FULL) shows what that engine could do.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from bench import harness, kept
from bench.harness import Options, Report
from bench.remote import Remote

BAR = 5.0
SYNCS_BAR = 1.1
"""One sync a step; a tenth more for what sealing and growing the journal need now and then."""


def main() -> int:
    chosen = harness.options(__doc__)
    count = chosen.rows or (40 if chosen.quick else 2000)
    peer_count = max(20, count // 4)
    report = Report(__doc__, "record_step", chosen)
    paths = [kept.scratch(name) for name in ("steps", "steps-mlmd", "steps-table")]
    ours = harness.ours("bench.steps:OurSteps")
    peer = harness.peer("bench.steps:PeerSteps", chosen)
    table = harness.ours("bench.steps:TableSteps")
    try:
        for side, path in ((ours, paths[0]), (peer, paths[1])):
            if side is not None:
                side.call("prepare", path=path)
                side.call("open", path=path)
                side.call("steps", count=20)
        table.call("open", path=paths[2])
        before = [side.call("busy") if side else 0.0 for side in (ours, peer)]
        found = harness.alternate(
            chosen.repeats,
            lambda: ours.call("steps", count=count),
            (lambda: peer.call("steps", count=peer_count)) if peer else None,
            lambda: table.call("steps", count=count),
        )
        rates = [[len(part) / sum(part) for part in side] for side in found]
        report.faster("steps/s, 1 client", rates[0], rates[1], bar=BAR, show=harness.rate, more_is_better=True)
        report.faster(
            "beside a bare SQLite table, rows/s",
            rates[0],
            rates[2],
            bar=None,
            show=harness.rate,
            more_is_better=True,
            of="bare table",
        )
        after = [side.call("busy") if side else 0.0 for side in (ours, peer)]
        busy = [
            (end - begin) / (chosen.repeats * steps)
            for begin, end, steps in zip(before, after, (count, peer_count), strict=True)
        ]
        report.faster("processor time of a step, requests made", busy[:1], busy[1:] if peer else [], bar=None)
        report.show("p50 of a step", " against ".join(_quantiles(side, 0.5) for side in found[:2] if side))
        report.show("p99 of a step", " against ".join(_quantiles(side, 0.99) for side in found[:2] if side))
        total, peer_total = 20 + chosen.repeats * count, 20 + chosen.repeats * peer_count
        _check(ours, total)
        if peer is not None:
            _check(peer, peer_total)
    finally:
        for side in (ours, peer, table):
            if side is not None:
                side.close()
        for path in paths:
            kept.remove(path)
    _syncs(report, chosen, count)
    return report.finish()


def _quantiles(parts: list[list[float]], share: float) -> str:
    return harness.seconds(harness.quantile([value for part in parts for value in part], share))


def _check(side: Remote, steps: int) -> None:
    harness.agree(f"{side.side}: counts", side.call("counts"), [steps, 100 + 2 * steps, 4 * steps])


def _syncs(report: Report, chosen: Options, count: int) -> None:
    """Count the calls that wait for the disk, by strace, over `count` steps of a client of its own."""
    if shutil.which("strace") is None:
        report.note("syncs were not counted: strace is not installed")
        return
    for name, python in (("Ours", None), ("Peer", chosen.peer)):
        if name == "Peer" and python is None:
            continue
        path = kept.scratch(f"syncs-{name.lower()}")
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace"
            side = Remote(
                f"bench.steps:{name}Steps".replace("Ours", "Our"),
                python=python,
                prefix=["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fdatasync,fsync,sync_file_range"],
            )
            with side:
                side.call("prepare", path=path)
                side.call("open", path=path)
                before = _traced(trace)
                side.call("steps", count=count)
                syncs = _traced(trace) - before
        kept.remove(path)
        what = f"syncs a step, by strace over {count} steps"
        if name == "Ours":
            report.at_most(what, [syncs / count], bar=SYNCS_BAR, show=harness.plain("", 4))
        else:
            report.show(f"MLMD: {what}", f"{syncs / count:.3g}")


def _traced(trace: Path) -> int:
    # A call that another thread interrupted stands on two lines; the second has no opening bracket.
    return sum("sync(" in line or "sync_file_range(" in line for line in trace.read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main())
