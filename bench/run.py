"""Measures what lyts must reach (docs: bench/README.md), against SQLite in the same run.

    python -m bench.run --files 100000
    python -m bench.run --files 1000000 --only queries,names --json figures.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from pyroaring import BitMap

from bench import library, peer
from bench.build import Built, build, connect, default_work
from bench.measure import Report, Timing, measure, measure_child, run_child, timing_of
from bench.peer import Asked
from tagfs.bucket import Clock, utc_ms
from tagfs.index.read import View
from tagfs.index.schema import SUB_DBS
from tagfs.query.grammar import parse_query
from tagfs.query.plan import plan
from tagfs.query.run import count, first, result
from tagfs.store import Store
from tagfs.tag import split_tag
from tagfs.term import ALL_TERM, TAG

SECTIONS = ("ingest", "size", "queries", "facets", "names", "memory", "startup", "reindex")
CLOCK = Clock(0, utc_ms)

MUSIC, FLAC = library.TERMS[0], library.TERMS[1]
SECOND, THIRD = library.TERMS[4], library.TERMS[9]
MIDDLE, MIDDLE_TOO = library.TERMS[99], library.TERMS[119]
RARE, RARE_TOO = library.TERMS[2499], library.TERMS[2599]


class Bench:
    """An open store and its peer, and where figures go."""

    def __init__(self, built: Built, store: Store, connection: sqlite3.Connection, report: Report) -> None:
        self.built = built
        self.store = store
        self.sqlite = connection
        self.report = report

    def ask(self, query: str, run: Callable[..., Any] = result) -> Any:
        """A whole question to lyts: read transaction, parse, plan, run."""
        with self.store.view(fresh=False) as view:
            return run(plan(parse_query(query), view, CLOCK, query), view)

    def with_view(self, look: Callable[[View], Any]) -> Any:
        """Look once."""
        with self.store.view(fresh=False) as view:
            return look(view)

    def fetch(self, asked: Asked) -> list[Any]:
        """A whole question to SQLite."""
        return self.sqlite.execute(*asked).fetchall()

    def tag_of_about(self, files: int) -> str:
        """The tag, plain or with a value, whose files are nearest to so many."""

        def look(view: View) -> str:
            best = (1 << 62, "")
            for tag in library.TERMS:
                term = view.term(TAG, *split_tag(tag))
                if term is not None:
                    best = min(best, (abs(view.count(term) - files), tag))
            return best[1]

        found: str = self.with_view(look)
        return found


# -- taking in, size -----------------------------------------------------------


def ingest(bench: Bench) -> None:
    """What building the store took, whenever that was."""
    bench.report.section("Taking in metadata", "births in actions of 10,000, each durable; figures of the run that built the store")
    took = bench.built.ingest
    if took is None:
        return
    rate = took["files"] / took["wall_s"]
    cpu_us = took["cpu_s"] / took["files"] * 1e6
    bench.report.line(
        f"{rate:,.0f} files/s", note=f"{cpu_us:.1f} us of CPU a file, slowest action {took['slowest_batch_s']:.2f} s",
        goal=">= 20,000 files/s", reached=rate >= 20_000,
    )  # fmt: skip


def sizes(store: Store, files: int) -> tuple[dict[str, float], float]:
    """MB per million files of each sub-database, and of the file they are in."""
    with store.view(fresh=False) as view:
        out = {}
        for name in SUB_DBS:
            stat = view.tx.stat(view.db[name])
            pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            out[name] = pages * stat["psize"] / files
    return out, os.stat(os.path.join(store.layout.index, "data.mdb")).st_size / files


def size(bench: Bench) -> None:
    """How large the index is."""
    files = bench.built.files
    parts, whole = sizes(bench.store, files)
    bench.report.section("Size of the index", "MB per million files")
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    bench.report.line("in use", note=f"{sum(parts.values()):.0f}: " + ", ".join(f"{n} {s:.1f}" for n, s in ordered if s >= 0.05))
    database = os.path.getsize(bench.built.sqlite) / files
    bench.report.line(
        f"{whole:.0f} on disk, as taking in left it", note=f"SQLite {database:.0f}, without any merge state",
        goal="<= 250", reached=whole <= 250,
    )  # fmt: skip
    ledgers = sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(bench.store.layout.ledgers)
        for name in names
    )
    bench.report.line(f"{ledgers / files:.0f} ledgers", note="the truth, in text; no part of the index")


# -- queries -------------------------------------------------------------------


def compare(
    bench: Bench, what: str, query: str, ways: Sequence[Asked], at_least: float | None, timing_of_list: bool = True
) -> None:
    """One question to both: the same files must come out."""
    files: BitMap = bench.ask(query)
    best = peer.fastest(bench.sqlite, ways)
    if BitMap([row[0] for row in best.rows]) != files or len(best.rows) != len(files):
        raise SystemExit(f"{query}: lyts has {len(files)} files, SQLite {len(best.rows)}")
    ours = measure(lambda: bench.ask(query))
    note = f"{len(files):,} files"
    if timing_of_list and len(files):
        as_list = measure(lambda: bench.ask(query).to_array().tolist())
        note += f"; as a list {best.timing.median_ms / as_list.median_ms:,.0f}x"
    counted = measure(lambda: bench.ask(query, count))
    peer_counted = measure(lambda: bench.fetch(peer.counted(best.asked)), 5)
    if bench.fetch(peer.counted(best.asked))[0][0] != bench.ask(query, count):
        raise SystemExit(f"{query}: the counts differ")
    note += f"; count {peer_counted.median_ms / counted.median_ms:,.0f}x"
    bench.report.ratio_line(what, ours, best.timing, at_least=at_least, note=note)


def queries(bench: Bench) -> None:
    """Set operations."""
    bench.report.section(
        "Queries",
        "from text to the whole result: lyts a BitMap of ordinals, SQLite a list of ids (fetchall)."
        " 'as a list': lyts makes a list too. 'count': how many only.",
    )
    both, either, without = peer.all_of, peer.any_of, peer.one_without
    compare(bench, "2 tags, hot and hot", f"{MUSIC}+{FLAC}", both([FLAC, MUSIC]), 100)
    compare(bench, "2 tags, hot and less hot", f"{MUSIC}+{SECOND}", both([SECOND, MUSIC]), 100)
    compare(bench, "2 tags, hot and middle", f"{MUSIC}+{MIDDLE}", both([MIDDLE, MUSIC]), None)
    compare(bench, "2 tags, middle and middle", f"{MIDDLE}+{MIDDLE_TOO}", both([MIDDLE_TOO, MIDDLE]), None)
    compare(bench, "rare and common", f"{RARE}+{MUSIC}", both([RARE, MUSIC]), 1)
    compare(bench, "rare and middle", f"{RARE}+{MIDDLE}", both([RARE, MIDDLE]), 1)
    compare(bench, "rare and rare", f"{RARE}+{RARE_TOO}", both([RARE_TOO, RARE]), None)
    compare(bench, "3 tags, hot", f"{MUSIC}+{FLAC}+{SECOND}", both([SECOND, FLAC, MUSIC]), 100)
    compare(bench, "3 tags, hot, hot, middle", f"{MUSIC}+{FLAC}+{MIDDLE}", both([MIDDLE, FLAC, MUSIC]), None)
    compare(bench, "or, hot and hot", f"{MUSIC},{FLAC}", either([MUSIC, FLAC]), 100)
    compare(bench, "or, less hot", f"{SECOND},{THIRD}", either([SECOND, THIRD]), 100)
    compare(bench, "or, middle and middle", f"{MIDDLE},{MIDDLE_TOO}", either([MIDDLE, MIDDLE_TOO]), None)
    compare(bench, "and not, hot and hot", f"{MUSIC}+-{FLAC}", without(MUSIC, FLAC), 100)
    compare(bench, "and not, less hot", f"{SECOND}+-{THIRD}", without(SECOND, THIRD), 100)
    compare(bench, "and not, middle and hot", f"{MIDDLE}+-{MUSIC}", without(MIDDLE, MUSIC), None)
    compare(bench, "ten years and a hot tag", f"year=2005..2014+{MUSIC}", peer.years_and(2005, 2014, MUSIC), 100)
    compare(bench, "ten years and a less hot tag", f"year=2005..2014+{THIRD}", peer.years_and(2005, 2014, THIRD), 100)
    compare(bench, "ten years and a middle tag", f"year=2005..2014+{MIDDLE}", peer.years_and(2005, 2014, MIDDLE), None)
    first_page(bench)


def first_page(bench: Bench) -> None:
    """The first hundred files, for a screen."""
    query = f"{MUSIC}+{SECOND}"
    best = min(
        (peer.fastest(bench.sqlite, [peer.first(way, 100)]) for way in peer.all_of([SECOND, MUSIC])),
        key=lambda way: way.timing.median_ms,
    )

    def first_hundred(made: Any, view: View) -> list[int]:
        return first(made, view, 100)

    found = bench.ask(query, first_hundred)
    if found != [row[0] for row in best.rows]:
        raise SystemExit(f"the first files of {query} differ")
    bench.report.ratio_line("first 100 of 2 tags", measure(lambda: bench.ask(query, first_hundred)), best.timing)

    def look() -> None:
        with bench.store.view():
            pass

    opened = measure(look)
    bench.report.line("a view of what the ledgers say now", opened, note="before each command: a look at every segment")


# -- facets --------------------------------------------------------------------


def facets(bench: Bench) -> None:
    """How many files of a result have which tag."""
    tag = bench.tag_of_about(20_000)
    bench.report.section("Facets", f"of {tag}; the facets alone, the result is there")
    files: BitMap = bench.ask(tag)
    best = peer.fastest(bench.sqlite, peer.facets(tag), 3)
    ours = bench.with_view(lambda view: named_facets(view, view.facet_counts(files)))
    theirs = {library.TERMS[term]: files for term, files in best.rows}
    if ours != theirs:
        raise SystemExit(f"the facets of {tag} differ")
    cold = [
        json.loads(run_child([sys.executable, "-m", "bench.cold", "facets", bench.built.store, tag], keep_output=True).output)
        for _ in range(9)
    ]
    note = f"{len(files):,} files, {len(theirs):,} tags"
    bench.report.limit_line("cold, in a process of its own", timing_of([c["facets_ms"] / 1000 for c in cold]), 25, peer=best.timing, note=note)
    opening, asking = (timing_of([c[name] / 1000 for c in cold]) for name in ("open_ms", "query_ms"))
    bench.report.line("  before it: opening the store", opening, note="with the modules that takes")
    bench.report.line("  before it: the query", asking)
    warm, how = warm_facets(bench, files)
    bench.report.limit_line("in a process that stays", warm, 5, peer=best.timing, note=how)


def named_facets(view: View, counts: dict[int, int]) -> dict[str, int]:
    """Facets by the text of the tag."""
    out = {}
    for term, files in counts.items():
        kind, key, value = view.term_text(term)
        if kind == TAG and files:
            out[key if value is None else f"{key}={value}"] = files
    return out


def warm_facets(bench: Bench, files: BitMap) -> tuple[Timing, str]:
    """Facets in a process that stays, by what it keeps for them if there is such a thing."""
    return measure(lambda: bench.with_view(lambda view: view.facet_counts(files))), "View.facet_counts"


# -- names ---------------------------------------------------------------------


def names(bench: Bench) -> None:
    """From a name to a file, and all names."""
    tag = bench.tag_of_about(100_000)
    files: BitMap = bench.ask(tag)
    bench.report.section("Names", f"in the result of {tag}: {len(files):,} files; lyts looks within the BitMap at hand")
    every = bench.with_view(lambda view: view.names(files))
    asked = peer.names(tag)
    best = peer.fastest(bench.sqlite, asked)
    if sorted(every) != sorted(row[0].encode() for row in best.rows):
        raise SystemExit(f"the names of {tag} differ")
    bench.report.ratio_line(
        "all names", measure(lambda: bench.with_view(lambda view: view.names(files))), best.timing, at_least=1,
        note="lyts from a BitMap to bytes, SQLite from the tag to text",
    )  # fmt: skip
    from_text = measure(lambda: bench.with_view(lambda v: v.names(result(plan(parse_query(tag), v, CLOCK, tag), v))))
    bench.report.ratio_line("all names, from the query", from_text, best.timing)
    lookups(bench, tag, files, every)


def lookups(bench: Bench, tag: str, files: BitMap, every: list[bytes]) -> None:
    """One name in a result."""
    step = max(1, len(every) // 1000)
    present = [name for name in every[::step] if name != library.HOT_NAME.encode()]
    absent = [b"no-" + name for name in present[:500]]
    outside = bench.with_view(lambda view: outsiders(view, files, 500))
    asked = peer.named_in(tag)
    for what, wanted in (("a name that is there", present), ("one that others have", outside), ("one that nobody has", absent)):
        if not wanted:
            continue
        check(bench, files, asked, wanted[:50])
        ours = timing_of(each_lookup(bench, files, wanted))
        theirs = timing_of(each_peer_lookup(bench, asked, wanted[:500]))
        bench.report.limit_line(what, ours, 0.010, peer=theirs, note=f"{len(wanted):,} names, each timed")
    hot = library.HOT_NAME.encode()
    held = bench.with_view(lambda view: BitMap([ordinal for _, ordinal in view.holders(hot)]))
    inside = held & files
    halves = {
        "all of its files": files,
        "the newer half of its files": files - BitMap(list(inside)[: len(inside) // 2]),
        "its newest file alone": (files - inside) | BitMap(list(inside)[-1:]),
        "none of its files": files - inside,
    }
    worst: tuple[float, str, Timing] | None = None
    for what, part in halves.items():
        took = measure(lambda part=part: bench.with_view(lambda view: view.lookup(hot, part)))  # type: ignore[misc]
        worst = max(worst or (0.0, "", took), (took.median_ms, what, took))
    assert worst is not None
    bench.report.limit_line(
        f"the hottest, {library.HOT_NAME}, at worst", worst[2], 0.5, note=f"{len(held):,} files have it; the result has {worst[1]}"
    )


def outsiders(view: View, files: BitMap, total: int) -> list[bytes]:
    """Names that files outside of a result have and none within."""
    others = view.posting(ALL_TERM) - files
    found: list[bytes] = []
    for name in dict.fromkeys(view.names(BitMap(list(others)[: total * 4]))):
        if name != library.HOT_NAME.encode() and view.lookup(name, files) is None:
            found.append(name)
            if len(found) == total:
                break
    return found


def check(bench: Bench, files: BitMap, asked: Asked, wanted: list[bytes]) -> None:
    """Both sides find the same file."""
    for name in wanted:
        rows = bench.sqlite.execute(asked.sql, (*asked.parameters, name.decode())).fetchall()
        ours = bench.with_view(lambda view, name=name: view.lookup(name, files))  # type: ignore[misc]
        if ours != (rows[0][0] if rows else None):
            raise SystemExit(f"{name!r}: lyts finds {ours}, SQLite {rows}")


def each_lookup(bench: Bench, files: BitMap, wanted: list[bytes]) -> list[float]:
    """Seconds of each lookup; the transaction is open, as it is for a whole listing."""
    out = []
    with bench.store.view(fresh=False) as view:
        for name in wanted:
            view.lookup(name, files)
        for name in wanted:
            start = time.process_time()
            for _ in range(20):
                view.lookup(name, files)
            out.append((time.process_time() - start) / 20)
    return out


def each_peer_lookup(bench: Bench, asked: Asked, wanted: list[bytes]) -> list[float]:
    """Seconds of each lookup by SQLite."""
    out = []
    execute = bench.sqlite.execute
    for name in wanted:
        parameters = (*asked.parameters, name.decode())
        execute(asked.sql, parameters).fetchall()
        start = time.process_time()
        for _ in range(20):
            execute(asked.sql, parameters).fetchall()
        out.append((time.process_time() - start) / 20)
    return out


# -- whole processes -----------------------------------------------------------


def lyts_command() -> list[str] | None:
    """How `lyts` is started: beside the Python that runs this, or by what its start script says; None where there is none yet."""
    beside = os.path.join(os.path.dirname(sys.executable), "lyts")
    if os.path.exists(beside):
        return [beside]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.exists(os.path.join(root, "shell", "main.py")):
        return [sys.executable, "-c", "import sys; from shell.main import main; sys.exit(main())"]
    return None


def memory(bench: Bench) -> None:
    """What commands hold in memory when they have the most."""
    bench.report.section("Memory", "as the index is closed; private pages are the process's own and those of the index only it has mapped")
    if lyts_command() is None:
        bench.report.line("there is no command yet")
        return
    commands = {
        "find --count": ["find", "--count", f"{MUSIC}+{FLAC}"],
        "find, a few files": ["find", f"{RARE}+{MUSIC}"],
        "find, many files": ["find", f"{MUSIC}+{FLAC}"],
        "find, every file": ["find", "size=0.."],
        "find --json, many files": ["find", "--json", f"{MUSIC}+{FLAC}"],
        "tags": ["tags"],
    }
    for what, arguments in commands.items():
        figures = child_memory(bench.built.store, arguments)
        if figures is None:
            bench.report.line(what, note="failed")
            continue
        private = figures["private_mb"]
        bench.report.line(
            f"{what}: {private:.0f} MB private", goal="< 100 MB", reached=private < 100,
            note=f"anonymous {figures['anonymous_mb']:.0f} MB, RSS {figures['rss_mb']:.0f} MB, its peak {figures['peak_rss_mb']:.0f} MB",
        )  # fmt: skip


def child_memory(root: str, arguments: list[str]) -> dict[str, float] | None:
    """The figures of `bench.cold command`, which come on standard error."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "bench.cold", "command", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "LYTS_STORE": root}, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1:] or [b""]
    try:
        figures: dict[str, float] = json.loads(last[0])
    except ValueError:
        print(done.stderr.decode(errors="replace"), file=sys.stderr)
        return None
    return figures


def startup(bench: Bench) -> None:
    """Whole processes, from exec to exit."""
    bench.report.section("Whole processes", "CPU time as the kernel counted it, against an empty Python; ratios are empty Python to lyts")
    nothing = measure_child([sys.executable, "-c", "pass"])
    bench.report.line("python -c pass", nothing)
    lyts = lyts_command()
    if lyts is None:
        bench.report.line("there is no command yet")
        return
    environ = {"LYTS_STORE": bench.built.store}
    for arguments, at_most in (
        (["--version"], 60.0),
        (["find", "--count", f"{MUSIC}+{FLAC}"], 80.0),
        (["find", f"{RARE}+{MUSIC}"], None),
        (["show", "tags"], None),
        (["--help"], None),
    ):
        if run_child([*lyts, *arguments], environ).status:
            bench.report.line("lyts " + " ".join(arguments), note="failed")
            continue
        took = measure_child([*lyts, *arguments], environ)
        if at_most is None:
            bench.report.line("lyts " + " ".join(arguments), took, nothing)
        else:
            bench.report.limit_line("lyts " + " ".join(arguments), took, at_most, peer=nothing)


# -- reindex -------------------------------------------------------------------


def reindex(bench: Bench) -> None:
    """Building the index again, on a copy of the ledgers."""
    files = bench.built.files
    bench.report.section("reindex")
    copy = bench.built.store + "-again"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(bench.built.store, copy, ignore=shutil.ignore_patterns("index", "dirty", "lock", "keep", "reserve"))
    os.makedirs(os.path.join(copy, "keep"), exist_ok=True)
    try:
        with Store(copy) as store:
            wall, cpu = time.perf_counter(), time.process_time()
            store.rebuild("measured")
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            parts, whole = sizes(store, files)
            with store.view(fresh=False) as view, bench.store.view(fresh=False) as old:
                if view.posting(ALL_TERM) != old.posting(ALL_TERM):
                    raise SystemExit("the index built again has other files")
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    per_million = wall / files * 1e6
    bench.report.line(
        f"{wall:.1f} s", note=f"{cpu:.1f} s of CPU; {per_million:.0f} s per million files", goal="<= 60 s per million",
        reached=per_million <= 60,
    )  # fmt: skip
    bench.report.line(
        f"{whole:.0f} MB per million on disk after it", note=f"in use {sum(parts.values()):.0f}", goal="<= 250", reached=whole <= 250
    )


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
    run: dict[str, Callable[[Bench], None]] = {
        "ingest": ingest, "size": size, "queries": queries, "facets": facets, "names": names, "memory": memory,
        "startup": startup, "reindex": reindex,
    }  # fmt: skip
    with Store(built.store) as store:
        bench = Bench(built, store, connect(built.sqlite), report)
        for section in SECTIONS:
            if section in wanted:
                run[section](bench)
    missed = [line for line in report.lines if line.reached is False]
    print(f"\n{sum(line.reached is True for line in report.lines)} goals reached, {len(missed)} missed")
    for line in missed:
        print(f"  {line.section}: {line.what} {line.goal}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"files": built.files, "lines": [line._asdict() for line in report.lines]}, file, indent=1)


if __name__ == "__main__":
    main()
