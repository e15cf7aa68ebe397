"""Run every benchmark and write the table of bench/README.md.

`python -m bench.run_all` runs the full sizes (about half an hour); `--only filter lineage` some of them; `--table`
writes the table anew from the results that are kept; `--quick` is a smoke run that keeps nothing. The exit status is 1
if a script failed (a missed bar is no failure unless `--strict`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.harness import MISS, RESULTS
from bench.remote import ROOT

SCRIPTS = (
    "record_step",
    "record_step_concurrent",
    "bulk",
    "point_reads",
    "filter",
    "compare",
    "lineage",
    "cold_open",
    "growth",
    "imports",
)
README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, help="these scripts alone")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing kept")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    parser.add_argument("--fresh", action="store_true", help="build kept stores again")
    parser.add_argument("--table", action="store_true", help="run nothing; write the table from kept results")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a bar is missed")
    chosen = parser.parse_args()
    failed = []
    if not chosen.table:
        flags = [f"--{name.replace('_', '-')}" for name in ("quick", "no_peer", "fresh") if getattr(chosen, name)]
        for name in chosen.only or SCRIPTS:
            start = time.perf_counter()
            status = subprocess.run([sys.executable, "-m", f"bench.{name}", *flags], cwd=ROOT).returncode
            print(f"  {name}: {time.perf_counter() - start:.0f} s{'' if status == 0 else f', FAILED ({status})'}\n")
            if status:
                failed.append(name)
    if chosen.quick:
        return 1 if failed else 0
    results = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in SCRIPTS if _has(name)}
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(f"{head}{BEGIN}\n\n{table(results)}\n{END}{tail}")
    missed = [line["what"] for result in results.values() for line in result["lines"] if line["verdict"] == MISS]
    for what in missed:
        print(f"{MISS}  {what}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed or (missed and chosen.strict) else 0


def _has(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def table(results: dict[str, dict[str, Any]]) -> str:
    """The Markdown table of results by script."""
    lines = [
        "| script | what | ours: median [min - max] | against | ratio: min / median / max | processor | bar | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in results.items():
        for line in result["lines"]:
            ratio = "" if line["ratios"] is None else " / ".join(f"{value:.3g}" for value in line["ratios"])
            busy = "" if line["busy"] is None else f"{line['busy']:.3g}"
            cells = [f"`{name}`", line["what"], line["ours"], line["peer"], ratio, busy, line["bar"], line["verdict"]]
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    machines = sorted({f"{result['date']}, {result['machine'].split(', load')[0]}" for result in results.values()})
    versions = sorted({result["machine"].split("start; ")[-1] for result in results.values()})
    notes = [f"- `{name}`: {note}" for name, result in results.items() for note in result["notes"]]
    return "\n".join([f"Measured {'; '.join(machines)}; {'; '.join(versions)}.", "", *lines, "", *notes]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
