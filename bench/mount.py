"""Measures what the mount must reach, against native ext4 and against bindfs in the same run.

    python -m bench.mount --files 100000
    python -m bench.mount --files 1000000 --only stat,list

Time on the wall, since most of it is spent between processes: medians of several repeats,
the sides in turn, with the least and the most. Nothing fails because it is slow; goals are
printed beside the figures. Cold means that the kernel has forgotten names and inodes (of
all three, so also those beneath); as root only, since nobody else can make it forget.

Beside it stands the CPU time of the process that serves, which other programs on the
machine disturb less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.build import build, default_work
from bench.measure import Timing, show_timing, timing_of
from bench.mount_sides import (
    LARGE_MIB,
    SMALL_BYTES,
    SMALL_FILES,
    Side,
    can_cool,
    cool,
    cpu_s,
    memory_mb,
    names_beside,
    prepare,
    settle,
    three_sides,
    written_bytes,
)

REPEATS = 7
FEW = 3
CREATED = 2_000
WRITTEN_MIB = 512
_MOMENT_S = 3.0
"""Pages of the index that were looked at are given back every two seconds."""


class Line(NamedTuple):
    """One line: what each side took, and the goal in words."""

    what: str
    sides: dict[str, Timing]
    goal: str
    note: str


class Bench:
    """The sides, the timing program, and what came out."""

    def __init__(self, sides: list[Side], program: str) -> None:
        self.sides = sides
        self.program = program
        self.lines: list[Line] = []

    def run(self, *arguments: str | int) -> list[float]:
        """The timing program: seconds, one for each phase."""
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr.strip()}")
        return [float(word) for word in done.stdout.split()]

    def compare(
        self,
        what: str,
        goal: str,
        once: Callable[[Side], float],
        *,
        before: Callable[[], None] | None = None,
        repeats: int = REPEATS,
    ) -> None:
        """Measure all sides in turn. `before`: what is done before each."""
        seconds: dict[str, list[float]] = {side.name: [] for side in self.sides}
        used: dict[str, list[float]] = {side.name: [] for side in self.sides if side.process}
        for _ in range(repeats):
            for side in self.sides:
                if before is not None:
                    before()
                cpu = cpu_s(side.process) if side.process else 0.0
                seconds[side.name].append(once(side))
                settle(self.sides)
                if side.process:
                    used[side.name].append(cpu_s(side.process) - cpu)
        note = ", ".join(f"{name} {statistics.median(found) * 1000:.0f} ms" for name, found in used.items())
        self.add(what, {name: timing_of(found) for name, found in seconds.items()}, goal, f"CPU: {note}")

    def add(self, what: str, sides: dict[str, Timing], goal: str, note: str = "") -> None:
        """Keep a line and print it."""
        self.lines.append(Line(what, sides, goal, note))
        lyts = sides["lyts"].median_ms
        ratios = "".join(
            f"{f'{lyts / sides[name].median_ms:.2f}x' if name in sides else '':>8}" for name in ("native", "bindfs")
        )
        columns = "".join(f"{show_timing(sides.get(name)):<26}" for name in ("native", "bindfs", "lyts"))
        print(f"  {what:<30}{columns}{ratios}  {goal}{'; ' if goal and note else ''}{note}".rstrip(), flush=True)

    def say(self, what: str, found: str, goal: str) -> None:
        """A figure of lyts alone."""
        self.lines.append(Line(what, {}, goal, found))
        print(f"  {what:<30}{found}  {goal}", flush=True)

    def cool(self) -> None:
        cool(self.sides)


def _wall_of(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "LC_ALL": "C"})
    return time.perf_counter() - start


def stat(bench: Bench) -> None:
    """Attributes of 10,000 files by name."""

    def once(side: Side) -> float:
        return bench.run("stat", side.small, SMALL_FILES)[0]

    if can_cool():
        bench.compare("stat of 10,000, cold", "goal 3.5 native", once, before=bench.cool)
    bench.compare("stat of 10,000, warm", "goal 1.7 native", once)


def listing(bench: Bench) -> None:
    """ls, the real one."""
    many = names_beside(bench.sides)
    if can_cool():
        bench.compare(
            f"ls -f of {many:,}, first",
            "goal 0.8 s",
            lambda side: _wall_of(["ls", "-f", side.many]),
            before=bench.cool,
            repeats=FEW,
        )
    bench.compare(f"ls -f of {many:,}, again", "goal 0.5 s", lambda side: _wall_of(["ls", "-f", side.many]))
    for what, goal, folder in ((10_000, "goal 2.5 native", "small"), (many, "goal 2.5 native", "many")):

        def once(side: Side, folder: str = folder) -> float:
            return _wall_of(["ls", "-l", getattr(side, folder)])

        if can_cool():
            bench.compare(f"ls -l of {what:,}, first", goal, once, before=bench.cool, repeats=FEW)
        bench.compare(f"ls -l of {what:,}, again", goal, once, repeats=FEW)


def small(bench: Bench) -> None:
    """Reading small files."""

    def once(side: Side) -> float:
        return bench.run("orc", side.small, SMALL_FILES)[0]

    if can_cool():
        bench.compare("open+read+close 10,000, cold", "", once, before=bench.cool, repeats=FEW)
    bench.compare("open+read+close 10,000", "goal 5 native", once)


def create(bench: Bench) -> None:
    """Making small files."""
    made = 0
    written: dict[str, list[int]] = {}

    def once(side: Side) -> float:
        nonlocal made
        made += 1
        folder = os.path.join(side.new, f"made-{os.getpid()}-{made}")
        os.mkdir(folder)
        before = written_bytes(side.process) if side.process else 0
        took = bench.run("create", folder, CREATED, SMALL_BYTES)[0]
        settle(bench.sides)
        if side.process:
            written.setdefault(side.name, []).append(written_bytes(side.process) - before)
        return took

    bench.compare(f"create+write 4 KB+close {CREATED:,}", "goal 2 bindfs", once, repeats=5)
    for name, found in written.items():
        per_file = [n / CREATED / 1000 for n in sorted(found)]
        text = f"{per_file[len(per_file) // 2]:.1f} KB a file ({per_file[0]:.1f}..{per_file[-1]:.1f})"
        bench.say(f"written to disk, {name}", text, "goal 25 KB" if name == "lyts" else "")


def large(bench: Bench) -> None:
    """Bytes in a row."""

    def cold(side: Side) -> float:
        for path in {side.large, side.beneath}:
            bench.run("evict", path)
        return bench.run("read", side.large)[0]

    bench.compare(f"read {LARGE_MIB} MiB, cold", "goal 2.5 native", cold, repeats=FEW)
    bench.compare(f"read {LARGE_MIB} MiB, warm", "goal 1.1 native", lambda side: bench.run("read", side.large)[0])
    seconds: dict[str, list[list[float]]] = {side.name: [] for side in bench.sides}
    for number in range(FEW):
        for side in bench.sides:
            folder = os.path.join(side.new, f"long-{os.getpid()}-{number}-{side.name}")
            os.mkdir(folder)
            seconds[side.name].append(bench.run("write", os.path.join(folder, "long"), WRITTEN_MIB))
            os.unlink(os.path.join(folder, "long"))
            subprocess.run(["sync", "-f", side.new], check=False)
            settle(bench.sides)
    for what, at in (("", 0), (", and close", 1)):
        found = {name: timing_of([one[at] for one in all_]) for name, all_ in seconds.items()}
        bench.add(f"write {WRITTEN_MIB} MiB{what}", found, "goal 1.6 native")


def memory(bench: Bench) -> None:
    """What the mount holds once the kernel has looked up all there is, and a moment later."""
    time.sleep(_MOMENT_S)
    for side in bench.sides:
        if side.process:
            found = memory_mb(side.process)
            text = ", ".join(f"{what} {mb:.1f} MB" for what, mb in found.items())
            bench.say(f"memory, {side.name}", text, "goal 60 MB private, 100 with 1M files" * (side.name == "lyts"))


def waits(bench: Bench) -> None:
    """How long others wait while bytes that a version shares are copied, since a program writes to them."""
    lyts = next(side for side in bench.sides if side.name == "lyts")
    folder = os.path.join(lyts.new, f"shared-{os.getpid()}")
    os.mkdir(folder)
    doc, backup = os.path.join(folder, "long"), os.path.join(folder, "long.bak")
    bench.run("write", doc, WRITTEN_MIB)
    os.rename(doc, backup)
    with open(doc, "wb") as file:  # by the process that renamed it: now the old bytes are a version, and the backup's
        file.write(b"anew")
    beside = [os.path.join(lyts.small, name) for name in sorted(os.listdir(lyts.small))[:100]]
    seconds: list[float] = []

    def write() -> None:
        start = time.perf_counter()
        with open(backup, "r+b", buffering=0) as file:
            file.write(b"x")
            seconds.append(time.perf_counter() - start)

    for what, do in (("nobody writes", lambda: time.sleep(1.0)), ("it is copied", write)):
        settle(bench.sides)
        busy = threading.Thread(target=do)
        busy.start()
        longest, asked = 0.0, 0
        while busy.is_alive():
            path = beside[asked % len(beside)]
            start = time.perf_counter()
            os.getxattr(path, "user.lyts.id")
            with open(path, "rb") as file:
                file.read()
            longest = max(longest, time.perf_counter() - start)
            asked += 1
        busy.join()
        took = f"; the write took {seconds[0] * 1000:,.0f} ms" if seconds else ""
        bench.say(f"longest wait, {what}", f"{longest * 1000:.1f} ms of {asked:,} open+read+close{took}", "")
    os.unlink(doc)
    os.unlink(backup)


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "stat": stat,
    "list": listing,
    "small": small,
    "create": create,
    "large": large,
    "waits": waits,
    "memory": memory,
}


def main() -> None:
    """Build what is missing, mount, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the mount against native ext4 and bindfs.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", default=default_work(), help="where builds are kept (default: %(default)s)")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(SECTIONS)}")
    parser.add_argument("--fresh", action="store_true", help="make again what is there, the store itself excepted")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    parser.add_argument("--profile", metavar="FILE", help="write what took the mount how long here (slows it down)")
    os.environ["LYTS_BACKGROUND"] = "no"  # nothing else is to run beside what is measured
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else list(SECTIONS)
    if set(wanted) - set(SECTIONS):
        parser.error(f"--only takes some of: {', '.join(SECTIONS)}")
    for program in ("bindfs", "cc", "fusermount3"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing (Debian: bindfs, gcc, fuse3)")
    built = build(given.work, given.files, peer=False)
    folder = os.path.join(given.work, f"mount-{given.files}")
    if given.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    prepare(built, folder)
    timing = os.path.join(folder, "timing")
    source = os.path.join(os.path.dirname(__file__), "mount_timing.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Wno-unused-result", "-o", timing, source], check=True)
    print(
        f"{built.files:,} files; Python {platform.python_version()}, Linux {platform.release()}; time on the wall,"
        f" median (least..most); ratios are lyts / native and lyts / bindfs"
    )
    if not can_cool():
        print("not root: nothing is measured cold")
    print(f"  {'':<30}{'native':<26}{'bindfs':<26}{'lyts':<26}{'native':>8}{'bindfs':>8}")
    with three_sides(folder, given.profile) as sides:
        bench = Bench(sides, timing)
        settle(sides)
        for section, measure_it in SECTIONS.items():
            if section in wanted:
                measure_it(bench)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"files": built.files, "lines": [line._asdict() for line in bench.lines]}, file, indent=1)


if __name__ == "__main__":
    main()
