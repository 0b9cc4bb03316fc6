"""Measures how fast `recover.py` gets the files out of a store, against `cp -a` of their bytes in the same run.

    python -m bench.recover --files 100000
    python -m bench.recover --files 10000 --kib 64 --shell       also recover.sh, which starts programs for each file

Time on the wall, until all is on the disk, with the CPU time of the process and its children beside
it; the sides in turn, the bytes in the page cache for both. The goal is no more than twice what `cp -a`
takes, though it also reads the ledgers, hashes every byte, and gives each file the names it had in
each of its tags.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from bench.build import default_work
from tagfs.fact import Content, Fact, Made, encode_fact, time_text
from tagfs.guid import new_guid
from tagfs.recovery import rows
from tagfs.slug import data_path
from tagfs.stamp import make_stamp

NODE = "1a2b3c4d-0001-4000-8000-000000000001"
MADE_MS = 1_764_000_000_000
TAGS = 200
SCRIPTS = Path(__file__).resolve().parents[1] / "tagfs" / "recovery" / "scripts"


def make(root: Path, files: int, kib: float) -> int:
    """A store of so many files of about so many KiB, two tags each, with a table; their bytes in all."""
    dice = random.Random(7)
    ledger = root / "ledgers" / "laptop"
    ledger.mkdir(parents=True)
    data_root = root / "sets" / "laptop" / "data"
    for number in range(256):
        (data_root / f"{number:02x}").mkdir(parents=True)
    total = 0
    table = [rows.header()]
    lines: list[bytes] = []
    segment = 0
    for number in range(files):
        guid = new_guid(dice.randbytes(16))
        name = f"holiday {number % 977} in Rome {number}.jpg"
        data = dice.randbytes(max(1, int(dice.expovariate(1 / (kib * 1024)))))
        total += len(data)
        path = data_path(guid, name)
        (data_root / path).write_bytes(data)
        tags = sorted({f"tag{dice.randrange(TAGS)}", f"year={1990 + dice.randrange(37)}"})
        digest, modified = sha256(data).hexdigest(), time_text((MADE_MS - number * 1000) * 1_000_000)
        at = make_stamp((MADE_MS + number) << 16, NODE[:8])
        fact = Fact(
            at=at,
            by=NODE,
            action=at,
            file=guid,
            tag=list(tags),
            made=Made(name=name, data=path, from_="/home/ada/Pictures"),
            content=Content(digest, len(data), modified),
            holds={NODE: True},
        )
        lines.append(encode_fact(fact))
        table.append(
            rows.line(
                rows.Row(
                    guid,
                    name,
                    f"sets/laptop/data/{path}",
                    len(data),
                    digest,
                    "",
                    modified,
                    tuple(tags),
                    "",
                    ("laptop",),
                    "/home/ada/Pictures",
                )
            )
        )
        if len(lines) == 2_500 or number == files - 1:
            stamp = make_stamp((MADE_MS + segment) << 16, NODE[:8])
            (ledger / f"{stamp}.jsonl").write_bytes(b"".join(lines))
            lines.clear()
            segment += 1
    (root / "index.csv").write_bytes(b"".join(table))
    return total


def timed(command: Sequence[str], target: Path) -> tuple[float, float]:
    """Seconds on the wall and of CPU that a command takes; its target is removed before."""
    shutil.rmtree(target, ignore_errors=True)
    os.sync()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.sync()  # recover.py waits until all is on the disk; so must the other
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--kib", type=float, default=8, help="mean size of a file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shell", action="store_true")
    parser.add_argument("--work", type=Path, default=Path(default_work()))
    given = parser.parse_args()
    work = given.work / "recover"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        total = make(work / "store", given.files, given.kib)
        print(f"{given.files:,} files, {total / 1e6:,.0f} MB")
        sides: dict[str, Callable[[Path], list[str]]] = {
            "cp -a": lambda to: ["cp", "-a", str(work / "store" / "sets"), str(to)],
            "recover.py": lambda to: [sys.executable, str(SCRIPTS / "recover.py"), str(to), str(work / "store")],
        }
        if given.shell:
            sides["recover.sh"] = lambda to: ["sh", str(SCRIPTS / "recover.sh"), str(to), str(work / "store")]
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for _ in range(given.repeats):
            for name, command in sides.items():
                target = work / name.replace(" ", "")
                figures[name].append(timed(command(target), target))
        base_wall, base_cpu = (statistics.median(column) for column in zip(*figures["cp -a"], strict=True))
        for name, taken in figures.items():
            wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
            print(
                f"{name:<12} {wall:7.2f} s ({min(taken)[0]:.2f}..{max(taken)[0]:.2f})  {cpu:7.2f} s of CPU   "
                f"{wall / base_wall:5.2f}x wall, {cpu / base_cpu:5.2f}x CPU   goal 2x"
            )
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
