"""Measures what a store is explained with: README, pages, tables; first, when nothing changed, and after one change.

    python -m bench.recovery --files 100000

The peer is `find`, which lists the same data files as one HTML list (name, link, size, day): the
least that any listing has to do. Lists by tag and by name, tables, checksums of what is
written, making it durable and renaming it are on our side alone.

The store is that of `bench.build`, without the peer; its data files are sparse, of the right
sizes. CPU time is that of a process of its own, user and system, from its start to its end;
memory is what it held at most, without pages of files that the kernel can drop ("anonymous").
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.build import build, default_work
from bench.library import chunks
from tagfs.layout import Layout
from tagfs.slug import data_path
from tagfs.store import Store

GOALS = {100_000: 5.0, 1_000_000: 60.0}
GOAL_MB = 300
_CHILD = """
import sys, threading, time
peak = [0]
def watch():
    while True:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    peak[0] = max(peak[0], int(line.split()[1]))
        time.sleep(0.25)
threading.Thread(target=watch, daemon=True).start()
from tagfs.store import Store
from tagfs.recovery.make import Maker
with Store(sys.argv[1]) as store:
    done = Maker().root(store)
print(len(done.written), len(done.removed), done.same, peak[0] // 1024)
"""


class Run(NamedTuple):
    cpu_s: float
    wall_s: float
    said: str


def run(words: Sequence[str], out: str | None = None) -> Run:
    """Run a program to its end."""
    began, before = time.monotonic(), os.times()
    with open(out or os.devnull, "wb") as sink:
        said = subprocess.run(words, check=True, stdout=sink if out else subprocess.PIPE).stdout or b""
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(cpu_s, time.monotonic() - began, said.decode().strip())


def add_data(root: str, files: int) -> None:
    """Data files of the right sizes, with holes for bytes."""
    with Store(root) as store:
        label = store.info.ledger_folder
    data = Layout(root).data(label, "")
    if os.path.exists(os.path.join(data, "00")):
        return
    for gg in range(256):
        os.makedirs(os.path.join(data, f"{gg:02x}"), exist_ok=True)
    for batch in chunks(files):
        for file in batch:
            with open(os.path.join(data, data_path(file.guid, file.name)), "wb") as bytes_:
                bytes_.truncate(file.size_bytes)


def explain(root: str) -> Run:
    return run([sys.executable, "-c", _CHILD, root])


def one_more(root: str) -> None:
    """Another tag on one file."""
    with Store(root) as store:
        with store.view() as view:
            guid = view.guid(view.ordinal_total() // 2)
        store.act(lambda change: change.about_file(guid, tag=[f"seen at {time.time_ns()}"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure README and pages.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", default=default_work(), help="where builds are kept (default: %(default)s)")
    given = parser.parse_args()
    built = build(given.work, given.files, peer=False)
    add_data(built.store, built.files)
    root = built.store
    for name in ("pages", os.path.join("scratch", "readme")):
        shutil.rmtree(os.path.join(root, name), ignore_errors=True)
    listing = os.path.join(root, "scratch", "listing")
    form = '<li><a href="%p">%f</a> %s %TY-%Tm-%Td\n'
    find = run(["find", os.path.join(root, "sets"), "-type", "f", "-printf", form], listing)
    os.unlink(listing)
    goal = GOALS.get(built.files)
    print(f"{built.files:,} files; CPU time of a process, then on the wall; the ratio is to find's CPU time")
    print(f"{'find':28} {find.cpu_s:7.2f} s  {find.wall_s:7.2f} s")
    for what, prepare in (("first", None), ("nothing changed", None), ("one tag more", one_more)):
        if prepare is not None:
            prepare(root)
        done = explain(root)
        written, removed, same, peak_mb = map(int, done.said.split())
        print(
            f"{what:28} {done.cpu_s:7.2f} s  {done.wall_s:7.2f} s  {done.cpu_s / max(find.cpu_s, 0.01):6.1f}x  "
            f"{written} written, {removed} removed, {same} as before; {peak_mb} MB anonymous (goal {GOAL_MB})"
            + (f"; goal {goal:g} s" if goal else "")
        )


if __name__ == "__main__":
    main()
