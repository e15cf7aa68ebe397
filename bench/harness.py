"""What every benchmark shares: options, the machine's line, alternating repeats, ratios, the verdict on a bar."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from bench.peer.environment import NoPeerError, peer_python
from bench.remote import Remote

RESULTS = Path(__file__).resolve().parent / "results"

PASS, MISS, UNKNOWN = "PASS", "MISS", "-"


class Options(NamedTuple):
    """What the command line said; `rows` is None for the script's own sizes; `peer` is None without a peer."""

    quick: bool
    rows: int | None
    repeats: int
    fresh: bool
    peer: str | None
    extra: argparse.Namespace


class Line(NamedTuple):
    """One measured bar, as it stands in the table.

    `ratios` is (min, median, max); `busy` is the median ratio of the processor time of the same calls, which moves far
    less with the load of the machine.
    """

    what: str
    ours: str
    peer: str
    ratios: tuple[float, float, float] | None
    busy: float | None
    bar: str
    verdict: str


def options(document: str | None, *, add: Callable[[argparse.ArgumentParser], None] | None = None) -> Options:
    """Read the command line; `add` may add options of the script's own."""
    parser = argparse.ArgumentParser(description=(document or "").strip().splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, for a smoke run of a few seconds")
    parser.add_argument("--rows", type=int, help="this size instead of the script's own")
    parser.add_argument("--repeats", type=int, help="how often each side is measured (default 5; quick: 2)")
    parser.add_argument("--fresh", action="store_true", help="build the stores again instead of taking kept ones")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    if add is not None:
        add(parser)
    found = parser.parse_args()
    peer = None
    if not found.no_peer:
        try:
            peer = peer_python()
        except NoPeerError as error:
            print(f"no peer: {error}", file=sys.stderr)
    repeats = found.repeats or (2 if found.quick else 5)
    return Options(found.quick, found.rows, repeats, found.fresh, peer, found)


def ours(side: str, **more: Any) -> Remote:
    """Our side in a new process of this interpreter."""
    return Remote(side, **more)


def peer(side: str, chosen: Options, **more: Any) -> Remote | None:
    """The peer's side in a new process of its interpreter, or None without a peer."""
    return Remote(side, python=chosen.peer, **more) if chosen.peer else None


def alternate(repeats: int, *sides: Callable[[], Any] | None) -> list[list[Any]]:
    """Call the sides in turn, A B A B ..., and return the answers of each; a side that is None answers nothing."""
    answers: list[list[Any]] = [[] for _ in sides]
    for _ in range(repeats):
        for side, found in zip(sides, answers, strict=True):
            if side is not None:
                found.append(side())
    return answers


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call took, and its answer."""
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the others lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, float, float]:
    """Min, median and max of the ratios of neighbouring measurements."""
    found = sorted(a / b for a, b in zip(numerators, denominators, strict=True))
    return found[0], statistics.median(found), found[-1]


def seconds(value: float) -> str:
    """A duration with a unit that fits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def rate(value: float) -> str:
    """So many a second."""
    return f"{value:,.0f}/s"


def plain(unit: str, digits: int = 3) -> Callable[[float], str]:
    """A writer of numbers with a unit."""
    return lambda value: f"{value:,.{digits}g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"


def rss_bytes() -> int:
    """This process's resident memory now, in bytes."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_rss_bytes()


def peak_rss_bytes() -> int:
    """This process's largest resident memory so far (or since `reset_peak_rss`), in bytes."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def reset_peak_rss() -> None:
    """Let the peak start again from now, where the system can."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def machine() -> str:
    """The machine, its load now, and the versions that matter."""
    model = platform.processor() or platform.machine()
    memory = 0
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        pass
    versions = ", ".join(f"{name} {_version(name)}" for name in ("stratalog", "duckdb", "pyarrow", "msgspec"))
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {model}, {memory / 2**30:.0f} GiB, {platform.system()} {platform.release()}, "
        f"load {load:.1f} at the start; Python {platform.python_version()}, {versions}"
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(source)"


class Report:
    """Prints measured lines as they come and keeps them for the table.

    A line passes if its median meets the bar. `finish` gives the exit status: 0, for a missed bar is news and no
    failure; a wrong answer raises where it is found.
    """

    def __init__(self, document: str | None, name: str, chosen: Options) -> None:
        self.question = (document or "").strip().splitlines()[0]
        self.name = name
        self.options = chosen
        self.lines: list[Line] = []
        self.notes: list[str] = []
        self.machine = machine()
        print(self.question)
        print(f"  machine: {self.machine}")
        print(f"  repeats: {chosen.repeats}{', quick sizes (no verdict on the bars)' if chosen.quick else ''}")

    def faster(
        self,
        what: str,
        ours: Sequence[float],
        peer: Sequence[float],
        *,
        bar: float | None,
        show: Callable[[float], str] = seconds,
        more_is_better: bool = False,
        of: str = "MLMD",
        busy: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        """Ours against a peer, pair by pair; `bar` is how many times better ours must be, None: no bar, only shown.

        Durations unless `more_is_better`, then rates. `busy` is the processor time of the same calls, ours and theirs.
        """
        ratios = None
        if peer:
            ratios = spread(ours, peer) if more_is_better else spread(peer, ours)
        verdict = UNKNOWN
        if ratios is not None and bar is not None and not self.options.quick:
            verdict = PASS if ratios[1] >= bar else MISS
        text = f">= {bar:g}x {of}" if bar else f"({of})"
        share = spread(busy[1], busy[0])[1] if busy is not None and peer else None
        self._add(Line(what, _shown(ours, show), _shown(peer, show), ratios, share, text, verdict))

    def within(
        self,
        what: str,
        ours: Sequence[float],
        peer: Sequence[float],
        *,
        bar: float | None,
        show: Callable[[float], str] = seconds,
        of: str,
    ) -> None:
        """Ours may cost at most `bar` times what the other does; the ratio shown is ours / the other."""
        ratios = spread(ours, peer)
        verdict = UNKNOWN if self.options.quick or bar is None else (PASS if ratios[1] <= bar else MISS)
        text = f"<= {bar:g}x {of}" if bar else f"({of})"
        self._add(Line(what, _shown(ours, show), _shown(peer, show), ratios, None, text, verdict))

    def at_most(
        self, what: str, values: Sequence[float], *, bar: float | None, show: Callable[[float], str] = seconds
    ) -> None:
        """Ours alone, against a number."""
        verdict = UNKNOWN
        if bar is not None and not self.options.quick:
            verdict = PASS if statistics.median(values) <= bar else MISS
        self._add(
            Line(what, _shown(values, show), "", None, None, f"<= {show(bar)}" if bar is not None else "", verdict)
        )

    def show(self, what: str, value: str) -> None:
        """Something worth knowing without a bar."""
        self._add(Line(what, value, "", None, None, "", UNKNOWN))

    def note(self, text: str) -> None:
        """A sentence below the lines."""
        self.notes.append(text)
        print(f"  note: {text}")

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        ratio = "" if line.ratios is None else "  ratio {:.3g} / {:.3g} / {:.3g}".format(*line.ratios)
        peer = f"  against {line.peer}" if line.peer else ""
        if line.busy is not None:
            ratio += f" (processor time {line.busy:.3g})"
        bar = f"  bar {line.bar}" if line.bar else ""
        verdict = line.verdict if line.verdict != UNKNOWN else ""
        print(f"  {line.what}: {line.ours}{peer}{ratio}{bar}  {verdict}".rstrip())
        sys.stdout.flush()

    def finish(self) -> int:
        """Keep the lines for the table (full sizes only) and return the exit status."""
        if not self.options.quick:
            RESULTS.mkdir(exist_ok=True)
            kept = {
                "question": self.question,
                "machine": self.machine,
                "date": time.strftime("%Y-%m-%d"),
                "repeats": self.options.repeats,
                "lines": [line._asdict() for line in self.lines],
                "notes": self.notes,
            }
            (RESULTS / f"{self.name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        return 0


def _shown(values: Sequence[float], show: Callable[[float], str]) -> str:
    if not values:
        return ""
    text = show(statistics.median(values))
    if len(values) == 1:
        return text
    return f"{text} [{show(min(values))} - {show(max(values))}]"


def agree(what: str, *answers: Any) -> None:
    """Refuse to compare sides that do not answer alike.

    Raises:
        AssertionError: the answers differ.
    """
    first = answers[0]
    for other in answers[1:]:
        if other != first:
            raise AssertionError(f"{what}: the answers differ: {str(first)[:200]} against {str(other)[:200]}")
