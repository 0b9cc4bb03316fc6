"""What is not a question: taking in, size, memory, whole processes, building the index again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

from bench.measure import child_environ, measure_child, run_child
from bench.setting import FLAC, MUSIC, RARE, Bench
from tagfs.index.schema import SUB_DBS
from tagfs.store import Store
from tagfs.term import ALL_TERM

# -- taking in, size -----------------------------------------------------------


def ingest(bench: Bench) -> None:
    """What building the store took, whenever that was."""
    bench.report.section(
        "Taking in metadata", "births in actions of 10,000, each durable; figures of the run that built the store"
    )
    took = bench.built.ingest
    if took is None:
        return
    rate = took["files"] / took["wall_s"]
    cpu_us = took["cpu_s"] / took["files"] * 1e6
    bench.report.line(
        f"{rate:,.0f} files/s",
        note=f"{cpu_us:.1f} us of CPU a file, slowest action {took['slowest_batch_s']:.2f} s",
        goal=">= 20,000 files/s",
        reached=rate >= 20_000,
    )


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
    shares = ", ".join(f"{name} {share:.1f}" for name, share in ordered if share >= 0.05)
    bench.report.line(f"{sum(parts.values()):.0f} in use", note=shares)
    database = os.path.getsize(bench.built.sqlite) / files
    bench.report.line(
        f"{whole:.0f} on disk, as taking in left it",
        note=f"SQLite {database:.0f}, without any merge state",
        goal="<= 250",
        reached=whole <= 250,
    )
    ledgers = sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(bench.store.layout.ledgers)
        for name in names
    )
    bench.report.line(f"{ledgers / files:.0f} ledgers", note="the truth, in text; no part of the index")


# -- whole processes -----------------------------------------------------------


def lyts_command() -> list[str] | None:
    """How `lyts` is started, None where there is none: beside this Python, or as its start script does."""
    beside = os.path.join(os.path.dirname(sys.executable), "lyts")
    if os.path.exists(beside):
        return [beside]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.exists(os.path.join(root, "shell", "main.py")):
        return [sys.executable, "-c", "import sys; from shell.main import main; sys.exit(main())"]
    return None


def memory(bench: Bench) -> None:
    """What commands hold in memory when they have the most."""
    bench.report.section(
        "Memory", "as the index is closed; private: its own pages and those of the index that only it has mapped"
    )
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
        figures = child_memory(bench.environ(), arguments)
        if figures is None:
            bench.report.line(what, note="failed")
            continue
        private, peak = figures["private_mb"], figures["peak_rss_mb"]
        bench.report.line(
            f"{what}: {private:.0f} MB private",
            goal="< 100 MB",
            reached=private < 100,
            note=f"anonymous {figures['anonymous_mb']:.0f} MB, RSS {figures['rss_mb']:.0f} MB, peak {peak:.0f} MB",
        )


def child_memory(environ: dict[str, str], arguments: list[str]) -> dict[str, float] | None:
    """The figures of `bench.cold command`, which come on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cold", "command", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=child_environ(environ),
        check=False,
    )
    last = done.stderr.splitlines()[-1:] or [b""]
    try:
        figures: dict[str, float] = json.loads(last[0])
    except ValueError:
        print(done.stderr.decode(errors="replace"), file=sys.stderr)
        return None
    return figures


def startup(bench: Bench) -> None:
    """Whole processes, from exec to exit."""
    bench.report.section("Whole processes", "CPU time as the kernel counted it; second column: an empty Python")
    nothing = measure_child([sys.executable, "-c", "pass"])
    bench.report.line("python -c pass", nothing)
    lyts = lyts_command()
    if lyts is None:
        bench.report.line("there is no command yet")
        return
    environ = bench.environ()
    for arguments, at_most in (
        (["--version"], 60.0),
        (["find", "--count", f"{MUSIC}+{FLAC}"], 80.0),
        (["find", f"{RARE}+{MUSIC}"], None),
        (["tags"], None),
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
        f"{wall:.1f} s",
        note=f"{cpu:.1f} s of CPU; {per_million:.0f} s per million files",
        goal="<= 60 s per million",
        reached=per_million <= 60,
    )
    note = f"in use {sum(parts.values()):.0f}"
    bench.report.line(f"{whole:.0f} MB per million on disk after it", note=note, goal="<= 250", reached=whole <= 250)
