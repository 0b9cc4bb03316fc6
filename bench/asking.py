"""Questions: the same to lyts and to SQLite, which must give the same answer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pyroaring import BitMap

from bench import library, peer
from bench.measure import Timing, measure, run_child, timing_of
from bench.peer import Asked
from bench.setting import CLOCK, FLAC, MIDDLE, MIDDLE_TOO, MUSIC, RARE, RARE_TOO, SECOND, THIRD, Bench
from tagfs.index.facets import Facets
from tagfs.index.read import View
from tagfs.query.grammar import parse_query
from tagfs.query.plan import plan
from tagfs.query.run import count, first, result
from tagfs.term import ALL_TERM, TAG

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
    theirs = {library.TERMS[term]: number for term, number in best.rows}
    if ours != theirs:
        raise SystemExit(f"the facets of {tag} differ")
    command = [sys.executable, "-m", "bench.cold", "facets", bench.built.store, tag]
    cold = [json.loads(run_child(command, keep_output=True).output) for _ in range(9)]
    note = f"{len(files):,} files, {len(theirs):,} tags"
    opening, asking, counting = (
        timing_of([run[name] / 1000 for run in cold]) for name in ("open_ms", "query_ms", "facets_ms")
    )
    bench.report.limit_line("cold, in a process of its own", counting, 25, peer=best.timing, note=note)
    bench.report.line("  before it: opening the store", opening, note="its modules are there, its index is not open")
    bench.report.line("  before it: the query", asking)
    kept = bench.with_view(Facets)
    if bench.with_view(lambda view: named_facets(view, kept.counts(files))) != theirs:
        raise SystemExit(f"the kept facets of {tag} differ")
    making = measure(lambda: bench.with_view(Facets), 3)
    warm = measure(lambda: kept.counts(files))
    bench.report.limit_line("in a process that stays", warm, 5, peer=best.timing)
    bench.report.line("  once for each state of the index", making, note="making the array")


def named_facets(view: View, counts: dict[int, int]) -> dict[str, int]:
    """Facets by the text of the tag."""
    out = {}
    for term, files in counts.items():
        kind, key, value = view.term_text(term)
        if kind == TAG and files:
            out[key if value is None else f"{key}={value}"] = files
    return out


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
        "all names",
        measure(lambda: bench.with_view(lambda view: view.names(files))),
        best.timing,
        at_least=1,
        note="lyts from a BitMap to bytes, SQLite from the tag to text",
    )
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
    kinds = {"a name that is there": present, "one that others have": outside, "one that nobody has": absent}
    for what, wanted in kinds.items():
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
    note = f"{len(held):,} files have it; the result has {worst[1]}"
    bench.report.limit_line(f"the hottest, {library.HOT_NAME}, at worst", worst[2], 0.5, note=note)


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
