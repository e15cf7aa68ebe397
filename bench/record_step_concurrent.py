"""How many steps a second do eight writers record on one store, and how long does the slowest wait?

Eight processes on one store, ours against eight ml-metadata clients on one SQLite file (each repeats a call that was
refused as busy, at once and then more slowly); and eight threads of one process of ours against one ml-metadata client.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from bench import harness, kept
from bench.harness import Options, Report
from bench.remote import Remote

WRITERS = 8
PROCESSES_BAR = 15.0
P99_BAR_S = 0.020
THREADS_BAR = 12.0
OUR_RATE_MAX, PEER_RATE_MAX = 2500, 600
"""Steps a second for which each client makes requests beforehand: more than any client here can do."""


def main() -> int:
    chosen = harness.options(__doc__)
    span = 0.5 if chosen.quick else 4.0
    report = Report(__doc__, "record_step_concurrent", chosen)
    _processes(report, chosen, span)
    _threads(report, chosen, chosen.rows or (20 if chosen.quick else 500))
    return report.finish()


def _processes(report: Report, chosen: Options, span: float) -> None:
    our_path, peer_path = kept.scratch("writers"), kept.scratch("writers-mlmd")
    ours = _clients("bench.steps:OurSteps", our_path, None)
    peers = _clients("bench.steps:PeerSteps", peer_path, chosen.peer) if chosen.peer else []
    try:
        found = harness.alternate(
            chosen.repeats,
            lambda: _round(ours, span, OUR_RATE_MAX),
            (lambda: _round(peers, span, PEER_RATE_MAX)) if peers else None,
        )
        for clients, rounds in zip((ours, peers), found, strict=True):
            if clients:
                steps = sum(len(part["latencies"]) for part in rounds)
                counts = clients[0].call("counts")
                harness.agree(f"{clients[0].side}: counts", counts, [steps, 100 + 2 * steps, 4 * steps])
    finally:
        for client in ours + peers:
            client.close()
        kept.remove(our_path)
        kept.remove(peer_path)
    rates = [[len(part["latencies"]) / part["seconds"] for part in rounds] for rounds in found]
    report.faster(
        f"steps/s, {WRITERS} processes", rates[0], rates[1], bar=PROCESSES_BAR, show=harness.rate, more_is_better=True
    )
    ours_p99 = [harness.quantile(part["latencies"], 0.99) for part in found[0]]
    report.at_most(f"p99 of a step, {WRITERS} processes", ours_p99, bar=P99_BAR_S)
    for name, rounds in zip(("ours", "MLMD"), found, strict=True):
        if rounds:
            latencies = [value for part in rounds for value in part["latencies"]]
            busiest, idlest = (
                pick(part["by_client"][i] for part in rounds for i in range(WRITERS)) for pick in (max, min)
            )
            retries = statistics.median(part["retries"] for part in rounds)
            report.show(
                f"{name}: p50 / p99 / longest; steps of the idlest and the busiest client",
                f"{harness.seconds(harness.quantile(latencies, 0.5))} / "
                f"{harness.seconds(harness.quantile(latencies, 0.99))} / {harness.seconds(max(latencies))}; "
                f"{idlest} and {busiest}; {retries:.0f} calls refused as busy in {span:g} s",
            )


def _clients(side: str, path: str, python: str | None) -> list[Remote]:
    clients = [Remote(side, python=python) for _ in range(WRITERS)]
    clients[0].call("prepare", path=path)
    for number, client in enumerate(clients):
        client.call("open", path=path, client=number)
    return clients


def _round(clients: list[Remote], span: float, rate_max: int) -> dict[str, Any]:
    # The requests of eight clients are made on few cores, before the common start.
    for client in clients:
        client.send("make", count=int(rate_max * span))
    for client in clients:
        client.receive()
    start = time.time() + 0.2
    for client in clients:
        client.send("steps_until", start=start, end=start + span)
    parts = [client.receive() for client in clients]
    # Clients end with the call that runs at the end: what they did in the span, and the rest of their last calls.
    latencies = [value for part in parts for value in part["latencies"]]
    seconds = max(sum(part["latencies"]) for part in parts)
    return {
        "latencies": latencies,
        "seconds": max(span, seconds),
        "retries": sum(part["retries"] for part in parts),
        "by_client": [len(part["latencies"]) for part in parts],
    }


def _threads(report: Report, chosen: Options, count: int) -> None:
    our_path, peer_path = kept.scratch("threads"), kept.scratch("threads-mlmd")
    ours = harness.ours("bench.steps:OurSteps")
    peer = harness.peer("bench.steps:PeerSteps", chosen)
    try:
        for side, path in ((ours, our_path), (peer, peer_path)):
            if side is not None:
                side.call("prepare", path=path)
                side.call("open", path=path)
        found = harness.alternate(
            chosen.repeats,
            lambda: ours.call("steps_by_threads", threads=WRITERS, count=count),
            (lambda: peer.call("steps", count=max(20, count))) if peer else None,
        )
        steps = chosen.repeats * WRITERS * count
        harness.agree("threads: counts", ours.call("counts"), [steps, 100 + 2 * steps, 4 * steps])
    finally:
        for side in (ours, peer):
            if side is not None:
                side.close()
        kept.remove(our_path)
        kept.remove(peer_path)
    report.faster(
        f"steps/s, {WRITERS} threads of one process, against one client",
        [WRITERS * count / part["seconds"] for part in found[0]],
        [len(part) / sum(part) for part in found[1]],
        bar=THREADS_BAR,
        show=harness.rate,
        more_is_better=True,
    )
    latencies = [value for part in found[0] for value in part["latencies"]]
    report.show(
        f"{WRITERS} threads: p50 / p99",
        f"{harness.seconds(harness.quantile(latencies, 0.5))} / {harness.seconds(harness.quantile(latencies, 0.99))}",
    )


if __name__ == "__main__":
    sys.exit(main())
