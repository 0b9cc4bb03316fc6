"""Measures what lyts must reach (README.md in here), against SQLite in the same run.

python -m bench.run --files 100000
python -m bench.run --files 1000000 --only queries,names --json figures.json
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
from collections.abc import Callable

from bench.asking import facets, names, queries
from bench.build import build, connect, default_work
from bench.measure import Report
from bench.setting import Bench
from bench.whole import ingest, memory, reindex, size, startup
from tagfs.store import Store

SECTIONS: dict[str, Callable[[Bench], None]] = {
    "ingest": ingest,
    "size": size,
    "queries": queries,
    "facets": facets,
    "names": names,
    "memory": memory,
    "startup": startup,
    "reindex": reindex,
}


def main() -> None:
    """Build what is missing, measure, print."""
    parser = argparse.ArgumentParser(description="Measure lyts against SQLite.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", default=default_work(), help="where builds are kept (default: %(default)s)")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(SECTIONS)}")
    parser.add_argument("--fresh", action="store_true", help="build again what is there")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else list(SECTIONS)
    if set(wanted) - set(SECTIONS):
        parser.error(f"--only takes some of: {', '.join(SECTIONS)}")
    built = build(given.work, given.files, given.fresh)
    report = Report()
    print(
        f"{built.files:,} files; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version};"
        f" CPU time, median (least..most); the ratio is SQLite / lyts"
    )
    with Store(built.store) as store:
        bench = Bench(built, store, connect(built.sqlite), report)
        for section, measure_it in SECTIONS.items():
            if section in wanted:
                measure_it(bench)
    missed = [line for line in report.lines if line.reached is False]
    print(f"\n{sum(line.reached is True for line in report.lines)} goals reached, {len(missed)} missed")
    for line in missed:
        print(f"  {line.section}: {line.what} {line.goal}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"files": built.files, "lines": [line._asdict() for line in report.lines]}, file, indent=1)


if __name__ == "__main__":
    main()
