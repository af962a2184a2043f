"""`python -m bench`: generate a company of the asked size, measure its nights in child processes, print ratios.

Belongs here: sizes, the order of the runs, where results go (build/bench/). Does not: generation, measuring, wording.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.company import FIRST_DAY, Size
from bench.generate import write_company
from bench.report import lines

BUILD = Path("build/bench")


def night(config: Path, home: Path, day: dt.date, report: Path) -> dict[str, Any]:
    """One night in a process of its own, so that memory and imports are its own."""
    arguments = ["--config", str(config), "--home", str(home), "--from", str(day), "--to", str(day), "--report", str(report)]
    subprocess.run([sys.executable, "-m", "bench.measure", *arguments], check=True)
    return json.loads(report.read_text(encoding="utf-8"))


def bench(folder: Path, gpus: int, charges: int, nights: int) -> list[str]:
    """Measure the first of ``nights`` nights and, of the later ones, the second and the last."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = write_company(folder / "inputs", Size(gpus, charges), nights)
    first: dict[str, Any] = {}
    later: dict[str, dict[str, Any]] = {}
    for number in range(1, nights + 1):
        day = FIRST_DAY + dt.timedelta(days=number - 1)
        result = night(config, folder / "home", day, folder / f"night-{number}.json")
        if number == 1:
            first = result
        elif number in (2, nights):
            later[str(number)] = result
    return lines(f"{gpus} GPUs, {charges:,} charges a day, {nights} night(s)", first, later)


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--gpus", type=int, default=1000)
    parser.add_argument("--charges", type=int, default=1_000_000, help="bill rows a day")
    parser.add_argument("--nights", type=int, default=1, help="nights in a row, one day each; history grows with them")
    parser.add_argument("--history", action="store_true", help="also 31 nights at a tenth of the size: night 31 against night 2")
    told = parser.parse_args()
    print("\n".join(bench(BUILD / "full", told.gpus, told.charges, told.nights)))
    if told.history:
        print("\n".join(["", *bench(BUILD / "history", max(8, told.gpus // 10), told.charges // 10, 31)]))


if __name__ == "__main__":
    main()
